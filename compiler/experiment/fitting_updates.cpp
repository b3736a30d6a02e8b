// Updates of a fit: what the loss says at a point, and where each method goes from there.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/experiment/fitting.h"
#include "compiler/support/text.h"

namespace hebb {

std::optional<LossValue> Fitting::value_and_gradient(const LossQuestion& question) {
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

std::optional<Fitting::Answer> Fitting::ask(const std::vector<double>& x, const Lanes& lanes, bool gradient) {
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

std::string Fitting::name_of(size_t i) const {
  const Target& target = problem_.targets[free_[i].target];
  if (target.value.scalar()) return quoted(target.path);
  std::string index;
  size_t place = free_[i].element;
  for (size_t k = target.value.shape.size(); k-- > 0; place /= target.value.shape[k])
    index = cat(place % target.value.shape[k], index.empty() ? "" : ", ", index);
  return quoted(cat(target.path, "[", index, "]"));
}

bool Fitting::update() {
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

void Fitting::report_stop() {
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

bool Fitting::first_order() {
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

bool Fitting::end_of_epoch() {
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

void Fitting::note_loss(double loss) {
  loss_ = loss;
  if (std::isnan(s_.first_loss)) s_.first_loss = loss;
}

bool Fitting::quasi_newton() {
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

bool Fitting::gauss_newton() {
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

}  // namespace hebb
