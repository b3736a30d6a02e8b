#include <iostream>

#include "compiler/support/text.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

int run_check(const Options& options) {
  const auto check = check_options(options);
  if (!check) return kUsage;
  int worst = kDone;
  for (const std::string& path : options.files) {
    Sources sources;
    Diagnostics diags;
    const auto file = read_source(sources, path);
    if (!file) {
      worst = std::max<int>(worst, kUsage);
      continue;
    }
    const Compilation compilation = compile(sources, *file, *check, diags);
    if (!diags.has_errors()) check_actions(compilation.model, compilation.file, diags);
    show(diags, sources, options);
    if (diags.has_errors()) worst = worst == kUsage ? kUsage : kBadFile;
    else if (options.verbose) std::cerr << path << ": correct\n";
  }
  return worst;
}

}  // namespace hebb::tool
