#include "compiler/lower/forms.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "compiler/expr/transform.h"
#include "compiler/lower/defer.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

// --- what a program does, counted --------------------------------------------------------------------

/// Operations of one row of a kernel. What only depends on the neuron whose rows these are, or on nothing,
/// is computed once for all of them.
struct Work {
  int multiply_adds = 0, divisions = 0, choices = 0, others = 0;
  std::map<std::string, int> calls;

  void count(Op op) {
    switch (op) {
      case Op::Add: case Op::Sub: case Op::Mul: case Op::Fma: case Op::Neg: ++multiply_adds; return;
      case Op::Div: ++divisions; return;
      case Op::Select: case Op::Min: case Op::Max: ++choices; return;
      case Op::Less: case Op::LessEqual: case Op::Equal: case Op::NotEqual: case Op::And: case Op::Or: case Op::Not:
        return;  // part of the choice they are for
      default: break;
    }
    if (info(op).is_transcendental) ++calls[std::string(info(op).name)];
    else ++others;
  }
  void add(const Work& more) {
    multiply_adds += more.multiply_adds, divisions += more.divisions, choices += more.choices, others += more.others;
    for (const auto& [name, times] : more.calls) calls[name] += times;
  }
  std::string text() const {
    std::vector<std::string> pieces;
    const auto piece = [&](int number, const char* name) {
      if (number > 0) pieces.push_back(plural(static_cast<size_t>(number), name));
    };
    piece(multiply_adds, "multiply-add"), piece(divisions, "division"), piece(choices, "choice"), piece(others, "other operation");
    for (const auto& [name, times] : calls) pieces.push_back(cat(times, " ", name == "^" ? "pow" : name));
    return listed(pieces);
  }
};

struct WorkOf {
  Work row, neuron;  // neuron: of a list, once for all of its rows
  Work again;        // of rows at bounds, or of all: what waited, one change after another
};

constexpr const char *kPast = "waits past", *kRepeated = "waits past ";

/// What `roots` need, where `known` is known.
std::set<ExprId> needed(const ExprPool& pool, std::vector<ExprId> roots, ExprId known) {
  std::set<ExprId> found;
  while (!roots.empty()) {
    const ExprId id = roots.back();
    roots.pop_back();
    if (id == known || !found.insert(id).second) continue;
    const ExprNode node = pool[id];
    roots.insert(roots.end(), node.operands, node.operands + node.count);
  }
  return found;
}

/// Of a kernel whose synapses do again what they have not seen (Deferral::repeated): the last time, and what is left.
struct Repetition {
  std::set<ExprId> last, outside;
};
std::optional<Repetition> repetition(const Program& program, const Kernel& kernel) {
  const ExprPool& pool = program.pool;
  const auto is_past = [&](ExprId id) {
    return pool[id].op == Op::Load && program[ColumnId{pool[id].leaf.index}].name.find(kRepeated) != std::string::npos;
  };
  if (program[kernel.domain].kind != SpaceKind::Sparse) return {};
  for (const ExprId id : nodes_below(pool, roots(kernel))) {
    const ExprNode node = pool[id];
    if (node.op != Op::Select || pool[node.operands[0]].op != Op::Less || !pool.is_constant(pool[node.operands[0]].operands[0], 0)) continue;
    Repetition found{.last = needed(pool, {node.operands[1]}, node.operands[2]), .outside = needed(pool, roots(kernel), id)};
    if (std::none_of(found.last.begin(), found.last.end(), is_past)) continue;
    found.last.insert(id);
    return found;
  }
  return {};
}

WorkOf work_of(const Program& program, const Kernel& kernel) {
  const bool synaptic = is_synaptic(program[kernel.domain].kind);
  const At once = kernel.rows == Rows::OfPost ? At::Post : At::Pre;
  std::map<ExprId, int> level;  // 0 nothing, 1 the neuron, 2 the row
  std::set<ExprId> replayed;    // made of what scales were at spikes, up to the choice whether that is needed
  const std::optional<Repetition> repeated = repetition(program, kernel);
  WorkOf work;
  for (const ExprId id : nodes_below(program.pool, roots(kernel))) {
    const ExprNode node = program.pool[id];
    int at = 0;
    if (node.op == Op::Load && node.leaf.at != At::Uniform && node.leaf.at != At::Fixed) at = synaptic && node.leaf.at == once ? 1 : 2;
    if (node.op == Op::Draw) at = 2;
    for (int k = 0; k < node.count; ++k) at = std::max(at, level.at(node.operands[k]));
    level[id] = at;
    const bool past = node.op == Op::Load && program[ColumnId{node.leaf.index}].width > 1 && program[ColumnId{node.leaf.index}].name.find(kPast) != std::string::npos;
    const auto made_so = [&](int k) { return replayed.contains(node.operands[k]); };
    const bool chosen = node.op == Op::Select && !made_so(0) && !made_so(1);
    if (past || (!chosen && ((node.count > 0 && made_so(0)) || (node.count > 1 && made_so(1)) || (node.count > 2 && made_so(2))))) replayed.insert(id);
    if (node.count == 0) continue;
    const bool again = repeated ? repeated->last.contains(id) && at == 2 : replayed.contains(id);
    const bool once = repeated ? repeated->outside.contains(id) : !again;
    if (again) work.again.count(node.op);
    if (once && (at == 2 || program[kernel.domain].kind == SpaceKind::Uniform)) work.row.count(node.op);
    if (at == 1) work.neuron.count(node.op);
  }
  return work;
}

/// The kernels of a step that has no clock and no fed event, or of one that has.
std::vector<const Kernel*> kernels_of(const Program& program, When left_out) {
  std::vector<const Kernel*> kernels;
  for (const Launch& launch : program.plan.step)
    if (launch.when != left_out) kernels.push_back(&program[launch.kernel]);
  return kernels;
}

struct Account {
  const Program& program;
  const std::vector<const Kernel*> kernels;

  bool any(Rows rows) const {
    return std::any_of(kernels.begin(), kernels.end(), [&](const Kernel* kernel) { return of_synapses(*kernel, rows); });
  }
  bool of_synapses(const Kernel& kernel, Rows rows) const {
    return program[kernel.domain].kind == SpaceKind::Sparse && kernel.rows == rows && !(rows == Rows::All && kernel.spikes.valid());
  }
  /// "3 multiply-adds a synapse, 1 division a row"
  std::string synapses(Rows rows) const {
    Work row, neuron;
    for (const Kernel* kernel : kernels) {
      if (!of_synapses(*kernel, rows)) continue;
      const WorkOf work = work_of(program, *kernel);
      row.add(work.row);
      if (rows != Rows::All) neuron.add(work.neuron);
    }
    std::vector<std::string> pieces;
    if (!row.text().empty()) pieces.push_back(cat(row.text(), " a synapse"));
    if (!neuron.text().empty()) pieces.push_back(cat(neuron.text(), rows == Rows::OfPre ? " a row" : " a column"));
    return joined(pieces, ", ");
  }
  std::string again(Rows rows) const {
    Work work;
    for (const Kernel* kernel : kernels)
      if (of_synapses(*kernel, rows)) work.add(work_of(program, *kernel).again);
    return work.text();
  }
  std::string neurons(const std::string& name, Rows rows) const {
    Work work;
    for (const Kernel* kernel : kernels) {
      const Space& space = program[kernel->domain];
      if (space.kind == SpaceKind::Neurons && space.name == name && kernel->rows == rows) work.add(work_of(program, *kernel).row);
    }
    return work.text();
  }
};

// --- in words ----------------------------------------------------------------------------------------

bool jumps_at(const Model& model, const Rule& rule, EventKind kind) {
  return std::any_of(rule.jumps.begin(), rule.jumps.end(), [&](const Jump& jump) {
    const Variable& variable = model[jump.variable];
    if (variable.kind != VarKind::Weight && variable.locus != Locus::Synapse) return false;
    return std::any_of(jump.events.begin(), jump.events.end(), [&](EventId id) { return rule.events[id.value].kind == kind; });
  });
}

bool uses_spikes(const Rule& rule) {
  return std::any_of(rule.events.begin(), rule.events.end(), [](const Event& event) {
    return event.kind == EventKind::PreEvent || event.kind == EventKind::PostEvent;
  });
}

/// What makes a step look at every synapse.
std::string swept_by(const Model& model, const Rule& rule, const Deferral& how) {
  for (const Flow& flow : rule.flows) {
    const Variable& variable = model[flow.variable];
    if (variable.kind != VarKind::Weight && variable.locus != Locus::Synapse) continue;
    return cat(variable.name, " changes between spikes", how.obstacle.empty() ? "" : cat(", and ", how.obstacle));
  }
  if (jumps_at(model, rule, EventKind::Step)) return cat("the rule says `on step`", how.obstacle.empty() ? "" : cat(", and ", how.obstacle));
  if (!rule.reductions.empty()) return cat(model[rule.reductions[0].variable].name, " sums over synapses");
  return how.obstacle;
}

int numbers_of_a_synapse(const Model& model, const Rule& rule) {
  int64_t numbers = 0;
  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    const bool own = variable.kind == VarKind::Weight || (variable.kind == VarKind::State && variable.locus == Locus::Synapse);
    if (own) numbers += std::max<int64_t>(variable.shape.size(), 1);
  }
  return static_cast<int>(numbers);
}

std::string after_colon(const std::string& text) { return text.empty() ? "" : cat(": ", text); }

std::string because(const std::string& reason) { return reason.empty() ? "" : cat(", because ", reason); }

std::string memory(const Model& model, const Rule& rule, const Deferral& how, bool by_column) {
  const int own = 4 * numbers_of_a_synapse(model, rule);
  const int seen = how.obstacle.empty() && !how.relative ? 4 * static_cast<int>(how.products.size()) : 0;
  std::string text = cat(2 + own + seen + (by_column ? 6 : 0), " bytes a synapse in float: ", own, " its own, 2 which neuron");
  if (seen > 0) text += cat(", ", seen, " what it has seen");
  if (by_column) text += ", 6 to find it by its post neuron";
  return text + "; more above 65536 neurons";
}

}  // namespace

std::map<std::string, double> numbers_set(const Model& model, const ProjectionDef& projection) {
  std::map<std::string, double> given;
  for (const Assignment& setting : projection.settings)
    if (setting.value.size() == 1 && model.pool.is_constant(setting.value[0]))
      given[model[setting.variable].name] = model.pool[setting.value[0]].value;
  return given;
}

std::string sparse_forms(const Model& model, const Rule& rule, const std::map<std::string, double>& given) {
  if (!rule.weight.valid() || !uses_spikes(rule)) return "";
  const Program program = lower_sparse(model, rule, given);
  const Deferral how = sparse_deferral(model, rule, given);
  const bool late = how.obstacle.empty();
  const Account quiet{program, kernels_of(program, When::Eventful)}, eventful{program, kernels_of(program, When::Quiet)};

  std::string out = "  on a sparse projection\n";
  const auto line = [&](const char* when, const std::string& what) {
    out += cat("    ", when, std::string(14 - std::string_view(when).size(), ' '), what, "\n");
  };
  const bool all = quiet.any(Rows::All);
  if (!all) line("pre spike", quiet.any(Rows::OfPre) ? cat("its row of synapses", after_colon(quiet.synapses(Rows::OfPre))) : "delivery only");
  const bool post = jumps_at(model, rule, EventKind::PostEvent), by_column = quiet.any(Rows::OfPost);
  if (!all && post && late && how.repeated.valid())
    line("post spike", "no synapse; replayed at the next pre spike or reader");
  else if (!all && post && late && how.post_obstacle.empty())
    line("post spike", cat("no synapse; what it adds waits for the next pre spike or reader; ", quiet.neurons("post", Rows::OfSpikes)));
  else if (!all && post)
    line("post spike", cat("its column of synapses", after_colon(quiet.synapses(Rows::OfPost)), because(late ? how.post_obstacle : how.obstacle)));
  if (all) {
    line("step", cat("every synapse", after_colon(quiet.synapses(Rows::All)), because(swept_by(model, rule, how))));
  } else {
    std::vector<std::string> pieces;
    const std::string at_pre = quiet.neurons("pre", Rows::All), at_post = quiet.neurons("post", Rows::All);
    if (!at_pre.empty()) pieces.push_back(cat(at_pre, " a pre neuron"));
    if (!at_post.empty()) pieces.push_back(cat(at_post == at_pre ? "the same" : at_post, " a post neuron"));
    line("step", cat("no synapse", late && how.waits_for_flow() ? "; what it adds waits for the next look at one" : "",
                     pieces.empty() ? "" : cat("; ", joined(pieces, ", "))));
  }
  if (!all && eventful.any(Rows::All))
    line("clock, event", cat("every synapse", after_colon(eventful.synapses(Rows::All)), because(late ? how.others_obstacle : how.obstacle)));
  if (late && how.signs == Deferral::Signs::Changing)
    line("turn", how.by_neuron ? "before what a neuron adds changes its sign, its column of synapses, because a bound may be met in between"
                               : "before what is added changes its sign, every synapse, because a bound may be met in between");
  if (late && how.signs == Deferral::Signs::Steady)
    line("turn", "none with the parameters as they are; where what is added changes its sign, first every synapse");
  if (late && how.repeated.valid())
    line("replayed", cat("what a synapse has not seen, spike by spike, because ", how.repeated_because, ": ",
                         quiet.again(Rows::OfPre), " a spike and synapse; every synapse when a post neuron has had ",
                         how.most_past(), " spikes"));
  else if (late && how.replayed())
    line("at bounds", cat("where one may have been met since: what waits, spike by spike, ", quiet.again(Rows::OfPre), " a synapse; every synapse when a post neuron has had ",
                          how.most_past(), " spikes"));
  line("memory", memory(model, rule, how, by_column || (late && how.signs == Deferral::Signs::Changing && how.by_neuron)));
  return out;
}

bool waits_for_spikes(const Model& model, const Rule& rule) {
  if (!rule.reductions.empty()) return false;
  const Program program = lower_sparse(model, rule);
  return !Account{program, kernels_of(program, When::Eventful)}.any(Rows::All);
}

}  // namespace hebb
