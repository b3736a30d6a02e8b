#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "compiler/pipeline.h"

namespace hebb::testing {

/// Of a text that has no mistakes; the library is that of the sources.
inline Model model_of(const std::string& text) {
  Sources sources;
  Diagnostics diags;
  const FileId file = sources.add("test.hebb", text);
  CheckOptions options;
  options.std_root = std::string(HEBB_SOURCE_DIR) + "/stdlib";
  options.lints = false;
  Compilation compilation = compile(sources, file, options, diags);
  for (const Diagnostic& diag : diags.all()) ADD_FAILURE() << diag.message;
  return std::move(compilation.model);
}

}  // namespace hebb::testing
