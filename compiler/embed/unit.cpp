#include "compiler/embed/unit.h"

#include <algorithm>

#include "compiler/embed/names.h"
#include "compiler/lower/lower.h"
#include "compiler/support/text.h"
#include "runtime/embed/block.h"

namespace hebb {
namespace {

using Kind = EmbedField::Kind;

/// One line of the source without what surrounds it: "w' = A_plus * x * post.spike".
std::string statement(const Sources& sources, Span span) {
  if (!span.valid()) return {};
  std::string text = in_comment(sources.text(span));
  while (!text.empty() && (text.back() == ';' || text.back() == ' ')) text.pop_back();
  return text;
}

/// What stands behind '#' on the line where `span` begins.
std::string remark(const Sources& sources, Span span) {
  if (!span.valid()) return {};
  const std::string_view line = sources.line(span.file, sources.position(span.file, span.begin).line);
  const size_t hash = line.find('#');
  if (hash == std::string_view::npos) return {};
  std::string text = in_comment(line.substr(hash + 1));
  text.erase(0, text.find_first_not_of("# "));
  return text;
}

/// The declaration that a name begins, up to the next one: "tau_plus = 20 ms".
std::string declaration(const Sources& sources, Span span) {
  if (!span.valid()) return {};
  const std::string& text = sources[span.file].text;
  int depth = 0;
  uint32_t end = span.end;
  for (; end < text.size(); ++end) {
    const char c = text[end];
    if (c == '(' || c == '[') ++depth;
    if (c == ')' || c == ']') --depth;
    if (c == ';' || c == '#' || c == '}' || (c == ',' && depth <= 0)) break;
  }
  span.end = end;
  return statement(sources, span);
}

/// Declaration, equation, or else the first jump; and the remark beside.
std::string meaning_of(const Model& model, const Rule& rule, const Sources& sources, VarId id) {
  const Variable& variable = model[id];
  std::string text = declaration(sources, variable.span);
  std::string equation;
  for (const Flow& flow : rule.flows)
    if (equation.empty() && flow.variable == id) equation = statement(sources, flow.span);
  for (const Jump& jump : rule.jumps)
    if (equation.empty() && jump.variable == id) equation = statement(sources, jump.span);
  if (!equation.empty() && text.find(equation) == std::string::npos)
    text = text == variable.name ? equation : cat(text, "; ", equation);
  const std::string note = remark(sources, variable.span);
  return note.empty() ? text : cat(text, "  (", note, ")");
}

class UnitMaker {
 public:
  UnitMaker(const Model& model, const Rule& rule, const Sources& sources, EmbedUnit& unit)
      : model_(model), rule_(rule), sources_(sources), unit_(unit) {}

  void make() {
    Block block = lower_block(model_, rule_);
    unit_.column_count = block.program.columns.size();
    unit_.uses_steps = block.uses_steps;
    unit_.grid_required = std::any_of(rule_.solutions.begin(), rule_.solutions.end(), [](const Solution& solution) {
      return solution.solver == Solver::ExponentialEuler || solution.solver == Solver::RungeKutta4 ||
             solution.needs_grid;
    });
    for (uint32_t k = 0; k < block.named_columns; ++k) add_field(block.program, ColumnId{k});
    auto program = std::make_shared<Program>(std::move(block.program));
    unit_.program = program;
    for (const Kernel& kernel : program->kernels)
      for (const ExprId node : nodes_below(program->pool, roots(kernel)))
        unit_.draws |= program->pool[node].op == Op::Draw;
    fill_object(*program, block);
  }

 private:
  void fill_object(const Program& program, const Block& block) {
    ObjectUnit& object = unit_.object;
    object.symbol = unit_.symbol;
    object.program = &program;
    for (const KernelId id : block.init) {
      const bool param = program[program[id].stores.at(0).into].role == Role::Param;
      object.lists[param ? HEBB_PARAMS : HEBB_START].push_back(id);
    }
    object.lists[HEBB_INSTANT] = block.instant;
    object.lists[HEBB_STEP] = block.step;
    object.lists[HEBB_BOUNDS] = block.bounds;
    for (const EmbedField& field : unit_.fields) add_input(field);
    object.pre_count = block.pre_count;
    object.post_count = block.post_count;
    object.step_by_spikes = steps_by_spikes(program, block);
    // Without spikes such a step does nothing to synapses: one list, less code.
    object.lists[HEBB_QUIET] = object.step_by_spikes ? block.step : block.quiet;
    object.metadata = cat("{\"rule\":\"", unit_.rule, "\",\"hebb\":\"", unit_.version, "\",\"abi\":", HEBB_BLOCK_ABI,
                          ",\"real\":\"", unit_.precision == Precision::Float32 ? "float" : "double",
                          "\",\"sha256\":\"", unit_.digest, "\"}");
  }

  /// A step with spikes need not visit every synapse when it does there what its instant does.
  static bool steps_by_spikes(const Program& program, const Block& block) {
    bool any = false;
    for (const KernelId id : block.step) {
      if (program[program[id].domain].kind != SpaceKind::Dense) continue;
      const bool of_instant = std::find(block.instant.begin(), block.instant.end(), id) != block.instant.end();
      if (!of_instant || !touched_only(program, program[id])) return false;
      any = true;
    }
    return any;
  }

  void add_input(const EmbedField& field) {
    using Input = ObjectInput::Kind;
    switch (field.kind) {
      case Kind::PreEvent:
      case Kind::PostEvent: unit_.object.inputs.push_back({Input::Spikes, field.column}); break;
      case Kind::PreValue:
      case Kind::PostValue:
      case Kind::Signal: unit_.object.inputs.push_back({Input::Values, field.column}); break;
      case Kind::Event: unit_.object.inputs.push_back({Input::Event, field.column}); break;
      case Kind::Param:
      case Kind::Weight:
      case Kind::State:
      case Kind::Period:
      case Kind::Dt:
      case Kind::Size:
      case Kind::Derived: break;
    }
  }

  static bool is_clock(const Program& program, ColumnId id) {
    return std::any_of(program.plan.clocks.begin(), program.plan.clocks.end(),
                       [&](const Clock& clock) { return clock.indicator == id; });
  }
  static const Clock* clock_with_period(const Program& program, ColumnId id) {
    for (const Clock& clock : program.plan.clocks)
      if (clock.period == id) return &clock;
    return nullptr;
  }

  std::string place_of(const Program& program, ColumnId id) const {
    const Space& space = program[program[id].space];
    if (space.kind == SpaceKind::Uniform) return "one";
    return space.kind == SpaceKind::Dense ? "synapse" : space.name;
  }

  void add_field(const Program& program, ColumnId id) {
    const Column& column = program[id];
    EmbedField field{.name = column.name, .column = id, .place = place_of(program, id), .unit = column.unit};
    describe(program, id, field);
    if (column.width > 1 && field.shape.empty()) field.shape = {column.width};
    field.c_name = fresh_c_identifier(column.name, taken_);
    unit_.fields.push_back(std::move(field));
  }

  void describe(const Program& program, ColumnId id, EmbedField& field) {
    const Column& column = program[id];
    if (id == program.dt) {
      field.kind = Kind::Dt;
      field.meaning = "length of the last step";
      return;
    }
    if (column.name == "pre.count" || column.name == "post.count") {
      field.kind = Kind::Size;
      field.meaning = cat("number of ", field.name.substr(0, field.name.find('.')), "synaptic neurons");
      return;
    }
    if (const Clock* clock = clock_with_period(program, id)) {
      field.kind = Kind::Period;
      field.meaning = cat("period of the clock ", program[clock->indicator].name);
      return;
    }
    if (column.role == Role::Indicator) {
      field.kind = is_clock(program, id) ? Kind::Derived : event_kind(field.place);
      field.unit = "1";
      field.meaning = field.kind == Kind::Derived ? "whether this clock fires at this moment"
                                                  : cat("whether ", column.name, " happens at this moment");
      return;
    }
    for (const VarId variable : rule_.variables)
      if (matches(model_[variable], column.name)) return describe_variable(variable, field);
    field.kind = Kind::Derived;
    field.meaning = "worked out by the rule";
  }

  static Kind event_kind(const std::string& place) {
    if (place == "pre") return Kind::PreEvent;
    return place == "post" ? Kind::PostEvent : Kind::Event;
  }

  static bool matches(const Variable& variable, const std::string& column) {
    if (variable.kind != VarKind::PreValue && variable.kind != VarKind::PostValue) return variable.name == column;
    const std::string side = variable.kind == VarKind::PreValue ? "pre." : "post.";
    const std::string& member = variable.member.empty() ? variable.name : variable.member;
    return column == member || column == side + member;
  }

  void describe_variable(VarId id, EmbedField& field) {
    const Variable& variable = model_[id];
    field.shape = variable.shape.extents;
    field.bounds = variable.bounds;
    field.meaning = meaning_of(model_, rule_, sources_, id);
    switch (variable.kind) {
      case VarKind::Param: field.kind = Kind::Param; break;
      case VarKind::Weight: field.kind = Kind::Weight; break;
      case VarKind::State: field.kind = Kind::State; break;
      case VarKind::Signal: field.kind = Kind::Signal; break;
      case VarKind::PreValue:
        field.kind = Kind::PreValue;
        field.meaning = cat("what the rule calls ", field.name);
        break;
      case VarKind::PostValue:
        field.kind = Kind::PostValue;
        field.meaning = cat("what the rule calls ", field.name);
        break;
      default: field.kind = Kind::Derived; break;
    }
  }

  const Model& model_;
  const Rule& rule_;
  const Sources& sources_;
  EmbedUnit& unit_;
  std::set<std::string> taken_ = {"abi_version", "struct_size", "n_pre", "n_post", "row", "seed", "step",
                                  "time_ms", "reserved_time", "reserved_steps", "reserved_state",
                                  "reserved_clocks", "reserved_arrays"};
};

}  // namespace

EmbedUnit embed_unit(const Model& model, const Rule& rule, const Sources& sources, Precision precision,
                     const std::string& version) {
  EmbedUnit unit{.rule = rule.name, .symbol = c_prefix(rule.name), .doc = rule.doc, .version = version,
                 .precision = precision};
  switch (rule.contract) {
    case Contract::None: break;
    case Contract::Local: unit.contract = "local"; break;
    case Contract::ThreeFactor: unit.contract = "three_factor"; break;
    case Contract::Nonlocal: unit.contract = "nonlocal"; break;
  }
  unit.digest = sha256(rule.span.valid() ? sources[rule.span.file].text : rule.name);
  UnitMaker(model, rule, sources, unit).make();
  return unit;
}

Result<const Rule*> choose_rule(const Model& model, FileId file, const std::string& name) {
  std::vector<std::string> names;
  std::vector<const Rule*> own;
  for (const Rule& rule : model.rules) {
    if (rule.name == name) return &rule;
    if (rule.span.file == file) own.push_back(&rule);
    names.push_back(rule.name);
  }
  if (!name.empty()) {
    const auto near = did_you_mean(name, names);
    return Failure{cat("there is no rule called ", quoted(name), near ? cat("; did you mean ", *near, "?") : "")};
  }
  if (own.size() == 1) return own[0];
  if (own.empty() && names.empty()) return Failure{"the file has no rule to build"};
  if (own.empty()) return Failure{cat("the file declares no rule itself; say which to build of those it imports: ", listed(names))};
  names.clear();
  for (const Rule* rule : own) names.push_back(rule->name);
  return Failure{cat("say which rule to build: ", listed(names))};
}

}  // namespace hebb
