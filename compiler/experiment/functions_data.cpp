#include <algorithm>
#include <filesystem>

#include "compiler/experiment/functions.h"
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

MaybeValue load(Evaluation& e, const FunctionCall& call) {
  const std::string* name = as_text(e, call, *call.slots[0]);
  if (!name) return std::nullopt;
  const std::string path = data_path(e, *name, call.span);
  const auto data = load_data(path);
  if (!data) {
    std::error_code ignored;
    const bool readable = std::filesystem::is_regular_file(path, ignored);
    e.diags.report(readable ? DiagKind::DataContent : DiagKind::FileProblem, call.slots[0]->span, data.error());
    return std::nullopt;
  }
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
