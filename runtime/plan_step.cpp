// One step of a plan: what arrives, the launches, what departs; and synapses that are behind.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/plan_runner.h"

namespace hebb {

namespace {

/// Time in a unit of its own: cheap to ask for.
double ticks() {
#ifdef __x86_64__
  return static_cast<double>(__builtin_ia32_rdtsc());
#else
  return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

}  // namespace

std::optional<int64_t> delay_steps(const Program& program, const Columns& columns, const Delayed& delayed) {
  double delay = 0, dt = 0;
  columns.read(delayed.delay, std::span(&delay, 1));
  columns.read(program.dt, std::span(&dt, 1));
  const double steps = delay / dt;
  constexpr double kRounding = 1e-5;  // of numbers that may be floats
  if (!(steps >= 0.5) || steps > kMostDelaySteps || std::abs(steps - std::round(steps)) > kRounding * steps) return {};
  return std::llround(steps);
}

/// Rounding of the sums grows as the scale falls: up to this it stays near that of the weights.
constexpr double kLeastScaleFloat = 2.5e-3, kLeastScaleDouble = 6e-5;
/// A scale that does not fall bounds nothing: then the sums are kept short.
constexpr int64_t kMostSteps = 1 << 14;

void PlanRunner::settle(Late& late) {
  late.is_settled = true;
  outdate_copies();
  for (Prepared& prepared : late.settle) launch(prepared, -1);
}

/// 0: nothing has begun.
double PlanRunner::least_scale(const Late& late) const {
  double least = begun_ ? 1 : 0;
  const bool is_float = columns_.precision() == Precision::Float32;
  for (const ColumnId column : late.scales) {  // in every step: as it lies in memory
    const void* const at = std::as_const(columns_).base(column);
    least = std::min(least, is_float ? static_cast<double>(*static_cast<const float*>(at)) : *static_cast<const double*>(at));
  }
  return least;
}

void PlanRunner::host_writes(ColumnId column) {
  for (Seldom& seldom : seldom_)
    if (seldom.reads.contains(column)) make(seldom);
  for (Late& late : late_)
    if (!late.is_settled && least_scale(late) != 0) settle(late);
}

void PlanRunner::make(Seldom& seldom) {
  if (step_ < 0 || std::exchange(seldom.is_made, true)) return;
  outdate_copies();
  launch(seldom.all, step_);
}

void PlanRunner::settle_what_is_due(int64_t step) {
  const double least = columns_.precision() == Precision::Float32 ? kLeastScaleFloat : kLeastScaleDouble;
  for (Late& late : late_)
    if (least_scale(late) < least || (step > 0 && step % kMostSteps == 0) || is_full(late)) settle(late);
}

/// Whether a count is at its most after the last step: one of those that it increased, where they are known.
bool PlanRunner::is_full(const Late& late) const {
  if (!late.counts.valid()) return false;
  const SpikeList& list = lists_[static_cast<size_t>(late.events)];
  const void* const at = columns_.base(late.counts);
  const bool is_float = columns_.precision() == Precision::Float32;
  const auto full = [&](int64_t row) { return (is_float ? static_cast<double>(static_cast<const float*>(at)[row]) : static_cast<const double*>(at)[row]) >= late.most; };
  const int64_t rows = list.current ? list.count : columns_.layout(late.counts).posts;
  for (int64_t k = 0; k < rows; ++k)
    if (full(list.current ? list.rows[static_cast<size_t>(k)] : k)) return true;
  return false;
}

/// What is stored stays behind: reading must not change what happens.
void PlanRunner::read_now(Late& late, ColumnId column, std::span<double> into) {
  if (late.is_settled) return columns_.read_stored(column, into);
  std::vector<std::vector<std::byte>> before;
  for (const ColumnId behind : late.behind) {
    auto* const base = static_cast<std::byte*>(columns_.base(behind));
    before.emplace_back(base, base + columns_.bytes(behind));
  }
  if (least_scale(late) != 0) launch(late.now, -1);
  columns_.read_stored(column, into);
  for (size_t k = 0; k < before.size(); ++k)
    std::copy(before[k].begin(), before[k].end(), static_cast<std::byte*>(columns_.base(late.behind[k])));
}

void PlanRunner::reset(const std::vector<ColumnId>& accumulated) {
  for (const ColumnId id : accumulated) columns_.fill(id, program_[id].reset);
}

/// Runs a list of the plan on the device, if there is one.
bool PlanRunner::on_device(DeviceRun::List list, int64_t step) {
  if (columns_.device() == nullptr) return false;
  columns_.device()->run(list, step);
  for (SpikeList& spikes : lists_) spikes.current = false;
  return true;
}

bool PlanRunner::fits(const std::vector<InFlight>& spikes) const {
  if (spikes.size() != in_flight_.size()) return false;
  for (const Buckets& buckets : buckets_)
    for (size_t k = 0; k < buckets.plan().late.size() + buckets.plan().sums.size(); ++k) {
      const bool of_late = k < buckets.plan().late.size(), late = of_late && !buckets.plan().late[k].values;
      const ColumnId column = of_late ? buckets.plan().late[k].from : buckets.plan().sums[k - buckets.plan().late.size()].arrives;
      const InFlight& flying = spikes[buckets.first() + k];
      const auto size = static_cast<int64_t>(flying.size());
      // Of values the row of the last step comes on top, until the next one begins.
      const bool long_enough = of_late ? size >= buckets.longest(k) : size == buckets.longest(k);
      if (!late && !flying.empty() && !long_enough) return false;
      for (const auto& step : flying) {
        if (!late && step.size() != columns_.bytes(column) / sizeof(uint32_t)) return false;
        for (const uint32_t row : step)
          if (late && row >= columns_.layout(column).posts) return false;
      }
    }
  for (size_t k = 0; k < program_.plan.delays.size(); ++k) {
    const Delayed& delayed = program_.plan.delays[k];
    const int64_t rows = columns_.layout(delayed.from).posts;
    for (const auto& step : spikes[k]) {
      if (delayed.values && step.size() != words_of(delayed.from)) return false;
      for (const uint32_t row : step)
        if (!delayed.values && row >= rows) return false;
    }
  }
  return true;
}

void PlanRunner::run_init() {
  if (on_device(DeviceRun::List::Init, -1)) return;
  reset(init_resets_);
  begun_ = true;
  step_ = -1;
  outdate_copies();
  for (Prepared& prepared : init_) launch(prepared, -1);
  for (Late& late : late_) late.is_settled = true;
}

void PlanRunner::run_begin() {
  if (on_device(DeviceRun::List::Begin, -1)) return;
  outdate_copies();
  for (Prepared& prepared : begin_) launch(prepared, -1);
}

void PlanRunner::before_launches(bool untouched) {
  begun_ = true;
  for (SpikeList& list : lists_) list.current = list.current && untouched && program_[list.column].role == Role::State;
  for (size_t k = 0; k < program_.plan.delays.size(); ++k) deliver(k, false);
}

void PlanRunner::after_launches() {
  for (SpikeList& spikes : lists_) spikes.current = false;
  for (size_t k = 0; k < program_.plan.delays.size(); ++k) depart(k);
}

void PlanRunner::run_step(int64_t step, bool eventful, bool untouched) {
  if (columns_.device() != nullptr) {
    before_launches(untouched);
    on_device(eventful ? DeviceRun::List::Eventful : DeviceRun::List::Quiet, step);
    return after_launches();
  }
  begun_ = true;
  step_ = step;
  for (Seldom& seldom : seldom_) seldom.is_made = false;
  if (!untouched) {
    for (SpikeList& list : lists_) list.current = false;
    outdate_copies();
  }
  if (!late_.empty()) settle_what_is_due(step);
  for (Late& late : late_) late.is_settled = false;
  for (SpikeList& list : lists_) list.current = list.current && untouched && program_[list.column].role == Role::State;
  const bool stay = constants_stay();
  const bool share = shares_ && stay && (rows_per_part_ <= 1 || faster_.second());
  const double begun = shares_ ? ticks() : 0;
  for (size_t k = 0; k < program_.plan.delays.size(); ++k) deliver(k, share);
  for (Buckets& buckets : buckets_) buckets.deliver(in_flight_);
  if (share) {
    run_shared(eventful ? shared_eventful_ : shared_quiet_, step);
  } else {
    outdate_copies();
    reset(step_resets_);
    for (Prepared& prepared : eventful ? eventful_ : quiet_)
      if (!stay || !constants_.kernels[prepared.kernel.value]) launch(prepared, step);
  }
  for (size_t k = 0; k < program_.plan.delays.size(); ++k) depart(k);
  for (Buckets& buckets : buckets_)
    for (size_t k = 0; k < buckets.plan().late.size(); ++k) {
      const Bucketed::Late& late = buckets.plan().late[k];
      if (late.values) {
        in_flight_[buckets.first() + k].push_back(columns_.row(late.from));
        continue;
      }
      const std::span<const uint32_t> now = spikes(late.from);
      in_flight_[buckets.first() + k].emplace_back(now.begin(), now.end());
    }
  if (shares_) faster_.took(ticks() - begun);
}

/// Whether what depends on parameters alone is what an earlier step computed.
bool PlanRunner::constants_stay() {
  return std::exchange(constants_of_, std::as_const(columns_).parameter_changes()) == columns_.parameter_changes();
}

size_t PlanRunner::words_of(ColumnId column) const {
  return columns_.bytes(column) / sizeof(uint32_t);
}

int64_t PlanRunner::steps_of_delay(size_t k) {
  const uint64_t changes = std::as_const(columns_).parameter_changes();
  if (std::exchange(delays_of_, changes) != changes || delays_.empty()) {
    delays_.clear();
    for (const Delayed& delayed : program_.plan.delays) delays_.push_back(delay_steps(program_, columns_, delayed).value_or(1));
  }
  return delays_[k];
}

/// What departed that many steps ago arrives now. The row before it arrived in the last step.
void PlanRunner::deliver(size_t k, bool shared) {
  const Delayed& delayed = program_.plan.delays[k];
  const int64_t steps = steps_of_delay(k);
  InFlight& flying = in_flight_[k];
  if (delayed.values) {
    if (flying.empty() && delayed.start.valid()) flying.assign(static_cast<size_t>(steps), columns_.row(delayed.start));
    while (static_cast<int64_t>(flying.size()) > steps) flying.pop_front();
    if (static_cast<int64_t>(flying.size()) < steps) columns_.fill(delayed.into, 0);
    else std::memcpy(columns_.base(delayed.into), flying.front().data(), flying.front().size() * sizeof(uint32_t));
    return;
  }
  while (static_cast<int64_t>(flying.size()) > steps + 1) {
    spare_.push_back(std::move(flying.front()));
    flying.pop_front();
  }
  const auto size = static_cast<int64_t>(flying.size());
  SpikeList& list = lists_[static_cast<size_t>(list_of(delayed.into))];
  const auto of_steps_ago = [&](int64_t ago, std::vector<uint32_t>& rows) {
    if (ago > size) rows.clear();
    else rows = flying[static_cast<size_t>(size - ago)];
  };
  of_steps_ago(steps + 1, list.leaving);
  of_steps_ago(steps, list.rows);
  list.current = true;
  list.count = static_cast<int64_t>(list.rows.size());
  if (!shared) mark(list, 0, columns_.layout(delayed.into).posts);
}

void PlanRunner::depart(size_t k) {
  const Delayed& delayed = program_.plan.delays[k];
  if (delayed.values) {
    in_flight_[k].push_back(columns_.row(delayed.from));
    return;
  }
  const std::span<const uint32_t> now = spikes(program_.plan.delays[k].from);
  if (spare_.empty()) spare_.emplace_back();
  in_flight_[k].push_back(std::move(spare_.back()));
  spare_.pop_back();
  in_flight_[k].back().assign(now.begin(), now.end());
}

}  // namespace hebb
