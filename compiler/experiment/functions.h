#pragma once
// The functions of experiments and tests: one row each. Arguments are bound to parameters, by order or
// by name, before a function is called.

#include <span>
#include <string>
#include <string_view>

#include "compiler/experiment/evaluate.h"
#include "compiler/experiment/tensor.h"

namespace hebb {

struct Given {
  Value value;
  Span span;
};

struct FunctionCall {
  std::string name;
  Span span;                                  // of the whole call
  std::vector<std::optional<Given>> slots;    // one per parameter; none: not given
  std::vector<Given> more;                    // of a function that takes any number: all of them
  int range_axes = 0;                         // leading axes of the first argument made by 'for'
};

struct Function {
  std::string_view name;
  std::vector<std::string_view> parameters;
  size_t required = 0;
  bool variadic = false;                      // everything goes to `more`; at least `required`
  std::optional<Value> (*call)(Evaluation&, const FunctionCall&) = nullptr;
};

/// All rows, by group; `find_function` looks in all of them.
std::span<const Function> math_functions();
std::span<const Function> array_functions();
std::span<const Function> draw_functions();
std::span<const Function> data_functions();
std::span<const Function> loss_functions();
const Function* find_function(std::string_view name);
std::vector<std::string> function_names();
/// "pca(X, k)"
std::string signature(const Function& function);

/// Names of data files are relative to the folder of the source that mentions them.
std::string data_path(const Evaluation& e, const std::string& name, Span span);

/// The parameter of each argument; of a variadic function their order. Reports numbers and names that do not fit.
std::optional<std::vector<size_t>> argument_slots(Evaluation& e, const Function& function, const ast::Call& call, Span span);

/// The same, with the arguments evaluated.
std::optional<FunctionCall> bind_arguments(Evaluation& e, const Function& function, const ast::Call& call,
                                           Span span);

// What functions are written with. Each reports a value of the wrong kind and returns nothing.
std::optional<Tensor> as_tensor(Evaluation& e, const FunctionCall& call, const Given& given);
std::optional<double> as_number(Evaluation& e, const FunctionCall& call, const Given& given);
/// A whole number in [least, most].
std::optional<int64_t> as_count(Evaluation& e, const FunctionCall& call, const Given& given, int64_t least,
                                int64_t most);
void report_argument(Evaluation& e, Span span, std::string message, std::string help = {});
/// One number without a unit; `what` is called so in the message.
std::optional<double> evaluate_plain_number(Evaluation& e, const ast::Expr& expr, std::string_view what);
/// False, and reported: the value has a unit.
bool expect_plain(Evaluation& e, const Tensor& value, Span span, std::string_view what);
inline Value value_of(Tensor tensor) { return {std::move(tensor)}; }
constexpr int64_t kLargestArray = int64_t{1} << 31;  // elements: more is refused before it is allocated

}  // namespace hebb
