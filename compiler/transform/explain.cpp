#include <algorithm>

#include "compiler/support/text.h"
#include "compiler/transform/cost.h"
#include "compiler/transform/spelling.h"
#include "compiler/transform/transform.h"

namespace hebb {

namespace {

constexpr size_t kLongestFormula = 60;
constexpr size_t kMostJumps = 4;

/// Columns of text, each as wide as its widest cell.
class Table {
 public:
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const {
    std::vector<size_t> width;
    for (const auto& row : rows_) {
      width.resize(std::max(width.size(), row.size()));
      for (size_t k = 0; k < row.size(); ++k) width[k] = std::max(width[k], length(row[k]));
    }
    std::string out;
    for (const auto& row : rows_) {
      std::string line = " ";
      for (size_t k = 0; k < row.size(); ++k) {
        line += cat(k == 0 ? " " : "   ", row[k], std::string(width[k] - length(row[k]), ' '));
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += cat(line, "\n");
    }
    return out;
  }

 private:
  // In characters: continuation bytes of UTF-8 take no room.
  static size_t length(const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  }
  std::vector<std::vector<std::string>> rows_;
};

std::string shortened(std::string text) {
  if (text.size() <= kLongestFormula) return text;
  size_t end = kLongestFormula;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  text.resize(end);
  return cat(text, "…");
}

std::string_view place(Locus locus) {
  switch (locus) {
    case Locus::Shared: return "shared by all synapses";
    case Locus::Pre: return "at the presynaptic neuron";
    case Locus::Post: return "at the postsynaptic neuron";
    case Locus::Synapse: return "at the synapse";
  }
  return {};
}

std::string bounds_text(const Model& model, const Variable& variable) {
  const auto end = [&](ExprId expression, double number) {
    return expression.valid() ? spelled(model, expression) : shortest(number);
  };
  if (!variable.bounds.bounded() && !variable.low.valid() && !variable.high.valid()) return "";
  return cat(", in ", variable.bounds.low_open ? "(" : "[", end(variable.low, variable.bounds.low), ", ",
             end(variable.high, variable.bounds.high), variable.bounds.high_open ? ")" : "]");
}

std::string method(const Solution& solution) {
  switch (solution.solver) {
    case Solver::None: return "changes at events only";
    case Solver::Exact: return cat("exact: ", solution.reason);
    case Solver::ExponentialEuler: return cat("clocked, exponential Euler: ", solution.reason);
    case Solver::RungeKutta4: return cat("clocked, Runge-Kutta 4: ", solution.reason);
  }
  return {};
}

std::string solved_how(const Model& model, const Dynamics& dynamics, VarId id) {
  std::vector<std::string> ways;
  for (const Solution& solution : dynamics.solutions) {
    if (solution.variable != id) continue;
    const std::string way = method(solution);
    if (std::find(ways.begin(), ways.end(), way) == ways.end()) ways.push_back(way);
  }
  if (ways.size() > 1) return cat(ways.front(), " (and ", ways.size() - 1, " more)");
  if (ways.size() == 1) return ways.front();
  const bool jumps = std::any_of(dynamics.jumps.begin(), dynamics.jumps.end(),
                                 [&](const Jump& jump) { return jump.variable == id; });
  if (jumps) return "changes at events only";
  return model[id].kind == VarKind::Weight ? "never changes" : "keeps its start value";
}

std::string shown_name(const Variable& variable) {
  std::vector<std::string> extents;
  for (const int64_t extent : variable.shape.extents) extents.push_back(std::to_string(extent));
  return extents.empty() ? variable.name : cat(variable.name, "[", joined(extents, ", "), "]");
}

std::string event_name(const Model& model, const Event& event) {
  switch (event.kind) {
    case EventKind::PreEvent: return cat("pre.", event.name);
    case EventKind::PostEvent: return cat("post.", event.name);
    case EventKind::OwnEvent: case EventKind::Port: return event.name;
    case EventKind::Step: return "step";
    case EventKind::Every: {
      const bool number = model.pool.is_constant(event.period);
      return cat("every ", spelled(model, event.period), number ? " ms" : "");
    }
    case EventKind::Arrival: return cat("arrival at ", model[event.port].name);
  }
  return {};
}

std::string jump_text(const Model& model, const Jump& jump) {
  const ExprNode value = model.pool[jump.value];
  const bool falls = !jump.assign && value.op == Op::Neg;
  return cat(spelled(model, jump.variable, jump.element), jump.assign ? " := " : falls ? " -= " : " += ",
             shortened(spelled(model, falls ? value.operands[0] : jump.value)));
}

using CostText = std::string (*)(const Costs&);

/// What happens at each event, and between events, with its cost.
void add_happenings(const Model& source, const Dynamics& dynamics, CostText cost_text, Table& table) {
  Model model;                                         // sums are formed in a copy of the pool
  model.pool = source.pool;
  model.variables = source.variables;
  for (uint32_t k = 0; k < dynamics.events.size(); ++k) {
    std::vector<std::string> jumps;
    std::vector<ExprId> values;
    for (const Jump& jump : dynamics.jumps) {
      if (std::find(jump.events.begin(), jump.events.end(), EventId{k}) == jump.events.end()) continue;
      jumps.push_back(jump_text(model, jump));
      const ExprId now = model.pool.variable(jump.variable, jump.element);
      values.push_back(jump.assign ? jump.value : model.pool.add(now, jump.value));
    }
    if (jumps.empty()) continue;
    if (jumps.size() > kMostJumps) {
      const size_t more = jumps.size() - (kMostJumps - 1);
      jumps.resize(kMostJumps - 1);
      jumps.push_back(cat("… ", more, " more"));
    }
    table.row({event_name(model, dynamics.events[k]), joined(jumps, ";  "), cost_text(cost_of(model, values))});
  }
  std::vector<ExprId> flows;
  bool clocked = false;
  for (const Solution& solution : dynamics.solutions) {
    if (solution.next.valid()) flows.push_back(solution.next);
    clocked = clocked || solution.needs_grid || solution.solver == Solver::ExponentialEuler ||
              solution.solver == Solver::RungeKutta4;
  }
  if (flows.empty()) table.row({"between events", "nothing"});
  else table.row({"between events", clocked ? "steps of the grid" : "closed forms, from event to event",
                  cost_text(cost_of(model, flows))});
}

std::string requirements(const Model& model, const Dynamics& dynamics) {
  std::vector<std::string> needs, given;
  const auto add = [](std::vector<std::string>& list, std::string name) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(std::move(name));
  };
  for (const Event& event : dynamics.events) {
    const bool needed = event.kind == EventKind::PreEvent || event.kind == EventKind::PostEvent;
    if (needed) add(needs, event_name(model, event));
    if (event.kind == EventKind::Port) add(given, event.name);
  }
  for (const VarId id : dynamics.variables) {
    const Variable& variable = model[id];
    const std::string of = variable.dimension && !variable.dimension->dimensionless()
                               ? cat(" (", describe(*variable.dimension), ")") : "";
    switch (variable.kind) {
      case VarKind::PreValue: add(needs, cat("pre.", variable.name, of)); break;
      case VarKind::PostValue: add(needs, cat("post.", variable.name, of)); break;
      case VarKind::Signal: case VarKind::Input: case VarKind::Receive: add(given, cat(variable.name, of)); break;
      case VarKind::Param: case VarKind::Weight: case VarKind::State: case VarKind::Let: case VarKind::Draw:
      case VarKind::Reduce: case VarKind::Population: break;
    }
  }
  std::string out;
  if (!needs.empty()) out += cat("  needs ", joined(needs, ", "), "\n");
  if (!given.empty()) out += cat("  is given ", joined(given, ", "), "\n");
  return out;
}

void add_variables(const Model& model, const Dynamics& dynamics, bool in_rule, Table& table) {
  for (const VarId id : dynamics.variables) {
    const Variable& variable = model[id];
    if (variable.kind != VarKind::State && variable.kind != VarKind::Weight) continue;
    const std::string dimension = variable.dimension ? describe(*variable.dimension) : "any dimension";
    std::string where = in_rule ? std::string(place(variable.locus)) : "";
    where += bounds_text(model, variable);
    if (!in_rule && where.starts_with(", ")) where.erase(0, 2);
    table.row({shown_name(variable), dimension, std::move(where), solved_how(model, dynamics, id)});
  }
}

std::string_view contract_text(Contract contract) {
  switch (contract) {
    case Contract::None: return "";
    case Contract::Local: return ": local";
    case Contract::ThreeFactor: return ": three_factor";
    case Contract::Nonlocal: return ": nonlocal";
  }
  return {};
}

std::string_view function_name(ReduceFunction function) {
  switch (function) {
    case ReduceFunction::Sum: return "sum";
    case ReduceFunction::Mean: return "mean";
    case ReduceFunction::Min: return "min";
    case ReduceFunction::Max: return "max";
    case ReduceFunction::Count: return "count";
    case ReduceFunction::CumSum: return "cumsum";
  }
  return {};
}

}  // namespace

std::string explain(const Model& model, const Rule& rule) {
  std::string out = cat(rule.name, contract_text(rule.contract));
  if (rule.parts.size() > 1) {
    std::vector<std::string> parts;
    for (const RulePart& part : rule.parts) parts.push_back(part.rule);
    out += cat(" = ", joined(parts, " + "));
  }
  out += "\n";
  Table variables, happenings;
  add_variables(model, rule, true, variables);
  for (const Reduction& reduction : rule.reductions) {
    const Variable& variable = model[reduction.variable];
    const std::string what = reduction.argument.valid() ? shortened(spelled(model, reduction.argument)) : "";
    variables.row({variable.name, variable.dimension ? describe(*variable.dimension) : "any dimension",
                   std::string(place(variable.locus)),
                   cat(function_name(reduction.function), "(", what, ") over synapses, anew at each use")});
  }
  add_happenings(model, rule, describe, happenings);
  return cat(out, variables.text(), requirements(model, rule), happenings.text());
}

std::string explain(const Model& model, const Neuron& neuron) {
  Table variables, happenings;
  add_variables(model, neuron, false, variables);
  add_happenings(model, neuron, describe_per_neuron, happenings);
  for (const Emission& emission : neuron.emissions) {
    happenings.row({cat("emits ", emission.event), cat("when ", shortened(spelled(model, emission.condition)))});
  }
  if (neuron.refractory.valid()) {
    std::vector<std::string> held;
    for (const VarId id : neuron.held) held.push_back(model[id].name);
    const std::string unit = model.pool.is_constant(neuron.refractory) ? " ms" : "";
    happenings.row({"refractory", cat(spelled(model, neuron.refractory), unit, ", holds ", listed(held))});
  }
  return cat(neuron.name, ": neuron\n", variables.text(), requirements(model, neuron), happenings.text());
}

}  // namespace hebb
