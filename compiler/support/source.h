#pragma once
// Source texts and positions in them. A Span is a half-open byte range of one file; every AST node
// carries one. Sources owns the texts of one compilation and outlives everything that points into it.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace hebb {

struct FileId {
  uint32_t value = UINT32_MAX;
  bool valid() const { return value != UINT32_MAX; }
  friend bool operator==(FileId, FileId) = default;
};

/// Bytes [begin, end) of `file`.
struct Span {
  FileId file;
  uint32_t begin = 0;
  uint32_t end = 0;
  bool valid() const { return file.valid(); }
  friend bool operator==(const Span&, const Span&) = default;
};

/// The smallest span that covers both; `a` alone when the files differ or `b` is invalid.
Span join(Span a, Span b);

/// 1-based line; 1-based column counted in UTF-8 code points.
struct LineColumn {
  uint32_t line = 1;
  uint32_t column = 1;
};

struct SourceFile {
  std::string path;  // as the user wrote it; shown in messages
  std::string text;
  std::vector<uint32_t> line_starts;
};

class Sources {
 public:
  FileId add(std::string path, std::string text);
  const SourceFile& operator[](FileId id) const { return files_[id.value]; }
  std::string_view text(Span span) const;
  LineColumn position(FileId file, uint32_t offset) const;
  /// The text of a 1-based line without its end of line.
  std::string_view line(FileId file, uint32_t line) const;
  size_t size() const { return files_.size(); }

 private:
  std::deque<SourceFile> files_;  // deque: references stay valid
};

}  // namespace hebb
