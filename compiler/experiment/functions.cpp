#include "compiler/experiment/functions.h"

#include <algorithm>
#include <cmath>

#include "compiler/experiment/measures.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

size_t slot_of(const Function& function, std::string_view name) {
  for (size_t i = 0; i < function.parameters.size(); ++i)
    if (function.parameters[i] == name) return i;
  return function.parameters.size();
}

}  // namespace

const Function* find_function(std::string_view name) {
  for (const auto group : {math_functions(), array_functions(), draw_functions(), data_functions(), loss_functions()})
    for (const Function& function : group)
      if (function.name == name) return &function;
  return nullptr;
}

std::vector<std::string> function_names() {
  std::vector<std::string> names;
  for (const auto group : {math_functions(), array_functions(), draw_functions(), data_functions(), loss_functions()})
    for (const Function& function : group) names.emplace_back(function.name);
  for (const char* name : {"protocol", "final", "grad", "report"}) names.emplace_back(name);
  for (const std::string& name : measure_names()) names.push_back(name);
  return names;
}

std::string signature(const Function& function) {
  std::string out = "(";
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    const bool optional = !function.variadic && i >= function.required;
    out += cat(i ? ", " : "", function.parameters[i], optional ? " = …" : "");
  }
  return out + (function.variadic ? ", …)" : ")");
}

std::optional<std::vector<size_t>> argument_slots(Evaluation& e, const Function& function, const ast::Call& call, Span span) {
  std::vector<size_t> out;
  std::vector<bool> filled(function.parameters.size());
  size_t next = 0;
  for (const ast::Argument& argument : call.arguments) {
    size_t slot = next;
    if (argument.name) {
      slot = slot_of(function, argument.name->text);
      if (slot == function.parameters.size() || function.variadic) {
        std::vector<std::string> names(function.parameters.begin(), function.parameters.end());
        const auto near = did_you_mean(argument.name->text, names);
        report_argument(e, argument.name->span,
                        cat(quoted(function.name), " has no argument called ", quoted(argument.name->text)),
                        near ? cat("did you mean ", *near, "?") : cat("it takes ", signature(function)));
        return std::nullopt;
      }
    } else {
      ++next;
    }
    out.push_back(slot);
    if (function.variadic) continue;
    if (slot >= filled.size()) {
      report_argument(e, argument.value->span,
                      cat(quoted(function.name), " takes ", signature(function), ", got ",
                          plural(call.arguments.size(), "argument")));
      return std::nullopt;
    }
    if (filled[slot]) {
      report_argument(e, argument.value->span,
                      cat(quoted(function.parameters[slot]), " of ", quoted(function.name), " is given twice"));
      return std::nullopt;
    }
    filled[slot] = true;
  }
  const auto required = filled.begin() + static_cast<std::ptrdiff_t>(function.variadic ? 0 : function.required);
  const bool enough = function.variadic ? out.size() >= function.required : std::find(filled.begin(), required, false) == required;
  if (enough) return out;
  report_argument(e, span,
                  cat(quoted(function.name), " takes ", signature(function), ", got ", plural(out.size(), "argument")));
  return std::nullopt;
}

std::optional<FunctionCall> bind_arguments(Evaluation& e, const Function& function, const ast::Call& call,
                                           Span span) {
  const auto slots = argument_slots(e, function, call, span);
  if (!slots) return std::nullopt;
  FunctionCall out{.name = std::string(function.name), .span = span, .slots = {}, .more = {}};
  out.slots.resize(function.parameters.size());
  for (size_t k = 0; k < slots->size(); ++k) {
    const ast::Argument& argument = call.arguments[k];
    auto value = evaluate_argument(e, argument);
    if (!value) return std::nullopt;
    if (k == 0) out.range_axes = static_cast<int>(argument.ranges.size());
    Given given{std::move(*value), argument.value->span};
    if (function.variadic) out.more.push_back(std::move(given));
    else out.slots[(*slots)[k]] = std::move(given);
  }
  return out;
}

std::optional<Tensor> as_tensor(Evaluation& e, const FunctionCall& call, const Given& given) {
  if (const auto* tensor = std::get_if<Tensor>(&given.value.data)) return *tensor;
  e.diags.report(DiagKind::WrongKindOfValue, given.span,
                 cat(quoted(call.name), " needs numbers here, this is ", describe(given.value)));
  return std::nullopt;
}

std::optional<double> as_number(Evaluation& e, const FunctionCall& call, const Given& given) {
  const auto tensor = as_tensor(e, call, given);
  if (!tensor) return std::nullopt;
  if (tensor->scalar()) return tensor->values[0];
  e.diags.report(DiagKind::ShapesDiffer, given.span,
                 cat(quoted(call.name), " needs one number here, this is ", describe(given.value)));
  return std::nullopt;
}

std::optional<int64_t> as_count(Evaluation& e, const FunctionCall& call, const Given& given, int64_t least,
                                int64_t most) {
  const auto number = as_number(e, call, given);
  if (!number) return std::nullopt;
  if (*number == std::floor(*number) && *number >= static_cast<double>(least) &&
      *number <= static_cast<double>(most))
    return static_cast<int64_t>(*number);
  report_argument(e, given.span,
                  cat(quoted(call.name), " needs a whole number from ", least, " to ", most, " here, got ",
                      *number));
  return std::nullopt;
}

void report_argument(Evaluation& e, Span span, std::string message, std::string help) {
  e.diags.report(DiagKind::WrongArgument, span, std::move(message)).help = std::move(help);
}

bool expect_plain(Evaluation& e, const Tensor& value, Span span, std::string_view what) {
  if (!value.dimension || value.dimension->dimensionless()) return true;
  e.diags.report(DiagKind::DimensionMismatch, span,
                 cat(quoted(what), " is a plain number, this is ", describe(*value.dimension), ", in ", unit_text(*value.dimension)));
  return false;
}

std::optional<double> evaluate_plain_number(Evaluation& e, const ast::Expr& expr, std::string_view what) {
  const auto tensor = evaluate_tensor(e, expr);
  if (!tensor || !expect_plain(e, *tensor, expr.span, what)) return std::nullopt;
  if (tensor->scalar()) return tensor->values[0];
  e.diags.report(DiagKind::ShapesDiffer, expr.span, cat(quoted(what), " is one number, this is ", describe(Value{*tensor})));
  return std::nullopt;
}

}  // namespace hebb
