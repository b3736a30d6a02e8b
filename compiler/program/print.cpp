// A program as text: spaces, columns, kernels with their effects as formulas, plan.

#include <map>

#include "compiler/expr/transform.h"
#include "compiler/program/program.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

std::string_view name_of(Role role) {
  switch (role) {
    case Role::Param: return "param";
    case Role::State: return "state";
    case Role::Value: return "value";
    case Role::Fed: return "fed";
    case Role::Indicator: return "indicator";
  }
  return "";
}

std::string_view name_of(When when) {
  switch (when) {
    case When::Always: return "";
    case When::Quiet: return " when quiet";
    case When::Eventful: return " when eventful";
  }
  return "";
}

std::string_view name_of(Combine combine) {
  switch (combine) {
    case Combine::Sum: return "+=";
    case Combine::Min: return "min=";
    case Combine::Max: return "max=";
  }
  return "";
}

std::string element_text(const Column& column, uint32_t element) {
  return column.width == 1 ? std::string() : cat("{", element, "}");
}

std::string place(const Program& program, ColumnId id, uint32_t element, At at) {
  const Column& column = program[id];
  switch (at) {
    case At::Self: return cat(column.name, element_text(column, element));
    case At::Pre: return cat(column.name, element_text(column, element), "[pre]");
    case At::Post: return cat(column.name, element_text(column, element), "[post]");
    case At::Uniform: return cat(column.name, element_text(column, element));
    case At::Fixed: return cat(column.name, "[", element, "]");
  }
  return "";
}

std::string leaf_text(const Program& program, const ExprNode& leaf) {
  if (leaf.op == Op::Load)
    return place(program, ColumnId{leaf.leaf.index}, leaf.leaf.element, leaf.leaf.at);
  if (leaf.op == Op::Draw) return cat("draw(", leaf.leaf.index, ".", leaf.leaf.element, ")");
  if (leaf.op == Op::Dt) return "dt";
  return cat("t", leaf.leaf.index);
}

/// The expressions of one kernel, in a pool of their own: what is used more than once has a name, t0, t1,
/// …, and stands in the others as a variable of that number.
struct Named {
  ExprPool pool;
  std::vector<ExprId> definitions, roots;
};

Named with_names(const Program& program, const Kernel& kernel) {
  const std::vector<ExprId> values = roots(kernel);
  std::map<uint32_t, int> uses;
  for (const ExprId value : values) ++uses[value.value];
  for (const ExprId id : nodes_below(program.pool, values)) {
    const ExprNode node = program.pool[id];
    for (int k = 0; k < node.count; ++k) ++uses[node.operands[k].value];
  }
  Named named;
  std::map<uint32_t, ExprId> done;
  for (const ExprId id : nodes_below(program.pool, values)) {
    const ExprNode node = program.pool[id];
    ExprId operands[3];
    for (int k = 0; k < node.count; ++k) operands[k] = done.at(node.operands[k].value);
    const ExprId copy = node.count > 0 ? remake(named.pool, node.op, std::span(operands, node.count))
                        : Substitution(program.pool, named.pool, [](const ExprNode&) { return ExprId{}; })(id);
    const bool short_enough = node.count == 0 || node.op == Op::Neg;
    done[id.value] = copy;
    if (short_enough || uses[id.value] < 2) continue;
    done[id.value] = named.pool.variable(VarId{static_cast<uint32_t>(named.definitions.size())});
    named.definitions.push_back(copy);
  }
  for (const ExprId value : values) named.roots.push_back(done.at(value.value));
  return named;
}

std::string connect_text(const Connect& connect) {
  std::string out;
  switch (connect.wiring) {
    case Wiring::All: return "all";
    case Wiring::OneToOne: return "one_to_one";
    case Wiring::Random: out = cat("random ", connect.p); break;
    case Wiring::FixedIndegree: out = cat("fixed_indegree ", connect.degree); break;
    case Wiring::FixedOutdegree: out = cat("fixed_outdegree ", connect.degree); break;
    case Wiring::Distance:
      out = cat("distance ", connect.p, " sigma ", connect.sigma, " within ", connect.within, connect.wrap ? " wrapped" : "");
      break;
    case Wiring::List: return cat("list of ", connect.edges ? connect.edges->size() : 0);
  }
  return cat(out, connect.self ? "" : " without self", " (draw ", connect.site, ")");
}

std::string print_kernel(const Program& program, const Kernel& kernel) {
  const Named named = with_names(program, kernel);
  const auto text = [&](ExprId root) {
    return to_text(named.pool, root, [&](const ExprNode& leaf) { return leaf_text(program, leaf); });
  };
  std::string rows;
  if (kernel.rows == Rows::All && kernel.spikes.valid()) rows = cat(", if any in ", program[kernel.spikes].name);
  if (kernel.rows != Rows::All)
    rows = cat(", ", kernel.rows == Rows::OfPre ? "pre " : kernel.rows == Rows::OfPost ? "post " : "", "neurons in ", program[kernel.spikes].name);
  std::string out = cat("kernel ", kernel.name, " over ", program[kernel.domain].name, rows, " {\n");
  for (size_t k = 0; k < named.definitions.size(); ++k)
    out += cat("  t", k, " := ", text(named.definitions[k]), "\n");
  auto value = named.roots.begin();
  for (const Scan& scan : kernel.scans)
    out += cat("  scan ", program[scan.as].name, " along ", scan.along == At::Post ? "post" : "pre",
               " += ", text(*value++), "\n");
  for (const Store& store : kernel.stores)
    out += cat("  ", place(program, store.into, store.element, At::Self), " = ", text(*value++), "\n");
  for (const Accumulate& accumulate : kernel.accumulates)
    out += cat("  ", place(program, accumulate.into, accumulate.element, accumulate.at), " ",
               name_of(accumulate.combine), " ", text(*value++), "\n");
  return out + "}\n";
}

std::string print_launches(const Program& program, std::string_view title,
                           const std::vector<Launch>& launches) {
  std::string out = cat(title, " {\n");
  for (const Launch& launch : launches)
    out += cat("  ", program[launch.kernel].name, name_of(launch.when), "\n");
  return out + "}\n";
}

}  // namespace

std::string print(const Program& program) {
  std::string out = cat("program ", program.name, "\n\n");
  for (const Space& space : program.spaces) {
    if (space.kind == SpaceKind::Uniform) out += cat("space ", space.name, " uniform\n");
    if (space.kind == SpaceKind::Neurons) out += cat("space ", space.name, " neurons ", space.size, "\n");
    if (space.kind == SpaceKind::Dense)
      out += cat("space ", space.name, " dense ", program[space.pre].name, " -> ",
                 program[space.post].name, "\n");
    if (space.kind == SpaceKind::Sparse)
      out += cat("space ", space.name, " sparse ", program[space.pre].name, " -> ",
                 program[space.post].name, " ", connect_text(space.connect), "\n");
  }
  out += "\n";
  for (const Column& column : program.columns) {
    out += cat("column ", column.name, " ", name_of(column.role), " over ", program[column.space].name);
    if (column.width != 1) out += cat(" width ", column.width);
    if (column.reset != 0) out += cat(" from ", column.reset);
    if (!column.unit.empty() && column.unit != "1") out += cat(" in ", column.unit);
    out += "\n";
  }
  out += "\n";
  for (const Kernel& kernel : program.kernels) out += print_kernel(program, kernel);
  out += "\n" + print_launches(program, "init", program.plan.init);
  out += print_launches(program, "step", program.plan.step);
  for (const Clock& clock : program.plan.clocks)
    out += cat("clock ", program[clock.indicator].name, " every ", program[clock.period].name, "\n");
  for (const Feed& feed : program.plan.feeds)
    out += cat("feed ", feed.name, " into ", program[feed.column].name, feed.event ? " event" : "",
               feed.always ? " always" : "", "\n");
  for (const Bucketed& bucketed : program.plan.bucketed) {
    const auto one = [&](const char* name, const SynapseDelay& delay) {
      if (!delay.each()) return std::string();
      return cat(" ", name, delay.listed ? std::string(" listed") : cat(" drawn ", to_text(program.pool, delay.drawn, [&](const ExprNode& leaf) { return leaf_text(program, leaf); })));
    };
    const Connect& how = program[bucketed.space].connect;
    out += cat("delays of ", program[bucketed.space].name, one("axon", how.axon), one("dend", how.dend), one("bap", how.bap), "\n");
  }
  for (const Delayed& delayed : program.plan.delays)
    out += cat("delay ", program[delayed.from].name, " into ", program[delayed.into].name, " by ",
               program[delayed.delay].name, "\n");
  if (program.grid_required) out += "grid required\n";
  return out;
}

}  // namespace hebb
