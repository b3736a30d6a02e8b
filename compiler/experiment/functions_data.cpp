#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>

#include "compiler/experiment/functions.h"
#include "compiler/support/hash.h"
#include "compiler/support/text.h"
#include "runtime/data/load.h"

namespace hebb {

namespace {

using MaybeValue = std::optional<Value>;

const std::string* as_text(Evaluation& e, const FunctionCall& call, const Given& given) {
  if (const auto* text = std::get_if<std::string>(&given.value.data)) return text;
  e.diags.report(DiagKind::WrongKindOfValue, given.span,
                 cat(quoted(call.name), " needs a text in quotes here, this is ", describe(given.value)));
  return nullptr;
}

Tensor tensor_of(const Array& array) {
  return {.shape = array.shape, .values = array.values, .dimension = std::nullopt};
}

// --- several files at once ----------------------------------------------------------------------------

/// fly_2 before fly_10: runs of digits compare as numbers.
bool before(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i, ++j;
      continue;
    }
    while (i < a.size() && a[i] == '0') ++i;
    while (j < b.size() && b[j] == '0') ++j;
    size_t m = i, n = j;
    while (m < a.size() && digit(a[m])) ++m;
    while (n < b.size() && digit(b[n])) ++n;
    if (m - i != n - j) return m - i < n - j;
    if (const int order = a.compare(i, m - i, b, j, n - j)) return order < 0;
    i = m, j = n;
  }
  if ((i < a.size()) != (j < b.size())) return j < b.size();
  return a < b;
}

/// `pattern` has one or several '*', each standing for any characters of a file's name.
bool matches(std::string_view name, std::string_view pattern) {
  size_t at = 0, in = 0, star = std::string_view::npos, tried = 0;
  while (at < name.size()) {
    if (in < pattern.size() && pattern[in] == '*') {
      star = in++;
      tried = at;
    } else if (in < pattern.size() && pattern[in] == name[at]) {
      ++in, ++at;
    } else if (star != std::string_view::npos) {
      in = star + 1;
      at = ++tried;
    } else {
      return false;
    }
  }
  while (in < pattern.size() && pattern[in] == '*') ++in;
  return in == pattern.size();
}

std::vector<std::string> files_like(const std::string& path) {
  const std::filesystem::path whole(path);
  const std::string pattern = whole.filename().string();
  std::vector<std::string> out;
  std::error_code ignored;
  const std::filesystem::path folder = whole.has_parent_path() ? whole.parent_path() : std::filesystem::path(".");
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (entry.is_regular_file(ignored) && matches(entry.path().filename().string(), pattern)) out.push_back(entry.path().string());
  std::sort(out.begin(), out.end(), before);
  return out;
}

/// The same array of every file, one below the other, shorter ones filled up with nan.
std::optional<Tensor> padded_stack(Evaluation& e, const std::vector<const Array*>& arrays, const std::vector<std::string>& files,
                                   const std::string& name, Span span) {
  std::vector<int64_t> inner = arrays[0]->shape;
  for (size_t k = 0; k < arrays.size(); ++k) {
    const auto& shape = arrays[k]->shape;
    if (shape.size() != inner.size()) {
      e.diags.report(DiagKind::DataShape, span, cat(quoted(name), " is ", shape_text(arrays[0]->shape), " in ", files[0], " and ",
                                                    shape_text(shape), " in ", files[k]));
      return std::nullopt;
    }
    for (size_t axis = 0; axis < inner.size(); ++axis) inner[axis] = std::max(inner[axis], shape[axis]);
  }
  size_t each = 1;
  for (const int64_t extent : inner) each *= static_cast<size_t>(extent);
  Tensor out{.shape = inner, .values = std::vector<double>(each * arrays.size(), std::nan("")), .dimension = std::nullopt};
  out.shape.insert(out.shape.begin(), static_cast<int64_t>(arrays.size()));
  for (size_t k = 0; k < arrays.size(); ++k) {
    for (size_t i = 0; i < arrays[k]->values.size(); ++i) {
      size_t rest = i, place = 0, stride = 1;
      for (size_t axis = inner.size(); axis-- > 0;) {
        const auto extent = static_cast<size_t>(arrays[k]->shape[axis]);
        place += rest % extent * stride;
        rest /= extent;
        stride *= static_cast<size_t>(inner[axis]);
      }
      out.values[k * each + place] = arrays[k]->values[i];
    }
  }
  return out;
}

/// A checkpoint of a fit belongs to what was loaded before it.
void note_loaded(Evaluation& e, const Dataset& data) {
  uint64_t hash = 0;
  for (const NamedArray& named : data.arrays) {
    hash = mix(hash, hash_text(named.name));
    for (const int64_t extent : named.array.shape) hash = mix(hash, static_cast<uint64_t>(extent));
    for (const double value : named.array.values) hash = mix(hash, std::bit_cast<uint64_t>(value));
  }
  e.loaded += hash;
}

/// load("fly_*.csv"): one more axis in front, one row a file.
MaybeValue load_all(Evaluation& e, const std::string& name, const std::string& path, Span span) {
  const std::vector<std::string> files = files_like(path);
  if (files.empty()) {
    e.diags.report(DiagKind::FileProblem, span, cat("no file is called like ", quoted(path)));
    return std::nullopt;
  }
  std::vector<Dataset> all;
  for (const std::string& file : files) {
    auto data = load_data(file);
    if (!data) {
      e.diags.report(DiagKind::DataContent, span, data.error());
      return std::nullopt;
    }
    note_loaded(e, *data);
    all.push_back(*std::move(data));
  }
  auto table = std::make_shared<Table>();
  table->what = name;
  table->rows = 0;
  for (size_t column = 0; column < all[0].arrays.size(); ++column) {
    // An NPY file holds one array, named after the file.
    const bool alone = files[0].ends_with(".npy");
    const std::string called = alone ? "values" : all[0].arrays[column].name;
    std::vector<const Array*> arrays;
    for (size_t k = 0; k < all.size(); ++k) {
      const Array* found = alone ? &all[k].arrays[0].array : all[k].find(called);
      if (!found) {
        e.diags.report(DiagKind::MissingColumn, span, cat(files[k], " has no column called ", quoted(called), ", ", files[0], " has"));
        return std::nullopt;
      }
      arrays.push_back(found);
    }
    auto tensor = padded_stack(e, arrays, files, called, span);
    if (!tensor) return std::nullopt;
    if (tensor->shape.size() > 1) table->rows = std::max(*table->rows, tensor->shape[1]);
    table->order.push_back(called);
    table->columns[called] = *std::move(tensor);
  }
  return Value{std::shared_ptr<const Table>(std::move(table))};
}

MaybeValue load(Evaluation& e, const FunctionCall& call) {
  const std::string* name = as_text(e, call, *call.slots[0]);
  if (!name) return std::nullopt;
  const std::string path = data_path(e, *name, call.span);
  if (name->find('*') != std::string::npos) return load_all(e, *name, path, call.slots[0]->span);
  const auto data = load_data(path);
  if (!data) {
    std::error_code ignored;
    const bool readable = std::filesystem::is_regular_file(path, ignored);
    e.diags.report(readable ? DiagKind::DataContent : DiagKind::FileProblem, call.slots[0]->span, data.error());
    return std::nullopt;
  }
  note_loaded(e, *data);
  if (path.ends_with(".npy") && data->arrays.size() == 1) return value_of(tensor_of(data->arrays[0].array));
  auto table = std::make_shared<Table>();
  table->what = *name;
  table->rows = 0;
  for (const NamedArray& named : data->arrays) {
    if (!named.array.shape.empty()) table->rows = std::max(*table->rows, named.array.shape[0]);
    table->order.push_back(named.name);
    table->columns[named.name] = tensor_of(named.array);
  }
  for (const Unread& unread : data->unread) table->unread[unread.name] = unread.reason;
  return Value{std::shared_ptr<const Table>(std::move(table))};
}

std::optional<size_t> column_number(Evaluation& e, const Table& table, const std::string& name, Span span) {
  const auto found = std::find(table.order.begin(), table.order.end(), name);
  if (found != table.order.end()) return found - table.order.begin();
  Diagnostic& diag =
      e.diags.report(DiagKind::MissingColumn, span, cat(table.what, " has no column called ", quoted(name)));
  if (const auto near = did_you_mean(name, table.order)) diag.help = cat("did you mean ", *near, "?");
  else if (!table.order.empty()) diag.help = cat("it has ", plural(table.order.size(), "column"), ", from ",
                                                 table.order.front(), " to ", table.order.back());
  return std::nullopt;
}

/// matrix(data, "p0", "p63"): the columns from one to another, in the file's order, as [rows, columns].
MaybeValue matrix(Evaluation& e, const FunctionCall& call) {
  const auto* table = std::get_if<std::shared_ptr<const Table>>(&call.slots[0]->value.data);
  const std::string* first_name = as_text(e, call, *call.slots[1]);
  const std::string* last_name = as_text(e, call, *call.slots[2]);
  if (!first_name || !last_name) return std::nullopt;
  if (!table) {
    e.diags.report(DiagKind::WrongKindOfValue, call.slots[0]->span,
                   cat("'matrix' needs a table, as 'load' gives, this is ", describe(call.slots[0]->value)));
    return std::nullopt;
  }
  const auto first = column_number(e, **table, *first_name, call.slots[1]->span);
  if (!first) return std::nullopt;
  const auto last = column_number(e, **table, *last_name, call.slots[2]->span);
  if (!last) return std::nullopt;
  if (*last < *first) {
    report_argument(e, call.span, cat(quoted(*last_name), " stands before ", quoted(*first_name), " in ",
                                      (*table)->what));
    return std::nullopt;
  }
  std::vector<Tensor> columns;
  for (size_t k = *first; k <= *last; ++k) {
    const Tensor& column = (*table)->columns.at((*table)->order[k]);
    if (column.shape.size() != 1 || (!columns.empty() && column.shape != columns[0].shape)) {
      e.diags.report(DiagKind::DataShape, call.span,
                     cat(quoted((*table)->order[k]), " of ", (*table)->what, " is ", shape_text(column.shape),
                         ", and the columns of a matrix have one length"));
      return std::nullopt;
    }
    columns.push_back(column);
  }
  return value_of(transpose(stack(columns)));
}

MaybeValue images_outside_plot(Evaluation& e, const FunctionCall& call) {
  report_argument(e, call.span, "'images' says how 'plot' draws rows", "plot images(W, 8, 8) to \"w.svg\";");
  return std::nullopt;
}

const Function kData[] = {
    {"load", {"file"}, 1, false, load},
    {"matrix", {"data", "first", "last"}, 3, false, matrix},
    {"images", {"X", "height", "width"}, 3, false, images_outside_plot},
};

}  // namespace

std::string data_path(const Evaluation& e, const std::string& name, Span span) {
  const std::filesystem::path path(name);
  if (path.is_absolute()) return name;
  std::filesystem::path folder = e.options.data_folder;
  if (folder.empty() && span.valid()) folder = std::filesystem::path(e.sources[span.file].path).parent_path();
  return (folder / path).string();
}

std::span<const Function> data_functions() { return kData; }

}  // namespace hebb
