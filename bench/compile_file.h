#pragma once

#include <fstream>
#include <string>

#include "compiler/pipeline.h"
#include "compiler/support/text.h"

namespace hebb::bench {

/// A file by its path from the root of the repository; its mistakes as one text.
inline Result<Compilation> compile_file(const std::string& file) {
  Sources sources;
  Diagnostics diags;
  std::ifstream stream(file);
  if (!stream) return Failure{cat("cannot read ", file, "; run from the root of the repository")};
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  Compilation compilation = compile(sources, sources.add(file, std::move(text)), {}, diags);
  if (diags.has_errors()) return Failure{render(diags, sources, {})};
  return compilation;
}

}  // namespace hebb::bench
