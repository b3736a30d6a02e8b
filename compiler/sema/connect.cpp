#include "compiler/sema/connect.h"

#include <cmath>
#include <map>

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

/// connect file("edges.csv"): read when a run begins, not while a file is checked.
bool read_file_connect(Frame& frame, const ast::Connect& connect, const ast::Call& call, ProjectionDef& def) {
  const auto* name = call.arguments.size() == 1 && !call.arguments[0].name && call.arguments[0].ranges.empty()
                         ? std::get_if<ast::String>(&call.arguments[0].value->node)
                         : nullptr;
  if (name == nullptr) {
    report(frame, DiagKind::WrongArguments, connect.span, "'connect file' takes the name of a file").help =
        "for example  connect file(\"edges.csv\");  with the columns pre and post";
    return false;
  }
  def.connect = ConnectKind::File;
  def.file = name->value;
  def.file_span = call.arguments[0].value->span;
  return true;
}

std::optional<double> plain_number(Frame& frame, const ast::Expr& expr, const Expectation& expected);

/// connect distance(sigma = 2, p = 1, within = 6, wrap = true, self = false)
void read_distance(Frame& frame, const ast::Connect& connect, const ast::Call* call, ProjectionDef& def) {
  def.connect = ConnectKind::Distance;
  def.p = 1;
  bool reach = false;
  for (size_t k = 0; call != nullptr && k < call->arguments.size(); ++k) {
    const ast::Argument& argument = call->arguments[k];
    const std::string name = argument.name ? argument.name->text : "";
    const auto* flag = std::get_if<ast::Boolean>(&argument.value->node);
    if ((name == "self" || name == "wrap") && flag != nullptr) {
      (name == "self" ? def.self : def.wrap) = flag->value;
      continue;
    }
    const bool known = name == "sigma" || name == "within" || name == "p";
    if (!known || flag != nullptr || !argument.ranges.empty()) {
      report(frame, DiagKind::WrongArguments, argument.value->span, "'connect distance' does not take this").help =
          "connect distance(sigma = 2, p = 1, within = 6, wrap = true, self = false);";
      return;
    }
    const auto number = plain_number(frame, *argument.value, {plain(), name, {}});
    if (!number) return;
    const bool fine = name == "p" ? *number >= 0 && *number <= 1 : *number > 0;
    if (!fine) {
      report(frame, DiagKind::BadConnectivity, argument.value->span,
             name == "p" ? cat("p is the share of pairs with a synapse at distance 0, from 0 to 1, got ", *number)
                         : cat(name, " is a distance above 0, in steps of the grid, got ", *number));
      return;
    }
    reach |= name != "p";
    (name == "sigma" ? def.sigma : name == "within" ? def.within : def.p) = *number;
  }
  if (!reach)
    report(frame, DiagKind::WrongArguments, connect.span, "'connect distance' needs sigma = … or within = …").help =
        "connect distance(sigma = 2);  or  connect distance(within = 3, p = 0.5);";
}

void check_grids(Frame& frame, const Network& network, const ast::Connect& connect, const ProjectionDef& def) {
  if (def.pre < 0 || def.post < 0) return;
  const PopulationDef& pre = network.populations[static_cast<size_t>(def.pre)];
  const PopulationDef& post = network.populations[static_cast<size_t>(def.post)];
  if (pre.grid.size() == post.grid.size()) return;
  report(frame, DiagKind::BadConnectivity, connect.span,
         cat("the grids have different dimensions: ", pre.name, " has ", pre.grid.size(), ", ", post.name, " has ", post.grid.size()))
      .help = "populations on a plane are declared as  pop E[20, 30] : …;";
}

const Wanted* find_wiring(const std::string& name) {
  for (const Wanted& wanted : kWirings)
    if (wanted.name == name) return &wanted;
  return nullptr;
}

/// Also what other simulators call the same.
std::optional<std::string> wiring_meant(const std::string& name) {
  static const std::map<std::string, std::string> elsewhere = {
      {"all_to_all", "all"}, {"full", "all"}, {"dense", "all"}, {"bernoulli", "random"}, {"pairwise_bernoulli", "random"}, {"fixed_probability", "random"},
      {"sparse", "random"}, {"fixed_in_degree", "fixed_indegree"}, {"fixed_out_degree", "fixed_outdegree"}, {"gaussian", "distance"}, {"from_file", "file"}};
  if (const auto known = elsewhere.find(name); known != elsewhere.end()) return known->second;
  std::vector<std::string> names = {"distance", "file"};
  for (const Wanted& wanted : kWirings) names.emplace_back(wanted.name);
  return did_you_mean(name, names);
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
  if (name != nullptr && name->name == "file" && call != nullptr) {
    read_file_connect(frame, connect, *call, def);
    return;
  }
  if (name != nullptr && name->name == "distance") {
    read_distance(frame, connect, call, def);
    check_grids(frame, network, connect, def);
    return;
  }
  const Wanted* wanted = name == nullptr ? nullptr : find_wiring(name->name);
  if (wanted == nullptr) {
    Diagnostic& diag = report(frame, DiagKind::UnknownSetting, how->span, cat("there is no way to connect called ", quoted(source_text(frame, callee->span))));
    const auto meant = name == nullptr ? std::nullopt : wiring_meant(name->name);
    diag.help = meant ? cat("did you mean ", quoted(*meant), "?")
                      : "there are 'all', 'one_to_one', 'random(p = …)', 'fixed_indegree(k = …)', 'fixed_outdegree(k = …)', "
                        "'distance(sigma = …)' and 'file(\"edges.csv\")'";
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
  const std::string& which = delay.name.text;
  if (which != "axon" && which != "dend" && which != "bap") {
    report(frame, DiagKind::UnknownSetting, delay.name.span, cat("there is no delay called ", quoted(which))).help =
        "'delay axon' of what the synapse sees of its source, 'delay dend' of its effect, 'delay bap' of what it sees of its target";
    return;
  }
  SynapseDelayDef& each = which == "axon" ? def.axon : which == "dend" ? def.dend : def.bap;
  each.span = delay.span;
  const auto* member = std::get_if<ast::Member>(&delay.value->node);
  const auto* object = member == nullptr ? nullptr : std::get_if<ast::NameRef>(&member->object->node);
  if (object != nullptr && object->name == "file" && def.connect == ConnectKind::File && !delay.drawn) {
    each.file_column = member->member.text;
    return;
  }
  if (delay.drawn) {
    Restore phase(frame.phase, Phase::Constant);
    Restore draws(frame.draws_allowed, true);
    const Expectation time{time_dimension(), cat("delay ", which), {}};
    const Value value = evaluate_as(frame, *delay.value, {}, &time);
    if (value.poisoned) return;
    if (!value.drawn)
      report(frame, DiagKind::MisplacedDraw, delay.value->span, "nothing here is drawn").help = cat("write  delay ", which, " = …  for one delay of all synapses");
    each.drawn = value.only();
    return;
  }
  const auto ms = plain_number(frame, *delay.value, {time_dimension(), cat("delay ", which), {}});
  if (!ms) return;
  if (!(*ms >= 0) || std::isinf(*ms))
    report(frame, DiagKind::BadConnectivity, delay.value->span, cat("a delay is 0 or longer, got ", *ms, " ms"));
  (which == "axon" ? def.axon_ms : which == "dend" ? def.dend_ms : def.bap_ms) = *ms;
}

void check_sparse(Frame& frame, const ast::Projection& decl, const ProjectionDef& def) {
  const Span span = decl.rule.empty() ? decl.span : decl.rule.front().span;
  if (def.connect != ConnectKind::All)
    for (const Reduction& reduction : def.rule.reductions)
      if (reduction.function == ReduceFunction::CumSum)
        report(frame, DiagKind::NotSupportedYet, span, "not supported yet: a running sum over synapses that are not all there").help = "write  connect all;";
}

}  // namespace hebb::sema
