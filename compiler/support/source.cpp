#include "compiler/support/source.h"

#include <algorithm>

namespace hebb {

Span join(Span a, Span b) {
  if (!a.valid()) return b;
  if (!b.valid() || a.file != b.file) return a;
  return {a.file, std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

FileId Sources::add(std::string path, std::string text) {
  SourceFile file{.path = std::move(path), .text = std::move(text), .line_starts = {0}};
  // Editors do not show a byte order mark: the first line begins behind it.
  if (file.text.starts_with("\xEF\xBB\xBF")) file.line_starts[0] = 3;
  for (uint32_t i = 0; i < file.text.size(); ++i) {
    if (file.text[i] == '\n') file.line_starts.push_back(i + 1);
  }
  files_.push_back(std::move(file));
  return FileId{static_cast<uint32_t>(files_.size() - 1)};
}

std::string_view Sources::text(Span span) const {
  if (!span.valid()) return {};
  return std::string_view(files_[span.file.value].text).substr(span.begin, span.end - span.begin);
}

LineColumn Sources::position(FileId file, uint32_t offset) const {
  const SourceFile& source = files_[file.value];
  offset = std::min<uint32_t>(offset, static_cast<uint32_t>(source.text.size()));
  const auto after = std::upper_bound(source.line_starts.begin(), source.line_starts.end(), offset);
  const uint32_t line = std::max(1u, static_cast<uint32_t>(after - source.line_starts.begin()));
  uint32_t column = 1;
  for (uint32_t i = source.line_starts[line - 1]; i < offset; ++i) {
    const bool continuation = (static_cast<unsigned char>(source.text[i]) & 0xC0) == 0x80;
    if (!continuation) ++column;
  }
  return {line, column};
}

std::string_view Sources::line(FileId file, uint32_t line) const {
  const SourceFile& source = files_[file.value];
  if (line == 0 || line > source.line_starts.size()) return {};
  const uint32_t begin = source.line_starts[line - 1];
  uint32_t end = line < source.line_starts.size() ? source.line_starts[line] - 1
                                                  : static_cast<uint32_t>(source.text.size());
  if (end > begin && source.text[end - 1] == '\r') --end;
  return std::string_view(source.text).substr(begin, end - begin);
}

}  // namespace hebb
