#include "runtime/plan_runner.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

namespace hebb {

namespace {

constexpr int64_t kVector = 16;

/// Time in a unit of its own: cheap to ask for.
double ticks() {
#ifdef __x86_64__
  return static_cast<double>(__builtin_ia32_rdtsc());
#else
  return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

struct Extent {
  int64_t pres = 1;
  int64_t posts = 1;
};

Extent extent(const Program& program, SpaceId id) {
  const Space& space = program[id];
  if (!is_synaptic(space.kind)) return {1, space.size};
  return {program[space.pre].size, program[space.post].size};
}

/// `count` things in `parts` runs of nearly equal length; inner boundaries are multiples of `grain`.
std::vector<int64_t> boundaries(int64_t count, int64_t parts, int64_t grain) {
  const int64_t grains = (count + grain - 1) / grain;
  parts = std::clamp<int64_t>(parts, 1, std::max<int64_t>(grains, 1));
  std::vector<int64_t> out;
  for (int64_t k = 0; k <= parts; ++k) out.push_back(std::min(grains * k / parts * grain, count));
  return out;
}

/// Is it 0 or 1, whatever the leaves are?
bool is_truth(const ExprPool& pool, ExprId id) {
  if (!id.valid()) return false;
  switch (pool[id].op) {
    case Op::Const: return pool.is_constant(id, 0) || pool.is_constant(id, 1);
    case Op::Less: case Op::LessEqual: case Op::Equal: case Op::NotEqual: case Op::And: case Op::Or: case Op::Not:
    case Op::IsFinite: return true;
    default: return false;
  }
}

/// The column of truth values that this kernel, and no other, copies into one of values; invalid: it does
/// something else.
ColumnId spikes_copied(const Program& program, KernelId id) {
  const Kernel& kernel = program[id];
  if (program[kernel.domain].kind != SpaceKind::Neurons || kernel.stores.size() != 1 || !kernel.accumulates.empty()) return {};
  const Store& store = kernel.stores[0];
  if (!store.value.valid()) return {};  // a kernel that is no expression
  const ExprNode value = program.pool[store.value];
  if (value.op != Op::Load || value.leaf.at != At::Self || program[store.into].role != Role::Value) return {};
  const ColumnId from{value.leaf.index};
  if (program[from].role != Role::State || program[store.into].width != 1 || program[from].width != 1 || program[from].space != kernel.domain) return {};
  for (const Launch& launch : program.plan.step)
    for (const Store& other : program[launch.kernel].stores) {
      if (other.into == store.into && launch.kernel != id) return {};
      if (other.into == from && !is_truth(program.pool, other.value)) return {};
    }
  for (const Launch& launch : program.plan.init)
    for (const Store& other : program[launch.kernel].stores)
      if (other.into == store.into || (other.into == from && !is_truth(program.pool, other.value))) return {};
  return from;
}

bool has_sparse(const Program& program) {
  return std::any_of(program.spaces.begin(), program.spaces.end(), [](const Space& space) { return space.kind == SpaceKind::Sparse; });
}

std::vector<ColumnId> accumulated(const Program& program, const std::vector<Launch>& launches) {
  std::vector<ColumnId> out;
  for (const Launch& launch : launches)
    for (const Accumulate& accumulate : program[launch.kernel].accumulates)
      if (program[accumulate.into].role == Role::Value) out.push_back(accumulate.into);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

std::optional<int64_t> delay_steps(const Program& program, const Columns& columns, const Delayed& delayed) {
  double delay = 0, dt = 0;
  columns.read(delayed.delay, std::span(&delay, 1));
  columns.read(program.dt, std::span(&dt, 1));
  const double steps = delay / dt;
  constexpr double kRounding = 1e-5;  // of numbers that may be floats
  if (!(steps >= 0.5) || steps > 1e9 || std::abs(steps - std::round(steps)) > kRounding * steps) return {};
  return std::llround(steps);
}

Cut allowed_cut(const Program& program, const Kernel& kernel) {
  if (kernel.rows == Rows::OfSpikes) return Cut::None;
  if (program[kernel.domain].kind == SpaceKind::Sparse) {
    const auto sums = [&](At at) {
      return std::any_of(kernel.accumulates.begin(), kernel.accumulates.end(), [&](const Accumulate& sum) { return sum.at == at; });
    };
    if (sums(At::Uniform) || (sums(At::Pre) && sums(At::Post))) return Cut::None;
    if (kernel.rows == Rows::OfPost) return Cut::ByList;
    if (kernel.rows == Rows::OfPre) return sums(At::Pre) ? Cut::ByList : Cut::ByPost;
    return sums(At::Post) ? Cut::ByPost : Cut::ByPre;
  }
  bool by_pre = program[kernel.domain].kind == SpaceKind::Dense;
  bool by_post = program[kernel.domain].kind != SpaceKind::Uniform;
  for (const Accumulate& accumulate : kernel.accumulates) {
    if (accumulate.at != At::Pre) by_pre = false;
    if (accumulate.at != At::Post) by_post = false;
  }
  for (const Scan& scan : kernel.scans) {
    if (scan.along != At::Post) by_pre = false;
    if (scan.along != At::Pre) by_post = false;
  }
  if (by_pre && by_post) return Cut::Either;
  return by_pre ? Cut::ByPre : by_post ? Cut::ByPost : Cut::None;
}

std::vector<Part> cut(const Program& program, const Kernel& kernel, int threads, int64_t rows_per_part) {
  const auto [pres, posts] = extent(program, kernel.domain);
  const Part whole{.pre_begin = 0, .pre_end = pres, .post_begin = 0, .post_end = posts};
  Cut way = allowed_cut(program, kernel);
  if (way == Cut::ByList) return std::vector<Part>(static_cast<size_t>(std::max(threads, 1)), whole);
  const int64_t rows = program[kernel.domain].kind == SpaceKind::Sparse ? static_cast<int64_t>(expected_synapses(program, program[kernel.domain])) : pres * posts;
  const int64_t parts = std::min<int64_t>(threads, rows / std::max<int64_t>(rows_per_part, 1));
  // Whole rows when there are enough of them: each thread then reads one stretch of memory.
  if (way == Cut::Either) way = pres >= parts ? Cut::ByPre : Cut::ByPost;
  if (parts <= 1 || way == Cut::None) return {whole};

  const bool by_pre = way == Cut::ByPre;
  // Sums per pre neuron of different threads keep to different cache lines when that costs no balance.
  const int64_t pre_grain = pres >= parts * kVector * 2 ? kVector : 1;
  const std::vector<int64_t> at =
      by_pre ? boundaries(pres, parts, pre_grain) : boundaries(posts, parts, kVector);
  std::vector<Part> out;
  for (size_t k = 0; k + 1 < at.size(); ++k) {
    Part part = whole;
    (by_pre ? part.pre_begin : part.post_begin) = at[k];
    (by_pre ? part.pre_end : part.post_end) = at[k + 1];
    out.push_back(part);
  }
  return out;
}

PlanRunner::PlanRunner(const Program& program, const Kernels& kernels, Columns& columns, uint64_t key,
                       int threads, int64_t rows_per_part)
    : program_(program), kernels_(kernels), columns_(columns), pool_(threads), rows_per_part_(rows_per_part),
      init_resets_(accumulated(program, program.plan.init)),
      step_resets_(accumulated(program, program.plan.step)), constants_(step_constants(program)), meeting_(pool_.size()) {
  for (const Kernel& kernel : program.kernels)
    if (kernel.spikes.valid()) list_of(kernel.spikes);
  for (const Delayed& delayed : program.plan.delays) {
    if (delayed.values) continue;
    list_of(delayed.from);
    list_of(delayed.into);
  }
  for (const Launch& launch : program.plan.step)
    if (const ColumnId from = spikes_copied(program, launch.kernel); from.valid()) {
      list_of(from);
      list_of(program[launch.kernel].stores[0].into);
    }
  size_t flying = program.plan.delays.size();
  for (const Bucketed& bucketed : program.plan.bucketed) {
    buckets_.emplace_back(program, bucketed, columns, flying);
    flying += bucketed.late.size() + bucketed.sums.size();
    for (const Bucketed::Late& late : bucketed.late) list_of(late.from);
  }
  in_flight_.resize(flying);
  // What single synapses see late differs from launch to launch within a step: no plan for threads knows it.
  shares_ = pool_.size() > 1 && columns.device() == nullptr && has_sparse(program) && buckets_.empty();
  if (columns.device() != nullptr) return;  // it knows the plan
  assert(kernels.run.size() == program.kernels.size() && "one function per kernel");
  for (const Deferred& deferred : program.plan.deferred) {
    Late late{.behind = deferred.behind, .scales = deferred.scales,
              .now = prepare(program, deferred.now, key, rows_per_part), .settle = {}};
    for (const KernelId kernel : deferred.settle) late.settle.push_back(prepare(program, kernel, key, rows_per_part));
    late_.push_back(std::move(late));
  }
  for (Late& late : late_)
    for (const ColumnId column : late.behind)
      columns_.read_by(column, [this, &late, column](std::span<double> into) { read_now(late, column, into); });
  for (const Launch& launch : program.plan.init)
    init_.push_back(prepare(program, launch.kernel, key, rows_per_part));
  for (const Launch& launch : program.plan.begin)
    begin_.push_back(prepare(program, launch.kernel, key, rows_per_part));
  for (const Launch& launch : program.plan.step) {
    const Prepared prepared = prepare(program, launch.kernel, key, shares_ ? kWhole : rows_per_part);
    if (launch.when != When::Eventful) quiet_.push_back(prepared);
    if (launch.when != When::Quiet) eventful_.push_back(prepared);
  }
  if (shares_) prepare_sharing(key);
}

/// Rounding of the sums grows as the scale falls: up to this it stays near that of the weights.
constexpr double kLeastScaleFloat = 2.5e-3, kLeastScaleDouble = 6e-6;
/// A scale that does not fall bounds nothing: then the sums are kept short.
constexpr int64_t kMostSteps = 1 << 14;

void PlanRunner::settle(Late& late) {
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

void PlanRunner::settle() {
  for (Late& late : late_)
    if (least_scale(late) != 0) settle(late);
}

void PlanRunner::settle_what_is_due(int64_t step) {
  const double least = columns_.precision() == Precision::Float32 ? kLeastScaleFloat : kLeastScaleDouble;
  for (Late& late : late_)
    if (least_scale(late) < least || (step > 0 && step % kMostSteps == 0)) settle(late);
}

/// What is stored stays behind: reading must not change what happens.
void PlanRunner::read_now(Late& late, ColumnId column, std::span<double> into) {
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

hebb_launch PlanRunner::whole_launch(SpaceId domain, uint64_t key) const {
  const auto [pres, posts] = extent(program_, domain);
  const Connections& synapses = columns_.connections(domain);
  return {
      .columns = columns_.bases(),
      .planes = columns_.planes(),
      .row = program_[domain].kind == SpaceKind::Dense ? (posts + kVector - 1) / kVector * kVector : 0,
      .pre_begin = 0,
      .pre_end = pres,
      .post_begin = 0,
      .post_end = posts,
      .post_count = posts,
      .key = key,
      .step = 0,
      .row_begin = synapses.row_begin.data(),
      .post_index = synapses.post.data(),
      .column_begin = synapses.column_begin.data(),
      .synapse = synapses.synapse.data(),
      .pre_index = synapses.pre.data(),
      .list = nullptr,
      .list_begin = 0,
      .list_end = 0,
      .row_end = synapses.row_begin.empty() ? nullptr : synapses.row_begin.data() + 1,
  };
}

PlanRunner::Prepared PlanRunner::prepare(const Program& program, KernelId kernel, uint64_t key,
                                         int64_t rows_per_part) {
  const SpaceId domain = program[kernel].domain;
  const int64_t posts = extent(program, domain).posts;
  Prepared out{.kernel = kernel, .parts = {}};
  if (program[kernel].spikes.valid()) (program[kernel].rows != Rows::All ? out.list : out.gate) = list_of(program[kernel].spikes);
  for (size_t k = 0; k < lists_.size(); ++k) {
    bool writes = false;
    for (const Store& store : program[kernel].stores) writes |= store.into == lists_[k].column;
    for (const Accumulate& sum : program[kernel].accumulates) writes |= sum.into == lists_[k].column;
    if (writes) out.outdates.push_back(static_cast<int>(k));
  }
  if (const ColumnId from = spikes_copied(program, kernel); from.valid()) {
    out.copies = from;
    out.copies_into = list_of(program[kernel].stores[0].into);
  }
  const Connections& synapses = columns_.connections(domain);
  for (const Part& part : cut(program, program[kernel], rows_per_part == kWhole ? 1 : pool_.size(), rows_per_part)) {
    hebb_launch launch = whole_launch(domain, key);
    launch.pre_begin = part.pre_begin;
    launch.pre_end = part.pre_end;
    launch.post_begin = part.post_begin;
    launch.post_end = part.post_end;
    out.parts.push_back(launch);
  }
  if (program[domain].kind != SpaceKind::Sparse) return out;
  const Cut way = allowed_cut(program, program[kernel]);
  out.by_list = way == Cut::ByList;
  for (Buckets& buckets : buckets_)
    if (buckets.concerns(program[kernel])) out.buckets = &buckets;
  if (out.buckets != nullptr) {
    prepare_buckets(out);
    return out;
  }
  out.row = static_cast<double>(synapses.count()) /
            static_cast<double>(std::max<int64_t>(program[kernel].rows == Rows::OfPost ? posts : program[program[domain].pre].size, 1));
  if (out.list >= 0) out.one = {out.parts[0]};
  for (hebb_launch& part : out.one) part.post_begin = 0, part.post_end = posts;
  if (way != Cut::ByPost || out.parts.size() < 2) return out;
  for (hebb_launch& part : out.parts) {
    if (part.post_begin > 0) part.row_begin = split(domain, part.post_begin);
    if (part.post_end < posts) part.row_end = split(domain, part.post_end);
  }
  return out;
}

/// The first synapse of each row whose post neuron is not before `post`.
const int64_t* PlanRunner::split(SpaceId space, int64_t post) {
  std::vector<int64_t>& at = splits_[space.value][post];
  if (!at.empty()) return at.data();
  const Connections& c = columns_.connections(space);
  for (size_t i = 0; i + 1 < c.row_begin.size(); ++i) {
    int64_t low = c.row_begin[i], high = c.row_begin[i + 1];
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (c.post[static_cast<size_t>(middle)] < post) low = middle + 1;
      else high = middle;
    }
    at.push_back(low);
  }
  return at.data();
}

/// One thread: the synapses of a bucket are few.
void PlanRunner::prepare_buckets(Prepared& prepared) {
  hebb_launch whole = prepared.parts[0];
  const auto [pres, posts] = extent(program_, program_[prepared.kernel].domain);
  whole.pre_begin = 0, whole.pre_end = pres, whole.post_begin = 0, whole.post_end = posts;
  for (const Bucket& bucket : prepared.buckets->buckets()) {
    whole.row_begin = bucket.row_begin.data();
    whole.row_end = bucket.row_end.data();
    whole.column_begin = bucket.column_begin.data();
    whole.synapse = bucket.synapse.data();
    whole.pre_index = bucket.pre.data();
    prepared.of_bucket.push_back(whole);
  }
}

void PlanRunner::launch_buckets(Prepared& prepared, int64_t step) {
  const auto& kernel = kernels_.run[prepared.kernel.value];
  for (size_t b = 0; b < prepared.of_bucket.size(); ++b) {
    hebb_launch& one = prepared.of_bucket[b];
    one.columns = prepared.buckets->bases(b);
    one.step = step;
    if (prepared.list >= 0) {
      const std::vector<uint32_t>* late = prepared.buckets->rows(program_[prepared.kernel].spikes, b);
      const SpikeList* now = late ? nullptr : &current_list(prepared.list);
      one.list = late ? late->data() : now->rows.data();
      one.list_begin = 0;
      one.list_end = late ? static_cast<int64_t>(late->size()) : now->count;
      if (one.list_end == 0) continue;
    }
    kernel(&one);
  }
}

void PlanRunner::launch(Prepared& prepared, int64_t step) {
  const auto& kernel = kernels_.run[prepared.kernel.value];
  if (prepared.copies.valid()) return copy_spikes(prepared);
  if (prepared.gate >= 0 && current_list(prepared.gate).count == 0) return;
  for (const int list : prepared.outdates) lists_[static_cast<size_t>(list)].current = false;
  if (prepared.buckets != nullptr) return launch_buckets(prepared, step);
  for (hebb_launch& part : prepared.parts) part.step = step;
  if (prepared.list >= 0) {
    const SpikeList& list = current_list(prepared.list);
    if (list.count == 0) return;
    const auto parts = static_cast<int64_t>(prepared.parts.size());
    for (int64_t k = 0; k < parts; ++k) {
      hebb_launch& part = prepared.parts[static_cast<size_t>(k)];
      part.list = list.rows.data();
      part.list_begin = prepared.by_list ? list.count * k / parts : 0;
      part.list_end = prepared.by_list ? list.count * (k + 1) / parts : list.count;
    }
    const double work = static_cast<double>(list.count) * prepared.row;
    if (parts > 1 && work < static_cast<double>(2 * rows_per_part_)) {
      hebb_launch& whole = prepared.one[0];
      whole.step = step;
      whole.list = list.rows.data();
      whole.list_end = list.count;
      return kernel(&whole);
    }
  }
  if (prepared.parts.size() == 1) return kernel(&prepared.parts[0]);
  pool_.run(static_cast<int>(prepared.parts.size()), [&](int k) {
    kernel(&prepared.parts[static_cast<size_t>(k)]);
  });
}

/// Spikes are few: only the rows that differ are written, and which spike is known at once.
void PlanRunner::copy_spikes(const Prepared& prepared) {
  SpikeList& list = lists_[static_cast<size_t>(prepared.copies_into)];
  if (!list.known) columns_.fill(list.column, 0), list.count = 0;
  list.known = true;
  take_over(list, current_list(list_of(prepared.copies)));
  mark(list, 0, columns_.layout(list.column).posts);
}

/// The list; its column is as before.
void PlanRunner::take_over(SpikeList& list, const SpikeList& from) {
  list.leaving.assign(list.rows.begin(), list.rows.begin() + list.count);
  list.rows.assign(from.rows.begin(), from.rows.begin() + from.count);
  list.count = from.count;
  list.current = true;
}

/// Rows [begin, end) of the column become what the list says.
void PlanRunner::mark(SpikeList& list, int64_t begin, int64_t end) {
  const auto write = [&](std::span<const uint32_t> rows, double value) {  // they ascend
    size_t k = 0;
    while (k < rows.size() && rows[k] < begin) ++k;
    for (; k < rows.size() && rows[k] < end; ++k) columns_.write_row(list.column, rows[k], value);
  };
  write(list.leaving, 0);
  write(std::span(list.rows).first(static_cast<size_t>(list.count)), 1);
}

int PlanRunner::list_of(ColumnId column) {
  for (size_t k = 0; k < lists_.size(); ++k)
    if (lists_[k].column == column) return static_cast<int>(k);
  lists_.push_back({.column = column, .rows = {}});
  return static_cast<int>(lists_.size() - 1);
}

const SpikeList& PlanRunner::current_list(int index) {
  SpikeList& list = lists_[static_cast<size_t>(index)];
  if (list.current) return list;
  list.current = true;
  list.rows.resize(static_cast<size_t>(columns_.layout(list.column).posts));
  list.count = std::as_const(columns_).nonzero_rows(list.column, list.rows.data());
  return list;
}

std::span<const uint32_t> PlanRunner::spikes(ColumnId column) {
  const SpikeList& list = current_list(list_of(column));
  return std::span(list.rows).first(static_cast<size_t>(list.count));
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
      const bool late = k < buckets.plan().late.size();
      const ColumnId column = late ? buckets.plan().late[k].from : buckets.plan().sums[k - buckets.plan().late.size()].arrives;
      const InFlight& flying = spikes[buckets.first() + k];
      if (!late && !flying.empty() && static_cast<int64_t>(flying.size()) != buckets.longest(k)) return false;
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
  for (Prepared& prepared : init_) launch(prepared, -1);
}

void PlanRunner::run_begin() {
  if (on_device(DeviceRun::List::Begin, -1)) return;
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
  if (!late_.empty()) settle_what_is_due(step);
  for (SpikeList& list : lists_) list.current = list.current && untouched && program_[list.column].role == Role::State;
  const bool stay = constants_stay();
  const bool share = shares_ && stay && (rows_per_part_ <= 1 || faster_.second());
  const double begun = shares_ ? ticks() : 0;
  for (size_t k = 0; k < program_.plan.delays.size(); ++k) deliver(k, share);
  for (Buckets& buckets : buckets_) buckets.deliver(in_flight_);
  if (share) {
    run_shared(eventful ? shared_eventful_ : shared_quiet_, step);
  } else {
    reset(step_resets_);
    for (Prepared& prepared : eventful ? eventful_ : quiet_)
      if (!stay || !constants_.kernels[prepared.kernel.value]) launch(prepared, step);
  }
  for (size_t k = 0; k < program_.plan.delays.size(); ++k) depart(k);
  for (Buckets& buckets : buckets_)
    for (size_t k = 0; k < buckets.plan().late.size(); ++k) {
      const std::span<const uint32_t> now = spikes(buckets.plan().late[k].from);
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

/// A column as it lies in memory.
std::vector<uint32_t> PlanRunner::row_of(ColumnId column) const {
  std::vector<uint32_t> row(words_of(column));
  std::memcpy(row.data(), std::as_const(columns_).base(column), row.size() * sizeof(uint32_t));
  return row;
}

/// What departed that many steps ago arrives now. The row before it arrived in the last step.
void PlanRunner::deliver(size_t k, bool shared) {
  const Delayed& delayed = program_.plan.delays[k];
  const int64_t steps = delay_steps(program_, columns_, delayed).value_or(1);
  InFlight& flying = in_flight_[k];
  if (delayed.values) {
    if (flying.empty() && delayed.start.valid()) flying.assign(static_cast<size_t>(steps), row_of(delayed.start));
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
    in_flight_[k].push_back(row_of(delayed.from));
    return;
  }
  const std::span<const uint32_t> now = spikes(program_.plan.delays[k].from);
  if (spare_.empty()) spare_.emplace_back();
  in_flight_[k].push_back(std::move(spare_.back()));
  spare_.pop_back();
  in_flight_[k].back().assign(now.begin(), now.end());
}

}  // namespace hebb
