// A model as text: one variable, flow and jump a line, in the notation of the language.

#include "compiler/expr/transform.h"
#include "compiler/model/model.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

std::string_view connect_name(ConnectKind kind) {
  switch (kind) {
    case ConnectKind::All: return "all";
    case ConnectKind::OneToOne: return "one_to_one";
    case ConnectKind::Random: return "random";
    case ConnectKind::FixedIndegree: return "fixed_indegree";
    case ConnectKind::FixedOutdegree: return "fixed_outdegree";
    case ConnectKind::Distance: return "distance";
    case ConnectKind::File: return "file";
  }
  return "";
}

std::string_view kind_word(VarKind kind) {
  switch (kind) {
    case VarKind::Param:
      return "param";
    case VarKind::Weight:
      return "weight";
    case VarKind::State:
      return "state";
    case VarKind::Signal:
      return "signal";
    case VarKind::Input:
      return "input";
    case VarKind::Receive:
      return "receive";
    case VarKind::Let:
      return "let";
    case VarKind::Draw:
      return "draw";
    case VarKind::Reduce:
      return "reduce";
    case VarKind::PreValue:
    case VarKind::PostValue:
      return "needs";
    case VarKind::Population:
      return "reads";
  }
  return {};
}

std::string_view locus_word(Locus locus) {
  switch (locus) {
    case Locus::Shared:
      return "shared";
    case Locus::Pre:
      return "pre";
    case Locus::Post:
      return "post";
    case Locus::Synapse:
      return "synapse";
  }
  return {};
}

std::string_view solver_word(Solver solver) {
  switch (solver) {
    case Solver::None:
      return "jumps only";
    case Solver::Exact:
      return "exact";
    case Solver::ExponentialEuler:
      return "exponential Euler";
    case Solver::RungeKutta4:
      return "Runge-Kutta 4";
  }
  return {};
}

std::string_view reduce_word(ReduceFunction function) {
  switch (function) {
    case ReduceFunction::Sum:
      return "sum";
    case ReduceFunction::Mean:
      return "mean";
    case ReduceFunction::Min:
      return "min";
    case ReduceFunction::Max:
      return "max";
    case ReduceFunction::Count:
      return "count";
    case ReduceFunction::CumSum:
      return "cumsum";
  }
  return {};
}

class Printer {
 public:
  explicit Printer(const Model& model) : model_(model) {}
  std::string take() { return std::move(out_); }

  void line(int indent, const auto&... pieces) {
    out_.append(static_cast<size_t>(indent) * 2, ' ');
    out_ += cat(pieces...);
    out_ += '\n';
  }

  std::string name(VarId id, uint32_t element = 0) const {
    const Variable& variable = model_[id];
    std::string out = variable.name;
    if (variable.kind == VarKind::PreValue) out = cat("pre.", out);
    if (variable.kind == VarKind::PostValue) out = cat("post.", out);
    if (variable.shape.scalar()) return out;
    std::vector<std::string> indices(variable.shape.extents.size());
    int64_t rest = element;
    for (size_t i = indices.size(); i-- > 0;) {
      indices[i] = std::to_string(rest % variable.shape.extents[i]);
      rest /= variable.shape.extents[i];
    }
    return cat(out, '[', joined(indices, ", "), ']');
  }

  std::string text(ExprId id) const {
    return to_text(model_.pool, id, [&](const ExprNode& leaf) -> std::string {
      if (leaf.op == Op::Var) return name(VarId{leaf.leaf.index}, leaf.leaf.element);
      if (leaf.op == Op::Draw) return cat("draw(", leaf.leaf.index, ", ", leaf.leaf.element, ")");
      return "dt";
    });
  }

  std::string list(const std::vector<ExprId>& values) const {
    if (values.size() == 1) return text(values[0]);
    constexpr size_t kShown = 8;  // the rest is counted: a start value of 1,000 elements is no reading
    std::vector<std::string> pieces;
    for (size_t i = 0; i < values.size() && i < kShown; ++i) pieces.push_back(text(values[i]));
    if (values.size() > kShown) pieces.push_back(cat("… ", values.size() - kShown, " more"));
    return cat('[', joined(pieces, ", "), ']');
  }

  std::string event(const Event& event) const {
    switch (event.kind) {
      case EventKind::PreEvent:
        return cat("pre.", event.name);
      case EventKind::PostEvent:
        return cat("post.", event.name);
      case EventKind::Step:
        return "step";
      case EventKind::Every:
        return cat("every ", text(event.period));
      case EventKind::OwnEvent:
      case EventKind::Port:
        return event.name;
      case EventKind::Arrival:
        return cat("arrival of ", name(event.port));
    }
    return {};
  }

  void variable(VarId id) {
    const Variable& v = model_[id];
    std::string out = cat(kind_word(v.kind), ' ',
                          v.kind == VarKind::PreValue    ? "pre."
                          : v.kind == VarKind::PostValue ? "post."
                                                         : "",
                          v.name);
    if (!v.shape.scalar()) {
      std::vector<std::string> extents;
      for (const int64_t extent : v.shape.extents) extents.push_back(std::to_string(extent));
      out += cat('[', joined(extents, ", "), ']');
    }
    out += cat(" : ", v.dimension ? unit_text(*v.dimension) : std::string("any"));
    if (v.bounds.bounded() || v.low.valid() || v.high.valid()) {
      out +=
          cat(" in ", v.bounds.low_open ? '(' : '[', v.low.valid() ? text(v.low) : shortest(v.bounds.low),
              ", ", v.high.valid() ? text(v.high) : shortest(v.bounds.high), v.bounds.high_open ? ')' : ']');
    }
    if (!v.init.empty()) out += cat(v.drawn ? " ~ " : " = ", list(v.init));
    if (!v.value.empty()) out += cat(v.drawn ? " ~ " : " = ", list(v.value));
    if (v.locus != Locus::Synapse) out += cat("  # at ", locus_word(v.locus));
    line(1, out);
  }

  void dynamics(const Dynamics& d) {
    for (const VarId id : d.variables) variable(id);
    for (const Flow& flow : d.flows) line(1, name(flow.variable, flow.element), "' = ", text(flow.rate));
    for (const Jump& jump : d.jumps) {
      std::vector<std::string> events;
      for (const EventId id : jump.events) events.push_back(event(d.events[id.value]));
      line(1, "on ", joined(events, " or "), ": ", name(jump.variable, jump.element),
           jump.assign ? " := " : " += ", text(jump.value));
    }
    for (const Solution& solution : d.solutions) {
      std::string next = solution.next.valid() ? cat(": ", text(solution.next)) : std::string();
      line(1, "solve ", name(solution.variable, solution.element), " ", solver_word(solution.solver), next,
           solution.reason.empty() ? "" : cat("  # ", solution.reason));
    }
  }

  void rule_body(const Rule& rule) {
    dynamics(rule);
    for (const Reduction& r : rule.reductions) {
      const std::string_view per = r.per == ast::Per::Pre    ? "pre"
                                   : r.per == ast::Per::Post ? "post"
                                                             : "projection";
      line(1, name(r.variable), " = ", reduce_word(r.function), '(', text(r.argument), ") per ", per);
    }
  }

  void rule(const Rule& rule) {
    const std::string_view contract = rule.contract == Contract::Local         ? " : local"
                                      : rule.contract == Contract::ThreeFactor ? " : three_factor"
                                      : rule.contract == Contract::Nonlocal    ? " : nonlocal"
                                                                               : "";
    line(0, "rule ", rule.name, contract, " {");
    rule_body(rule);
    line(0, "}");
  }

  void neuron(const Neuron& neuron) {
    line(0, "neuron ", neuron.name, " {");
    dynamics(neuron);
    for (const Emission& emission : neuron.emissions)
      line(1, "emit ", emission.event, " when ", text(emission.condition));
    if (neuron.refractory.valid()) {
      std::vector<std::string> held;
      for (const VarId id : neuron.held) held.push_back(name(id));
      line(1, "refractory ", text(neuron.refractory), " holds ", joined(held, ", "));
    }
    line(0, "}");
  }

  void assignments(const std::vector<Assignment>& settings) {
    for (const Assignment& a : settings) {
      line(2, "set ", name_of_whole(a.variable), a.drawn ? " ~ " : " = ", list(a.value),
           a.per_neuron ? "  # one per neuron" : "");
    }
  }

  void network(const Network& network) {
    line(0, "network ", network.name, " {");
    for (const VarId id : network.signals) variable(id);
    for (const std::string& event_name : network.events) line(1, "event ", event_name);
    for (const PopulationDef& pop : network.populations) {
      line(1, "pop ", pop.name, '[', pop.size,
           "] : ", pop.neuron < 0 ? "?" : model_.neurons[static_cast<size_t>(pop.neuron)].name);
      assignments(pop.settings);
    }
    for (const ProjectionDef& p : network.projections) {
      const auto pop = [&](int index) {
        return index < 0 ? std::string("?") : network.populations[static_cast<size_t>(index)].name;
      };
      line(1, "project ", pop(p.pre), " -> ", pop(p.post), " as ", p.name,
           p.plastic ? cat(" via ", p.rule.name) : std::string(),
           " connect ", connect_name(p.connect),
           p.self ? "" : " without self");
      rule_body(p.rule);
      assignments(p.settings);
      for (const InitDef& init : p.inits)
        line(2, "init ", name_of_whole(init.variable), init.drawn ? " ~ " : " = ", list(init.value));
      for (const BindDef& bind : p.binds) line(2, "bind ", name(bind.target), " = ", text(bind.value));
      for (const DriveDef& drive : p.drives) line(2, "drive ", name(drive.port), " += ", text(drive.value));
    }
    for (const RecordDef& record : network.records) {
      line(1, "record ", record.name,
           record.every.valid() ? cat(" every ", text(record.every)) : std::string(),
           record.on.empty() ? std::string() : cat(" on ", record.on));
    }
    line(0, "}");
  }

 private:
  std::string name_of_whole(VarId id) const { return model_[id].name; }

  const Model& model_;
  std::string out_;
};

}  // namespace

std::string print(const Model& model) {
  Printer printer(model);
  for (const auto& [name, value] : model.constants) printer.line(0, "const ", name, " = ", value);
  for (const Rule& rule : model.rules) printer.rule(rule);
  for (const Neuron& neuron : model.neurons) printer.neuron(neuron);
  for (const Network& network : model.networks) printer.network(network);
  return printer.take();
}

}  // namespace hebb
