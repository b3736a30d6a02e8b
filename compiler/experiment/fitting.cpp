#include "compiler/experiment/fitting.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <ostream>

#include "compiler/experiment/run_store.h"
#include "compiler/support/hash.h"
#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/random.h"

namespace hebb {

namespace {

using Seconds = std::chrono::duration<double>;

}  // namespace

Fitting::Fitting(Evaluation& e, const ast::Fit& fit, LossProblem& problem, FitOptions options, std::vector<Free> free)
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

bool Fitting::run() {
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

void Fitting::summary() {
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

std::string Fitting::digits(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::vector<double> Fitting::x_of_targets() const {
  std::vector<double> x;
  for (const Free& f : free_) x.push_back(to_free(f.interval, problem_.targets[f.target].value.values[f.element]));
  return x;
}

void Fitting::put(const std::vector<double>& x) {
  for (size_t i = 0; i < free_.size(); ++i)
    problem_.targets[free_[i].target].value.values[free_[i].element] = from_free(free_[i].interval, x[i]);
}

void Fitting::move_inside(std::vector<double>& x) const {
  for (size_t i = 0; i < free_.size(); ++i) x[i] = moved_inside(free_[i].interval, x[i]);
}

Lanes Fitting::lanes_of(const std::vector<int64_t>& chosen) const {
  if (static_cast<int64_t>(chosen.size()) == problem_.lanes()) return {};
  Lanes out(problem_.lanes());
  for (const int64_t lane : chosen) out[lane] = true;
  return out;
}

bool Fitting::forward_mode() const {
  constexpr size_t kFew = 2;
  if (options_.gradient != GradientMode::Auto) return options_.gradient == GradientMode::Forward;
  size_t directions = 0;
  for (const Target& target : problem_.targets) directions += target.value.values.size();
  return options_.precision == Precision::Float64 && directions <= kFew && has_tangent(problem_);
}

void Fitting::begin_start(const std::vector<double>& start) {
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

void Fitting::end_start() {
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

void Fitting::next_start(const std::vector<double>&) {
  if (s_.restart >= options_.restarts) s_.finished = true;
  else ++s_.restart;
  s_.x.clear();
}

void Fitting::keep(double score, const std::vector<double>& x) {
  if (!(score < s_.start_best)) return;
  s_.start_best = score;
  s_.start_x = x;
}

void Fitting::show_progress() {
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

void Fitting::clear_progress() {
  if (showing_) *e_.options.notes << "\r\x1b[K" << std::flush;
  showing_ = false;
}

std::string Fitting::state_file() const {
  const int64_t number = e_.fits_begun - 1;
  return number == 0 ? e_.options.checkpoint : cat(e_.options.checkpoint, ".", number);
}

uint64_t Fitting::fingerprint() const {
  std::string text = cat(e_.sources[fit_.span.file].text, "\n", fit_.span.begin, "\n", e_.options.seed);
  for (const auto& [name, value] : e_.model.constants) text += cat("\n", name, " ", value);
  return fnv1a(text);
}

void Fitting::save(bool now) {
  if (e_.options.checkpoint.empty()) return;
  constexpr double kInterval = 0.2;   // seconds
  if (!now && Seconds(Clock::now() - saved_).count() < kInterval) return;
  saved_ = Clock::now();
  if (const Status done = save_state(state_file(), fingerprint(), s_); !done)
    e_.diags.report(DiagKind::FileProblem, fit_.span, done.error());
}

bool Fitting::resume() {
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

std::string Fitting::share_at_bounds() {
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

}  // namespace hebb
