// Delays of single synapses: which synapses see and act how many steps late.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"
#include "runtime/connectivity.h"
#include "runtime/random.h"

namespace hebb {

namespace {

constexpr size_t kMostBuckets = 1 << 16;
constexpr double kMostSteps = 1e6;
constexpr int64_t kInitStep = -1;   // of draws before the first step

using Steps = std::array<int64_t, 3>;   // axon, dend, bap

/// One number per synapse, in steps. Drawn ones are rounded, listed ones are whole.
Result<int64_t> steps_of(double ms, double dt_ms, bool drawn, const Space& space, const char* which) {
  const double steps = ms / dt_ms;
  const double whole = std::round(steps);
  if (std::isnan(ms)) return Failure{cat("a delay ", which, " of ", quoted(space.name), " is drawn as nan")};  // listed ones are numbers
  const bool fits = drawn || std::abs(steps - whole) <= 1e-6 * std::abs(steps);
  if (whole >= 1 && whole <= kMostSteps && fits) return static_cast<int64_t>(whole);
  return Failure{cat("a delay ", which, " of ", quoted(space.name), drawn ? " is drawn as " : " is ", shortest(ms), " ms, which is ",
                     whole < 1 ? "shorter than one step" : fits ? "longer than a million steps" : "not a whole number of steps", " of ", shortest(dt_ms), " ms")};
}

/// The index by post of one bucket, as index_by_post makes it of all.
void index_bucket(Bucket& bucket, const Connections& all, int64_t pres, int64_t posts) {
  bucket.column_begin.assign(static_cast<size_t>(posts) + 1, 0);
  const auto each = [&](auto f) {
    for (int64_t i = 0; i < pres; ++i)
      for (int64_t s = bucket.row_begin[static_cast<size_t>(i)]; s < bucket.row_end[static_cast<size_t>(i)]; ++s) f(i, s);
  };
  size_t count = 0;
  each([&](int64_t, int64_t s) { ++bucket.column_begin[all.post[static_cast<size_t>(s)] + 1], ++count; });
  std::partial_sum(bucket.column_begin.begin(), bucket.column_begin.end(), bucket.column_begin.begin());
  std::vector<int64_t> next(bucket.column_begin.begin(), bucket.column_begin.end() - 1);
  bucket.synapse.resize(count);
  bucket.pre = NeuronIndex(pres);
  bucket.pre.resize(count);
  each([&](int64_t i, int64_t s) {
    const auto at = static_cast<size_t>(next[all.post[static_cast<size_t>(s)]]++);
    bucket.synapse[at] = static_cast<uint32_t>(s);
    bucket.pre.set(at, static_cast<uint32_t>(i));
  });
}

}  // namespace

Status sort_by_delay(const Program& program, const Space& space, uint64_t key, bool by_post, Connections& c) {
  const Connect& how = space.connect;
  const int64_t pres = program[space.pre].size, posts = program[space.post].size;
  const auto count = static_cast<size_t>(c.count());
  if (!(how.dt_ms > 0)) return Failure{cat("the delays of ", quoted(space.name), " need to know the step of the run")};
  std::vector<Steps> steps(count, Steps{});
  for (const auto& [at, which, delay] : {std::tuple(0, "axon", &how.axon), {1, "dend", &how.dend}, {2, "bap", &how.bap}}) {
    if (!delay->each()) continue;
    if (delay->listed && delay->listed->size() != count)
      return Failure{cat(quoted(space.name), " has ", plural(count, "synapse"), " and ", delay->listed->size(), " delays ", which)};
    for (int64_t i = 0; i < pres; ++i)
      for (int64_t s = c.row_begin[static_cast<size_t>(i)]; s < c.row_begin[static_cast<size_t>(i) + 1]; ++s) {
        const auto k = static_cast<size_t>(s);
        const auto element = static_cast<uint64_t>(i) * static_cast<uint64_t>(posts) + c.post[k];
        const double ms = delay->listed ? (*delay->listed)[k] : evaluate(program.pool, delay->drawn, [&](const ExprNode& leaf) {
          return leaf.op == Op::Draw ? draw_uniform<double>(key, leaf.leaf.index, leaf.leaf.element, element, kInitStep) : leaf.value;
        });
        const auto whole = steps_of(ms, how.dt_ms, !delay->listed, space, which);
        if (!whole) return whole.failure();
        steps[k][static_cast<size_t>(at)] = *whole;
      }
  }
  std::map<Steps, size_t> known;
  for (const Steps& one : steps) known.emplace(one, 0);
  if (known.size() > kMostBuckets)
    return Failure{cat(quoted(space.name), " has ", known.size(), " combinations of delays, more than ", kMostBuckets)};
  for (auto& [one, number] : known) {
    number = c.buckets.size();
    c.buckets.push_back({.axon = one[0], .dend = one[1], .bap = one[2], .row_begin = {}, .row_end = {}, .column_begin = {}, .synapse = {}, .pre = NeuronIndex(pres)});
  }
  c.place.resize(count);
  NeuronIndex sorted(posts);
  sorted.resize(count);
  std::vector<std::pair<size_t, int64_t>> row;   // bucket, synapse
  for (int64_t i = 0; i < pres; ++i) {
    const int64_t begin = c.row_begin[static_cast<size_t>(i)], end = c.row_begin[static_cast<size_t>(i) + 1];
    row.clear();
    for (int64_t s = begin; s < end; ++s) row.emplace_back(known.at(steps[static_cast<size_t>(s)]), s);
    std::sort(row.begin(), row.end());
    size_t at = 0;
    for (size_t b = 0; b < c.buckets.size(); ++b) {
      c.buckets[b].row_begin.push_back(begin + static_cast<int64_t>(at));
      for (; at < row.size() && row[at].first == b; ++at) {
        c.place[static_cast<size_t>(row[at].second)] = static_cast<uint32_t>(begin + static_cast<int64_t>(at));
        sorted.set(static_cast<size_t>(begin) + at, c.post[static_cast<size_t>(row[at].second)]);
      }
      c.buckets[b].row_end.push_back(begin + static_cast<int64_t>(at));
    }
  }
  c.post = std::move(sorted);
  if (by_post)
    for (Bucket& bucket : c.buckets) index_bucket(bucket, c, pres, posts);
  return Done{};
}

}  // namespace hebb
