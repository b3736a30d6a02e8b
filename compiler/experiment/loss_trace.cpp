#include "compiler/experiment/loss_trace.h"

#include <algorithm>
#include <cmath>

#include "compiler/experiment/loss_nodes.h"
#include "compiler/experiment/loss_runs.h"
#include "compiler/experiment/measures.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

/// A recording of a run, found through lets: 'sim.Y.r'.
struct Recording {
  const ast::Run* run = nullptr;
  std::string name;
};

class Tracer {
 public:
  Tracer(Evaluation& e, const TraceOptions& options) : e_(e), options_(options) {}

  std::optional<LossGraph> run(const ast::Expr& loss) {
    const auto root = trace(loss);
    if (!root) return std::nullopt;
    if (*root != static_cast<int>(graph_.nodes.size()) - 1) {  // the loss is the last node
      add(same_node(*root, loss.span));
    }
    return std::move(graph_);
  }

  /// The value changes with what is fitted.
  bool depends(const ast::Expr& expr) {
    const auto known = depends_.find(&expr);
    if (known != depends_.end() && !frame_) return known->second;
    const bool result = find_dependence(expr);
    if (!frame_) depends_[&expr] = result;
    return result;
  }

  void collect(const ast::Expr& expr, std::vector<MovingPart>& out) {
    if (!depends(expr)) return;
    if (const auto path = path_text(e_, expr); path && options_.paths.contains(*path)) return out.push_back({nullptr, *path});
    if (const Recording found = recording(expr); found.run && !found.name.empty()) {
      if (run_depends(*found.run)) out.push_back({found.run, found.name});
      for (const ast::Setting& setting : found.run->settings)
        if (setting.value) collect(*setting.value, out);
      return;
    }
    if (const auto* name = std::get_if<ast::NameRef>(&expr.node)) {
      const auto let = e_.lets.find(name->name);
      if (let == e_.lets.end() || !open_.insert(name->name).second) return;
      collect(*let->second.definition, out);
      open_.erase(name->name);
    }
    for (const ast::Expr* child : children(expr)) collect(*child, out);
  }

 private:
  using Node = std::optional<int>;
  struct Frame {
    std::map<std::string, int> nodes;   // names of this scope that stand for nodes
    const Frame* outer = nullptr;
    bool function = false;
  };

  // --- does it depend on a path ------------------------------------------------------------------

  bool names_node(const std::string& name) const {
    for (const Frame* frame = frame_; frame; frame = frame->outer) {
      if (frame->nodes.contains(name)) return true;
      if (frame->function) return false;
    }
    return false;
  }
  bool names_constant(const std::string& name) const {
    for (const Scope* scope = e_.scope; scope; scope = scope->outer) {
      if (scope->names.contains(name)) return true;
      if (scope->function) return false;
    }
    return false;
  }
  bool inside_function() const {
    for (const Frame* frame = frame_; frame; frame = frame->outer)
      if (frame->function) return true;
    return false;
  }

  /// The run has what a path names, and does not set it itself.
  bool run_depends(const ast::Run& run) const {
    const std::string& network = run.network.parts.back().text;
    const std::vector<std::string> paths(options_.paths.begin(), options_.paths.end());
    return std::any_of(paths.begin(), paths.end(),
                       [&](const std::string& path) { return path.starts_with(network + ".") && takes(e_, run, path, paths); });
  }

  bool find_dependence(const ast::Expr& expr) {
    if (const auto path = path_text(e_, expr); path && options_.paths.contains(*path)) return true;
    if (const auto* name = std::get_if<ast::NameRef>(&expr.node)) {
      if (names_node(name->name)) return true;
      if (names_constant(name->name) || inside_function()) return false;
      const auto let = e_.lets.find(name->name);
      if (let == e_.lets.end() || let->second.fixed || !open_.insert(name->name).second) return false;
      const bool result = depends(*let->second.definition);
      open_.erase(name->name);
      return result;
    }
    if (const auto* run = std::get_if<ast::Run>(&expr.node)) {
      if (run_depends(*run)) return true;
    }
    for (const ast::Expr* child : children(expr))
      if (depends(*child)) return true;
    return false;
  }

  // --- nodes -------------------------------------------------------------------------------------

  int add(LossNode node) {
    graph_.nodes.push_back(std::move(node));
    return static_cast<int>(graph_.nodes.size()) - 1;
  }

  int constant(Tensor value, Span span) {
    return add(constant_node(std::move(value), span));
  }

  Node refuse(Span span, std::string message, std::string help = {}) {
    e_.diags.report(DiagKind::NoDerivative, span, std::move(message)).help = std::move(help);
    return std::nullopt;
  }

  Node trace(const ast::Expr& expr) {
    if (!depends(expr)) {
      auto value = evaluate_tensor(e_, expr);
      if (!value) return std::nullopt;
      return constant(std::move(*value), expr.span);
    }
    if (const auto path = path_text(e_, expr); path && options_.paths.contains(*path))
      return leaf({.run = nullptr, .name = *path, .final = false, .span = expr.span});
    if (const Recording found = recording(expr); found.run && !found.name.empty()) {
      return leaf({.run = found.run, .name = found.name, .final = false, .span = expr.span});
    }
    return std::visit(
        Overload{
            [&](const ast::Number&) { return Node(); }, [&](const ast::String&) { return Node(); },
            [&](const ast::Boolean&) { return Node(); }, [&](const ast::Infinity&) { return Node(); },
            [&](const ast::VectorLiteral& n) { return vector_literal(n, expr.span); },
            [&](const ast::NameRef& n) { return named(n, expr.span); },
            [&](const ast::Member&) { return whole_run(expr.span); },
            [&](const ast::Call& n) { return call(n, expr.span); },
            [&](const ast::Subscript& n) { return subscript(n, expr.span); },
            [&](const ast::Unary& n) { return unary(n, expr.span); },
            [&](const ast::Binary&) { return binary(expr); },
            [&](const ast::IfThenElse& n) { return if_then_else(n, expr.span); },
            [&](const ast::Run&) { return whole_run(expr.span); },
            [&](const ast::Paren& n) { return trace(*n.inner); },
        },
        expr.node);
  }

  Node whole_run(Span span) {
    return refuse(span, "the derivative of a whole run is not a number", "name a recording of it:  sim.Y.r");
  }

  Node leaf(LossLeaf wanted) {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (graph_.nodes[n].leaf < 0) continue;
      const LossLeaf& known = graph_.leaves[graph_.nodes[n].leaf];
      if (known.run == wanted.run && known.name == wanted.name && known.final == wanted.final)
        return static_cast<int>(n);
    }
    const Span span = wanted.span;
    graph_.leaves.push_back(std::move(wanted));
    return add({.operands = {}, .constant = {}, .leaf = static_cast<int>(graph_.leaves.size()) - 1, .value = {},
                .pull = {}, .span = span});
  }

  Recording recording(const ast::Expr& expr, int depth = 0) const {
    if (depth > 64) return {};
    if (const auto* paren = std::get_if<ast::Paren>(&expr.node)) return recording(*paren->inner, depth);
    if (const auto* run = std::get_if<ast::Run>(&expr.node)) return {run, ""};
    if (const auto* name = std::get_if<ast::NameRef>(&expr.node)) {
      if (names_node(name->name) || names_constant(name->name) || inside_function()) return {};
      const auto let = e_.lets.find(name->name);
      return let == e_.lets.end() ? Recording{} : recording(*let->second.definition, depth + 1);
    }
    const auto* member = std::get_if<ast::Member>(&expr.node);
    if (!member) return {};
    Recording found = recording(*member->object, depth);
    if (!found.run) return {};
    found.name += (found.name.empty() ? "" : ".") + member->member.text;
    return found;
  }

  Node named(const ast::NameRef& ref, Span span) {
    for (const Frame* frame = frame_; frame; frame = frame->outer) {
      const auto found = frame->nodes.find(ref.name);
      if (found != frame->nodes.end()) return found->second;
      if (frame->function) break;
    }
    if (const auto known = lets_.find(ref.name); known != lets_.end()) return known->second;
    const auto let = e_.lets.find(ref.name);
    if (let == e_.lets.end() || !open_.insert(ref.name).second) {
      e_.diags.report(DiagKind::CyclicDefinition, span, cat("the value of ", quoted(ref.name), " needs itself"));
      return std::nullopt;
    }
    const Scope* scope = std::exchange(e_.scope, nullptr);
    const Frame* frame = std::exchange(frame_, nullptr);
    const Node node = trace(*let->second.definition);
    e_.scope = scope;
    frame_ = frame;
    open_.erase(ref.name);
    if (node) lets_[ref.name] = *node;
    return node;
  }

  Node vector_literal(const ast::VectorLiteral& literal, Span span) {
    std::vector<int> elements;
    for (const ast::ExprPtr& element : literal.elements) {
      const Node node = trace(*element);
      if (!node) return std::nullopt;
      elements.push_back(*node);
    }
    return add(stack_node(std::move(elements), span));
  }

  Node unary(const ast::Unary& node, Span span) {
    const Node operand = trace(*node.operand);
    if (!operand) return std::nullopt;
    return add(unary_node(node.op, *operand, span));
  }

  Node binary(const ast::Expr& expr) {
    const auto spine = ast::left_spine(expr);
    Node left = trace(*std::get<ast::Binary>(spine.back()->node).left);
    for (size_t k = spine.size(); k-- > 0 && left;) {
      const auto* node = &std::get<ast::Binary>(spine[k]->node);
      const Node right = trace(*node->right);
      if (!right) return std::nullopt;
      left = add(binary_node(*node, *left, *right, spine[k]->span));
    }
    return left;
  }

  Node if_then_else(const ast::IfThenElse& node, Span span) {
    if (!depends(*node.condition)) {
      const auto condition = evaluate_tensor(e_, *node.condition);
      if (!condition) return std::nullopt;
      if (condition->scalar()) return trace(condition->values[0] != 0 ? *node.then_value : *node.else_value);
    }
    const Node condition = trace(*node.condition), yes = trace(*node.then_value), no = trace(*node.else_value);
    if (!condition || !yes || !no) return std::nullopt;
    return add(select_node(*condition, *yes, *no, span));
  }

  Node subscript(const ast::Subscript& node, Span span) {
    const Node object = trace(*node.object);
    if (!object) return std::nullopt;
    std::vector<IndexBounds> bounds;
    for (const ast::IndexItem& item : node.indices) {
      IndexBounds bound;
      for (const auto& [expr, into] : {std::pair(item.first.get(), &bound.first), std::pair(item.last.get(), &bound.last)}) {
        if (!expr) continue;
        if (depends(*expr)) return refuse(expr->span, "an index that depends on what is fitted has no derivative");
        *into = evaluate_number(e_, *expr);
        if (!*into) return std::nullopt;
      }
      bound.keep = !item.first || item.last;
      bounds.push_back(bound);
    }
    return add(slice_node(e_, *object, std::move(bounds), span));
  }

  // --- calls -------------------------------------------------------------------------------------

  Node call(const ast::Call& node, Span span) {
    const auto* name = std::get_if<ast::NameRef>(&node.callee->node);
    if (!name) return refuse(span, "this has no derivative");
    if (name->name == "final") return final_value(node, span);
    if (const auto user = e_.functions.find(name->name); user != e_.functions.end())
      return user_function(*user->second, node, span);
    const Function* function = find_function(name->name);
    const MeasureFunction* measure = find_measure(name->name);
    if (measure && measures_events(measure->kind)) {
      e_.diags.report(DiagKind::SpikeTimes, span, cat(quoted(name->name), " is of simulated spike times, and nothing says how to differentiate them")).help =
          "fit what the neurons hold, such as a rate or a voltage; spikes that were recorded may be fed instead of simulated";
      return std::nullopt;
    }
    if (!function) return refuse(span, cat(quoted(name->name), " of something fitted has no derivative here"));
    return library_function(*function, node, span);
  }

  Node final_value(const ast::Call& node, Span span) {
    if (node.arguments.size() != 1) {
      report_argument(e_, span, cat("'final' takes 1 argument, got ", node.arguments.size()));
      return std::nullopt;
    }
    const ast::Expr& what = *node.arguments[0].value;
    if (const Recording found = recording(what); found.run && !found.name.empty())
      return leaf({.run = found.run, .name = found.name, .final = true, .span = span});
    const Node x = argument(node.arguments[0]);
    if (!x) return std::nullopt;
    return add(last_node(*x, span));
  }

  /// A node for every combination of the ranges, stacked.
  Node argument(const ast::Argument& given, size_t k = 0) {
    if (k == given.ranges.size()) return trace(*given.value);
    const ast::Range& range = given.ranges[k];
    const auto first = evaluate_number(e_, *range.first), last = evaluate_number(e_, *range.last);
    if (!first || !last) return std::nullopt;
    if (*first != std::floor(*first) || *last - *first >= 1e6) {
      report_argument(e_, range.first->span, "a range of a loss goes from one whole number to another");
      return std::nullopt;
    }
    std::vector<int> values;
    Scope scope{.names = {}, .outer = e_.scope, .function = false};
    for (double i = *first; i <= *last; ++i) {
      scope.names[range.name.text] = value_of(scalar(i, i == 0 ? MaybeDimension{} : Dimension{}));
      e_.scope = &scope;
      const Node value = argument(given, k + 1);
      e_.scope = scope.outer;
      if (!value) return std::nullopt;
      values.push_back(*value);
    }
    return add(stack_node(std::move(values), given.value->span));
  }

  Node user_function(const ast::FunctionDecl& function, const ast::Call& node, Span span) {
    if (node.arguments.size() != function.parameters.size() || depth_ > 100) {
      report_argument(e_, span, cat(quoted(function.name.text), " takes ",
                                    plural(function.parameters.size(), "argument"), ", got ", node.arguments.size()));
      return std::nullopt;
    }
    Scope scope{.names = {}, .outer = nullptr, .function = true};
    Frame frame{.nodes = {}, .outer = nullptr, .function = true};
    const auto bind = [&](const std::string& name, const ast::Argument* given, const ast::Expr& expr) {
      if (!depends(expr)) {
        auto value = given ? evaluate_argument(e_, *given) : evaluate(e_, expr);
        if (!value) return false;
        scope.names[name] = std::move(*value);
        return true;
      }
      const Node value = given ? argument(*given) : trace(expr);
      if (!value) return false;
      frame.nodes[name] = *value;
      return true;
    };
    for (size_t i = 0; i < node.arguments.size(); ++i)
      if (!bind(function.parameters[i].text, &node.arguments[i], *node.arguments[i].value)) return std::nullopt;
    const Scope* caller = std::exchange(e_.scope, &scope);
    const Frame* outer = std::exchange(frame_, &frame);
    ++depth_;
    bool ok = true;
    for (const auto& [name, expr] : function.where) ok = ok && bind(name.text, nullptr, *expr);
    const Node result = ok ? trace(*function.body) : std::nullopt;
    --depth_;
    frame_ = outer;
    e_.scope = caller;
    return result;
  }

  /// Arguments in slots: nodes for what depends, values for the rest.
  Node library_function(const Function& function, const ast::Call& node, Span span) {
    FunctionCall form{.name = std::string(function.name), .span = span, .slots = {}, .more = {}};
    form.slots.resize(function.parameters.size());
    std::vector<int> operands;
    std::vector<size_t> places;   // of each operand, in slots or in `more`
    std::optional<int64_t> axis;
    const auto slots = argument_slots(e_, function, node, span);
    if (!slots) return std::nullopt;
    for (size_t k = 0; k < slots->size(); ++k) {
      const ast::Argument& given = node.arguments[k];
      const size_t slot = (*slots)[k];
      if (slot == 0 && !given.ranges.empty()) form.range_axes = static_cast<int>(given.ranges.size());
      const Span where = given.value->span;
      if (!depends(*given.value)) {
        auto value = evaluate_argument(e_, given);
        if (!value) return std::nullopt;
        const auto* tensor = std::get_if<Tensor>(&value->data);
        if (!function.variadic && function.parameters[slot] == "axis" && tensor && tensor->scalar())
          axis = static_cast<int64_t>(tensor->values[0]);
        const bool array = tensor && (function.variadic || function.parameters[slot] != "axis");
        if (array && !finite_data(function, *tensor, where)) return std::nullopt;
        if (array) {
          operands.push_back(constant(*tensor, where));
          places.push_back(slot);
        }
        place(form, function, slot, Given{std::move(*value), where});
        continue;
      }
      const Node value = argument(given);
      if (!value) return std::nullopt;
      operands.push_back(*value);
      places.push_back(slot);
      place(form, function, slot, Given{value_of(scalar(0)), where});
    }
    if (form.range_axes > 1) return refuse(span, cat(quoted(function.name), " over several ranges has no derivative here"), "nest two calls");
    if (form.range_axes == 1) axis = axis.value_or(0);
    const PullRule rule = pull_of_function(form.name, axis);
    if (!rule.found) {
      return refuse(span, cat(quoted(function.name), " has no derivative in a loss"),
                    form.name == "r2" || form.name == "deviance_explained"
                        ? "it is a score: minimise  mse(…)  or  cross_entropy(…)"
                        : "docs/fitting.md lists what has");
    }
    // A rule reads its operands by position.
    std::vector<int> ordered(operands.size());
    bool in_order = true;
    for (size_t k = 0; k < places.size(); ++k) {
      in_order = in_order && places[k] < ordered.size();
      if (in_order) ordered[places[k]] = operands[k];
    }
    if (!in_order) return refuse(span, cat(quoted(function.name), " needs its arguments in order here"));
    return add(function_node(function, std::move(form), std::move(ordered), rule, span));
  }

  /// What a mean over data compares with may be missing (nan), but not infinite: no model comes near that.
  bool finite_data(const Function& function, const Tensor& data, Span span) {
    if (pull_of_function(std::string(function.name), {}).likelihood == LossNode::Likelihood::None) return true;
    const auto bad = std::find_if(data.values.begin(), data.values.end(), [](double v) { return std::isinf(v); });
    if (bad == data.values.end()) return true;
    e_.diags.report(DiagKind::DataContent, span,
                    cat("what ", quoted(function.name), " compares with holds ", *bad, element_place(static_cast<size_t>(bad - data.values.begin()), data.shape)))
        .help = "what is missing is written  nan";
    return false;
  }

  static void place(FunctionCall& form, const Function& function, size_t slot, Given given) {
    if (function.variadic) form.more.push_back(std::move(given));
    else form.slots[slot] = std::move(given);
  }

  Evaluation& e_;
  const TraceOptions& options_;
  LossGraph graph_;
  const Frame* frame_ = nullptr;
  int depth_ = 0;
  std::map<const ast::Expr*, bool> depends_;
  std::set<std::string> open_;           // lets being followed
  std::map<std::string, int> lets_;
};

}  // namespace

bool depends_on_paths(Evaluation& e, const ast::Expr& expr, const TraceOptions& options) {
  return Tracer(e, options).depends(expr);
}

std::vector<MovingPart> moving_parts(Evaluation& e, const ast::Expr& expr, const TraceOptions& options) {
  std::vector<MovingPart> out;
  Tracer(e, options).collect(expr, out);
  return out;
}

std::optional<LossGraph> trace_loss(Evaluation& e, const ast::Expr& loss, const TraceOptions& options) {
  return Tracer(e, options).run(loss);
}

std::optional<std::string> path_text(const Evaluation& e, const ast::Expr& expr) {
  const Chain chain = chain_of(expr);
  const auto* root = std::get_if<ast::NameRef>(&chain.root->node);
  if (!root || chain.members.empty() || e.lets.contains(root->name)) return std::nullopt;
  if (!e.model.find_network(root->name)) return std::nullopt;
  return cat(root->name, ".", chain.text());
}

}  // namespace hebb
