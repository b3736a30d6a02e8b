#include "compiler/experiment/protocol_plan.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr double kFineGrid_ms = 0.1;      // where an equation has to be stepped
constexpr double kUpdateGrid_ms = 1;      // where one step is one update
constexpr double kMostSteps = 1e9;

/// What a named argument gives: numbers, and where it stands.
struct Named {
  Tensor value;
  Span span;
};

struct Arguments {
  std::map<std::string, Named> named;
  Span span;   // of the call
  const Named* find(const std::string& name) const {
    const auto found = named.find(name);
    return found == named.end() ? nullptr : &found->second;
  }
};

std::optional<Arguments> read_arguments(Evaluation& e, const ast::Call& call, Span span) {
  Arguments out{.named = {}, .span = span};
  for (size_t i = 1; i < call.arguments.size(); ++i) {
    const ast::Argument& argument = call.arguments[i];
    if (!argument.name) {
      report_argument(e, argument.value->span, "after the rule, every argument of 'protocol' has a name",
                      "protocol(PairSTDP, pre = [0 ms], post = [10 ms], w = 0.5)");
      return std::nullopt;
    }
    auto value = evaluate_argument(e, argument);
    if (!value) return std::nullopt;
    const auto* tensor = std::get_if<Tensor>(&value->data);
    if (!tensor) {
      e.diags.report(DiagKind::WrongKindOfValue, argument.value->span,
                     cat(quoted(argument.name->text), " needs numbers, this is ", describe(*value)));
      return std::nullopt;
    }
    if (!out.named.emplace(argument.name->text, Named{*tensor, argument.value->span}).second) {
      report_argument(e, argument.name->span, cat(quoted(argument.name->text), " is given twice"));
      return std::nullopt;
    }
  }
  return out;
}

bool is_time(Evaluation& e, const Named& given) {
  if (!given.value.dimension || *given.value.dimension == find_unit("ms")->dimension) return true;
  e.diags.report(DiagKind::DimensionMismatch, given.span,
                 cat("a time is needed here, this is ", describe(*given.value.dimension)))
      .help = "write times with a unit, as in 10 ms";
  return false;
}

/// A number given by name; `fallback` when it is not. Nothing after a mistake.
std::optional<double> number_or(Evaluation& e, const Arguments& arguments, const std::string& name,
                                double fallback, bool time) {
  const Named* given = arguments.find(name);
  if (!given) return fallback;
  if (time && !is_time(e, *given)) return std::nullopt;
  if (given->value.scalar() && std::isfinite(given->value.values[0])) return given->value.values[0];
  report_argument(e, given->span, cat(quoted(name), " is one finite number"));
  return std::nullopt;
}

std::string event_argument(const Feed& feed, const Arguments& arguments) {
  if (arguments.find(feed.name)) return feed.name;
  if (feed.name == "pre.spike") return "pre";
  if (feed.name == "post.spike") return "post";
  return feed.name;
}

/// A rule whose only pre event is called otherwise takes the times of `pre`.
std::string default_event(const Program& program, const Feed& feed, const Arguments& arguments) {
  const std::string name = event_argument(feed, arguments);
  if (name != feed.name || arguments.find(name)) return name;
  for (const std::string side : {"pre", "post"}) {
    if (!feed.name.starts_with(side + ".")) continue;
    const auto others = std::count_if(program.plan.feeds.begin(), program.plan.feeds.end(), [&](const Feed& f) {
      return f.event && f.name.starts_with(side + ".");
    });
    if (others == 1) return side;
  }
  return name;
}

bool fits(Evaluation& e, const Synapse& synapse, const std::string& name, const Named& given) {
  const auto dimension = synapse.dimensions.find(name);
  if (dimension == synapse.dimensions.end()) return true;
  if (common_dimension(given.value.dimension, dimension->second).fits) return true;
  e.diags.report(DiagKind::DimensionMismatch, given.span,
                 cat(quoted(name), " is ", describe(*dimension->second), ", this is ",
                     describe(*given.value.dimension)));
  return false;
}

std::optional<ProtocolDrive> event_drive(Evaluation& e, const Synapse& synapse, const Feed& feed,
                                 const Arguments& arguments) {
  ProtocolDrive out{.column = feed.column, .name = feed.name, .event = true, .times_ms = {}, .values = {}};
  const Named* given = arguments.find(default_event(*synapse.program, feed, arguments));
  if (!given) return out;
  if (!is_time(e, *given)) return std::nullopt;
  for (const double time : given->value.values) {
    if (!std::isfinite(time)) {
      report_argument(e, given->span, cat("a time of an event is a finite number, not ", time));
      return std::nullopt;
    }
  }
  out.times_ms = given->value.values;
  std::sort(out.times_ms.begin(), out.times_ms.end());
  return out;
}

std::optional<ProtocolDrive> value_drive(Evaluation& e, const Synapse& synapse, const Feed& feed,
                                 const Arguments& arguments) {
  const Named* given = arguments.find(feed.name);
  if (!given) {
    e.diags.report(DiagKind::NothingFed, arguments.span,
                   cat("the rule ", quoted(synapse.name), " needs ", feed.name, ", and nothing gives it"))
        .help = cat("add  ", feed.name, " = …  (a number, or a list with one number a step)");
    return std::nullopt;
  }
  if (!fits(e, synapse, feed.name, *given)) return std::nullopt;
  if (given->value.shape.size() > 1 || given->value.values.empty()) {
    e.diags.report(DiagKind::ShapesDiffer, given->span,
                   cat(feed.name, " is a number or a list with one number a step, this is ",
                       shape_text(given->value.shape)));
    return std::nullopt;
  }
  return ProtocolDrive{.column = feed.column, .name = feed.name, .event = false, .times_ms = {},
               .values = given->value.values};
}

bool known_argument(const Synapse& synapse, const std::string& name) {
  for (const char* reserved : {"pre", "post", "until", "dt", "steps", "seed"})
    if (name == reserved) return true;
  const auto& feeds = synapse.program->plan.feeds;
  return std::any_of(feeds.begin(), feeds.end(), [&](const Feed& feed) { return feed.name == name; });
}

void report_unknown(Evaluation& e, const Synapse& synapse, const std::string& name, const Named& given) {
  const Program& program = *synapse.program;
  const ColumnId column = program.find_column(name);
  if (column.valid() && program[column].role == Role::Param) {
    report_argument(e, given.span, cat(quoted(name), " is a parameter of the rule, not a start value"),
                    cat("set it in the rule:  protocol(", synapse.name, "(", name, " = …), …)"));
    return;
  }
  Diagnostic& diag = e.diags.report(DiagKind::UnknownSetting, given.span,
                                    cat("the rule ", quoted(synapse.name), " has nothing called ", quoted(name)));
  std::vector<std::string> names = {"pre", "post", "until", "dt", "steps"};
  for (const Feed& feed : program.plan.feeds) names.push_back(feed.name);
  for (const Column& known : program.columns)
    if (known.role == Role::State) names.push_back(known.name);
  if (const auto near = did_you_mean(name, names)) diag.help = cat("did you mean ", *near, "?");
}

bool read_starts(Evaluation& e, const Synapse& synapse, const Arguments& arguments, ProtocolPlan& plan) {
  const Program& program = *synapse.program;
  for (const auto& [name, given] : arguments.named) {
    if (known_argument(synapse, name)) continue;
    const bool weight = name == "w" && !synapse.weight.empty() && !program.find_column("w").valid();
    const ColumnId column = program.find_column(weight ? synapse.weight : name);
    if (!column.valid() || program[column].role != Role::State) {
      report_unknown(e, synapse, name, given);
      return false;
    }
    if (!fits(e, synapse, name, given)) return false;
    if (!given.value.scalar() && static_cast<int64_t>(given.value.values.size()) != program[column].width) {
      e.diags.report(DiagKind::ShapesDiffer, given.span,
                     cat(quoted(name), " holds ", plural(program[column].width, "number"), ", this is ",
                         shape_text(given.value.shape)));
      return false;
    }
    plan.starts.emplace_back(column, given.value.values);
  }
  return true;
}

/// Whether anything says when the protocol ends; an empty list of spikes does.
bool has_end(const Arguments& arguments, const ProtocolPlan& plan) {
  const auto given = [&](const std::string& name) { return arguments.find(name) != nullptr; };
  return given("until") || given("steps") || given("pre") || given("post") ||
         std::any_of(plan.drives.begin(), plan.drives.end(), [&](const ProtocolDrive& d) { return d.event ? given(d.name) : d.values.size() > 1; });
}

/// When the protocol begins and ends, and whether time is a grid.
bool schedule(Evaluation& e, const Synapse& synapse, const Arguments& arguments, ProtocolPlan& plan) {
  if (!has_end(arguments, plan)) {
    report_argument(e, arguments.span, "this protocol would end when it begins: it is given no spikes, and neither 'until' nor 'steps'",
                    "add  until = 1 s  or  steps = 1000");
    return false;
  }
  int64_t list = 0;
  double first = 0, last = 0;
  bool any = false;
  for (const ProtocolDrive& drive : plan.drives) {
    if (drive.values.size() > 1) list = std::max(list, static_cast<int64_t>(drive.values.size()));
    if (drive.times_ms.empty()) continue;
    first = std::min(first, drive.times_ms.front());
    last = any ? std::max(last, drive.times_ms.back()) : drive.times_ms.back();
    any = true;
  }
  for (const double time : plan.unseen_ms) {
    first = std::min(first, time);
    last = any ? std::max(last, time) : time;
    any = true;
  }
  const bool updates = synapse.uses_steps || arguments.find("steps") || list > 0;
  plan.grid = updates || synapse.program->grid_required;
  const auto dt = number_or(e, arguments, "dt", updates ? kUpdateGrid_ms : kFineGrid_ms, true);
  const auto until = number_or(e, arguments, "until", last, true);
  const auto steps = number_or(e, arguments, "steps", static_cast<double>(list), false);
  if (!dt || !until || !steps) return false;
  if (!(*dt > 0)) {
    report_argument(e, arguments.find("dt")->span, cat("the step dt is a time above 0, this is ", *dt, " ms"));
    return false;
  }
  plan.dt_ms = *dt;
  plan.start_ms = first;
  plan.until_ms = *until;
  if (plan.until_ms < plan.start_ms) {
    report_argument(e, arguments.find("until")->span,
                    cat("the protocol would end at ", *until, " ms, before it begins at ", first, " ms"));
    return false;
  }
  const bool counted = arguments.find("steps") || (list > 0 && !arguments.find("until"));
  const double count = counted ? *steps : std::round((plan.until_ms - plan.start_ms) / *dt);
  if (plan.grid && (count < 0 || count != std::floor(count) || count > kMostSteps)) {
    report_argument(e, arguments.span, cat("a protocol takes 0 to ", kMostSteps, " whole steps, this is ", count));
    return false;
  }
  if (plan.grid) plan.steps = static_cast<int64_t>(count);
  if (counted) plan.until_ms = plan.start_ms + count * *dt;
  for (const ProtocolDrive& drive : plan.drives) {
    if (!plan.grid || drive.values.size() <= 1 || static_cast<int64_t>(drive.values.size()) >= plan.steps) continue;
    e.diags.report(DiagKind::TooFewRows, arguments.find(drive.name)->span,
                   cat(drive.name, " has ", drive.values.size(), " values, and the protocol has ", plan.steps,
                       " steps"));
    return false;
  }
  return true;
}
std::optional<ProtocolPlan> make_plan(Evaluation& e, const Synapse& synapse, const Arguments& arguments) {
  ProtocolPlan plan;
  for (const Feed& feed : synapse.program->plan.feeds) {
    auto drive = feed.event ? event_drive(e, synapse, feed, arguments) : value_drive(e, synapse, feed, arguments);
    if (!drive) return std::nullopt;
    plan.drives.push_back(std::move(*drive));
  }
  for (const char* side : {"pre", "post"}) {
    const Named* given = arguments.find(side);
    const bool used = std::any_of(plan.drives.begin(), plan.drives.end(), [&](const ProtocolDrive& drive) {
      return drive.event && drive.name.starts_with(std::string(side) + ".");
    });
    if (!given || used) continue;
    if (!is_time(e, *given)) return std::nullopt;
    plan.unseen_ms.insert(plan.unseen_ms.end(), given->value.values.begin(), given->value.values.end());
  }
  if (!read_starts(e, synapse, arguments, plan) || !schedule(e, synapse, arguments, plan)) return std::nullopt;
  return plan;
}

}  // namespace

std::optional<ProtocolPlan> read_protocol(Evaluation& e, const Synapse& synapse, const ast::Call& call, Span span) {
  const auto arguments = read_arguments(e, call, span);
  if (!arguments) return std::nullopt;
  auto plan = make_plan(e, synapse, *arguments);
  if (!plan) return std::nullopt;
  const auto seed = number_or(e, *arguments, "seed", static_cast<double>(e.options.seed), false);
  if (!seed) return std::nullopt;
  plan->seed = static_cast<uint64_t>(*seed);
  return plan;
}

}  // namespace hebb
