#pragma once
// Source text, parsed and checked.

#include <gtest/gtest.h>

#include <filesystem>

#include "compiler/parse/parse.h"
#include "compiler/sema/check.h"

namespace hebb::testing {

/// A text as it was checked.
struct Checked {
  Sources sources;
  Diagnostics diags;
  Model model;
  std::string text() const { return render(diags, sources, {}); }
};

inline std::unique_ptr<Checked> check_text(const std::string& source, std::map<std::string, std::string> sets = {},
                                           const std::string& path = "test.hebb") {
  auto out = std::make_unique<Checked>();
  const FileId id = out->sources.add(path, source);
  const ast::File file = parse(out->sources, id, out->diags);
  if (out->diags.has_errors()) return out;
  CheckOptions options;
  options.std_root = (std::filesystem::path(HEBB_SOURCE_DIR) / "stdlib").string();
  options.sets = std::move(sets);
  out->model = check(file, out->sources, options, out->diags);
  return out;
}

#define ASSERT_CLEAN(result) ASSERT_EQ((result)->diags.size(), 0u) << (result)->text()

}  // namespace hebb::testing
