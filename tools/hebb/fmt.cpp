#include <algorithm>
#include <iostream>

#include "compiler/ast/format.h"
#include "compiler/parse/parse.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    out.push_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  return out;
}

/// One hunk from the first to the last line that differs, with three lines around it.
std::string difference(const std::string& path, std::string_view before, std::string_view after) {
  constexpr size_t kContext = 3;
  const auto a = lines_of(before), b = lines_of(after);
  size_t head = 0, tail = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  while (tail < a.size() - head && tail < b.size() - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  const size_t first = head > kContext ? head - kContext : 0;
  const size_t after_tail = std::min(tail, kContext);
  const size_t a_end = a.size() - tail, b_end = b.size() - tail;
  std::string out = cat("--- ", path, "\n+++ ", path, " (formatted)\n@@ -", first + 1, ",",
                        a_end + after_tail - first, " +", first + 1, ",", b_end + after_tail - first, " @@\n");
  const auto put = [&](char sign, std::string_view line) {
    out += cat(sign, line, line.ends_with('\n') ? "" : "\n\\ no end of line\n");
  };
  for (size_t i = first; i < head; ++i) put(' ', a[i]);
  for (size_t i = head; i < a_end; ++i) put('-', a[i]);
  for (size_t i = head; i < b_end; ++i) put('+', b[i]);
  for (size_t i = a_end; i < a_end + after_tail; ++i) put(' ', a[i]);
  return out;
}

int format_one(const std::string& path, const Options& options) {
  Sources sources;
  Diagnostics diags;
  const auto id = read_source(sources, path);
  if (!id) return kUsage;
  const ast::File file = parse(sources, *id, diags);
  if (diags.has_errors()) {
    show(diags, sources, options);
    return kBadFile;
  }
  const std::string before = sources[*id].text;
  const std::string after = ast::format(file, sources);
  const FileId again = sources.add(path, after);
  parse(sources, again, diags);
  assert(!diags.has_errors() && "a formatted file parses");
  if (options.diff) {
    if (before != after) std::cout << difference(path, before, after);
    return before == after || !options.check ? kDone : kBadFile;
  }
  if (options.check) {
    if (before == after) return kDone;
    std::cout << path << '\n';
    return kBadFile;
  }
  if (path == "-") {
    std::cout << after << std::flush;
    return kDone;
  }
  if (before == after) return kDone;
  if (const Status done = write_file(path, after); !done) return usage_error(done.error());
  if (!options.quiet) std::cerr << "formatted " << path << '\n';
  return kDone;
}

}  // namespace

int run_fmt(const Options& options) {
  int worst = kDone;
  for (const std::string& path : options.files) worst = std::max(worst, format_one(path, options));
  return worst;
}

}  // namespace hebb::tool
