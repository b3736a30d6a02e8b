// record E.v every 1 ms;   record histogram(EE.w, bins = 50) every 1 s as h;   record E.v on E.spike as v_at_spike;

#include <algorithm>
#include <cmath>

#include "compiler/sema/networks.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

constexpr std::string_view kReductions[] = {"mean", "sum", "min", "max"};
constexpr int64_t kMostBins = 1'000'000;

bool no_record(Frame& frame, Span span) {
  report(frame, DiagKind::NotSupportedYet, span, "not supported yet: recording this").help =
      "record a variable of a population or projection, a signal, or mean, sum, min, max or a histogram of one";
  return false;
}

/// A signal or an event of the network, by its name alone; nothing after a report.
const Symbol* of_network(Frame& frame, const ast::Expr& expr, const ast::NameRef& name) {
  const Symbol* symbol = find_symbol(frame, name.name);
  if (symbol == nullptr) {
    unknown_name(frame, name.name, expr.span);
    return nullptr;
  }
  if (symbol->kind == SymbolKind::Signal || symbol->kind == SymbolKind::Event) return symbol;
  if (symbol->kind != SymbolKind::Broken) {
    report(frame, DiagKind::WrongKindOfName, expr.span, cat(quoted(name.name), " is ", describe(symbol->kind), " and cannot be recorded"))
        .help = cat("name one of its variables, as in  ", name.name, ".w");
  }
  return nullptr;
}

/// POP.name, PROJ.name or a signal: what a record may keep. The dimension is that of a variable.
bool recordable(NetworkReading& reading, const ast::Expr& expr, std::optional<Target>& target) {
  Frame& frame = reading.frame;
  if (const auto* name = std::get_if<ast::NameRef>(&expr.node)) return of_network(frame, expr, *name) != nullptr;
  const auto* member = std::get_if<ast::Member>(&expr.node);
  if (member == nullptr || !std::holds_alternative<ast::NameRef>(member->object->node)) return no_record(frame, expr.span);
  target = target_of(reading, expr);
  return target.has_value();
}

/// bins = 50, low = 0, high = 1 behind what is counted.
bool read_bins(NetworkReading& reading, const ast::Call& call, const std::optional<Target>& target, RecordDef& def) {
  Frame& frame = reading.frame;
  Restore phase(frame.phase, Phase::Constant);
  const Span name = call.callee->span;
  for (size_t k = 1; k < call.arguments.size(); ++k) {
    const ast::Argument& argument = call.arguments[k];
    const std::string is = argument.name ? argument.name->text : "";
    if ((is != "bins" && is != "low" && is != "high") || !argument.ranges.empty()) {
      report(frame, DiagKind::WrongArguments, argument.value->span, is.empty() ? std::string("this argument of 'histogram' needs its name")
                                                                              : cat("'histogram' has no argument called ", quoted(is)))
          .help = "histogram(EE.w, bins = 50, low = 0, high = 1)";
      return false;
    }
    const Expectation expected{is != "bins" && target ? target->dimension : plain(), cat("'", is, "'"), {}};
    const Value value = evaluate_as(frame, *argument.value, {}, &expected);
    if (value.poisoned) return false;
    const auto number = constant_of(frame, value.only());
    if (!number || !std::isfinite(*number)) {
      report(frame, DiagKind::WrongArguments, argument.value->span, cat(quoted(is), " is a number known before the run"));
      return false;
    }
    if (is == "low") def.low = *number;
    if (is == "high") def.high = *number;
    if (is != "bins") continue;
    if (*number != std::floor(*number) || *number < 1 || *number > static_cast<double>(kMostBins)) {
      report(frame, DiagKind::WrongArguments, argument.value->span, cat("'bins' is a whole number from 1 to ", kMostBins, ", got ", shortest(*number)));
      return false;
    }
    def.bins = static_cast<int64_t>(*number);
  }
  if (def.bins == 0) {
    report(frame, DiagKind::WrongArguments, name, "a histogram needs its number of bins").help = "for example  bins = 50";
    return false;
  }
  if (def.low && def.high && !(*def.low < *def.high)) {
    report(frame, DiagKind::WrongArguments, name, cat("'low' is below 'high', got ", shortest(*def.low), " and ", shortest(*def.high)));
    return false;
  }
  return true;
}

/// "E.spike", or the network's own event.
bool read_trigger(NetworkReading& reading, const ast::Expr& expr, RecordDef& def) {
  Frame& frame = reading.frame;
  const auto* name = std::get_if<ast::NameRef>(&expr.node);
  const Symbol* own = name ? of_network(frame, expr, *name) : nullptr;
  if (name && own == nullptr) return false;
  const auto target = name ? std::nullopt : target_of(reading, expr);
  if (!name && !target) return false;
  def.on = name ? name->name : target->column;
  if (name ? own->kind == SymbolKind::Event : target->event) return true;
  report(frame, DiagKind::WrongKindOfName, expr.span, cat(quoted(def.on), " is no event")).help =
      "name what a population emits, as in  on E.spike , or an event of the network";
  return false;
}

bool read_period(NetworkReading& reading, const ast::Expr& every, RecordDef& def) {
  Frame& frame = reading.frame;
  Restore phase(frame.phase, Phase::Constant);
  const Expectation time{time_dimension(), "a period", {}};
  const Value period = evaluate_as(frame, every, {}, &time);
  if (period.poisoned) return false;
  if (const auto constant = constant_of(frame, period.only()); constant && !(*constant > 0)) {
    report(frame, DiagKind::BadPeriod, every.span, cat("a period must be longer than 0, got ", *constant, " ms"));
    return false;
  }
  def.every = period.only();
  return true;
}

}  // namespace

void read_record(NetworkReading& reading, const ast::Record& record) {
  Frame& frame = reading.frame;
  const ast::Expr* what = record.what.get();
  const auto* call = std::get_if<ast::Call>(&what->node);
  bool histogram = false;
  if (call != nullptr) {
    const auto* function = std::get_if<ast::NameRef>(&call->callee->node);
    histogram = function != nullptr && function->name == "histogram";
    const bool reduction = function != nullptr && std::ranges::find(kReductions, function->name) != std::end(kReductions);
    const bool fits = histogram ? !call->arguments.empty() && !call->arguments[0].name : reduction && call->arguments.size() == 1;
    if (!fits) {
      no_record(frame, what->span);
      return;
    }
    what = call->arguments[0].value.get();
  }
  if (const auto* subscript = std::get_if<ast::Subscript>(&what->node)) what = subscript->object.get();
  std::optional<Target> target;
  if (!recordable(reading, *what, target)) return;
  RecordDef def;
  def.what = record.what;
  def.span = record.span;
  def.name = record.as ? record.as->text : source_text(frame, record.what->span);
  std::erase_if(def.name, [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; });
  if (histogram && !read_bins(reading, *call, target, def)) return;
  if (record.every != nullptr && !read_period(reading, *record.every, def)) return;
  if (record.on != nullptr && !read_trigger(reading, *record.on, def)) return;
  for (const auto& earlier : reading.network.records) {
    if (earlier.name != def.name) continue;
    report(frame, DiagKind::DuplicateName, def.span, cat(quoted(def.name), " is recorded twice"))
        .labels.push_back({earlier.span, "here first"});
    return;
  }
  reading.network.records.push_back(std::move(def));
}

}  // namespace hebb::sema
