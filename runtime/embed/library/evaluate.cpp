// Actions of an experiment on behalf of a host: protocols, runs, fits.

#include <sstream>

#include "compiler/embed/describe.h"
#include "compiler/experiment/experiment.h"
#include "compiler/parse/parse.h"
#include "compiler/units/dimension.h"
#include "runtime/embed/library/objects.h"

namespace hebb::library {
namespace {

constexpr int64_t kMostNumbers = int64_t{1} << 40;

/// A binding as a tensor without a dimension: it fits any.
int read_binding(const hebb_binding& binding, std::map<std::string, Tensor>& into, char** error) {
  if (binding.name == nullptr) return fail(HEBB_NULL, error);
  if (binding.rank < 0 || binding.rank > 8)
    return fail(HEBB_ERROR_SETTING, cat(quoted(std::string(binding.name)), " has ", binding.rank, " axes, at most 8 are allowed"), error);
  Tensor tensor;
  int64_t count = 1;
  for (int64_t k = 0; k < binding.rank; ++k) {
    const int64_t extent = binding.shape[k];
    if (extent < 0 || (extent > 0 && count > kMostNumbers / extent))
      return fail(HEBB_SIZE, cat("axis ", k, " of ", quoted(std::string(binding.name)), " is ", extent), error);
    tensor.shape.push_back(extent);
    count *= extent;
  }
  if (binding.data == nullptr && count > 0) return fail(HEBB_NULL, error);
  tensor.values.assign(binding.data, binding.data + count);
  into[binding.name] = std::move(tensor);
  return HEBB_OK;
}

void keep(const std::string& name, const Value& value, std::vector<Evaluated::Item>& items) {
  if (const auto* tensor = std::get_if<Tensor>(&value.data)) {
    items.push_back({.name = name, .unit = tensor->dimension ? unit_text(*tensor->dimension) : "", .text = {}, .value = *tensor});
    return;
  }
  if (const auto* text = std::get_if<std::string>(&value.data)) {
    items.push_back({.name = name, .unit = {}, .text = *text, .value = {}, .is_text = true});
    return;
  }
  const Table& table = *std::get<std::shared_ptr<const Table>>(value.data);
  for (const std::string& column : table.order) keep(cat(name, ".", column), Value{table.columns.at(column)}, items);
}

std::vector<std::string> words(const char* text) {
  std::vector<std::string> out;
  std::istringstream stream(text ? text : "");
  for (std::string word; stream >> word;) out.push_back(word);
  return out;
}

const ast::ExperimentDecl* only_experiment(const ast::File& file) {
  if (file.items.size() != 1) return nullptr;
  return std::get_if<ast::ExperimentDecl>(&file.items[0]);
}

}  // namespace

int describe(hebb_module* handle, char** json, char** error) {
  return guarded(error, [&] {
    if (json == nullptr) return fail(HEBB_NULL, error);
    *json = nullptr;
    const auto module = modules().find(handle);
    if (!module) return fail(HEBB_ERROR_HANDLE, error);
    *json = copied(describe_module(module->compilation.model, module->file, module->sources));
    return *json ? int{HEBB_OK} : int{HEBB_ERROR_WORLD};
  });
}

int evaluate(hebb_module* handle, const hebb_evaluation* what, hebb_result** out, char** error) {
  return guarded(error, [&] {
    if (out == nullptr || what == nullptr) return fail(HEBB_NULL, error);
    *out = nullptr;
    const auto module = modules().find(handle);
    if (!module) return fail(HEBB_ERROR_HANDLE, error);
    if (what->version < 2 || what->version > HEBB_API_VERSION)
      return fail(HEBB_ABI, cat("version is ", what->version, ", expected ", HEBB_API_VERSION), error);
    if (what->actions == nullptr || (what->bindings == nullptr && what->binding_count != 0)) return fail(HEBB_NULL, error);
    if (what->threads < 1 || what->threads > 4096)
      return fail(HEBB_ERROR_SETTING, cat("threads is 1 to 4096, got ", what->threads), error);
    if (what->binding_count < 0 || what->binding_count > 1 << 20) return fail(HEBB_COUNT, error);
    std::map<std::string, Tensor> bindings;
    for (int64_t k = 0; k < what->binding_count; ++k)
      if (const int code = read_binding(what->bindings[k], bindings, error); code != HEBB_OK) return code;

    // The actions are a source of their own, so that messages show them.
    Sources sources = module->sources;
    Diagnostics diags;
    const FileId file = sources.add("<actions>", cat("experiment Actions {\n", what->actions, "\n}\n"));
    const ast::File parsed = parse(sources, file, diags);
    if (diags.has_errors()) return fail(HEBB_ERROR_SOURCE, messages(diags, sources, module->json), error);
    const ast::ExperimentDecl* experiment = only_experiment(parsed);
    if (!experiment) return fail(HEBB_ERROR_SOURCE, "the actions hold a '}' too many", error);
    ExperimentOptions options;
    options.seed = what->seed;
    options.threads = what->threads;
    options.file = &module->compilation.file;
    options.program = "hebb " HEBB_VERSION;
    std::ostringstream printed;
    const auto values = evaluate_actions(module->compilation.model, experiment->actions, bindings, words(what->results),
                                         sources, options, printed, diags);
    if (diags.has_errors()) {
      bool diverged = true;
      for (const Diagnostic& one : diags.all())
        if (info(one.kind).severity == Severity::Error) diverged &= one.kind == DiagKind::Diverged;
      return fail(diverged ? HEBB_ERROR_DIVERGED : HEBB_ERROR_SOURCE, messages(diags, sources, module->json), error);
    }
    auto made = std::make_shared<Evaluated>();
    for (const auto& [name, value] : values) keep(name, value, made->items);
    for (const Evaluated::Item& item : made->items)
      if (item.value.shape.size() > 8) return fail(HEBB_ERROR_SETTING, cat(quoted(item.name), " has more than 8 axes"), error);
    made->printed = printed.str();
    *out = reinterpret_cast<hebb_result*>(evaluations().open(std::move(made)));
    return int{HEBB_OK};
  });
}

int64_t result_count(hebb_result* handle) {
  const auto found = evaluations().find(handle);
  return found ? static_cast<int64_t>(found->items.size()) : int64_t{HEBB_ERROR_HANDLE};
}

int result_value(hebb_result* handle, int64_t index, hebb_value* out) {
  const auto found = evaluations().find(handle);
  if (!found) return HEBB_ERROR_HANDLE;
  if (out == nullptr) return HEBB_NULL;
  if (index < 0 || index >= static_cast<int64_t>(found->items.size())) return HEBB_ERROR_SETTING;
  const Evaluated::Item& item = found->items[static_cast<size_t>(index)];
  *out = {.name = item.name.c_str(), .unit = item.unit.c_str(), .text = item.is_text ? item.text.c_str() : nullptr,
          .data = item.value.values.data(), .rank = static_cast<int64_t>(item.value.shape.size()), .shape = {}};
  for (size_t k = 0; k < item.value.shape.size(); ++k) out->shape[k] = item.value.shape[k];
  return HEBB_OK;
}

const char* result_text(hebb_result* handle) {
  const auto found = evaluations().find(handle);
  return found ? found->printed.c_str() : nullptr;
}

int close_result(hebb_result* handle) { return closed(evaluations().close(handle)); }

}  // namespace hebb::library
