#include "compiler/experiment/measures.h"

#include <algorithm>
#include <cmath>

#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

const std::vector<MeasureFunction>& table() {
  static const std::vector<MeasureFunction> rows = {
      {"mean_rate", MeasureKind::MeanRate, {"from", "to", "neurons"}},
      {"std_rate_spatial", MeasureKind::StdRateSpatial, {"from", "to", "neurons"}},
      {"std_rate_temporal", MeasureKind::StdRateTemporal, {"from", "to", "neurons", "bin"}},
      {"cv_isi", MeasureKind::CvIsi, {"from", "to", "neurons"}},
      {"std_cv", MeasureKind::StdCv, {"from", "to", "neurons"}},
      {"kl_isi", MeasureKind::KlIsi, {"from", "to", "neurons"}},
      {"fano_spatial", MeasureKind::FanoSpatial, {"from", "to", "neurons", "bin"}},
      {"fano_temporal", MeasureKind::FanoTemporal, {"from", "to", "neurons", "bin"}},
      {"autocovariance", MeasureKind::Autocovariance, {"from", "to", "neurons", "bin", "lag"}},
      {"spectrum", MeasureKind::Spectrum, {"from", "to", "neurons", "bin"}},
      {"drift", MeasureKind::Drift, {"from", "to", "every", "samples", "least"}},
      {"share_at_bounds", MeasureKind::ShareAtBounds, {"from", "to", "every", "samples", "low", "high"}},
      {"mean_value", MeasureKind::MeanValue, {"from", "to", "every", "samples"}},
  };
  return rows;
}

double default_bin_ms(MeasureKind kind) {
  switch (kind) {
    case MeasureKind::FanoSpatial:
    case MeasureKind::FanoTemporal: return 100;
    case MeasureKind::Autocovariance: return 10;
    default: return 1;
  }
}

/// One call against one run.
class Preparing {
 public:
  Preparing(Evaluation& e, const ast::Call& call, const MeasureFunction& function, const RunOptions& options)
      : e_(e), call_(call), function_(function), options_(options) {}

  std::optional<PreparedMeasure> run(const Network& network, const Program& program, const std::string& name) {
    const Span span = call_.arguments[0].value->span;
    const ColumnId column = program.find_column(name);
    if (!column.valid()) {
      e_.diags.report(DiagKind::UnknownName, span,
                      cat("a run of ", quoted(network.name), " has no value ", quoted(name)));
      return std::nullopt;
    }
    const bool events = is_event(e_.model, network, program, column);
    if (events != measures_events(function_.kind)) {
      e_.diags.report(DiagKind::WrongKindOfValue, span,
                      cat(quoted(function_.name), " measures ", events ? "values, and " : "events, and ", quoted(name),
                          events ? " is an event" : " is a value"))
          .help = events ? "for example weights:  drift(sim.EE.w)" : "for example spikes:  mean_rate(sim.E.spike)";
      return std::nullopt;
    }
    out_.call = &call_;
    out_.spec.kind = function_.kind;
    out_.spec.column = column;
    out_.spec.dt_ms = options_.dt_ms;
    out_.spec.to = options_.steps;
    const bool rate = function_.kind == MeasureKind::MeanRate || function_.kind == MeasureKind::StdRateSpatial;
    out_.dimension = Dimension{};
    if (rate) out_.dimension = find_unit("Hz")->dimension;
    const Variable* variable = find_variable(e_.model, network, name);
    if (function_.kind == MeasureKind::MeanValue) out_.dimension = variable ? variable->dimension : MaybeDimension{};
    if (!read_arguments() || !bins() || !window()) return std::nullopt;
    if (function_.kind == MeasureKind::ShareAtBounds && !bounds(variable, name)) return std::nullopt;
    return out_;
  }

 private:
  bool read_arguments() {
    for (size_t k = 1; k < call_.arguments.size(); ++k) {
      const ast::Argument& argument = call_.arguments[k];
      const std::string name = argument.name ? argument.name->text
                               : k == 1      ? std::string("from")
                               : k == 2      ? std::string("to")
                                             : std::string();
      const auto& known = function_.parameters;
      if (std::find(known.begin(), known.end(), name) == known.end() || !argument.ranges.empty()) {
        std::vector<std::string> names(known.begin(), known.end());
        const auto near = did_you_mean(name, names);
        report_argument(e_, argument.name ? argument.name->span : argument.value->span,
                        name.empty() ? cat("this argument of ", quoted(function_.name), " needs its name")
                                     : cat(quoted(function_.name), " has no argument called ", quoted(name)),
                        near ? cat("did you mean ", *near, "?") : cat("it takes a recording and ", listed(names)));
        return false;
      }
      if (!read(name, *argument.value)) return false;
    }
    return true;
  }

  bool read(const std::string& name, const ast::Expr& expr) {
    const auto number = evaluate_tensor(e_, expr);
    if (!number) return false;
    if (!number->scalar()) {
      e_.diags.report(DiagKind::ShapesDiffer, expr.span, cat(quoted(name), " is one number"));
      return false;
    }
    const double value = number->values[0];
    if (name == "low") low_ = value;
    if (name == "high") high_ = value;
    if (name == "least") out_.spec.least = value;
    if (name == "low" || name == "high" || name == "least") return true;
    if (name == "neurons" || name == "samples") {
      if (!(value >= 1 && value == std::floor(value) && value < 1e15)) {
        report_argument(e_, expr.span, cat(quoted(name), " is a whole number from 1 up, got ", value));
        return false;
      }
      (name == "neurons" ? out_.spec.neurons : out_.spec.samples) = static_cast<int64_t>(value);
      return true;
    }
    const bool time = !number->dimension || *number->dimension == find_unit("ms")->dimension;
    if (!time) {
      e_.diags.report(DiagKind::DimensionMismatch, expr.span, cat(quoted(name), " is a time, for example 1 s"));
      return false;
    }
    const auto steps = steps_of(value, expr.span, name);
    if (!steps) return false;
    if (name == "from") out_.spec.from = *steps;
    else if (name == "to") out_.spec.to = *steps;
    else if (name == "bin") bin_ = *steps;
    else if (name == "lag") lag_ = *steps;
    else every_ = *steps;
    if (name != "from" && name != "to" && *steps < 1) {
      report_argument(e_, expr.span, cat(quoted(name), " is longer than 0, got ", value, " ms"));
      return false;
    }
    return true;
  }

  std::optional<int64_t> steps_of(double ms, Span span, const std::string& name) {
    const double steps = ms / options_.dt_ms;
    const double whole = std::round(steps);
    if (std::isfinite(steps) && steps >= 0 && whole <= 1e15 && std::fabs(steps - whole) <= 1e-6 * std::max(1.0, whole))
      return static_cast<int64_t>(whole);
    report_argument(e_, span, cat(quoted(name), " is a whole number of steps of dt = ", options_.dt_ms, " ms, got ", ms, " ms"));
    return std::nullopt;
  }

  bool bins() {
    MeasureSpec& spec = out_.spec;
    const auto& known = function_.parameters;
    const auto takes = [&](std::string_view name) { return std::find(known.begin(), known.end(), name) != known.end(); };
    if (takes("bin")) {
      if (!bin_) bin_ = steps_of(default_bin_ms(spec.kind), call_.callee->span, "bin");
      if (!bin_) return false;
      spec.bin_steps = std::max<int64_t>(1, *bin_);
    }
    if (takes("lag")) {
      const int64_t lag = lag_.value_or(std::llround(500 / options_.dt_ms));
      spec.lags = std::max<int64_t>(1, lag / spec.bin_steps);
    }
    // Without a pace of its own: a hundred times in the window.
    if (takes("every")) spec.every_steps = every_.value_or(std::max<int64_t>(1, (spec.to - spec.from) / 100));
    return true;
  }

  bool window() {
    const MeasureSpec& spec = out_.spec;
    if (spec.from < spec.to && spec.to <= options_.steps) return true;
    const double dt = options_.dt_ms;
    report_argument(e_, call_.callee->span,
                    cat("the window from ", spec.from * dt, " ms to ", spec.to * dt, " ms is ",
                        spec.from < spec.to ? "not inside the run" : "empty", ", the run lasts ", options_.steps * dt, " ms"));
    return false;
  }

  bool bounds(const Variable* variable, const std::string& name) {
    const bool constant = variable && !variable->low.valid() && !variable->high.valid();
    if (!low_ && constant) low_ = variable->bounds.low;
    if (!high_ && constant) high_ = variable->bounds.high;
    if (!low_ || !high_) {
      report_argument(e_, call_.callee->span, cat("the bounds of ", quoted(name), " depend on parameters"),
                      "say them here:  low = …, high = …");
      return false;
    }
    out_.spec.low = *low_;
    out_.spec.high = *high_;
    return true;
  }

  Evaluation& e_;
  const ast::Call& call_;
  const MeasureFunction& function_;
  const RunOptions& options_;
  PreparedMeasure out_;
  std::optional<int64_t> bin_, lag_, every_;
  std::optional<double> low_, high_;
};

}  // namespace

const MeasureFunction* find_measure(std::string_view name) {
  for (const MeasureFunction& function : table())
    if (function.name == name) return &function;
  return nullptr;
}

std::vector<std::string> measure_names() {
  std::vector<std::string> out;
  for (const MeasureFunction& function : table()) out.emplace_back(function.name);
  return out;
}

std::optional<std::vector<PreparedMeasure>> prepare_measures(Evaluation& e, const ast::Run& run, const Network& network,
                                                             const Program& program, const RunOptions& options) {
  std::vector<PreparedMeasure> out;
  const auto wanted = e.wanted.find(&run);
  if (wanted == e.wanted.end()) return out;
  for (const auto& [call, recording] : wanted->second.measures) {
    const auto& name = std::get<ast::NameRef>(call->callee->node).name;
    auto one = Preparing(e, *call, *find_measure(name), options).run(network, program, recording);
    if (!one) return std::nullopt;
    out.push_back(std::move(*one));
  }
  return out;
}

std::optional<Value> evaluate_measure(Evaluation& e, const ast::Call& call, Span span) {
  const std::string& name = std::get<ast::NameRef>(call.callee->node).name;
  const auto misused = [&] {
    report_argument(e, span, cat(quoted(name), " measures a recording of a run, while it goes on"),
                    measures_events(find_measure(name)->kind) ? cat("for example  ", name, "(sim.E.spike, from = 1 s)")
                                                              : cat("for example  ", name, "(sim.EE.w, from = 1 s)"));
    return std::nullopt;
  };
  if (call.arguments.empty()) return misused();
  const ast::Run* run = nullptr;
  for (const auto& [one, wanted] : e.wanted)
    for (const auto& [known, recording] : wanted.measures)
      if (known == &call) run = one;
  if (!run) return misused();
  // The run itself, through the lets that name it.
  const ast::Expr* at = call.arguments[0].value.get();
  for (int depth = 0; depth < 64; ++depth) {
    const Chain chain = chain_of(*at);
    if (!std::holds_alternative<ast::Run>(chain.root->node)) {
      const ast::Expr* definition = definition_behind(e, *chain.root);
      if (!definition) break;
      if (!std::holds_alternative<ast::Run>(definition->node)) {
        at = definition;
        continue;
      }
    }
    const auto value = evaluate(e, *chain.root);
    if (!value) return std::nullopt;
    const auto& table = std::get<std::shared_ptr<const Table>>(value->data);
    const auto found = table->measures.find(&call);
    return found == table->measures.end() ? std::nullopt : std::optional<Value>(Value{found->second});
  }
  return misused();
}

}  // namespace hebb
