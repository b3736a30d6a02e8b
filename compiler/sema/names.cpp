// Looking up names: comprehension variables and local lets, the rule, file constants, functions.

#include <algorithm>

#include "compiler/sema/files.h"
#include "compiler/sema/overrides.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

/// `20 mV/ms`: the unit was meant to belong to the number before it.
std::string unit_suggestion(const Frame& frame, const std::string& unit, Span span) {
  const std::string& text = frame.session.sources[span.file].text;
  const size_t line_start = text.rfind('\n', span.begin) + 1;
  const std::string before = text.substr(line_start, span.begin - line_start);
  const size_t sign = before.find_last_not_of(" \t");
  if (sign == std::string::npos || (before[sign] != '/' && before[sign] != '*')) return {};
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_';
  };
  size_t end = before.find_last_not_of(" \t", sign == 0 ? 0 : sign - 1);
  if (end == std::string::npos) return {};
  size_t begin = end;
  while (begin > 0 && (is_word(before[begin - 1]) || before[begin - 1] == ' ')) --begin;
  std::string left = before.substr(begin, end + 1 - begin);
  left.erase(0, left.find_first_not_of(' '));
  const size_t gap = left.find(' ');
  if (gap == std::string::npos || !std::isdigit(static_cast<unsigned char>(left[0]))) return {};
  const std::string first_unit = left.substr(left.find_first_not_of(' ', gap));
  if (find_unit(first_unit) == nullptr) return {};
  return cat(left.substr(0, gap), " [", first_unit, before[sign], unit, ']');
}

/// A defined or drawn signal of a network.
void evaluate_signal(Frame& frame, const std::string& name, Symbol& symbol) {
  Restore phase(frame.phase, Phase::Continuous);
  Restore draws(frame.draws_allowed, symbol.signal->drawn);
  Restore signal(frame.signal, name);
  const Expectation expected{dimension_of(frame, symbol.variable), name, {}};
  Value value = evaluate(frame, *symbol.definition, &expected);
  const Span span = symbol.definition->span;
  const Shape declared = frame.session.model[symbol.variable].shape;
  if (!value.poisoned && symbol.signal->drawn && !value.drawn) {
    report(frame, DiagKind::MisplacedDraw, span,
           cat(quoted(name), " is declared with '~', but nothing here is drawn"))
        .help =
        cat("write  signal ", name, " = …  for a value; '~' wants a distribution such as normal(0, 1)");
    value = poison();
  }
  if (!value.poisoned && !declared.scalar() && value.scalar()) {
    const Value first = value;
    value = {
        .shape = declared, .elements = {first.only()}, .dimension = first.dimension, .drawn = first.drawn};
    for (int64_t i = 1; i < declared.size(); ++i) {  // one draw for each element
      value.elements.push_back(first.drawn ? evaluate(frame, *symbol.definition).only() : first.only());
    }
  }
  if (!value.poisoned && !declared.scalar() && value.shape != declared) {
    report(frame, DiagKind::ShapeMismatch, span,
           cat(quoted(name), " has shape ", to_text(declared), ", but its value has shape ",
               to_text(value.shape)));
    value = poison();
  }
  if (value.poisoned) {
    symbol.value = poison();
    return;
  }
  Variable& variable = frame.session.model[symbol.variable];
  variable.shape = value.shape;
  variable.value = value.elements;
  variable.drawn = value.drawn;
  symbol.value = variable_value(frame, symbol.variable, dimension_of(frame, symbol.variable));
}

void evaluate_definition(Frame& frame, const std::string& name, Symbol& symbol) {
  if (symbol.kind == SymbolKind::Local) {
    symbol.value = evaluate(frame, *symbol.definition);
    return;
  }
  if (symbol.signal != nullptr) return evaluate_signal(frame, name, symbol);
  const bool is_let = symbol.kind == SymbolKind::Let;
  Restore phase(frame.phase, is_let ? Phase::Rate : Phase::Constant);
  Restore draws(frame.draws_allowed, is_let);
  Restore target(frame.target, is_let ? symbol.variable : VarId{});
  Value value = evaluate(frame, *symbol.definition);
  if (value.poisoned) {
    symbol.value = poison();
    return;
  }
  if (!is_let) {
    symbol.value = std::move(value);
    return;
  }
  if (symbol.let != nullptr && symbol.let->drawn && !value.drawn) {
    report(frame, DiagKind::MisplacedDraw, symbol.definition->span,
           cat(quoted(name), " is declared with '~', but nothing here is drawn"))
        .help = cat("write  let ", name, " = …  for a value; '~' wants a distribution such as normal(0, 1)");
  }
  // A let with spike trains in it is an abbreviation, not a value of its own.
  if (!symbol.variable.valid() || !value.trains.empty()) {
    symbol.value = std::move(value);
    symbol.variable = {};
    return;
  }
  Variable& variable = frame.session.model[symbol.variable];
  variable.shape = value.shape;
  variable.value = value.elements;
  variable.kind = value.drawn ? VarKind::Draw : VarKind::Let;
  variable.drawn = value.drawn;
  DimensionTerm& dimension = dimension_of(frame, symbol.variable);
  dimension = value.dimension;
  symbol.value = variable_value(frame, symbol.variable, dimension);
  symbol.value.after = value.after;
}

}  // namespace

Symbol& declare(Frame& frame, Scope& scope, const ast::Name& name, Symbol symbol) {
  symbol.span = name.span;
  const auto [entry, is_new] = scope.names.try_emplace(name.text, std::move(symbol));
  if (!is_new) {
    // Constants are declared before the rest: the later line is the one to blame all the same.
    const bool later = name.span.begin > entry->second.span.begin;
    report(frame, DiagKind::DuplicateName, later ? name.span : entry->second.span,
           cat(quoted(name.text), " is declared twice"))
        .labels.push_back({later ? entry->second.span : name.span, "first here"});
    entry->second.used = true;
  }
  return entry->second;
}

Symbol* find_symbol(Frame& frame, const std::string& name) {
  for (Scope* scope = frame.scope; scope != nullptr; scope = scope->parent) {
    const auto found = scope->names.find(name);
    if (found != scope->names.end()) return &found->second;
  }
  return nullptr;
}

std::vector<std::string> visible_names(Frame& frame) {
  std::vector<std::string> out;
  for (Scope* scope = frame.scope; scope != nullptr; scope = scope->parent) {
    for (const auto& [name, symbol] : scope->names) {
      if (symbol.kind != SymbolKind::Broken) out.push_back(name);
    }
  }
  for (const auto& [name, global] : frame.file->constants) out.push_back(name);
  std::sort(out.begin(), out.end());
  return out;
}

Value unknown_name(Frame& frame, const std::string& name, Span span) {
  const std::vector<std::string> names = visible_names(frame);
  const auto near = did_you_mean(name, names);
  const bool sure = near && near->size() > 2 && name.size() > 2;
  if (find_unit(name) != nullptr && name != "1" && !sure) {
    Diagnostic& diag =
        report(frame, DiagKind::UnitAsVariable, span, cat(quoted(name), " is a unit, not a variable"));
    const std::string suggestion = unit_suggestion(frame, name, span);
    diag.help = suggestion.empty() ? cat("a unit follows a number: 20 ", name)
                                   : cat("did you mean ", suggestion, "?");
  } else {
    Diagnostic& diag =
        report(frame, DiagKind::UnknownName, span, cat("nothing is called ", quoted(name), " here"));
    if (name == "pre" || name == "post") {
      diag.help = cat("name a variable of the neuron, as in  ", name, ".r");
    } else if (near) {
      const Symbol* symbol = find_symbol(frame, *near);
      const bool has_line = symbol != nullptr && symbol->span.valid();
      diag.help = cat("did you mean ", quoted(*near),
                      has_line ? cat(" (line ", line_of(frame, symbol->span), ")") : "", "?");
      diag.fixes.push_back({span, *near, false});
    } else if (frame.file->functions.contains(name)) {
      diag.help = cat(quoted(name), " is a function: give it arguments");
    } else if (frame.file->types.contains(name)) {
      diag.help = cat(quoted(name), " is a rule, a neuron or a network, not a value");
    }
  }
  // Once is enough: the next use is silent. It is put into the outermost scope of the declaration.
  Scope* scope = frame.scope;
  while (scope != nullptr && scope->parent != nullptr) scope = scope->parent;
  if (scope != nullptr) {
    Symbol broken{.kind = SymbolKind::Broken};
    broken.value = poison();
    scope->names.emplace(name, std::move(broken));
  }
  return poison();
}

void force(Frame& frame, const std::string& name, Symbol& symbol) {
  if (symbol.progress == Symbol::Progress::Done) return;
  if (symbol.progress == Symbol::Progress::Busy) {
    report(frame, DiagKind::CyclicDefinition, symbol.span,
           cat("the definition of ", quoted(name), " needs itself"));
    symbol.kind = SymbolKind::Broken;
    symbol.value = poison();
    symbol.progress = Symbol::Progress::Done;
    return;
  }
  symbol.progress = Symbol::Progress::Busy;
  // A definition sees the scope it was written in.
  Scope* home = frame.scope;
  while (home != nullptr && !home->names.contains(name)) home = home->parent;
  Restore scope(frame.scope, home);
  evaluate_definition(frame, name, symbol);
  symbol.progress = Symbol::Progress::Done;
}

Value read_constant(Frame& frame, const Global& global, const std::string& name) {
  const ast::Const* constant = std::get<const ast::Const*>(global.what);
  ConstantCache& cache = frame.session.constants[constant];
  if (cache.progress == Symbol::Progress::Busy) {
    report(frame, DiagKind::CyclicDefinition, constant->name.span,
           cat("the definition of ", quoted(name), " needs itself"));
    cache = {.progress = Symbol::Progress::Done, .value = poison(), .dimension = {}};
  }
  if (cache.progress == Symbol::Progress::Lazy) {
    cache.progress = Symbol::Progress::Busy;
    DimensionSystem dimensions;
    std::map<uint32_t, DimensionTerm> none;
    Frame own{.session = frame.session,
              .file = global.home,
              .dimensions = &dimensions,
              .variable_dimensions = &none};
    own.depth = frame.depth;
    Scope empty;
    own.scope = &empty;
    Value value = evaluate(own, *definition(frame.session, *constant));
    ConstantCache& done = frame.session.constants[constant];
    if (done.progress != Symbol::Progress::Done) {
      done.dimension = value.poisoned ? std::nullopt : dimensions.value(value.dimension);
      done.value = std::move(value);
      done.progress = Symbol::Progress::Done;
    }
  }
  const ConstantCache& done = frame.session.constants[constant];
  Value out = done.value;
  if (out.poisoned) return out;
  out.dimension = done.dimension ? DimensionTerm{.fixed = *done.dimension} : frame.dimensions->fresh();
  return out;
}

namespace {

/// Whether a symbol can be read where `frame` is; a report otherwise.
bool readable(Frame& frame, const Symbol& symbol, const std::string& name, Span span) {
  const bool constant = symbol.kind == SymbolKind::Constant || symbol.kind == SymbolKind::Local;
  if (frame.phase == Phase::Constant && !constant) {
    report(frame, DiagKind::NotConstant, span,
           cat("a constant is wanted here, but ", quoted(name), " is ", describe(symbol.kind)))
        .labels.push_back({symbol.span, "declared here"});
    return false;
  }
  const bool initial = constant || symbol.kind == SymbolKind::Parameter;
  if (frame.phase == Phase::Initial && !initial) {
    report(frame, DiagKind::NotConstant, span,
           cat("a start value can use constants and parameters, but ", quoted(name), " is ",
               describe(symbol.kind)))
        .labels.push_back({symbol.span, "declared here"});
    return false;
  }
  return true;
}

/// A constant 0 or inf fits another dimension at each use.
Value read_number(Frame& frame, const Symbol& symbol) {
  Value out = symbol.value;
  if (!out.poisoned && !known(frame, out.dimension)) out.dimension = frame.dimensions->fresh();
  return out;
}

Value read_event(Frame& frame, const Symbol& symbol, const std::string& name, Span span) {
  const bool receive = symbol.kind == SymbolKind::Receive;
  if (frame.phase == Phase::Rate) {
    Value out;
    out.dimension = per_time();
    out.elements = {ExprId{}};
    ExprId factor = frame.pool().constant(1);
    if (receive) {
      factor = symbol.value.only();
      out.dimension = out.dimension * symbol.value.dimension;
    }
    out.trains = {{symbol.event, {factor}}};
    return out;
  }
  if (receive && frame.phase == Phase::Instant) return symbol.value;
  Diagnostic& diag = report(frame, DiagKind::TrainOutsideEquation, span,
                            cat(quoted(name), " is ", describe(symbol.kind), ": it has no value here"));
  diag.help = cat("use it in an equation,  x' = -x / tau + ", name, ";  or act on it,  on ", name, " { … }");
  return poison();
}

}  // namespace

Value read_name(Frame& frame, const std::string& name, Span span) {
  Symbol* symbol = find_symbol(frame, name);
  if (symbol == nullptr) {
    if (!frame.file->constants.contains(name) && !frame.file->is_prelude)
      follow_imports(frame.session, *frame.file);
    const auto constant = frame.file->constants.find(name);
    if (constant != frame.file->constants.end()) return read_constant(frame, constant->second, name);
    return unknown_name(frame, name, span);
  }
  if (symbol->kind == SymbolKind::Broken) return poison();
  if (!readable(frame, *symbol, name, span)) {
    symbol->used = true;
    return poison();
  }
  const bool own = symbol->variable.valid() && symbol->variable == frame.target;
  if (own) frame.target_read = true;
  if (!own || symbol->progress == Symbol::Progress::Busy) symbol->used = true;
  force(frame, name, *symbol);
  switch (symbol->kind) {
    case SymbolKind::Event:
    case SymbolKind::Receive:
      return read_event(frame, *symbol, name, span);
    case SymbolKind::Population:
    case SymbolKind::Projection:
      report(frame, DiagKind::WrongKindOfName, span,
             cat(quoted(name), " is ", describe(symbol->kind), ", not a value"))
          .help = cat("name one of its variables, as in  ", name, ".r");
      return poison();
    case SymbolKind::Constant:
      return read_number(frame, *symbol);
    case SymbolKind::Local:
    case SymbolKind::Parameter:
    case SymbolKind::Weight:
    case SymbolKind::State:
    case SymbolKind::Signal:
    case SymbolKind::Input:
    case SymbolKind::Let:
    case SymbolKind::Reduce:
    case SymbolKind::Stat:
    case SymbolKind::Broken:
      return symbol->value;
  }
  return poison();
}

const Value* stored_value(Frame& frame, const ast::Expr& expr) {
  const auto* name = std::get_if<ast::NameRef>(&expr.node);
  Symbol* symbol = name == nullptr ? nullptr : find_symbol(frame, name->name);
  if (symbol == nullptr || symbol->progress != Symbol::Progress::Done || symbol->value.poisoned)
    return nullptr;
  const bool free =
      frame.phase == Phase::Rate || frame.phase == Phase::Instant || frame.phase == Phase::Continuous;
  const bool plain_kind = symbol->kind == SymbolKind::Parameter || symbol->kind == SymbolKind::Signal ||
                          symbol->kind == SymbolKind::Let ||
                          (symbol->kind == SymbolKind::State && symbol->variable != frame.target);
  if (!free || !plain_kind) return nullptr;
  symbol->used = true;
  return &symbol->value;
}

const Global* find_function(Frame& frame, const std::string& name) {
  if (!frame.file->functions.contains(name) && !frame.file->imports_followed && !frame.file->is_prelude &&
      !is_built_in(name)) {
    follow_imports(frame.session, *frame.file);
  }
  const auto found = frame.file->functions.find(name);
  return found == frame.file->functions.end() ? nullptr : &found->second;
}

}  // namespace hebb::sema
