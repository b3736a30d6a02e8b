// Steps that threads share: the part of PlanRunner that plans and runs them.

#include <algorithm>
#include <utility>

#include "runtime/fetch.h"
#include "runtime/plan_runner.h"

namespace hebb {

namespace {

/// How often threads come together in a step.
int meetings(const std::vector<int>& levels) { return levels.empty() ? 0 : (*std::max_element(levels.begin(), levels.end()) + 1) / 2; }

}  // namespace

Part PlanRunner::block(int64_t neurons, int thread) const {
  return {.post_begin = block_begin(neurons, pool_.size(), thread), .post_end = block_begin(neurons, pool_.size(), thread + 1)};
}

/// Where a thread's block of a column ends its machine goes on to fetch what the next thread writes in every
/// step, and that one then waits for each line. It asks for them before it needs them.
void PlanRunner::reclaim(int thread) const {
  constexpr int64_t kMost = 24 * 64;  // as far as machines look ahead, and a little
  const int64_t bytes = columns_.precision() == Precision::Float32 ? 4 : 8;
  for (const ColumnId id : written_in_blocks_) {
    const Part own = block(columns_.layout(id).posts, thread);
    const auto* const begin = static_cast<const char*>(columns_.memory(id)) + own.post_begin * bytes;
    fetch_to_write(begin, static_cast<size_t>(std::min((own.post_end - own.post_begin) * bytes, kMost)));
  }
}

void PlanRunner::prepare_sharing(uint64_t key) {
  failures_.resize(static_cast<size_t>(pool_.size()));
  for (SpikeList& list : lists_) list.blocks.resize(static_cast<size_t>(pool_.size()));
  copied_ = copied(program_, constants_.columns, never_copied());
  std::vector<ColumnId> columns;
  for (uint32_t c = 0; c < copied_.columns.size(); ++c)
    if (copied_.columns[c]) columns.push_back(ColumnId{c});
  copies_.emplace(columns_, std::move(columns), pool_.size());
  shared_quiet_ = plan_sharing(When::Eventful, key);
  shared_eventful_ = plan_sharing(When::Quiet, key);
}

/// Columns that steps write otherwise than by kernels; that differ between buckets, whose launches have tables of their own; or of
/// which copies would take more memory than a meeting is worth.
std::vector<bool> PlanRunner::never_copied() const {
  constexpr size_t kMost = size_t{1} << 20;
  std::vector<bool> out(program_.columns.size());
  for (uint32_t c = 0; c < out.size(); ++c) out[c] = columns_.bytes(ColumnId{c}) > kMost;
  for (const SpikeList& list : lists_)
    if (program_[program_[list.column].space].kind != SpaceKind::Uniform) out[list.column.value] = true;
  for (const ColumnId column : step_resets_) out[column.value] = true;
  for (const Delayed& delayed : program_.plan.delays) out[delayed.into.value] = true;
  const std::vector<bool> none(out.size());
  for (const Buckets& buckets : buckets_)
    for (const Kernel& kernel : program_.kernels)
      if (kernel.domain == buckets.space() || buckets.concerns(kernel))
        for (const Touch& touch : touches(program_, kernel, Share::One, constants_.columns, none)) out[touch.thing] = true;
  return out;
}

size_t PlanRunner::prepare_shared(KernelId id, Share share, uint64_t key) {
  for (size_t k = 0; k < shared_kernels_.size(); ++k)
    if (shared_kernels_[k].kernel == id && shared_kernels_[k].share == share) return k;
  const Kernel& kernel = program_[id];
  const Space& domain = program_[kernel.domain];
  SharedKernel out{.kernel = id, .share = share};
  const bool synaptic = is_synaptic(domain.kind);
  const int64_t pres = synaptic ? program_[domain.pre].size : 1;
  const int64_t posts = synaptic ? program_[domain.post].size : domain.size;
  if (kernel.spikes.valid() && copied_.columns[kernel.spikes.value]) out.own_gate = kernel.spikes;
  else if (kernel.spikes.valid()) (kernel.rows != Rows::All ? out.list : out.gate) = list_of(kernel.spikes);
  const bool by_post = out.share == Share::ByPost;
  if (out.share != Share::One && out.share != Share::Each && kernel.rows != Rows::All) {
    const bool listed_posts = kernel.rows == Rows::OfPost || kernel.rows == Rows::OfSpikes;
    if (by_post == listed_posts) out.listed = program_[kernel.spikes].space;
  }
  // A row has its synapses by delay first: of some post neurons only those of one delay lie together.
  for (Buckets& buckets : buckets_)
    if (buckets.concerns(kernel) || (kernel.domain == buckets.space() && by_post && kernel.rows != Rows::OfPost)) out.buckets = &buckets;
  const hebb_launch whole = whole_launch(kernel.domain, key);
  for (int thread = 0; thread < pool_.size(); ++thread) {
    hebb_launch part = whole;
    part.columns = copies_->bases(thread);
    const Part own = block(by_post ? posts : pres, thread);
    if (out.share == Share::One && thread > 0) part.post_end = part.post_begin;
    if (by_post) part.post_begin = own.post_begin, part.post_end = own.post_end;
    if (out.share == Share::ByPre) part.pre_begin = own.post_begin, part.pre_end = own.post_end;
    std::vector<OwnLaunch>& launches = out.parts.emplace_back();
    if (out.buckets != nullptr) {
      for (size_t b = 0; b < out.buckets->count(); ++b) launches.push_back({of_bucket(part, kernel.domain, *out.buckets, b), b});
      continue;
    }
    if (domain.kind == SpaceKind::Sparse && kernel.rows != Rows::OfPost && !columns_.connections(kernel.domain).blocks.empty()) {
      for (size_t block = 0; block < static_cast<size_t>(pool_.size()); ++block) {
        if (by_post ? block != static_cast<size_t>(thread) : out.share == Share::One && thread > 0) continue;
        launches.push_back({of_block(part, kernel.domain, block)});
      }
      continue;
    }
    if (by_post && domain.kind == SpaceKind::Sparse && kernel.rows != Rows::OfPost && own.post_begin < own.post_end) {
      if (part.post_begin > 0) part.row_begin = split(kernel.domain, part.post_begin);
      if (part.post_end < posts) part.row_end = split(kernel.domain, part.post_end);
    }
    launches.push_back({part});
  }
  shared_kernels_.push_back(std::move(out));
  return shared_kernels_.size() - 1;
}

/// A sum over synapses of all delays is in the order of its rows, which have those of some post neurons here and there.
Share PlanRunner::own_share(const Kernel& kernel) const {
  if (copied_.kernels[static_cast<size_t>(&kernel - program_.kernels.data())]) return Share::Each;
  const Share share = share_of(program_, kernel);
  const bool in_order = share == Share::ByPost && !kernel.accumulates.empty() &&
                        std::any_of(buckets_.begin(), buckets_.end(), [&](const Buckets& buckets) { return kernel.domain == buckets.space() && !buckets.concerns(kernel); });
  return in_order ? Share::One : share;
}

/// Of a launch for some post neurons: the synapses of one bucket, in which those of a row are by post neuron too.
hebb_launch PlanRunner::of_bucket(hebb_launch part, SpaceId space, const Buckets& buckets, size_t b) {
  const Bucket& bucket = buckets.buckets()[b];
  const Connections& all = columns_.connections(space);
  const auto split_at = [&](int64_t post) -> const int64_t* {
    std::vector<int64_t>& at = bucket_splits_[{space.value, b, post}];
    for (size_t i = at.size(); i < bucket.row_begin.size(); ++i) at.push_back(all.first_from(post, bucket.row_begin[i], bucket.row_end[i]));
    return at.data();
  };
  part.row_begin = part.post_begin > 0 ? split_at(part.post_begin) : bucket.row_begin.data();
  part.row_end = part.post_end < part.post_count ? split_at(part.post_end) : bucket.row_end.data();
  part.column_begin = bucket.column_begin.data();
  part.synapse = bucket.synapse.data();
  part.pre_index = bucket.pre.data();
  return part;
}

/// Whether the rows of a list differ from bucket to bucket: they are known before the step.
bool PlanRunner::of_buckets(int list) const {
  const ColumnId column = lists_[static_cast<size_t>(list)].column;
  return std::any_of(buckets_.begin(), buckets_.end(), [&](const Buckets& buckets) { return buckets.has_late(column); });
}

PlanRunner::SharedStep PlanRunner::plan_sharing(When leave_out, uint64_t key) {
  std::vector<Task> tasks;
  std::vector<Action> actions;
  std::vector<std::vector<Touch>> kernels;
  for (const Launch& launch : program_.plan.step) {
    const Kernel& kernel = program_[launch.kernel];
    kernels.push_back(touches(program_, kernel, own_share(kernel), constants_.columns, copied_.columns));
  }
  const auto lists_at = static_cast<uint32_t>(program_.columns.size());
  const auto blocks_at = lists_at + static_cast<uint32_t>(lists_.size());
  const auto list_touch = [&](int list, bool writes, Reach reach) {
    return Touch{.thing = lists_at + static_cast<uint32_t>(list), .writes = writes, .reach = reach};
  };
  const auto block_touch = [&](int list, bool writes, Reach reach) {
    return Touch{.thing = blocks_at + static_cast<uint32_t>(list), .writes = writes, .reach = reach};
  };
  const auto add = [&](Action action, Task task) {
    actions.push_back(action);
    tasks.push_back(std::move(task));
  };
  // Each thread its rows; the first all of them where some kernel reads those of others, or where none reads any.
  const auto mark_later = [&](int list) {
    const ColumnId column = lists_[static_cast<size_t>(list)].column;
    bool read = false, by_others = false;
    for (const auto& kernel : kernels)
      for (const Touch& touch : kernel) {
        if (touch.thing != column.value) continue;
        read = true;
        by_others |= touch.reach != Reach::OwnNeurons;
      }
    const bool whole = !read || by_others;
    const Reach reach = whole ? Reach::First : Reach::OwnNeurons;
    add({.deed = Deed::Mark, .list = list, .whole = whole},
        {.first_thread = whole, .beside = !read,
         .touches = {{.thing = column.value, .writes = true, .reach = reach}, list_touch(list, false, Reach::Any)}});
  };

  SharedStep out;
  std::vector<std::pair<size_t, std::pair<Action, Task>>> few;  // what has a few rows: as the first thread alone would do it
  std::vector<bool> written(lists_.size());
  const auto reads = [&](int list) {
    if (!written[static_cast<size_t>(list)]) out.read_first.push_back(list);
  };
  for (const Delayed& delayed : program_.plan.delays)
    if (!delayed.values) mark_later(list_of(delayed.into));
  for (const ColumnId column : step_resets_) {
    const bool neurons = program_[program_[column].space].kind == SpaceKind::Neurons && program_[column].width == 1;
    add({.deed = Deed::Reset, .column = column, .whole = !neurons},
        {.first_thread = !neurons, .touches = {{.thing = column.value, .writes = true, .reach = neurons ? Reach::OwnNeurons : Reach::First}}});
  }
  for (size_t k = 0; k < program_.plan.step.size(); ++k) {
    const Launch& launch = program_.plan.step[k];
    if (launch.when == leave_out || constants_.kernels[launch.kernel.value]) continue;
    const Prepared prepared = prepare(program_, launch.kernel, key, kWhole);
    if (prepared.copies.valid()) {
      const int into = prepared.copies_into, from = list_of(prepared.copies);
      reads(from);
      written[static_cast<size_t>(into)] = true;
      out.taken_over.push_back(into);
      add({.deed = Deed::TakeOver, .list = into, .from = from},
          {.first_thread = true, .touches = {list_touch(into, true, Reach::First), list_touch(from, false, Reach::First)}});
      mark_later(into);
      continue;
    }
    const Share share = own_share(program_[launch.kernel]);
    const auto shared_as = [&](Share way) {
      const size_t shared = prepare_shared(launch.kernel, way, key);
      Task task{.first_thread = way == Share::One, .touches = way == share ? kernels[k] : touches(program_, program_[launch.kernel], way, constants_.columns, copied_.columns)};
      if (const ColumnId gate = shared_kernels_[shared].own_gate; gate.valid()) task.touches.push_back({.thing = gate.value, .reach = Reach::OwnCopy});
      for (const int list : {shared_kernels_[shared].list, shared_kernels_[shared].gate}) {
        if (list < 0 || of_buckets(list)) continue;
        reads(list);
        task.touches.push_back(list_touch(list, false, way == Share::One ? Reach::First : Reach::Any));
      }
      return std::pair(Action{.deed = Deed::Launch, .kernel = shared}, std::move(task));
    };
    auto [action, task] = shared_as(share);
    if (program_[launch.kernel].rows == Rows::OfSpikes && share == Share::ByPost) few.emplace_back(tasks.size(), shared_as(Share::One));
    add(action, std::move(task));
    for (const int list : prepared.outdates) {
      const ColumnId column = lists_[static_cast<size_t>(list)].column;
      if (copied_.columns[column.value]) {
        out.outdated.push_back(list);
        continue;
      }
      written[static_cast<size_t>(list)] = true;
      add({.deed = Deed::Find, .list = list},
          {.touches = {{.thing = column.value, .reach = Reach::OwnNeurons}, block_touch(list, true, Reach::OwnNeurons)}});
      add({.deed = Deed::Join, .list = list},
          {.first_thread = true, .touches = {block_touch(list, false, Reach::First), list_touch(list, true, Reach::First)}});
    }
  }
  std::vector<int> level = levels(tasks);
  // A few rows are not worth a meeting: where it saves one, the first thread does them.
  std::vector<Task> instead = tasks;
  for (const auto& [k, alone] : few)
    if (level[k] > 1) instead[k] = alone.second;
  if (std::vector<int> fewer = levels(instead); meetings(fewer) < meetings(level)) {
    for (const auto& [k, alone] : few)
      if (level[k] > 1) actions[k] = alone.first;
    level = std::move(fewer);
    tasks = std::move(instead);
  }
  for (const Task& task : tasks)
    for (const Touch& touch : task.touches)
      if (touch.writes && touch.reach == Reach::OwnNeurons && touch.thing < lists_at && program_[ColumnId{touch.thing}].width == 1 &&
          std::find(written_in_blocks_.begin(), written_in_blocks_.end(), ColumnId{touch.thing}) == written_in_blocks_.end())
        written_in_blocks_.push_back(ColumnId{touch.thing});
  for (size_t k = 0; k < actions.size(); ++k) {
    const auto at = static_cast<size_t>(level[k]);
    if (out.levels.size() <= at) out.levels.resize(at + 1);
    out.levels[at].push_back(actions[k]);
  }
  return out;
}

void PlanRunner::run_shared(const SharedStep& shared, int64_t step) {
  copies_->renew();
  for (const int k : shared.outdated) lists_[static_cast<size_t>(k)].current = false;
  for (const int k : shared.taken_over) {
    SpikeList& list = lists_[static_cast<size_t>(k)];
    if (!list.known) columns_.fill(list.column, 0), list.count = 0;
    list.known = true;
  }
  for (const int k : shared.read_first) current_list(k);
  if (shared.levels.empty()) return;
  for (const Action& action : shared.levels[0]) act(action, 0, step);
  if (shared.levels.size() > 1) pool_.run(pool_.size(), [&](int thread) { run_levels(shared, thread, step); });
  for (std::exception_ptr& failure : failures_)
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
  if (shared.levels.size() > 1 && shared.levels.size() % 2 == 1)
    for (const Action& action : shared.levels.back()) act(action, 0, step);
}

/// A thread that fails goes on to its meetings: the others wait there.
void PlanRunner::run_levels(const SharedStep& shared, int thread, int64_t step) {
  const size_t count = shared.levels.size();
  // What the first thread has just written: all of it together, not one line after another.
  if (thread > 0) {
    for (const SpikeList& list : lists_) {
      __builtin_prefetch(list.rows.data());
      __builtin_prefetch(list.leaving.data());
    }
    reclaim(thread);
  }
  const auto run = [&](size_t level) {
    try {
      for (const Action& action : shared.levels[level]) act(action, thread, step);
    } catch (...) {
      failures_[static_cast<size_t>(thread)] = std::current_exception();
    }
  };
  for (size_t level = 1; level < count; level += 2) {
    run(level);
    if (level + 2 < count) meeting_.meet(thread, [&] { run(level + 1); });
  }
}

void PlanRunner::act(const Action& action, int thread, int64_t step) {
  SpikeList* const list = action.list < 0 ? nullptr : &lists_[static_cast<size_t>(action.list)];
  switch (action.deed) {
    case Deed::Launch: return launch_own(shared_kernels_[action.kernel], thread, step);
    case Deed::Reset: {
      if (action.whole) return columns_.fill(action.column, program_[action.column].reset);
      const Part own = block(columns_.layout(action.column).posts, thread);
      return columns_.fill_rows(action.column, own.post_begin, own.post_end, program_[action.column].reset);
    }
    case Deed::Find: {
      const Part own = block(columns_.layout(list->column).posts, thread);
      SpikeList::Block& found = list->blocks[static_cast<size_t>(thread)];
      found.rows.resize(static_cast<size_t>(own.post_end - own.post_begin));
      found.count = std::as_const(columns_).nonzero_rows(list->column, own.post_begin, own.post_end, found.rows.data());
      return;
    }
    case Deed::Join:
      list->rows.clear();
      for (const SpikeList::Block& found : list->blocks)
        list->rows.insert(list->rows.end(), found.rows.begin(), found.rows.begin() + found.count);
      list->count = static_cast<int64_t>(list->rows.size());
      list->current = true;
      return;
    case Deed::TakeOver: return take_over(*list, lists_[static_cast<size_t>(action.from)]);
    case Deed::Mark: {
      if (action.whole && thread > 0) return;
      if (action.whole) return mark(*list, 0, columns_.layout(list->column).posts);
      const Part own = block(columns_.layout(list->column).posts, thread);
      return mark(*list, own.post_begin, own.post_end);
    }
  }
}

void PlanRunner::launch_own(SharedKernel& shared, int thread, int64_t step) {
  if (shared.gate >= 0 && lists_[static_cast<size_t>(shared.gate)].count == 0) return;
  if (shared.own_gate.valid() && columns_.is_zero(copies_->base(thread, shared.own_gate))) return;
  // Those of a list that are this thread's.
  const auto own_rows = [&](std::span<const uint32_t> rows) -> std::pair<int64_t, int64_t> {
    if (!shared.listed.valid()) return {0, static_cast<int64_t>(rows.size())};
    const Part own = block(program_[shared.listed].size, thread);
    return {std::lower_bound(rows.begin(), rows.end(), own.post_begin) - rows.begin(),
            std::lower_bound(rows.begin(), rows.end(), own.post_end) - rows.begin()};
  };
  const SpikeList* const list = shared.list < 0 ? nullptr : &lists_[static_cast<size_t>(shared.list)];
  std::span<const uint32_t> rows;
  std::pair<int64_t, int64_t> mine;
  if (list != nullptr) rows = std::span(list->rows).first(static_cast<size_t>(list->count)), mine = own_rows(rows);
  for (OwnLaunch& own : shared.parts[static_cast<size_t>(thread)]) {
    hebb_launch& part = own.launch;
    if (part.post_begin >= part.post_end || part.pre_begin >= part.pre_end) continue;
    if (shared.buckets != nullptr) {
      part.columns = shared.buckets->bases(own.bucket);
      if (const auto* late = list == nullptr ? nullptr : shared.buckets->rows(list->column, own.bucket)) rows = *late, mine = own_rows(rows);
    }
    if (list != nullptr && mine.first == mine.second) continue;
    part.step = step;
    if (list != nullptr) part.list = rows.data(), part.list_begin = mine.first, part.list_end = mine.second;
    kernels_.run[shared.kernel.value](&part);
  }
}

}  // namespace hebb
