#include "compiler/experiment/fitting.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <numeric>
#include <ostream>

#include "compiler/experiment/fit_progress.h"
#include "compiler/experiment/run_packs.h"
#include "compiler/experiment/run_store.h"
#include "compiler/support/hash.h"
#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/random.h"

namespace hebb {

namespace {

using Seconds = std::chrono::duration<double>;

/// Some function other than the means over data is given values that are nan or infinite.
bool computes_with_missing_data(const LossGraph& graph) {
  const auto whole = [&](int operand) {
    const auto& constant = graph.nodes[static_cast<size_t>(operand)].constant;
    return !constant || std::all_of(constant->values.begin(), constant->values.end(), [](double v) { return std::isfinite(v); });
  };
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const LossNode& node) {
    return node.likelihood == LossNode::Likelihood::None && !std::all_of(node.operands.begin(), node.operands.end(), whole);
  });
}

std::string digits(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace

Fitting::Fitting(Evaluation& e, const ast::Fit& fit, LossProblem& problem, FitOptions options, std::vector<Free> free,
                 const std::vector<bool>& without_data)
    : e_(e), fit_(fit), problem_(problem) {
  plan_.recordings = problem_.lanes();
  for (int64_t lane = 0; lane < plan_.recordings; ++lane) {
    const auto& held = options.validation;
    if (std::find(held.begin(), held.end(), lane) == held.end()) plan_.training.push_back(lane);
  }
  // Together with others they say nothing; an update of their own would only follow what else is in the loss.
  if (options.batch > 0 && options.batch < static_cast<int64_t>(plan_.training.size()))
    std::erase_if(plan_.training, [&](int64_t lane) { return without_data[static_cast<size_t>(lane)]; });
  const auto n = static_cast<int64_t>(plan_.training.size());
  plan_.per_update = options.batch == 0 ? n : std::min(options.batch, n);
  plan_.per_epoch = (n + plan_.per_update - 1) / plan_.per_update;
  const bool second = options.method == Method::GaussNewton || options.method == Method::Lbfgs;
  plan_.steps = options.steps.value_or(options.epochs ? *options.epochs * plan_.per_epoch : second ? 100 : 1000);
  plan_.whole = plan_.per_update == n;
  plan_.options = std::move(options);
  plan_.free = std::move(free);
  plan_.forward = plan_.options.method != Method::GaussNewton && forward_mode();
  for (const Free& f : plan_.free) first_.push_back(to_free(f.interval, problem_.targets[f.target].value.values[f.element]));
}

bool Fitting::forward_mode() const {
  constexpr size_t kFew = 2;
  if (plan_.options.gradient != GradientMode::Auto) return plan_.options.gradient == GradientMode::Forward;
  size_t directions = 0;
  for (const Target& target : problem_.targets) directions += target.value.values.size();
  return plan_.options.precision == Precision::Float64 && directions <= kFew && has_tangent(problem_);
}

int64_t Fitting::starts_at_once() const {
  for (const RunGradient& run : problem_.runs)
    if (!run.never_together_because().empty()) return 1;
  if (!problem_.runs.empty() && problem_.runs[0].device_room() > 0) {   // there a start is a block more
    int64_t room = INT64_MAX;
    for (const RunGradient& run : problem_.runs) room = std::min(room, run.device_room());
    return std::clamp<int64_t>(room / plan_.per_update, 1, all_starts());
  }
  const auto parts = [](int64_t all, int64_t each) { return (all + each - 1) / each; };
  const int64_t threads = std::max(e_.options.threads, 1);
  int64_t best = 1, least = INT64_MAX;
  for (int64_t n = 1; n <= std::min(all_starts(), kLanesTogether * threads); ++n) {   // as long as one vector of runs takes, so often
    if (n > 1 && n * plan_.per_update < RunPacks::kEnough) continue;
    const int64_t cost = parts(parts(n * plan_.per_update, kLanesTogether), threads) * parts(all_starts(), n);
    if (cost < least) best = n, least = cost;
  }
  return best;
}

bool Fitting::run() {
  identity_ = identity();
  if (!(e_.options.resume ? resume() : begin_anew())) return false;
  if (!save(true)) return false;   // before the work, not after it
  began_ = shown_ = Clock::now();
  done_before_ = done();
  at_once_ = starts_at_once();
  if (at_once_ > 1) problem_.repeat(at_once_);
  places_.resize(static_cast<size_t>(at_once_));
  if (plan_.options.method == Method::GaussNewton || plan_.forward) {
    tangent_ = LossTangent::create(e_, problem_);
    if (!tangent_) return false;
  }
  while (!s_.finished && !interrupted()) {
    fill_places();
    update_all();
    const auto failed = [](const Going& going) { return going.start && going.start->failed(); };
    if (std::any_of(places_.begin(), places_.end(), failed)) {
      const bool some = !plan_.whole || !plan_.options.validation.empty();
      if (some && !problem_.cut && plan_.recordings > 1) note_once(e_, "the loss mixes recordings, and was asked of some of them: it needs all (batch = all, no validation)");
      return false;
    }
    const auto ended = [](const StartState& start) { return start.ended; };
    s_.finished = static_cast<int64_t>(s_.starts.size()) == all_starts() && std::all_of(s_.starts.begin(), s_.starts.end(), ended);
    show_progress();
    save(false);
  }
  clear_progress();
  save(true);
  if (!report_stops()) return false;
  const std::vector<double>& x = s_.starts[*best_start()].best_x;
  for (size_t i = 0; i < plan_.free.size(); ++i) {
    const Free& f = plan_.free[i];
    problem_.targets[f.target].value.values[f.element] = from_free(f.interval, x[i]);
  }
  return true;
}

// --- starts ----------------------------------------------------------------------------------------------

StartState Fitting::begin_start(int64_t number) const {
  StartState out;
  out.x = first_;
  if (number == 0) return out;
  const uint64_t key = random_key(plan_.options.seed, static_cast<uint32_t>(number));
  for (size_t i = 0; i < out.x.size(); ++i) {
    const double u = draw_uniform<double>(key, 0, 0, i, 0), v = draw_uniform<double>(key, 0, 1, i, 0);
    out.x[i] += plan_.options.spread * std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
    out.x[i] = moved_inside(plan_.free[i].interval, out.x[i]);
  }
  return out;
}

/// Starts that have begun and not ended come first, then new ones.
void Fitting::fill_places() {
  const auto goes_on = [&](int64_t number) {
    return std::any_of(places_.begin(), places_.end(), [&](const Going& going) { return going.start && going.number == number; });
  };
  int64_t next = 0;
  for (Going& place : places_) {
    if (place.start) continue;
    const auto begun = static_cast<int64_t>(s_.starts.size());
    while (next < begun && (s_.starts[static_cast<size_t>(next)].ended || goes_on(next))) ++next;
    if (next >= all_starts()) return;
    if (next >= begun) s_.starts.push_back(begin_start(next));
    place.number = next;
    place.start = std::make_unique<FitStart>(plan_, problem_.targets, s_.starts[static_cast<size_t>(next)]);
  }
}

void Fitting::update_all() {
  for (Going& going : places_) {
    if (!going.start) continue;
    going.update.emplace(going.start->update());
    going.update->start();
  }
  answer_questions();
  for (Going& going : places_) {
    if (!going.start) continue;
    going.update.reset();
    StartState& state = s_.starts[static_cast<size_t>(going.number)] = going.start->state();
    const std::vector<bool>& reached = going.start->reached();
    reached_.resize(reached.size());
    for (size_t k = 0; k < reached.size(); ++k) reached_[k] = reached_[k] || reached[k];
    if (!state.ended) continue;
    state.adam = {};   // not needed any more, and written to the file again and again
    state.lbfgs = {};
    going.start.reset();
  }
}

/// Until every update is done. Starts that ask for a derivative of second order wait for those that try where it leads:
/// then all ask again together.
void Fitting::answer_questions() {
  for (;;) {
    std::vector<Asked> values(places_.size()), seconds(places_.size());
    bool any = false, any_value = false;
    for (size_t k = 0; k < places_.size(); ++k) {
      const FitStart::Question* question = places_[k].start ? places_[k].start->question() : nullptr;
      if (!question) continue;
      any = true;
      any_value = any_value || !question->tangent;
      (question->tangent ? seconds : values)[k] = {.question = &question->loss, .targets = places_[k].start->targets()};
    }
    if (!any) return;
    const auto answer = [&](const std::vector<Asked>& asked, auto answers) {
      for (size_t k = 0; k < asked.size(); ++k)
        if (asked[k].question) places_[k].start->answer(std::move(answers[k]));
    };
    if (any_value) answer(values, evaluate_together(e_, problem_, values));
    else answer(seconds, tangent_->evaluate_together(e_, problem_, seconds));
  }
}

std::optional<size_t> Fitting::best_start() const {
  std::optional<size_t> out;
  for (size_t k = 0; k < s_.starts.size(); ++k)
    if (!s_.starts[k].best_x.empty() && (!out || s_.starts[k].best < s_.starts[*out].best)) out = k;
  return out;
}

bool Fitting::report_stops() {
  constexpr int64_t kMost = 4;
  const bool found = best_start().has_value(), several = all_starts() > 1;
  int64_t stopped = 0;
  for (const StartState& start : s_.starts) stopped += !start.stopped.empty();
  if (!found && stopped == 0) return false;   // interrupted before the first update ended
  int64_t told = 0;
  for (size_t k = 0; k < s_.starts.size() && told < (found ? kMost : 1); ++k) {
    if (s_.starts[k].stopped.empty()) continue;
    const std::string which = several ? cat("start ", k + 1, " of ", all_starts()) : "the fit";
    const std::string rest = ++told == (found ? kMost : 1) && stopped > told ? cat("; ", stopped - told, " more stopped early") : "";
    Diagnostic& diag = e_.diags.report(found ? DiagKind::FitStopped : DiagKind::Diverged, fit_.span,
                                       cat(which, " stopped ", s_.starts[k].stopped, rest));
    if (!found && computes_with_missing_data(problem_.graph)) diag.help = "the loss computes with data that are nan or infinite: mse(…) and the cross entropies leave nan out, nothing else does";
    else if (!found && s_.starts[k].update > 0) diag.help = "give the weight bounds, or try a smaller 'lr' or 'clip'; before its first epoch ends nothing is known to be best";
    else if (!found) diag.help = "begin elsewhere (start = …), or give the weight bounds";
    else if (several) diag.help = "the other starts went on; a smaller 'lr', 'spread' or 'clip' may keep this one going";
    else diag.help = "the best values so far are kept; a smaller 'lr', or 'clip', may go further";
  }
  return found;
}

// --- what is told ----------------------------------------------------------------------------------------

std::string Fitting::memory_text() const {
  std::string text;
  if (at_once_ > 1 && !problem_.runs.empty() && problem_.runs[0].device_room() > 0) text += cat("; ", at_once_, " starts at a time on the device");
  for (const RunGradient& run : problem_.runs) {
    const TrajectoryMemory memory = run.memory();
    const int64_t together = std::max(memory.lanes, tangent_ ? tangent_->together() : 1);
    if (together > 1 && at_once_ > 1) text += cat("; ", together, " recordings of ", at_once_, " starts at a time share vectors");
    else if (together > 1) text += cat("; ", together, " recordings at a time share vectors");
    else if (run.lanes() >= RunPacks::kEnough && !run.apart_because().empty()) text += cat("; recordings go one by one: ", run.apart_because());
    else if (all_starts() >= RunPacks::kEnough && !run.never_together_because().empty()) text += cat("; starts go one by one: ", run.never_together_because());
    if (memory.checkpoints <= 1) continue;
    text += cat("; states kept at ", memory.checkpoints, " checkpoints, ", memory.segment, " steps apart, ",
                bytes_text(static_cast<double>(memory.bytes)), " a recording");
  }
  return text;
}

void Fitting::summary() {
  if (!e_.options.notes) return;
  std::string text = "fit of ";
  for (size_t k = 0; k < problem_.targets.size(); ++k) text += (k ? ", " : "") + problem_.targets[k].path;
  int64_t updates = 0;
  for (const StartState& start : s_.starts) updates += start.update;
  const size_t best = *best_start();
  const bool first_order = plan_.options.method == Method::Adam || plan_.options.method == Method::GradientDescent;
  const bool watched = first_order && !plan_.options.validation.empty();
  text += cat(": ", plural(static_cast<size_t>(updates), "update"), ", loss ", digits(s_.starts[0].first_loss));
  text += watched ? cat(" at first; ", digits(s_.starts[best].best), " at best on those held out") : cat(" -> ", digits(s_.starts[best].best));
  if (all_starts() > 1) {
    double worst = s_.starts[best].best;
    for (const StartState& start : s_.starts)
      if (!start.best_x.empty()) worst = std::max(worst, start.best);
    text += cat(", found by start ", best + 1, " of ", all_starts(), " (the worst ended at ", digits(worst), ")");
  }
  if (first_order && !watched && plan_.whole && updates > 0 && s_.starts[0].first_loss != 0 && s_.starts[best].best == s_.starts[0].first_loss &&
      std::find(reached_.begin(), reached_.end(), true) != reached_.end())
    text += "; no update was better than the start: try a smaller 'lr'";
  text += share_at_bounds();
  text += memory_text();
  const auto is_free = [&](size_t target) {
    return std::any_of(plan_.free.begin(), plan_.free.end(), [&](const Free& f) { return f.target == target; });
  };
  for (size_t k = 0; k < reached_.size() && s_.starts[0].first_loss != 0; ++k)   // at 0 nothing has a slope
    if (!reached_[k] && is_free(k)) text += cat("; nothing that the loss reads moved with ", problem_.targets[k].path);
  const bool flat = !reached_.empty() && std::find(reached_.begin(), reached_.end(), true) == reached_.end();
  if (flat && s_.starts[0].first_loss == 0)
    text += "; the loss is 0 from the start, without slope: there is nothing to fit, or nothing that it reads moves";
  if (interrupted()) text += "; interrupted, the best so far is kept";
  *e_.options.notes << text << '\n';
}

double Fitting::done() const {
  double out = 0;
  for (const StartState& start : s_.starts) out += static_cast<double>(start.ended ? plan_.steps : start.update);
  return out;
}

void Fitting::show_progress() {
  if (!e_.options.progress || !e_.options.notes) return;
  const auto now = Clock::now();
  const auto goes_on = [](const Going& going) { return going.start != nullptr; };
  if (Seconds(now - shown_).count() < 0.2 || std::none_of(places_.begin(), places_.end(), goes_on)) return;
  shown_ = now;
  const double all = static_cast<double>(plan_.steps) * static_cast<double>(all_starts());
  const double here = std::max(done() - done_before_, 1.0);
  FitProgress line{.update = 0, .steps = plan_.steps, .first = all_starts(), .last = 1, .starts = all_starts(), .loss = NAN, .norm = NAN,
                   .seconds_left = Seconds(now - began_).count() * (all - done()) / here};
  line.at_most = plan_.options.method == Method::Lbfgs || plan_.options.method == Method::GaussNewton || plan_.options.patience ||
                 plan_.options.tol > 0;
  for (const Going& going : places_) {
    if (!going.start) continue;
    line.update = std::max(line.update, going.start->state().update);
    line.first = std::min(line.first, going.number + 1);
    line.last = std::max(line.last, going.number + 1);
    if (std::isnan(line.loss) || going.start->loss() < line.loss) line.loss = going.start->loss(), line.norm = going.start->norm();
  }
  const int columns = e_.options.columns ? e_.options.columns() : 80;
  *e_.options.notes << "\r\x1b[K" << progress_line(line, columns) << std::flush;
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

FitIdentity Fitting::identity() const {
  std::string source;
  for (uint32_t file = 0; file < e_.sources.size(); ++file) source += cat("\n", e_.sources[FileId{file}].text);   // rules may be imported
  for (const auto& [name, value] : e_.model.constants) source += cat("\n", name, " ", value);
  const std::string settings = cat(e_.options.seed, "\n", plan_.options.precision == Precision::Float64);
  return {.source = fnv1a(source), .place = fit_.span.begin, .settings = fnv1a(settings), .data = e_.loaded};
}

bool Fitting::save(bool now) {
  constexpr double kInterval = 0.2;   // seconds
  if (e_.options.checkpoint.empty() || (!now && Seconds(Clock::now() - saved_).count() < kInterval)) return true;
  saved_ = Clock::now();
  const Status done = save_state(state_file(), identity_, s_);
  if (done) return true;
  if (now) e_.diags.report(DiagKind::FileProblem, fit_.span, done.error());
  else clear_progress(), note_once(e_, cat(done.error(), "; the fit goes on and tries again"));   // room may be made meanwhile
  return false;
}

bool Fitting::resume() {
  // A fit that was not reached has no state: one after the first, or one behind a run that was interrupted.
  const bool behind = e_.fits_begun > 1 || std::filesystem::exists(runs_beside(e_.options.checkpoint));
  if (behind && !std::filesystem::exists(state_file())) return true;
  auto state = load_state(state_file(), identity_);
  if (!state) {
    e_.diags.report(DiagKind::FileProblem, fit_.span, state.error());
    return false;
  }
  s_ = std::move(*state);
  const auto fits = [&](const StartState& start) { return start.x.size() == plan_.free.size(); };
  if (static_cast<int64_t>(s_.starts.size()) <= all_starts() && std::all_of(s_.starts.begin(), s_.starts.end(), fits)) return true;
  e_.diags.report(DiagKind::FileProblem, fit_.span, cat(quoted(state_file()), " belongs to a fit of other parameters"));
  return false;
}

/// Hours of a fit are not written over by the same command without --resume.
bool Fitting::begin_anew() {
  if (e_.options.checkpoint.empty()) return true;
  const auto left = load_state(state_file(), identity_);   // of another fit, or no state at all: nothing of this one is lost
  const auto begun = [](const StartState& start) { return start.update > 0; };
  if (!left || left->finished || std::none_of(left->starts.begin(), left->starts.end(), begun)) return true;
  e_.diags.report(DiagKind::FileProblem, fit_.span, cat(quoted(state_file()), " holds this fit, unfinished")).help =
      "--resume goes on with it; without the file it begins anew";
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
