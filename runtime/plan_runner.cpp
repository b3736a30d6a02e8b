#include "runtime/plan_runner.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <utility>

namespace hebb {

namespace {

constexpr int64_t kVector = 16;

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
    for (const Bucketed::Late& late : bucketed.late)
      if (!late.values) list_of(late.from);
  }
  in_flight_.resize(flying);
  shares_ = pool_.size() > 1 && columns.device() == nullptr && has_sparse(program);
  if (columns.device() != nullptr) return;  // it knows the plan
  assert(kernels.run.size() == program.kernels.size() && "one function per kernel");
  for (const Deferred& deferred : program.plan.deferred) {
    Late late{.behind = deferred.behind, .scales = deferred.scales,
              .now = prepare(program, deferred.now, key, rows_per_part), .settle = {}};
    for (const KernelId kernel : deferred.settle) late.settle.push_back(prepare(program, kernel, key, rows_per_part));
    if (deferred.counts.valid()) late.counts = deferred.counts, late.events = list_of(deferred.events), late.most = deferred.most;
    late_.push_back(std::move(late));
  }
  for (Late& late : late_)
    for (const ColumnId column : late.behind)
      columns_.read_by(column, [this, &late, column](std::span<double> into) { read_now(late, column, into); });
  for (const hebb::Seldom& seldom : program.plan.seldom) {
    std::set<ColumnId> reads = {seldom.column};
    for (const ExprId id : nodes_below(program.pool, roots(program[seldom.all])))
      if (program.pool[id].op == Op::Load) reads.insert(ColumnId{program.pool[id].leaf.index});
    seldom_.push_back({.column = seldom.column, .all = prepare(program, seldom.all, key, rows_per_part), .reads = std::move(reads)});
  }
  for (Seldom& seldom : seldom_)
    columns_.read_by(seldom.column, [this, &seldom](std::span<double> into) {
      make(seldom);
      columns_.read_stored(seldom.column, into);
    });
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

/// Of synapses that lie in blocks: those onto one of them.
hebb_launch PlanRunner::of_block(hebb_launch launch, SpaceId domain, size_t block) const {
  const std::vector<std::vector<int64_t>>& blocks = columns_.connections(domain).blocks;
  const auto threads = static_cast<int>(blocks.size());
  const int64_t posts = extent(program_, domain).posts;
  launch.post_begin = block_begin(posts, threads, static_cast<int>(block));
  launch.post_end = block_begin(posts, threads, static_cast<int>(block) + 1);
  launch.row_begin = blocks[block].data();
  launch.row_end = blocks[block].data() + 1;
  return launch;
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
  if (!synapses.blocks.empty() && program[kernel].rows != Rows::OfPost) {
    out.parts.clear();
    for (size_t block = 0; block < synapses.blocks.size(); ++block) out.parts.push_back(of_block(whole_launch(domain, key), domain, block));
    const bool sums_of_rows = std::any_of(program[kernel].accumulates.begin(), program[kernel].accumulates.end(), [](const Accumulate& sum) { return sum.at == At::Pre; });
    out.by_list = false;
    out.in_turn = rows_per_part == kWhole || sums_of_rows || synapses.count() / pool_.size() < rows_per_part;
    if (out.list >= 0) out.one = out.parts;
    return out;
  }
  if (out.list >= 0) out.one = {out.parts[0]};
  for (hebb_launch& part : out.one) part.post_begin = 0, part.post_end = posts;
  if (way != Cut::ByPost || out.parts.size() < 2) return out;
  if (!synapses.buckets.empty()) {  // a row has its synapses by delay first: those of some post neurons do not lie together
    out.parts = {whole_launch(domain, key)};
    return out;
  }
  for (hebb_launch& part : out.parts) {
    if (part.post_begin > 0) part.row_begin = split(domain, part.post_begin);
    if (part.post_end < posts) part.row_end = split(domain, part.post_end);
  }
  return out;
}

/// The first synapse of each row whose post neuron is not before `post`.
const int64_t* PlanRunner::split(SpaceId space, int64_t post) {
  std::vector<int64_t>& at = splits_[space.value][post];
  const Connections& c = columns_.connections(space);
  for (size_t i = at.size(); i + 1 < c.row_begin.size(); ++i) at.push_back(c.first_from(post, c.row_begin[i], c.row_begin[i + 1]));
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
    if (parts > 1 && !prepared.in_turn && work < static_cast<double>(2 * rows_per_part_)) {
      for (hebb_launch& whole : prepared.one) {
        whole.step = step;
        whole.list = list.rows.data();
        whole.list_end = list.count;
        kernel(&whole);
      }
      return;
    }
  }
  if (prepared.parts.size() == 1 || prepared.in_turn) {
    for (const hebb_launch& part : prepared.parts) kernel(&part);
    return;
  }
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

std::optional<std::span<const uint32_t>> PlanRunner::copied_spikes(ColumnId column) const {
  for (const SpikeList& list : lists_)
    if (list.column == column && list.known && list.current) return std::span(list.rows).first(static_cast<size_t>(list.count));
  return {};
}

}  // namespace hebb
