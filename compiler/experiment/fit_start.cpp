#include "compiler/experiment/fit_start.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/support/text.h"

namespace hebb {

FitStart::FitStart(const FitPlan& plan, std::vector<Target> targets, StartState state)
    : plan_(plan), targets_(std::move(targets)), s_(std::move(state)) {}

void FitStart::put(const std::vector<double>& x) {
  for (size_t i = 0; i < plan_.free.size(); ++i)
    targets_[plan_.free[i].target].value.values[plan_.free[i].element] = from_free(plan_.free[i].interval, x[i]);
}

void FitStart::move_inside(std::vector<double>& x) const {
  for (size_t i = 0; i < plan_.free.size(); ++i) x[i] = moved_inside(plan_.free[i].interval, x[i]);
}

Lanes FitStart::lanes_of(const std::vector<int64_t>& chosen) const {
  if (static_cast<int64_t>(chosen.size()) == plan_.recordings) return {};
  Lanes out(static_cast<size_t>(plan_.recordings));
  for (const int64_t lane : chosen) out[static_cast<size_t>(lane)] = true;
  return out;
}

std::string FitStart::name_of(size_t i) const {
  const Target& target = targets_[plan_.free[i].target];
  if (target.value.scalar()) return quoted(target.path);
  std::string index;
  size_t place = plan_.free[i].element;
  for (size_t k = target.value.shape.size(); k-- > 0; place /= target.value.shape[k])
    index = cat(place % target.value.shape[k], index.empty() ? "" : ", ", index);
  return quoted(cat(target.path, "[", index, "]"));
}

void FitStart::keep(double score, const std::vector<double>& x) {
  if (!(score < s_.best)) return;
  s_.best = score;
  s_.best_x = x;
}

void FitStart::note_loss(double loss) {
  loss_ = loss;
  if (std::isnan(s_.first_loss)) s_.first_loss = loss;
}

// --- questions -------------------------------------------------------------------------------------------

void FitStart::prepare(const std::vector<double>& x, const Lanes& lanes, bool gradient, bool tangent) {
  put(x);
  why_.clear();
  value_.reset();
  second_.reset();
  question_ = {.loss = {.lanes = lanes, .burn_in = plan_.options.burn_in, .gradient = gradient,
                        .matrix = plan_.options.method == Method::GaussNewton, .diverged = &why_},
               .tangent = tangent};
}

void FitStart::resume() {
  const auto waiting = std::exchange(waiting_, nullptr);
  waiting.resume();
}

void FitStart::answer(std::optional<LossValue> value) {
  value_ = std::move(value);
  resume();
}

void FitStart::answer(std::optional<SecondOrder> value) {
  second_ = std::move(value);
  resume();
}

void FitStart::note_reached(const std::vector<double>& gradient) {
  reached_.resize(targets_.size());
  for (size_t i = 0; i < gradient.size(); ++i)
    if (gradient[i] != 0) reached_[plan_.free[i].target] = true;
}

Task<std::optional<FitStart::Answer>> FitStart::ask(const std::vector<double>& x, const Lanes& lanes, bool gradient) {
  prepare(x, lanes, gradient, plan_.forward && gradient);
  co_await Asking{*this};
  if (!value_ && !second_) {
    failed_ = failed_ || why_.empty();
    co_return std::nullopt;
  }
  Answer out{.loss = value_ ? value_->loss : second_->loss, .gradient = {}};
  if (!std::isfinite(out.loss)) {
    why_ = cat("the loss became ", out.loss);
    co_return std::nullopt;
  }
  if (!gradient) co_return out;
  std::vector<size_t> begin = {0};   // of each target among all elements
  for (const Target& target : targets_) begin.push_back(begin.back() + target.value.values.size());
  for (size_t i = 0; i < plan_.free.size(); ++i) {
    const Free& f = plan_.free[i];
    const double own = value_ ? value_->gradients[f.target].values[f.element] : second_->gradient[begin[f.target] + f.element];
    out.gradient.push_back(own * slope(f.interval, x[i]));
  }
  const auto bad = std::find_if(out.gradient.begin(), out.gradient.end(), [](double g) { return !std::isfinite(g); });
  if (bad != out.gradient.end()) {
    why_ = cat("the derivative by ", name_of(static_cast<size_t>(bad - out.gradient.begin())), " became ", *bad);
    co_return std::nullopt;
  }
  note_reached(out.gradient);
  co_return out;
}

// --- updates ---------------------------------------------------------------------------------------------

Task<bool> FitStart::update() {
  bool going_on = false;
  switch (plan_.options.method) {
    case Method::Adam:
    case Method::GradientDescent: going_on = co_await first_order(); break;
    case Method::Lbfgs: going_on = co_await quasi_newton(); break;
    case Method::GaussNewton: going_on = co_await gauss_newton(); break;
  }
  if (failed_) co_return false;
  if (!going_on && !why_.empty()) note_stop();
  if (going_on && s_.update < plan_.steps) co_return true;
  co_await end();
  s_.ended = !failed_;
  co_return false;
}

void FitStart::note_stop() {
  const auto smaller = [](double a, double b) { return std::fabs(a) < std::fabs(b); };
  std::string culprit;
  if (!last_gradient_.empty()) {
    const auto largest = std::max_element(last_gradient_.begin(), last_gradient_.end(), smaller);
    culprit = cat("; the steepest parameter before that was ", name_of(static_cast<size_t>(largest - last_gradient_.begin())));
  } else {
    std::vector<double> values;
    for (const Free& f : plan_.free) values.push_back(targets_[f.target].value.values[f.element]);
    const auto largest = std::max_element(values.begin(), values.end(), smaller);
    culprit = cat("; it began there, its largest parameter ", name_of(static_cast<size_t>(largest - values.begin())), " at ", *largest);
  }
  s_.stopped = cat("in update ", s_.update, ": ", why_, culprit);
}

Task<bool> FitStart::end() {
  const bool stopped = !s_.stopped.empty();
  if (plan_.whole && plan_.options.validation.empty() && !stopped) {   // the last update was not looked at yet
    const Lanes lanes = lanes_of(plan_.training);
    const std::optional<Answer> last = co_await ask(s_.x, lanes, false);
    if (last) keep(last->loss, s_.x);
  }
  if (s_.best_x.empty() && s_.epoch_updates > 0 && !stopped) {   // it ended within its first epoch
    s_.best = s_.epoch_sum / static_cast<double>(s_.epoch_updates);
    s_.best_x = s_.x;
  }
  co_return true;
}

Task<bool> FitStart::first_order() {
  std::vector<int64_t> chosen;
  const auto n = static_cast<int64_t>(plan_.training.size());
  const int64_t first = s_.update % plan_.per_epoch * plan_.per_update;
  for (int64_t k = first; k < std::min(first + plan_.per_update, n); ++k) chosen.push_back(plan_.training[k]);
  const Lanes lanes = lanes_of(chosen);
  std::optional<Answer> answer = co_await ask(s_.x, lanes, true);
  if (!answer) co_return false;
  note_loss(answer->loss);
  last_gradient_ = answer->gradient;
  if (plan_.whole && plan_.options.validation.empty()) keep(answer->loss, s_.x);
  norm_ = clip_norm(answer->gradient, plan_.options.clip);
  const double lr = plan_.options.lr * schedule_factor(plan_.options.schedule, s_.update, plan_.steps);
  if (plan_.options.method == Method::Adam) step(s_.adam, s_.x, answer->gradient, lr);
  else
    for (size_t i = 0; i < s_.x.size(); ++i) s_.x[i] -= lr * answer->gradient[i];
  move_inside(s_.x);
  ++s_.update;
  s_.epoch_sum += answer->loss;
  ++s_.epoch_updates;
  const bool small = plan_.options.tol > 0 && plan_.whole && std::fabs(s_.previous - answer->loss) <= plan_.options.tol * std::fabs(answer->loss);
  s_.previous = answer->loss;
  const bool going_on = co_await end_of_epoch();
  co_return going_on && !small;
}

Task<bool> FitStart::end_of_epoch() {
  if (s_.update % plan_.per_epoch != 0) co_return true;
  double score = s_.epoch_sum / static_cast<double>(s_.epoch_updates);
  s_.epoch_sum = 0;
  s_.epoch_updates = 0;
  const double before = s_.best;
  if (!plan_.options.validation.empty()) {
    const Lanes lanes = lanes_of(plan_.options.validation);
    const std::optional<Answer> held = co_await ask(s_.x, lanes, false);
    if (!held) co_return false;
    score = held->loss;
    keep(score, s_.x);
  } else if (!plan_.whole) {
    s_.best = score;   // without data held back the last values are the ones to keep
    s_.best_x = s_.x;
  }
  const bool better = plan_.whole && plan_.options.validation.empty() ? score <= s_.best : score < before;
  s_.stale = better ? 0 : s_.stale + 1;
  co_return !plan_.options.patience || s_.stale < *plan_.options.patience;
}

Task<bool> FitStart::quasi_newton() {
  const Lanes lanes = lanes_of(plan_.training);
  if (s_.lbfgs.x.empty()) {
    const std::optional<Answer> answer = co_await ask(s_.x, lanes, true);
    if (!answer) co_return false;
    accept(s_.lbfgs, s_.x, answer->gradient);
    s_.lbfgs_loss = answer->loss;
    note_loss(answer->loss);
    keep(answer->loss, s_.x);
  }
  const std::vector<double> g = last_gradient_ = s_.lbfgs.gradient;
  norm_ = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
  if (norm_ == 0) co_return false;
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
    std::optional<Answer> answer = co_await ask(x, lanes, true);
    if (failed_) co_return false;
    const auto good = [&](const std::optional<Answer>& found, double step) {
      return found && found->loss <= s_.lbfgs_loss + kArmijo * step * descent;
    };
    if (!good(answer, t)) continue;
    // Nothing is known of the curvature yet: a step this long may be far too short.
    for (int longer = 0; s_.lbfgs.moves.empty() && trial == 0 && longer < kMostTrials; ++longer) {
      std::vector<double> further = s_.x;
      for (size_t i = 0; i < further.size(); ++i) further[i] += 2 * t * d[i];
      move_inside(further);
      std::optional<Answer> there = co_await ask(further, lanes, true);
      if (failed_) co_return false;
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
    co_return before - answer->loss > plan_.options.tol * std::fabs(answer->loss);
  }
  why_.clear();   // no way down from here: this is the end, not a mistake
  co_return false;
}

Task<bool> FitStart::gauss_newton() {
  const Lanes lanes = lanes_of(plan_.training);
  prepare(s_.x, lanes, true, true);
  co_await Asking{*this};
  if (!second_) {
    failed_ = failed_ || why_.empty();
    co_return false;
  }
  const SecondOrder second = std::move(*second_);
  if (!std::isfinite(second.loss)) {
    why_ = cat("the loss became ", second.loss);
    co_return false;
  }
  note_loss(second.loss);
  keep(second.loss, s_.x);
  const size_t n = plan_.free.size(), all = second.gradient.size();
  std::vector<size_t> begin = {0}, place(n);
  for (const Target& target : targets_) begin.push_back(begin.back() + target.value.values.size());
  std::vector<double> g(n), h(n * n), slopes(n);
  for (size_t i = 0; i < n; ++i) {
    place[i] = begin[plan_.free[i].target] + plan_.free[i].element;
    slopes[i] = slope(plan_.free[i].interval, s_.x[i]);
    g[i] = second.gradient[place[i]] * slopes[i];
  }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) h[i * n + j] = second.matrix[place[i] * all + place[j]] * slopes[i] * slopes[j];
  last_gradient_ = g;
  note_reached(g);
  norm_ = std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0));
  constexpr int kMostTrials = 25;
  for (int trial = 0; trial < kMostTrials; ++trial) {
    const std::vector<double> d = damped_step(h, g, s_.damping);
    std::vector<double> x = s_.x;
    for (size_t i = 0; i < d.size(); ++i) x[i] += d[i];
    move_inside(x);
    std::optional<Answer> answer;
    if (!d.empty()) answer = co_await ask(x, lanes, false);
    if (failed_) co_return false;
    if (!answer || !(answer->loss < second.loss)) {
      s_.damping = std::min(s_.damping * 5, 1e12);
      continue;
    }
    s_.damping = std::max(s_.damping * 0.1, 1e-14);
    s_.x = std::move(x);
    keep(answer->loss, s_.x);
    note_loss(answer->loss);
    why_.clear();
    ++s_.update;
    constexpr double kSmallest = 1e-12, kNothing = 1e-26;   // nothing to gain below rounding
    if (answer->loss <= kNothing * s_.first_loss) co_return false;
    co_return second.loss - answer->loss > std::max(plan_.options.tol, kSmallest) * std::fabs(answer->loss);
  }
  why_.clear();
  co_return false;
}

}  // namespace hebb
