#include "runtime/data/csv.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_set>

#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Cell {
  std::string_view text;    // of a quoted cell: what is between the quotes, doubled quotes still doubled
  uint32_t line = 1;        // of its first character, 1-based
  size_t column = 1;        // in bytes
  bool quoted = false;
  bool ends_row = false;
  bool bad_quote = false;   // not closed, or followed by something
};

/// Cells one after the other.
struct Reader {
  std::string_view text;
  size_t at = 0;
  size_t line_start = 0;
  uint32_t line = 1;

  bool done() const { return at >= text.size(); }
  Cell next();
  void skip_quoted(Cell& cell);
};

void Reader::skip_quoted(Cell& cell) {
  const size_t begin = ++at;
  for (;; ++at) {
    if (at >= text.size()) {
      cell.bad_quote = true;
      return;
    }
    if (text[at] == '\n') {
      ++line;
      line_start = at + 1;
    }
    if (text[at] != '"') continue;
    if (at + 1 >= text.size() || text[at + 1] != '"') break;
    ++at;
  }
  cell.text = text.substr(begin, at - begin);
  ++at;
}

Cell Reader::next() {
  Cell cell{.line = line, .column = at - line_start + 1};
  const size_t begin = at;
  cell.quoted = at < text.size() && text[at] == '"';
  if (cell.quoted) skip_quoted(cell);
  const size_t after_quotes = at;
  while (at < text.size() && text[at] != ',' && text[at] != '\n') ++at;
  std::string_view rest = text.substr(after_quotes, at - after_quotes);
  const bool last = at >= text.size() || text[at] == '\n';
  if (last && rest.ends_with('\r')) rest.remove_suffix(1);
  if (!cell.quoted) cell.text = rest;
  if (cell.quoted && rest.find_first_not_of(" \t") != std::string_view::npos) cell.bad_quote = true;
  if (cell.bad_quote) cell.text = text.substr(begin, at - begin);
  cell.ends_row = last;
  if (last && at < text.size()) {
    ++line;
    line_start = at + 1;
  }
  if (at < text.size()) ++at;
  return cell;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// A cell for a message: short, without control characters.
std::string shown(std::string_view text) {
  constexpr size_t kLongest = 40;
  std::string out;
  for (const char c : text.substr(0, kLongest)) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    out += control ? '?' : c;
  }
  // Not in the middle of a UTF-8 character.
  if (text.size() > kLongest) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0) out.pop_back();
    out += "…";
  }
  return quoted(out);
}

std::string unquoted(const Cell& cell) {
  std::string out(cell.quoted ? cell.text : trimmed(cell.text));
  for (size_t k = out.find("\"\""); cell.quoted && k != std::string::npos; k = out.find("\"\"", k + 1))
    out.erase(k, 1);
  return out;
}

/// The number of a cell; nothing when it holds something else.
std::optional<double> number(std::string_view text) {
  // The common case first: a plain number that fills the cell.
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop == end && error == std::errc()) return value;
  text = trimmed(text);
  if (text.empty() || text == "NA" || text == "N/A") return kNaN;
  if (text.front() == '+' && text.size() > 1 && text[1] != '-' && text[1] != '+') text.remove_prefix(1);
  return parse_double(text);
}

Failure failure(const std::string& path, const Cell& cell, std::string_view text) {
  return {cat(path, ':', cell.line, ':', cell.column, ": ", text)};
}

/// The row of names.
Result<std::vector<std::string>> header(Reader& reader, const std::string& path) {
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  bool all_numbers = true;
  Cell first = {}, cell = {};
  do {
    cell = reader.next();
    if (names.empty()) first = cell;
    if (cell.bad_quote) return failure(path, cell, cat("a quote is not closed: ", shown(cell.text)));
    const std::string name = unquoted(cell);
    if (name.empty())
      return failure(path, cell, cat("column ", names.size() + 1, " has no name in the first line"));
    if (!seen.insert(name).second)
      return failure(path, cell, cat("two columns are named ", shown(name)));
    all_numbers = all_numbers && !cell.quoted && number(cell.text).has_value();
    names.push_back(name);
  } while (!cell.ends_row);
  if (all_numbers)
    return failure(path, first, cat("the first line holds numbers, expected the names of the columns"));
  const size_t other = names.size() == 1 ? names[0].find_first_of(";\t") : std::string::npos;
  if (other != std::string::npos)
    return failure(path, first, cat("columns are separated by ", names[0][other] == ';' ? "';'" : "tabs", ", expected ','"));
  return names;
}

}  // namespace

Result<Dataset> parse_csv(std::string_view text, const std::string& path) {
  Reader reader{.text = text};
  if (text.starts_with("\xEF\xBB\xBF")) reader.at = reader.line_start = 3;
  if (reader.done()) return Failure{cat(path, " is empty, expected a line with the names of the columns")};
  if (text.find('\0') != std::string_view::npos)
    return Failure{cat(path, " holds NUL bytes: it is no text file")};
  // Empty lines at the end are no rows; elsewhere they are rows with one empty cell.
  std::string_view& body = reader.text;
  while (body.ends_with('\n') || body.ends_with('\r')) body.remove_suffix(1);
  if (reader.done()) return Failure{cat(path, " is empty, expected a line with the names of the columns")};

  Result<std::vector<std::string>> names = header(reader, path);
  if (!names) return names.failure();
  std::vector<std::vector<double>> columns(names->size());
  // A row takes at least a byte per cell: many names cannot make few lines reserve much.
  const auto lines = static_cast<size_t>(std::count(body.begin(), body.end(), '\n'));
  for (auto& column : columns) column.reserve(std::min(lines, body.size() / columns.size() + 1));
  while (!reader.done()) {
    size_t k = 0;
    Cell cell = {};
    do {
      cell = reader.next();
      if (cell.bad_quote) return failure(path, cell, cat("a quote is not closed: ", shown(cell.text)));
      if (k == columns.size()) {
        while (!cell.ends_row) cell = reader.next(), ++k;
        return failure(path, cell, cat("the row has ", plural(k + 1, "cell"), ", the first line names ", columns.size()));
      }
      const std::optional<double> value = number(cell.text);
      if (!value)
        return failure(path, cell, cat("column ", quoted((*names)[k]), " holds ", shown(cell.text), ", expected a number"));
      columns[k++].push_back(*value);
    } while (!cell.ends_row);
    if (k < columns.size())
      return failure(path, cell, cat("the row has ", plural(k, "cell"), ", the first line names ", columns.size()));
  }

  Dataset data;
  for (size_t k = 0; k < columns.size(); ++k) {
    const auto rows = static_cast<int64_t>(columns[k].size());
    data.arrays.push_back({.name = (*names)[k], .array = {.shape = {rows}, .values = std::move(columns[k])}});
  }
  return data;
}

Result<std::string> csv_text(const Dataset& data) {
  std::string out;
  size_t rows = 0;
  for (size_t k = 0; k < data.arrays.size(); ++k) {
    const auto& [name, array] = data.arrays[k];
    if (array.shape.size() > 1)
      return Failure{cat(quoted(name), " has ", array.shape.size(), " dimensions, a column of a CSV file has one; .npy and .npz keep any shape")};
    if (k == 0) rows = array.values.size();
    if (array.values.size() != rows)
      return Failure{cat("the columns of a CSV file must be equally long, ", quoted(data.arrays[0].name), " has ",
                         rows, " numbers, ", quoted(name), " has ", array.values.size())};
    const bool plain = name.find_first_of(",\"\r\n") == std::string::npos;
    std::string cell = plain ? name : "\"";
    for (size_t c = 0; !plain && c < name.size(); ++c) cell += name[c] == '"' ? "\"\"" : std::string(1, name[c]);
    if (!plain) cell += '"';
    out += cat(k > 0 ? "," : "", cell);
  }
  out += '\n';
  for (size_t row = 0; row < rows; ++row) {
    for (size_t k = 0; k < data.arrays.size(); ++k) {
      if (k > 0) out += ',';
      out += shortest(data.arrays[k].array.values[row]);
    }
    out += '\n';
  }
  return out;
}

}  // namespace hebb
