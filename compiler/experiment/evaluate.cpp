#include "compiler/experiment/evaluate.h"

#include <cmath>
#include <ostream>
#include <utility>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/fit.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/measures.h"
#include "compiler/experiment/grad.h"
#include "compiler/experiment/protocol.h"
#include "compiler/experiment/run.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

using MaybeValue = std::optional<Value>;

constexpr int kDeepestCall = 200;

MaybeValue number(const ast::Number& literal, Span span, Diagnostics& diags) {
  if (!literal.unit) {
    if (literal.value == 0) return value_of(scalar(0, std::nullopt));
    return value_of(scalar(literal.value));
  }
  double value = literal.value;
  Dimension dimension;
  for (const ast::UnitFactor& factor : literal.unit->factors) {
    const Rational exponent = make_rational(factor.exponent_numerator, factor.exponent_denominator);
    const double power_of = static_cast<double>(exponent.num) / static_cast<double>(exponent.den);
    if (factor.name.empty()) {
      value *= std::pow(factor.number, power_of);
      continue;
    }
    const UnitInfo* unit = find_unit(factor.name);
    if (!unit) {
      std::vector<std::string> names;
      for (const UnitInfo& known : all_units()) names.emplace_back(known.name);
      Diagnostic& diag = diags.report(DiagKind::UnknownUnit, factor.span.valid() ? factor.span : span,
                                      cat("there is no unit called ", quoted(factor.name)));
      if (const auto near = did_you_mean(factor.name, names)) diag.help = cat("did you mean ", *near, "?");
      return std::nullopt;
    }
    // The same arithmetic as for a literal of a rule: one power, one product.
    value *= power_of == 1 ? unit->scale : std::pow(unit->scale, power_of);
    dimension = dimension * power(unit->dimension, exponent);
  }
  return value_of(scalar(value, dimension));
}

MaybeValue vector_literal(Evaluation& e, const ast::VectorLiteral& literal) {
  std::vector<Tensor> elements;
  MaybeDimension dimension;
  for (const ast::ExprPtr& element : literal.elements) {
    auto tensor = evaluate_tensor(e, *element);
    if (!tensor) return std::nullopt;
    if (!elements.empty() && tensor->shape != elements[0].shape) {
      e.diags.report(DiagKind::ShapesDiffer, element->span,
                     cat("this element is ", shape_text(tensor->shape), ", the first one is ",
                         shape_text(elements[0].shape)));
      return std::nullopt;
    }
    const CommonDimension common = common_dimension(dimension, tensor->dimension);
    if (!common.fits) {
      e.diags.report(DiagKind::DimensionMismatch, element->span,
                     cat("this element is ", describe(*tensor->dimension), ", the ones before are ",
                         describe(*dimension)));
      return std::nullopt;
    }
    dimension = common.dimension;
    elements.push_back(std::move(*tensor));
  }
  Tensor out = stack(elements);
  out.dimension = dimension;
  return value_of(std::move(out));
}

MaybeValue evaluate_let(Evaluation& e, const std::string& name, Let& let, Span use) {
  if (let.progress == Let::Progress::Done) return let.value;
  if (let.progress == Let::Progress::Running) {
    Diagnostic& diag =
        e.diags.report(DiagKind::CyclicDefinition, let.span, cat("the value of ", quoted(name), " needs itself"));
    diag.labels.push_back({use, "needed here"});
    let.progress = Let::Progress::Done;
    return std::nullopt;
  }
  let.progress = Let::Progress::Running;
  const Scope* scope = std::exchange(e.scope, nullptr);
  auto value = evaluate(e, *let.definition);
  e.scope = scope;
  let.progress = Let::Progress::Done;
  let.value = std::move(value);
  return let.value;
}

void report_unknown(Evaluation& e, std::string_view name, Span span) {
  Diagnostic& diag =
      e.diags.report(DiagKind::UnknownName, span, cat("nothing is called ", quoted(name), " here"));
  const auto names = visible_names(e);
  if (const auto near = did_you_mean(name, names)) diag.help = cat("did you mean ", *near, "?");
  else if (find_unit(name)) diag.help = cat("a unit follows a number: 1 ", name);
}

MaybeValue named(Evaluation& e, const std::string& name, Span span) {
  bool in_function = false;
  for (const Scope* scope = e.scope; scope; scope = scope->outer) {
    const auto found = scope->names.find(name);
    if (found != scope->names.end()) return found->second;
    in_function = scope->function;
    if (in_function) break;
  }
  if (!in_function) {
    const auto let = e.lets.find(name);
    if (let != e.lets.end()) return evaluate_let(e, name, let->second, span);
  }
  const auto constant = e.constants.find(name);
  if (constant != e.constants.end()) return evaluate_let(e, name, constant->second, span);
  const auto plain = e.model.constants.find(name);
  if (plain != e.model.constants.end()) return value_of(scalar(plain->second, e.model.constant_dimensions.at(name)));
  if (name == "nan") return value_of(scalar(std::nan(""), std::nullopt));   // missing
  if (name == "pi") return value_of(scalar(3.14159265358979323846));
  const bool type = e.model.find_rule(name) || e.model.find_neuron(name) || e.model.find_network(name);
  if (type) {
    Diagnostic& diag = e.diags.report(DiagKind::WrongKindOfValue, span, cat(quoted(name), " is not a value"));
    if (e.model.find_rule(name)) diag.help = cat("try the rule on one synapse:  protocol(", name, ", pre = [0 ms], …)");
    if (e.model.find_network(name)) diag.help = cat("run it:  run ", name, " for 1 s");
    return std::nullopt;
  }
  if (find_function(name) || e.functions.contains(name)) {
    e.diags.report(DiagKind::WrongKindOfValue, span, cat(quoted(name), " is a function")).help =
        cat("call it:  ", name, "(…)");
    return std::nullopt;
  }
  report_unknown(e, name, span);
  return std::nullopt;
}

/// The columns below `prefix` as a table of their own: 'let y = sim.Y;' and then 'y.r'.
std::optional<Value> sub_table(const Table& table, const std::string& prefix) {
  auto out = std::make_shared<Table>();
  out->what = cat(table.what, ", ", prefix);
  out->rows = table.rows;
  out->batched = table.batched;
  for (const auto& [name, column] : table.columns) {
    if (!name.starts_with(prefix + ".")) continue;
    out->columns[name.substr(prefix.size() + 1)] = column;
  }
  for (const std::string& name : table.order)
    if (name.starts_with(prefix + ".")) out->order.push_back(name.substr(prefix.size() + 1));
  if (out->columns.empty()) return std::nullopt;
  return Value{std::shared_ptr<const Table>(std::move(out))};
}

void report_no_column(Evaluation& e, const Table& table, const std::string& key, Span span) {
  const bool data = table.rows.has_value();
  Diagnostic& diag = e.diags.report(
      data ? DiagKind::MissingColumn : DiagKind::UnknownName, span,
      cat(table.what, " has no ", data ? "column " : "value ", "called ", quoted(key)));
  std::vector<std::string> names = table.order;
  if (const auto near = did_you_mean(key, names)) {
    diag.help = cat("did you mean ", *near, "?");
    return;
  }
  if (names.size() > 8) {
    names.resize(8);
    names.push_back("…");
  }
  if (!names.empty()) diag.help = cat("it has ", joined(names, ", "));
}

MaybeValue member(Evaluation& e, const ast::Expr& expr) {
  const Chain chain = chain_of(expr);
  if (const auto* name = std::get_if<ast::NameRef>(&chain.root->node)) {
    const bool network = e.model.find_network(name->name) != nullptr;
    if (network && !e.lets.contains(name->name)) {
      auto value = path_value(e, cat(name->name, ".", chain.text()), expr.span);
      return value ? MaybeValue(value_of(std::move(*value))) : MaybeValue();
    }
  }
  auto root = evaluate(e, *chain.root);
  if (!root) return std::nullopt;
  const auto* table = std::get_if<std::shared_ptr<const Table>>(&root->data);
  if (!table) {
    e.diags.report(DiagKind::WrongKindOfValue, chain.members[0].span,
                   cat(describe(*root), " has no member ", quoted(chain.members[0].text)));
    return std::nullopt;
  }
  const std::string key = chain.text();
  const auto column = (*table)->columns.find(key);
  if (column != (*table)->columns.end()) return value_of(column->second);
  if (auto part = sub_table(**table, key)) return part;
  if (const auto unread = (*table)->unread.find(key); unread != (*table)->unread.end()) {
    e.diags.report(DiagKind::DataContent, chain.members.back().span,
                   cat(quoted(key), " of ", (*table)->what, " cannot be read: ", unread->second));
    return std::nullopt;
  }
  report_no_column(e, **table, key, join(chain.members.front().span, chain.members.back().span));
  return std::nullopt;
}

std::optional<int64_t> index_number(Evaluation& e, const ast::Expr& expr, int64_t extent) {
  const auto value = evaluate_number(e, expr);
  if (!value) return std::nullopt;
  if (*value == std::floor(*value) && *value >= 0 && *value < static_cast<double>(extent))
    return static_cast<int64_t>(*value);
  report_argument(e, expr.span, cat("the index ", *value, " is not one of 0 to ", extent - 1));
  return std::nullopt;
}

MaybeValue subscript(Evaluation& e, const ast::Subscript& node, Span span) {
  const auto tensor = evaluate_tensor(e, *node.object);
  if (!tensor) return std::nullopt;
  if (node.indices.size() > tensor->shape.size()) {
    e.diags.report(DiagKind::ShapesDiffer, span,
                   cat(plural(node.indices.size(), "index"), " for ", shape_text(tensor->shape)));
    return std::nullopt;
  }
  std::vector<AxisRange> ranges;
  for (size_t k = 0; k < node.indices.size(); ++k) {
    const ast::IndexItem& item = node.indices[k];
    const int64_t extent = tensor->shape[k];
    if (!item.first) {
      ranges.push_back({0, extent - 1, true});
      continue;
    }
    const auto first = index_number(e, *item.first, extent);
    const auto last = item.last ? index_number(e, *item.last, extent) : first;
    if (!first || !last) return std::nullopt;
    if (*last < *first) {
      report_argument(e, item.last->span, cat("the range ends at ", *last, ", before it begins at ", *first));
      return std::nullopt;
    }
    ranges.push_back({*first, *last, item.last != nullptr});
  }
  return value_of(slice(*tensor, ranges));
}

MaybeValue call_user_function(Evaluation& e, const ast::FunctionDecl& function, const ast::Call& call,
                              Span span) {
  if (call.arguments.size() != function.parameters.size()) {
    report_argument(e, span,
                    cat(quoted(function.name.text), " takes ",
                        plural(function.parameters.size(), "argument"), ", got ", call.arguments.size()));
    return std::nullopt;
  }
  if (e.depth >= kDeepestCall) {
    report_argument(e, span, cat(quoted(function.name.text), " calls itself without end"));
    return std::nullopt;
  }
  Scope scope{.names = {}, .outer = nullptr, .function = true};
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    auto value = evaluate_argument(e, call.arguments[i]);
    if (!value) return std::nullopt;
    scope.names[function.parameters[i].text] = std::move(*value);
  }
  const Scope* caller = std::exchange(e.scope, &scope);
  ++e.depth;
  MaybeValue result;
  bool ok = true;
  for (const auto& [name, expr] : function.where) {
    auto value = evaluate(e, *expr);
    ok = ok && value;
    if (!ok) break;
    scope.names[name.text] = std::move(*value);
  }
  if (ok) result = evaluate(e, *function.body);
  --e.depth;
  e.scope = caller;
  return result;
}

/// The last row in time of a recording, or the last row of an array.
MaybeValue final_value(Evaluation& e, const ast::Call& call, Span span) {
  if (call.arguments.size() != 1) {
    report_argument(e, span, cat("'final' takes 1 argument, got ", call.arguments.size()));
    return std::nullopt;
  }
  const size_t errors = e.diags.errors();
  if (auto kept = kept_final(e, *call.arguments[0].value)) return kept;
  if (e.diags.errors() > errors || e.interrupted) return std::nullopt;
  auto value = evaluate_argument(e, call.arguments[0]);
  if (!value) return std::nullopt;
  const auto* tensor = std::get_if<Tensor>(&value->data);
  if (!tensor) {
    e.diags.report(DiagKind::WrongKindOfValue, span, cat("'final' needs numbers, this is ", describe(*value)));
    return std::nullopt;
  }
  if (tensor->scalar()) return value;
  if (tensor->shape[0] == 0) {
    report_argument(e, span, "'final' of an array without rows");
    return std::nullopt;
  }
  return value_of(slice(*tensor, {{tensor->shape[0] - 1, tensor->shape[0] - 1, false}}));
}

MaybeValue call(Evaluation& e, const ast::Call& node, Span span) {
  const auto* name = std::get_if<ast::NameRef>(&node.callee->node);
  if (!name) {
    e.diags.report(DiagKind::WrongKindOfValue, node.callee->span, "this is not a function");
    return std::nullopt;
  }
  if (name->name == "protocol") return evaluate_protocol(e, node, span);
  if (name->name == "final") return final_value(e, node, span);
  if (name->name == "grad") return evaluate_grad(e, node, span);
  if (name->name == "report") return evaluate_report(e, node, span);
  if (find_measure(name->name)) return evaluate_measure(e, node, span);
  const auto user = e.functions.find(name->name);
  if (user != e.functions.end()) return call_user_function(e, *user->second, node, span);
  const Function* function = find_function(name->name);
  if (!function) {
    Diagnostic& diag = e.diags.report(DiagKind::UnknownFunction, node.callee->span,
                                      cat("there is no function called ", quoted(name->name)));
    std::vector<std::string> names = function_names();
    for (const auto& [known, declaration] : e.functions) names.push_back(known);
    if (const auto near = did_you_mean(name->name, names)) diag.help = cat("did you mean ", *near, "?");
    else if (e.model.find_rule(name->name)) diag.help = cat("a rule is tried with  protocol(", name->name, "(…), …)");
    return std::nullopt;
  }
  const auto bound = bind_arguments(e, *function, node, span);
  if (!bound) return std::nullopt;
  return function->call(e, *bound);
}

/// From the innermost left operand outwards, in a loop: sums may have thousands of terms.
MaybeValue binary(Evaluation& e, const ast::Expr& expr) {
  const auto spine = ast::left_spine(expr);
  auto left = evaluate_tensor(e, *std::get<ast::Binary>(spine.back()->node).left);
  for (size_t k = spine.size(); k-- > 0 && left;) {
    const auto& node = std::get<ast::Binary>(spine[k]->node);
    // 'and', 'or' between numbers decide early, so that the right side may rely on the left.
    const bool decided = left->scalar() && ((node.op == ast::BinaryOp::And && left->values[0] == 0) ||
                                            (node.op == ast::BinaryOp::Or && left->values[0] != 0));
    if (decided) {
      left = scalar(node.op == ast::BinaryOp::Or ? 1 : 0);
      continue;
    }
    const auto right = evaluate_tensor(e, *node.right);
    if (!right) return std::nullopt;
    left = apply(node, spine[k]->span, *left, *right, e.diags);
  }
  if (!left) return std::nullopt;
  return value_of(std::move(*left));
}

MaybeValue if_then_else(Evaluation& e, const ast::IfThenElse& node, Span span) {
  const auto condition = evaluate_tensor(e, *node.condition);
  if (!condition) return std::nullopt;
  if (condition->scalar()) return evaluate(e, condition->values[0] != 0 ? *node.then_value : *node.else_value);
  const auto yes = evaluate_tensor(e, *node.then_value);
  const auto no = evaluate_tensor(e, *node.else_value);
  if (!yes || !no) return std::nullopt;
  auto out = select(*condition, *yes, *no, span, e.diags);
  if (!out) return std::nullopt;
  return value_of(std::move(*out));
}

/// Every value of `value` over ranges[k…], stacked.
std::optional<Tensor> over_ranges(Evaluation& e, const ast::Argument& argument, size_t k) {
  if (k == argument.ranges.size()) return evaluate_tensor(e, *argument.value);
  const ast::Range& range = argument.ranges[k];
  const auto first = evaluate_number(e, *range.first);
  const auto last = evaluate_number(e, *range.last);
  if (!first || !last) return std::nullopt;
  if (*first != std::floor(*first) || *last != std::floor(*last) || *last - *first >= 1e8) {
    report_argument(e, join(range.first->span, range.last->span),
                    cat("a range goes from one whole number to another, not from ", *first, " to ", *last));
    return std::nullopt;
  }
  std::vector<Tensor> values;
  Scope scope{.names = {}, .outer = e.scope, .function = false};
  for (double i = *first; i <= *last; ++i) {
    scope.names[range.name.text] = value_of(scalar(i, i == 0 ? MaybeDimension{} : Dimension{}));
    e.scope = &scope;
    auto value = over_ranges(e, argument, k + 1);
    e.scope = scope.outer;
    if (!value) return std::nullopt;
    if (!values.empty() && value->shape != values[0].shape) {
      e.diags.report(DiagKind::ShapesDiffer, argument.value->span,
                     cat("its shape changes from ", shape_text(values[0].shape), " to ",
                         shape_text(value->shape), " at ", range.name.text, " = ", i));
      return std::nullopt;
    }
    values.push_back(std::move(*value));
  }
  return stack(values);
}

}  // namespace

void note_once(Evaluation& e, const std::string& text) {
  if (e.options.notes != nullptr && e.noted.insert(text).second) *e.options.notes << text << '\n';
}

std::optional<Value> evaluate(Evaluation& e, const ast::Expr& expr) {
  if (e.interrupted) return std::nullopt;
  return std::visit(
      Overload{
          [&](const ast::Number& n) { return number(n, expr.span, e.diags); },
          [&](const ast::String& n) { return MaybeValue(Value{n.value}); },
          [&](const ast::Boolean& n) { return MaybeValue(value_of(scalar(n.value ? 1 : 0))); },
          [&](const ast::Infinity&) { return MaybeValue(value_of(scalar(INFINITY, std::nullopt))); },
          [&](const ast::VectorLiteral& n) { return vector_literal(e, n); },
          [&](const ast::NameRef& n) { return named(e, n.name, expr.span); },
          [&](const ast::Member&) { return member(e, expr); },
          [&](const ast::Call& n) { return call(e, n, expr.span); },
          [&](const ast::Subscript& n) { return subscript(e, n, expr.span); },
          [&](const ast::Unary& n) {
            const auto operand = evaluate_tensor(e, *n.operand);
            return operand ? MaybeValue(value_of(apply(n.op, *operand))) : MaybeValue();
          },
          [&](const ast::Binary&) { return binary(e, expr); },
          [&](const ast::IfThenElse& n) { return if_then_else(e, n, expr.span); },
          [&](const ast::Run& n) { return evaluate_run(e, n, expr.span); },
          [&](const ast::Paren& n) { return evaluate(e, *n.inner); },
      },
      expr.node);
}

std::optional<Tensor> evaluate_tensor(Evaluation& e, const ast::Expr& expr) {
  auto value = evaluate(e, expr);
  if (!value) return std::nullopt;
  if (auto* tensor = std::get_if<Tensor>(&value->data)) return std::move(*tensor);
  e.diags.report(DiagKind::WrongKindOfValue, expr.span, cat("a number is needed here, this is ", describe(*value)));
  return std::nullopt;
}

std::optional<double> evaluate_number(Evaluation& e, const ast::Expr& expr) {
  const auto tensor = evaluate_tensor(e, expr);
  if (!tensor) return std::nullopt;
  if (tensor->scalar()) return tensor->values[0];
  e.diags.report(DiagKind::ShapesDiffer, expr.span,
                 cat("one number is needed here, this is ", describe(Value{*tensor})));
  return std::nullopt;
}

std::optional<Value> evaluate_argument(Evaluation& e, const ast::Argument& argument) {
  if (argument.ranges.empty()) return evaluate(e, *argument.value);
  auto tensor = over_ranges(e, argument, 0);
  if (!tensor) return std::nullopt;
  return value_of(std::move(*tensor));
}

std::string Chain::text() const {
  std::string out;
  for (const ast::Name& name : members) out += (out.empty() ? "" : ".") + name.text;
  return out;
}

const ast::Expr& without_parens(const ast::Expr& expr) {
  const auto* paren = std::get_if<ast::Paren>(&expr.node);
  return paren ? without_parens(*paren->inner) : expr;
}

Chain chain_of(const ast::Expr& expr) {
  const ast::Expr& inner = without_parens(expr);
  const auto* member = std::get_if<ast::Member>(&inner.node);
  if (!member) return {.root = &inner, .members = {}};
  Chain chain = chain_of(*member->object);
  chain.members.push_back(member->member);
  return chain;
}

const ast::Expr* definition_behind(const Evaluation& e, const ast::Expr& name) {
  const auto* root = std::get_if<ast::NameRef>(&name.node);
  if (!root) return nullptr;
  for (const Scope* scope = e.scope; scope; scope = scope->outer)
    if (scope->function || scope->names.contains(root->name)) return nullptr;
  const auto let = e.lets.find(root->name);
  return let == e.lets.end() ? nullptr : &without_parens(*let->second.definition);
}

std::vector<std::string> visible_names(const Evaluation& e) {
  std::vector<std::string> names;
  for (const Scope* scope = e.scope; scope; scope = scope->outer)
    for (const auto& [name, value] : scope->names) names.push_back(name);
  for (const auto& [name, let] : e.lets) names.push_back(name);
  for (const auto& [name, let] : e.constants) names.push_back(name);
  for (const auto& [name, value] : e.model.constants) names.push_back(name);
  for (const Rule& rule : e.model.rules) names.push_back(rule.name);
  for (const Network& network : e.model.networks) names.push_back(network.name);
  return names;
}

std::string describe(const Value& value) {
  return std::visit(Overload{
                        [](const Tensor& tensor) {
                          return tensor.scalar() ? std::string("a number")
                                                 : cat("an array ", shape_text(tensor.shape));
                        },
                        [](const std::string&) { return std::string("a text"); },
                        [](const std::shared_ptr<const Table>& table) { return cat("a table (", table->what, ")"); },
                    },
                    value.data);
}

}  // namespace hebb
