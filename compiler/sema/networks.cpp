// Networks: signals, populations. Projections and records have their own files.

#include "compiler/sema/networks.h"

#include <algorithm>

#include "compiler/sema/time_signals.h"
#include "compiler/sema/overrides.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

Value read_population_member(NetworkReading& reading, Frame& frame, const std::string& object,
                             const ast::Name& member, Span span) {
  if (object == "pre" || object == "post") {
    report(frame, DiagKind::WrongKindOfName, span,
           cat(quoted(object), " has a meaning inside rules and projections only"));
    return poison();
  }
  Symbol* symbol = find_symbol(frame, object);
  if (symbol == nullptr) return unknown_name(frame, object, span);
  if (symbol->kind == SymbolKind::Broken) return poison();
  symbol->used = true;
  if (symbol->kind != SymbolKind::Population) {
    report(frame,
           symbol->kind == SymbolKind::Projection ? DiagKind::NotSupportedYet : DiagKind::WrongKindOfName,
           span,
           symbol->kind == SymbolKind::Projection ? cat("not supported yet: the synapses of ", quoted(object),
                                                        " inside an expression of the network")
                                                  : cat(quoted(object), " is ", describe(symbol->kind),
                                                        " and has no member ", quoted(member.text)));
    return poison();
  }
  if (frame.phase == Phase::Constant || frame.phase == Phase::Initial) {
    report(frame, DiagKind::NotConstant, span,
           cat(quoted(cat(object, '.', member.text)), " has no value before the run starts"));
    return poison();
  }
  const int index = symbol->index;
  const Neuron* neuron = neuron_of_population(reading, index);
  if (neuron == nullptr) return poison();
  Model& model = reading.session.model;
  VarId variable;
  if (readable_variable(model, *neuron, member.text, &variable) == nullptr) {
    const bool event = emits(*neuron, member.text);
    Diagnostic& diag =
        report(frame, event ? DiagKind::TrainOutsideEquation : DiagKind::UnknownName, span,
               event ? cat(quoted(cat(object, '.', member.text)), " is an event: it has no value here")
                     : cat(neuron->name, " has no variable ", quoted(member.text)));
    std::vector<std::string> names;
    for (const VarId id : neuron->variables) names.push_back(model[id].name);
    if (const auto near = did_you_mean(member.text, names))
      diag.help = cat("did you mean ", quoted(*near), "?");
    return poison();
  }
  const int64_t size = reading.network.populations[static_cast<size_t>(index)].size;
  const auto key = std::pair(index, member.text);
  auto found = reading.population_values.find(key);
  if (found == reading.population_values.end()) {
    Variable value;
    value.name = cat(object, '.', member.text);
    value.kind = VarKind::Population;
    value.shape = model[variable].shape;
    value.shape.extents.insert(value.shape.extents.begin(), size);
    value.dimension = model[variable].dimension;
    value.owner = reading.network.name;
    value.span = span;
    value.population = index;
    value.member = member.text;
    if (value.shape.size() > kArrayLimit) {
      report(frame, DiagKind::TooLarge, span,
             cat(quoted(value.name), " has more than ", kArrayLimit, " elements"));
      return poison();
    }
    const VarId id = model.add(std::move(value));
    reading.variable_dimensions[id.value] = population_dimension(reading, index, variable);
    found = reading.population_values.emplace(key, id).first;
  }
  return variable_value(frame, found->second, dimension_of(frame, found->second));
}

void declare_signal(NetworkReading& reading, const ast::Signal& signal) {
  Frame& frame = reading.frame;
  const std::optional<Shape> shape = read_shape(frame, signal.shape);
  Variable variable;
  variable.name = signal.name.text;
  variable.kind = VarKind::Signal;
  variable.shape = shape.value_or(Shape{});
  variable.owner = reading.network.name;
  variable.span = signal.name.span;
  const VarId id = reading.session.model.add(std::move(variable));
  Symbol symbol{.kind = SymbolKind::Signal};
  symbol.variable = id;
  symbol.value = variable_value(frame, id, dimension_of(frame, id));
  if (signal.value != nullptr) {
    symbol.definition = signal.value.get();
    symbol.signal = &signal;
    symbol.progress = Symbol::Progress::Lazy;
  }
  if (declare(frame, reading.scope, signal.name, std::move(symbol)).variable != id) return;
  reading.network.signals.push_back(id);
  if (!signal.unit) return;
  if (const auto unit = read_unit(frame, *signal.unit)) {
    reading.dimensions.equate(dimension_of(frame, id), unit->dimension, signal.unit->span);
  }
}

void declare_population(NetworkReading& reading, const ast::Population& population) {
  Frame& frame = reading.frame;
  PopulationDef def;
  def.name = population.name.text;
  def.span = population.span;
  const std::optional<Shape> shape = [&]() -> std::optional<Shape> {
    // Populations are not written out element by element: only their product must fit.
    Shape out;
    int64_t size = 1;
    for (const ast::ExprPtr& extent : population.shape) {
      const auto n = integer_constant(frame, *extent, "the size of a population");
      if (!n) return {};
      constexpr int64_t kPopulationLimit = int64_t{1} << 31;
      if (*n <= 0 || __builtin_mul_overflow(size, *n, &size) || size > kPopulationLimit) {
        report(frame, *n <= 0 ? DiagKind::BadExtent : DiagKind::TooLarge, extent->span,
               *n <= 0 ? cat("a population has at least 1 neuron, got ", *n)
                       : cat("a population of more than ", kPopulationLimit, " neurons"));
        return {};
      }
      out.extents.push_back(*n);
    }
    return out;
  }();
  def.size = shape ? shape->size() : 1;
  if (shape) def.grid = shape->extents;
  const Global* type = expect_type(reading.session, *frame.file, population.type.type, "neuron");
  if (type != nullptr) def.neuron = neuron_of(reading.session, *type);
  Symbol symbol{.kind = SymbolKind::Population};
  symbol.index = static_cast<int>(reading.network.populations.size());
  declare(frame, reading.scope, population.name, std::move(symbol));
  reading.network.populations.push_back(std::move(def));
}

}  // namespace

NetworkReading::NetworkReading(Session& s, FileTable& file, Network& n)
    : session(s), network(n), frame{.session = s, .file = &file} {
  frame.scope = &scope;
  frame.dimensions = &dimensions;
  frame.variable_dimensions = &variable_dimensions;
  frame.phase = Phase::Continuous;
  frame.member = [this](Frame& f, const std::string& object, const ast::Name& member, Span span) {
    return read_population_member(*this, f, object, member, span);
  };
  frame.time_signal = [this](const ast::Expr& expr, const ast::Call& call, const std::string& name) {
    return evaluate_time_signal(*this, expr, call, name);
  };
}

const Variable* readable_variable(const Model& model, const Neuron& neuron, const std::string& name,
                                  VarId* id) {
  for (const VarId variable : neuron.variables) {
    const Variable& v = model[variable];
    if (v.name != name || v.kind == VarKind::Receive) continue;
    *id = variable;
    return &v;
  }
  return nullptr;
}

bool emits(const Neuron& neuron, const std::string& event) {
  return std::ranges::any_of(neuron.emissions, [&](const Emission& e) { return e.event == event; });
}

const Neuron* neuron_of_population(const NetworkReading& reading, int population) {
  if (population < 0) return nullptr;
  const int neuron = reading.network.populations[static_cast<size_t>(population)].neuron;
  return neuron < 0 ? nullptr : &reading.session.model.neurons[static_cast<size_t>(neuron)];
}

DimensionTerm population_dimension(NetworkReading& reading, int population, VarId variable) {
  const std::optional<Dimension>& decided = reading.session.model[variable].dimension;
  if (decided) return {.fixed = *decided};
  const auto [entry, is_new] = reading.generic.try_emplace({population, variable.value});
  if (is_new) entry->second = reading.dimensions.fresh();
  return entry->second;
}

void read_population_settings(NetworkReading& reading, const ast::Population& decl, int population) {
  const Neuron* neuron = neuron_of_population(reading, population);
  if (neuron == nullptr) return;
  Frame& frame = reading.frame;
  Model& model = reading.session.model;
  PopulationDef& def = reading.network.populations[static_cast<size_t>(population)];
  std::map<uint32_t, Span> done;
  for (const ast::Setting& setting : effective_settings(reading.session, &decl, decl.type.settings, [](const std::string&) { return true; })) {
    const VarId id = setting_target(reading.session, *neuron, setting, true);
    if (!id.valid()) continue;
    const auto [first, is_new] = done.try_emplace(id.value, setting.span);
    if (!is_new) {
      report(frame, DiagKind::DuplicateName, setting.span, cat(quoted(model[id].name), " is set twice"))
          .labels.push_back({first->second, "first here"});
      continue;
    }
    const bool constant = model[id].kind == VarKind::Param;
    Restore phase(frame.phase, constant ? Phase::Constant : Phase::Continuous);
    Restore draws(frame.draws_allowed, setting.drawn);
    const Expectation expected{
        population_dimension(reading, population, id), cat(def.name, '.', model[id].name), {}};
    const Value value = evaluate(frame, *setting.value, &expected);
    if (value.poisoned) continue;
    if (setting.drawn && !value.drawn) {
      report(frame, DiagKind::MisplacedDraw, setting.value->span, "nothing here is drawn").help =
          cat("write  ", joined_name(setting.path), " = …  for a value");
      continue;
    }
    const Shape& own = model[id].shape;
    Shape each = own;
    each.extents.insert(each.extents.begin(), def.size);
    Assignment assignment{.variable = id,
                          .value = value.elements,
                          .drawn = value.drawn,
                          .per_neuron = value.shape == each,
                          .span = setting.span};
    if (value.scalar()) assignment.value.assign(static_cast<size_t>(own.size()), value.only());
    if (!value.scalar() && value.shape != own && value.shape != each) {
      report(frame, DiagKind::ShapeMismatch, setting.value->span,
             cat("this has shape ", to_text(value.shape), ", but ", quoted(model[id].name), " is ",
                 own.scalar() ? "one number" : to_text(own), " for each of ", def.size,
                 def.size == 1 ? " neuron" : " neurons"));
      continue;
    }
    def.settings.push_back(std::move(assignment));
  }
}

void read_network(Session& session, FileTable& table, const ast::NetworkDecl& decl) {
  Network network;
  network.name = decl.name.text;
  network.doc = decl.doc;
  network.span = decl.span;
  NetworkReading reading(session, table, network);
  Frame& frame = reading.frame;
  const auto each = [&](const auto& visitor) {
    for (const auto& item : decl.items) std::visit(visitor, item);
  };
  each(Overload{[&](const ast::Const& node) {
                  Symbol symbol{.kind = SymbolKind::Constant};
                  symbol.definition = definition(session, node).get();
                  symbol.progress = Symbol::Progress::Lazy;
                  declare(frame, reading.scope, node.name, std::move(symbol));
                },
                [](const auto&) {}});
  each(Overload{[&](const ast::Signal& node) { declare_signal(reading, node); },
                [&](const ast::EventPort& node) {
                  declare(frame, reading.scope, node.name, {.kind = SymbolKind::Event});
                  network.events.push_back(node.name.text);
                },
                [&](const ast::Population& node) { declare_population(reading, node); }, [](const auto&) {}});
  // Names of projections are known before anything that may mention them.
  each(Overload{[&](const ast::Projection& node) {
                  Symbol symbol{.kind = SymbolKind::Projection};
                  declare(frame, reading.scope, node.name, std::move(symbol));
                },
                [](const auto&) {}});
  each(Overload{
      [&](const ast::Signal& node) {
        Symbol* symbol = find_symbol(frame, node.name.text);
        if (symbol != nullptr && symbol->signal == &node) force(frame, node.name.text, *symbol);
      },
      [&](const ast::Const& node) { force(frame, node.name.text, reading.scope.names[node.name.text]); },
      [](const auto&) {}});
  int population = 0;
  each(Overload{
      [&](const ast::Population& node) { read_population_settings(reading, node, population++); },
      [](const auto&) {}});
  each(Overload{[&](const ast::Projection& node) { read_projection(reading, node); },
                [](const auto&) {}});
  each(Overload{[&](const ast::AbortWhen& node) { read_abort(reading, node); },
                [&](const ast::Freeze& node) { read_freeze(reading, node); }, [](const auto&) {}});
  each(Overload{[&](const ast::Record& node) { read_record(reading, node); }, [](const auto&) {}});
  for (const auto& [id, term] : reading.variable_dimensions) {
    std::optional<Dimension>& dimension = session.model[VarId{id}].dimension;
    if (!dimension) dimension = reading.dimensions.value(term);
  }
  session.model.networks.push_back(std::move(network));
}

}  // namespace hebb::sema
