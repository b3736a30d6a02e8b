#include "compiler/experiment/fit.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <numeric>
#include <ostream>

#include "compiler/experiment/fit_report.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/grad_tangent.h"
#include "compiler/experiment/run_store.h"
#include "compiler/support/hash.h"
#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/fit/fit_state.h"
#include "runtime/fit/transform.h"
#include "runtime/random.h"

namespace hebb {

namespace {

using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;

/// One free number: element `element` of target `target`.
struct Free {
  size_t target, element;
  Interval interval;
};

struct Answer {
  double loss = 0;
  std::vector<double> gradient;
};

/// A fit under way.
class Fitting {
 public:
  Fitting(Evaluation& e, const ast::Fit& fit, LossProblem& problem, FitOptions options, std::vector<Free> free)
      : e_(e), fit_(fit), problem_(problem), options_(std::move(options)), free_(std::move(free)) {
    for (int64_t lane = 0; lane < problem_.lanes(); ++lane) {
      const auto& held = options_.validation;
      if (std::find(held.begin(), held.end(), lane) == held.end()) training_.push_back(lane);
    }
    const auto n = static_cast<int64_t>(training_.size());
    per_update_ = options_.batch == 0 ? n : std::min(options_.batch, n);
    per_epoch_ = (n + per_update_ - 1) / per_update_;
    const bool second = options_.method == Method::GaussNewton || options_.method == Method::Lbfgs;
    steps_ = options_.steps.value_or(options_.epochs ? *options_.epochs * per_epoch_ : second ? 100 : 1000);
    whole_ = per_update_ == n;
  }

  /// False: reported.
  bool run() {
    if (!resume()) return false;
    began_ = shown_ = saved_ = Clock::now();
    const std::vector<double> start = x_of_targets();
    if (options_.method == Method::GaussNewton || forward_mode()) {
      tangent_ = LossTangent::create(e_, problem_);
      if (!tangent_) return false;
    }
    for (; !s_.finished; next_start(start)) {
      if (s_.x.empty()) begin_start(start);
      while (!stop_ && s_.update < steps_) {
        if (interrupted()) break;
        if (!update()) break;
        show_progress();
        save(false);
      }
      if (failed_) return false;
      if (interrupted()) break;
      end_start();
    }
    if (interrupted() && !s_.start_x.empty() && s_.start_best < s_.best) {
      s_.best = s_.start_best;
      s_.best_x = s_.start_x;
    }
    save(true);
    if (s_.best_x.empty()) return false;
    put(s_.best_x);
    clear_progress();
    return true;
  }

  void summary() {
    if (!e_.options.notes) return;
    std::string text = "fit of ";
    for (size_t k = 0; k < problem_.targets.size(); ++k) text += (k ? ", " : "") + problem_.targets[k].path;
    text += cat(": ", plural(static_cast<size_t>(s_.updates_done), "update"), ", loss ", digits(s_.first_loss), " -> ",
                digits(s_.best));
    text += share_at_bounds();
    for (const RunGradient& run : problem_.runs) {
      const TrajectoryMemory memory = run.memory();
      const int64_t together = std::max(memory.lanes, tangent_ ? tangent_->together() : 1);
      if (together > 1) text += cat("; ", together, " recordings at a time share vectors");
      else if (run.lanes() >= 4 && !run.apart_because().empty()) text += cat("; recordings go one by one: ", run.apart_because());
      if (memory.checkpoints <= 1) continue;
      text += cat("; states kept at ", memory.checkpoints, " checkpoints, ", memory.segment, " steps apart, ",
                  bytes_text(static_cast<double>(memory.bytes)), " a recording");
    }
    if (interrupted()) text += "; interrupted, the best so far is kept";
    *e_.options.notes << text << '\n';
  }

 private:
  static std::string digits(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
  }
  bool interrupted() const { return e_.options.interrupted && *e_.options.interrupted; }

  // --- free numbers and targets --------------------------------------------------------------------

  std::vector<double> x_of_targets() const {
    std::vector<double> x;
    for (const Free& f : free_) x.push_back(to_free(f.interval, problem_.targets[f.target].value.values[f.element]));
    return x;
  }
  void put(const std::vector<double>& x) {
    for (size_t i = 0; i < free_.size(); ++i)
      problem_.targets[free_[i].target].value.values[free_[i].element] = from_free(free_[i].interval, x[i]);
  }
  void move_inside(std::vector<double>& x) const {
    for (size_t i = 0; i < free_.size(); ++i) x[i] = moved_inside(free_[i].interval, x[i]);
  }

  Lanes lanes_of(const std::vector<int64_t>& chosen) const {
    if (static_cast<int64_t>(chosen.size()) == problem_.lanes()) return {};
    Lanes out(problem_.lanes());
    for (const int64_t lane : chosen) out[lane] = true;
    return out;
  }

  /// Gradients of first order from forward derivatives: cheaper than going back when there are few directions. They
  /// are in double.
  bool forward_mode() const {
    constexpr size_t kFew = 2;
    if (options_.gradient != GradientMode::Auto) return options_.gradient == GradientMode::Forward;
    size_t directions = 0;
    for (const Target& target : problem_.targets) directions += target.value.values.size();
    return options_.precision == Precision::Float64 && directions <= kFew && has_tangent(problem_);
  }

  std::optional<LossValue> value_and_gradient(const LossQuestion& question) {
    if (options_.method == Method::GaussNewton || !tangent_ || !question.gradient) return evaluate_problem(e_, problem_, question);
    auto second = tangent_->evaluate(e_, problem_, question);
    if (!second) return std::nullopt;
    LossValue out{.loss = second->loss, .gradients = {}, .terms = {}};
    size_t begin = 0;
    for (const Target& target : problem_.targets) {
      const size_t n = target.value.values.size();
      out.gradients.push_back(target.value);
      std::copy_n(second->gradient.begin() + static_cast<std::ptrdiff_t>(begin), n, out.gradients.back().values.begin());
      begin += n;
    }
    return out;
  }

  /// What diverged is kept in `why_`; a mistake is reported and ends the fit.
  std::optional<Answer> ask(const std::vector<double>& x, const Lanes& lanes, bool gradient) {
    put(x);
    why_.clear();
    LossQuestion question{.lanes = lanes, .burn_in = options_.burn_in, .gradient = gradient, .matrix = false, .diverged = &why_};
    const auto value = value_and_gradient(question);
    if (!value) {
      failed_ = failed_ || why_.empty();
      return std::nullopt;
    }
    if (!std::isfinite(value->loss)) {
      why_ = cat("the loss became ", value->loss);
      return std::nullopt;
    }
    Answer out{.loss = value->loss, .gradient = {}};
    if (gradient) {
      for (size_t i = 0; i < free_.size(); ++i)
        out.gradient.push_back(value->gradients[free_[i].target].values[free_[i].element] * slope(free_[i].interval, x[i]));
      const auto bad = std::find_if(out.gradient.begin(), out.gradient.end(), [](double g) { return !std::isfinite(g); });
      if (bad != out.gradient.end()) {
        why_ = cat("the derivative by ", name_of(bad - out.gradient.begin()), " became ", *bad);
        return std::nullopt;
      }
    }
    return out;
  }

  std::string name_of(size_t i) const {
    const Target& target = problem_.targets[free_[i].target];
    if (target.value.scalar()) return quoted(target.path);
    std::string index;
    size_t place = free_[i].element;
    for (size_t k = target.value.shape.size(); k-- > 0; place /= target.value.shape[k])
      index = cat(place % target.value.shape[k], index.empty() ? "" : ", ", index);
    return quoted(cat(target.path, "[", index, "]"));
  }

  // --- starts --------------------------------------------------------------------------------------

  void begin_start(const std::vector<double>& start) {
    const int64_t restart = s_.restart;
    FitState fresh;
    fresh.restart = restart;
    fresh.best = s_.best;
    fresh.best_x = s_.best_x;
    fresh.first_loss = s_.first_loss;
    fresh.updates_done = s_.updates_done;
    fresh.x = start;
    if (restart > 0) {
      const uint64_t key = random_key(options_.seed, static_cast<uint32_t>(restart));
      for (size_t i = 0; i < fresh.x.size(); ++i) {
        const double u = draw_uniform<double>(key, 0, 0, i, 0), v = draw_uniform<double>(key, 0, 1, i, 0);
        fresh.x[i] += options_.spread * std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
      }
      move_inside(fresh.x);
    }
    s_ = std::move(fresh);
    last_gradient_.clear();
    stop_ = false;
  }

  void end_start() {
    if (whole_ && options_.validation.empty() && !stop_) {   // the last update was not looked at yet
      if (const auto last = ask(s_.x, lanes_of(training_), false)) keep(last->loss, s_.x);
    }
    if (s_.start_x.empty() && s_.epoch_updates > 0 && !stop_) {   // it ended within its first epoch
      s_.start_best = s_.epoch_sum / static_cast<double>(s_.epoch_updates);
      s_.start_x = s_.x;
    }
    if (s_.start_best < s_.best) {
      s_.best = s_.start_best;
      s_.best_x = s_.start_x;
    }
  }

  void next_start(const std::vector<double>&) {
    if (s_.restart >= options_.restarts) s_.finished = true;
    else ++s_.restart;
    s_.x.clear();
  }

  void keep(double score, const std::vector<double>& x) {
    if (!(score < s_.start_best)) return;
    s_.start_best = score;
    s_.start_x = x;
  }

  // --- updates -------------------------------------------------------------------------------------

  bool update() {
    bool going_on = false;
    switch (options_.method) {
      case Method::Adam:
      case Method::GradientDescent: going_on = first_order(); break;
      case Method::Lbfgs: going_on = quasi_newton(); break;
      case Method::GaussNewton: going_on = gauss_newton(); break;
    }
    if (!going_on && !why_.empty() && !failed_) report_stop();
    return going_on;
  }

  void report_stop() {
    clear_progress();
    stop_ = true;
    if (s_.restart > 0 && !s_.best_x.empty()) return;   // another start did better
    std::string culprit;
    if (!last_gradient_.empty()) {
      const auto largest = std::max_element(last_gradient_.begin(), last_gradient_.end(),
                                            [](double a, double b) { return std::fabs(a) < std::fabs(b); });
      culprit = cat("; the steepest parameter before that was ", name_of(largest - last_gradient_.begin()));
    }
    const bool nothing = s_.start_x.empty() && s_.best_x.empty();
    Diagnostic& diag = e_.diags.report(nothing ? DiagKind::Diverged : DiagKind::FitStopped, fit_.span,
                                       cat("the fit stopped in update ", s_.update, ": ", why_, culprit));
    diag.help = nothing ? "begin elsewhere (start = …), or give the weight bounds"
                        : "the best values so far are kept; a smaller 'lr', or 'clip', may go further";
    if (nothing) failed_ = true;
  }

  bool first_order() {
    std::vector<int64_t> chosen;
    const auto n = static_cast<int64_t>(training_.size());
    const int64_t first = s_.update % per_epoch_ * per_update_;
    for (int64_t k = first; k < std::min(first + per_update_, n); ++k) chosen.push_back(training_[k]);
    auto answer = ask(s_.x, lanes_of(chosen), true);
    if (!answer) return false;
    note_loss(answer->loss);
    last_gradient_ = answer->gradient;
    if (whole_ && options_.validation.empty()) keep(answer->loss, s_.x);
    norm_ = clip_norm(answer->gradient, options_.clip);
    const double lr = options_.lr * schedule_factor(options_.schedule, s_.update, steps_);
    if (options_.method == Method::Adam) step(s_.adam, s_.x, answer->gradient, lr);
    else
      for (size_t i = 0; i < s_.x.size(); ++i) s_.x[i] -= lr * answer->gradient[i];
    move_inside(s_.x);
    ++s_.update;
    ++s_.updates_done;
    s_.epoch_sum += answer->loss;
    ++s_.epoch_updates;
    const bool small = options_.tol > 0 && whole_ && std::fabs(s_.previous - answer->loss) <= options_.tol * std::fabs(answer->loss);
    s_.previous = answer->loss;
    return end_of_epoch() && !small;
  }

  /// False: no better score for too long.
  bool end_of_epoch() {
    if (s_.update % per_epoch_ != 0) return true;
    double score = s_.epoch_sum / static_cast<double>(s_.epoch_updates);
    s_.epoch_sum = 0;
    s_.epoch_updates = 0;
    const double before = s_.start_best;
    if (!options_.validation.empty()) {
      const auto held = ask(s_.x, lanes_of(options_.validation), false);
      if (!held) return false;
      score = held->loss;
      keep(score, s_.x);
    } else if (!whole_) {
      s_.start_best = score;   // without data held back the last values are the ones to keep
      s_.start_x = s_.x;
    }
    const bool better = whole_ && options_.validation.empty() ? score <= s_.start_best : score < before;
    s_.stale = better ? 0 : s_.stale + 1;
    return !options_.patience || s_.stale < *options_.patience;
  }

  void note_loss(double loss) {
    loss_ = loss;
    if (std::isnan(s_.first_loss)) s_.first_loss = loss;
  }

  bool quasi_newton() {
    const Lanes lanes = lanes_of(training_);
    if (s_.lbfgs.x.empty()) {
      const auto answer = ask(s_.x, lanes, true);
      if (!answer) return false;
      accept(s_.lbfgs, s_.x, answer->gradient);
      s_.lbfgs_loss = answer->loss;
      note_loss(answer->loss);
      keep(answer->loss, s_.x);
    }
    const std::vector<double> g = last_gradient_ = s_.lbfgs.gradient;
    norm_ = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
    if (norm_ == 0) return false;
    std::vector<double> d = direction(s_.lbfgs, g);
    double descent = std::inner_product(d.begin(), d.end(), g.begin(), 0.0);
    if (!(descent < 0)) {
      s_.lbfgs.moves.clear();
      s_.lbfgs.changes.clear();
      for (size_t i = 0; i < d.size(); ++i) d[i] = -g[i];
      descent = -norm_ * norm_;
    }
    constexpr int kMostTrials = 30;
    constexpr double kArmijo = 1e-4;
    double t = s_.lbfgs.moves.empty() ? std::min(1.0, 1 / norm_) : 1;
    for (int trial = 0; trial < kMostTrials; ++trial, t *= 0.5) {
      std::vector<double> x = s_.x;
      for (size_t i = 0; i < x.size(); ++i) x[i] += t * d[i];
      move_inside(x);
      auto answer = ask(x, lanes, true);
      if (failed_) return false;
      const auto good = [&](const std::optional<Answer>& found, double step) {
        return found && found->loss <= s_.lbfgs_loss + kArmijo * step * descent;
      };
      if (!good(answer, t)) continue;
      // Nothing is known of the curvature yet: a step this long may be far too short.
      for (int longer = 0; s_.lbfgs.moves.empty() && trial == 0 && longer < kMostTrials; ++longer) {
        std::vector<double> further = s_.x;
        for (size_t i = 0; i < further.size(); ++i) further[i] += 2 * t * d[i];
        move_inside(further);
        auto there = ask(further, lanes, true);
        if (failed_) return false;
        if (!good(there, 2 * t) || !(there->loss < answer->loss)) break;
        x = std::move(further), answer = std::move(there), t *= 2;
      }
      const double before = s_.lbfgs_loss;
      accept(s_.lbfgs, x, answer->gradient);
      s_.lbfgs_loss = answer->loss;
      s_.x = std::move(x);
      note_loss(answer->loss);
      keep(answer->loss, s_.x);
      why_.clear();
      ++s_.update;
      ++s_.updates_done;
      return before - answer->loss > options_.tol * std::fabs(answer->loss);
    }
    why_.clear();   // no way down from here: this is the end, not a mistake
    return false;
  }

  bool gauss_newton() {
    const Lanes lanes = lanes_of(training_);
    put(s_.x);
    const auto second = tangent_->evaluate(e_, problem_, {.lanes = lanes, .burn_in = options_.burn_in, .diverged = &why_});
    if (!second) {
      failed_ = failed_ || why_.empty();
      return false;
    }
    if (!std::isfinite(second->loss)) {
      why_ = cat("the loss became ", second->loss);
      return false;
    }
    note_loss(second->loss);
    keep(second->loss, s_.x);
    const size_t n = free_.size(), all = second->gradient.size();
    std::vector<size_t> begin = {0}, place(n);
    for (const Target& target : problem_.targets) begin.push_back(begin.back() + target.value.values.size());
    std::vector<double> g(n), h(n * n), slopes(n);
    for (size_t i = 0; i < n; ++i) {
      place[i] = begin[free_[i].target] + free_[i].element;
      slopes[i] = slope(free_[i].interval, s_.x[i]);
      g[i] = second->gradient[place[i]] * slopes[i];
    }
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) h[i * n + j] = second->matrix[place[i] * all + place[j]] * slopes[i] * slopes[j];
    last_gradient_ = g;
    norm_ = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
    constexpr int kMostTrials = 25;
    for (int trial = 0; trial < kMostTrials; ++trial) {
      const std::vector<double> d = damped_step(h, g, s_.damping);
      std::vector<double> x = s_.x;
      for (size_t i = 0; i < d.size(); ++i) x[i] += d[i];
      move_inside(x);
      const auto answer = d.empty() ? std::nullopt : ask(x, lanes, false);
      if (failed_) return false;
      if (!answer || !(answer->loss < second->loss)) {
        s_.damping = std::min(s_.damping * 5, 1e12);
        continue;
      }
      s_.damping = std::max(s_.damping * 0.1, 1e-14);
      s_.x = std::move(x);
      keep(answer->loss, s_.x);
      note_loss(answer->loss);
      why_.clear();
      ++s_.update;
      ++s_.updates_done;
      constexpr double kSmallest = 1e-12, kNothing = 1e-26;   // nothing to gain below rounding
      if (answer->loss <= kNothing * s_.first_loss) return false;
      return second->loss - answer->loss > std::max(options_.tol, kSmallest) * std::fabs(answer->loss);
    }
    why_.clear();
    return false;
  }

  // --- progress and state --------------------------------------------------------------------------

  void show_progress() {
    if (!e_.options.progress || !e_.options.notes) return;
    const auto now = Clock::now();
    if (Seconds(now - shown_).count() < 0.2) return;
    shown_ = now;
    const double done = static_cast<double>(s_.update) + static_cast<double>(s_.restart) * static_cast<double>(steps_);
    const double all = static_cast<double>(steps_) * static_cast<double>(options_.restarts + 1);
    const double left = Seconds(now - began_).count() * (all - done) / std::max(done, 1.0);
    *e_.options.notes << "\r\x1b[K" << cat("fit ", s_.update, "/", steps_, options_.restarts ? cat(", start ", s_.restart + 1, "/", options_.restarts + 1) : "",
                                           "  loss ", digits(loss_), "  gradient ", digits(norm_), "  ",
                                           left < 90 ? cat(std::llround(left), " s") : cat(std::llround(left / 60), " min"), " left")
                      << std::flush;
    showing_ = true;
  }
  void clear_progress() {
    if (showing_) *e_.options.notes << "\r\x1b[K" << std::flush;
    showing_ = false;
  }

  std::string state_file() const {
    const int64_t number = e_.fits_begun - 1;
    return number == 0 ? e_.options.checkpoint : cat(e_.options.checkpoint, ".", number);
  }
  uint64_t fingerprint() const {
    std::string text = cat(e_.sources[fit_.span.file].text, "\n", fit_.span.begin, "\n", e_.options.seed);
    for (const auto& [name, value] : e_.model.constants) text += cat("\n", name, " ", value);
    return fnv1a(text);
  }
  void save(bool now) {
    if (e_.options.checkpoint.empty()) return;
    constexpr double kInterval = 0.2;   // seconds
    if (!now && Seconds(Clock::now() - saved_).count() < kInterval) return;
    saved_ = Clock::now();
    if (const Status done = save_state(state_file(), fingerprint(), s_); !done)
      e_.diags.report(DiagKind::FileProblem, fit_.span, done.error());
  }
  bool resume() {
    if (!e_.options.resume) return true;
    // A fit that was not reached has no state: one after the first, or one behind a run that was interrupted.
    const bool behind = e_.fits_begun > 1 || std::filesystem::exists(runs_beside(e_.options.checkpoint));
    if (behind && !std::filesystem::exists(state_file())) return true;
    auto state = load_state(state_file(), fingerprint());
    if (!state) {
      e_.diags.report(DiagKind::FileProblem, fit_.span, state.error());
      return false;
    }
    s_ = std::move(*state);
    if (s_.x.size() == free_.size() || s_.finished) return true;
    e_.diags.report(DiagKind::FileProblem, fit_.span, cat(quoted(state_file()), " belongs to a fit of other parameters"));
    return false;
  }

  std::string share_at_bounds() {
    Trajectory::AtBounds sum;
    for (RunGradient& run : problem_.runs) {
      const auto one = run.at_bounds(e_, problem_.targets);
      sum.at += one.at;
      sum.all += one.all;
    }
    if (sum.all == 0) return "";
    return cat("; ", digits(100 * static_cast<double>(sum.at) / static_cast<double>(sum.all)),
               " % of weight-steps at a bound");
  }

  Evaluation& e_;
  const ast::Fit& fit_;
  LossProblem& problem_;
  FitOptions options_;
  std::vector<Free> free_;
  std::vector<int64_t> training_;
  int64_t per_update_ = 1, per_epoch_ = 1, steps_ = 0;
  bool whole_ = true;              // every update sees every recording
  std::optional<LossTangent> tangent_;
  FitState s_;
  bool stop_ = false, failed_ = false, showing_ = false;
  std::string why_;
  std::vector<double> last_gradient_;
  double loss_ = 0, norm_ = 0;
  Clock::time_point began_, shown_, saved_;
};

Interval interval_of(const Target& target) {
  const Bounds& bounds = target.variable->bounds;
  return {bounds.low, bounds.high, bounds.low_open || bounds.high_open};
}

/// 1 where an element stays as it is.
std::optional<std::vector<bool>> fixed_elements(Evaluation& e, const Target& target, const FitOptions& options, Span span) {
  std::vector<bool> out(target.value.values.size());
  const auto given = options.fixed.find(target.path);
  if (given == options.fixed.end()) return out;
  const Tensor& mask = given->second;
  const auto zero_or_one = [](double v) { return v == 0 || v == 1; };
  if (mask.values.size() == out.size() && std::all_of(mask.values.begin(), mask.values.end(), zero_or_one)) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = mask.values[i] != 0;
    return out;
  }
  for (const double v : mask.values) {
    if (v != std::floor(v) || v < 0 || v >= static_cast<double>(out.size())) {
      report_argument(e, span, cat("'fixed' is a mask of the shape of ", quoted(target.path), ", ", shape_text(target.value.shape),
                                   ", or a list of places in it from 0 to ", out.size() - 1, "; got ", v));
      return std::nullopt;
    }
    out[static_cast<size_t>(v)] = true;
  }
  return out;
}

std::optional<std::vector<Free>> free_numbers(Evaluation& e, const LossProblem& problem, const FitOptions& options, Span span) {
  std::vector<Free> out;
  for (size_t k = 0; k < problem.targets.size(); ++k) {
    const Target& target = problem.targets[k];
    const auto fixed = fixed_elements(e, target, options, span);
    if (!fixed) return std::nullopt;
    const Interval interval = interval_of(target);
    for (size_t i = 0; i < fixed->size(); ++i) {
      if ((*fixed)[i]) continue;
      const double value = target.value.values[i];
      const bool inside = interval.open ? value > interval.low && value < interval.high
                                        : value >= interval.low && value <= interval.high;
      if (!inside) {
        report_argument(e, span, cat(quoted(target.path), " begins at ", value, ", outside of what it is declared to stay in"),
                        cat("give it another start:  start = …"));
        return std::nullopt;
      }
      out.push_back({k, i, interval});
    }
  }
  if (out.empty()) report_argument(e, span, "everything is fixed: nothing is left to fit");
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

/// `start` of each path becomes its value before anything is prepared.
bool take_starts(Evaluation& e, std::vector<Target>& targets, const FitOptions& options) {
  for (const Target& target : targets) {
    const auto given = options.start.find(target.path);
    if (given == options.start.end()) continue;
    Tensor value = given->second;
    if (value.scalar()) {
      const auto now = path_value(e, target.path, target.span);
      if (!now) return false;
      value = expand(value, now->shape);
    }
    value.dimension = target.variable->dimension;
    e.fitted[target.path] = std::move(value);
  }
  return true;
}

bool check_lanes(Evaluation& e, const LossProblem& problem, const FitOptions& options, Span span) {
  for (const int64_t lane : options.validation) {
    if (lane < problem.lanes()) continue;
    report_argument(e, span, cat("'validation' names recording ", lane, ", and there are ", problem.lanes()));
    return false;
  }
  if (static_cast<int64_t>(options.validation.size()) < problem.lanes()) return true;
  report_argument(e, span, "'validation' holds back every recording: nothing is left to fit");
  return false;
}

}  // namespace

void forget_lets(Evaluation& e, const std::set<std::string>& paths) {
  const TraceOptions what{.paths = paths};
  for (auto& [name, let] : e.lets) {
    if (let.fixed || let.progress != Let::Progress::Done || !depends_on_paths(e, *let.definition, what)) continue;
    let.progress = Let::Progress::Waiting;
    let.value.reset();
  }
}

namespace {

/// Every update allocates and frees recordings of the same sizes: give none of it back to the system in between,
/// which costs more than the arithmetic on small networks.
void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kLarge = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, kLarge);
#endif
}

}  // namespace

void perform_fit(Evaluation& e, const ast::Fit& fit) {
  auto targets = fit_targets(e, fit);
  if (!targets) return;
  const auto options = read_fit_options(e, fit, *targets);
  if (!options) return;
  const auto before = e.fitted;
  const auto give_up = [&] { e.fitted = before; };
  if (!take_starts(e, *targets, *options)) return give_up();
  auto problem = make_problem(e, *fit.loss, std::move(*targets),
                              {.precision = options->precision, .max_bytes = e.options.max_memory});
  if (!problem || !check_lanes(e, *problem, *options, fit.span)) return give_up();
  auto free = free_numbers(e, *problem, *options, fit.span);
  if (!free) return give_up();
  keep_freed_memory();
  ++e.fits_begun;
  Fitting fitting(e, fit, *problem, *options, std::move(*free));
  if (!fitting.run()) return give_up();
  fitting.summary();
  for (const Target& target : problem->targets) e.fitted[target.path] = target.value;
  e.fits.push_back(&fit);
  std::set<std::string> paths;
  for (const Target& target : problem->targets) paths.insert(target.path);
  forget_lets(e, paths);
  if (options->report)
    for (const Target& target : problem->targets) print_report(e, target.path, target.span);
}

}  // namespace hebb
