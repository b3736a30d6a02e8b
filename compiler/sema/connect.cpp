#include "compiler/sema/connect.h"

#include <cmath>

#include "compiler/sema/networks.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

struct Wanted {
  std::string_view name;
  ConnectKind kind;
  std::string_view argument;  // its own, which must be given; empty: none
};
constexpr Wanted kWirings[] = {
    {"all", ConnectKind::All, ""},
    {"one_to_one", ConnectKind::OneToOne, ""},
    {"random", ConnectKind::Random, "p"},
    {"fixed_indegree", ConnectKind::FixedIndegree, "k"},
    {"fixed_outdegree", ConnectKind::FixedOutdegree, "k"},
};

const Wanted* find_wiring(const std::string& name) {
  for (const Wanted& wanted : kWirings)
    if (wanted.name == name) return &wanted;
  return nullptr;
}

std::string spelled(const Wanted& wanted) {
  if (wanted.kind == ConnectKind::OneToOne) return "'connect one_to_one'";
  return cat("'connect ", wanted.name, "(", wanted.argument, wanted.argument.empty() ? "" : " = …, ", "self = true or false)'");
}

std::optional<double> plain_number(Frame& frame, const ast::Expr& expr, const Expectation& expected) {
  Restore phase(frame.phase, Phase::Constant);
  const Value value = evaluate_as(frame, expr, {}, &expected);
  if (value.poisoned) return {};
  const auto constant = constant_of(frame, value.only());
  if (!constant) report(frame, DiagKind::NotConstant, expr.span, "this must be a number that is known before the run");
  return constant;
}

void read_p(Frame& frame, const ast::Expr& expr, ProjectionDef& def) {
  const auto p = plain_number(frame, expr, {plain(), "p", {}});
  if (!p) return;
  if (!(*p >= 0 && *p <= 1))
    report(frame, DiagKind::BadConnectivity, expr.span, cat("p is the share of pairs with a synapse, from 0 to 1, got ", *p));
  def.p = *p;
}

void read_degree(Frame& frame, const Network& network, const ast::Expr& expr, ProjectionDef& def) {
  const auto k = integer_constant(frame, expr, "the number of synapses");
  if (!k) return;
  if (*k < 0) {
    report(frame, DiagKind::BadConnectivity, expr.span, cat("a neuron has 0 synapses or more, got ", *k));
    return;
  }
  def.degree = *k;
  const bool in = def.connect == ConnectKind::FixedIndegree;
  const int side = in ? def.pre : def.post;
  if (side < 0) return;
  const PopulationDef& others = network.populations[static_cast<size_t>(side)];
  const bool skips = !def.self && def.pre == def.post;
  if (*k <= others.size - skips) return;
  report(frame, DiagKind::BadConnectivity, expr.span,
         cat("each neuron would have ", *k, " synapses ", in ? "from" : "to", " different neurons of ", others.name, ", which has ", others.size))
      .help = skips ? "no neuron has a synapse to itself here: self = false" : "two synapses never join the same two neurons";
}

}  // namespace

void read_connect(Frame& frame, const Network& network, const ast::Connect& connect, ProjectionDef& def) {
  const ast::Expr* how = connect.how.get();
  const auto* call = std::get_if<ast::Call>(&how->node);
  const ast::Expr* callee = call != nullptr ? call->callee.get() : how;
  const auto* name = std::get_if<ast::NameRef>(&callee->node);
  const Wanted* wanted = name == nullptr ? nullptr : find_wiring(name->name);
  if (wanted == nullptr) {
    report(frame, DiagKind::NotSupportedYet, connect.span, cat("not supported yet: 'connect ", source_text(frame, how->span), "'"))
        .help = "'all', 'one_to_one', 'random(p = …)', 'fixed_indegree(k = …)' and 'fixed_outdegree(k = …)' are";
    return;
  }
  def.connect = wanted->kind;
  const ast::Expr* own = nullptr;
  if (call != nullptr) {
    for (const ast::Argument& argument : call->arguments) {
      const std::string given = argument.name ? argument.name->text : std::string(wanted->argument);
      const auto* value = std::get_if<ast::Boolean>(&argument.value->node);
      const bool is_self = given == "self" && value != nullptr && wanted->kind != ConnectKind::OneToOne;
      const bool is_own = !given.empty() && given == wanted->argument && own == nullptr && argument.ranges.empty();
      if (!is_self && !is_own) {
        report(frame, DiagKind::WrongArguments, argument.value->span, cat("the arguments are those of ", spelled(*wanted)));
        return;
      }
      if (is_self) def.self = value->value;
      else own = argument.value.get();
    }
  }
  if (!wanted->argument.empty() && own == nullptr) {
    report(frame, DiagKind::WrongArguments, connect.span, cat(quoted(name->name), " needs ", wanted->argument, " = …"));
    return;
  }
  if (def.connect == ConnectKind::Random) read_p(frame, *own, def);
  if (def.connect == ConnectKind::FixedIndegree || def.connect == ConnectKind::FixedOutdegree) read_degree(frame, network, *own, def);
  if (def.connect != ConnectKind::OneToOne || def.pre < 0 || def.post < 0) return;
  const PopulationDef& pre = network.populations[static_cast<size_t>(def.pre)];
  const PopulationDef& post = network.populations[static_cast<size_t>(def.post)];
  if (pre.size != post.size)
    report(frame, DiagKind::BadConnectivity, connect.span,
           cat("'one_to_one' joins populations of one size, but ", pre.name, " has ", plural(pre.size, "neuron"), " and ", post.name, " has ", post.size));
}

void read_delay(Frame& frame, const ast::Delay& delay, ProjectionDef& def) {
  if (delay.name.text != "axon" || delay.drawn) {
    report(frame, DiagKind::NotSupportedYet, delay.span,
           delay.drawn ? "not supported yet: a delay for each synapse" : cat("not supported yet: 'delay ", delay.name.text, "'"))
        .help = "one delay of all synapses of a projection is:  delay axon = 1.5 ms;";
    return;
  }
  const auto ms = plain_number(frame, *delay.value, {time_dimension(), "delay axon", {}});
  if (!ms) return;
  if (!(*ms >= 0) || std::isinf(*ms))
    report(frame, DiagKind::BadConnectivity, delay.value->span, cat("a delay is 0 or longer, got ", *ms, " ms"));
  def.axon_ms = *ms;
}

void check_sparse(Frame& frame, const ast::Projection& decl, const ProjectionDef& def) {
  const Span span = decl.rule.empty() ? decl.span : decl.rule.front().span;
  if (def.connect != ConnectKind::All)
    for (const Reduction& reduction : def.rule.reductions)
      if (reduction.function == ReduceFunction::CumSum)
        report(frame, DiagKind::NotSupportedYet, span, "not supported yet: a running sum over synapses that are not all there").help = "write  connect all;";
  if (def.axon_ms > 0)
    for (const VarId id : def.rule.variables) {
      const Variable& variable = frame.session.model[id];
      if (variable.kind != VarKind::PreValue) continue;
      report(frame, DiagKind::NotSupportedYet, span, cat("not supported yet: a delayed value, pre.", variable.name)).help = "events can be delayed";
      return;
    }
}

}  // namespace hebb::sema
