// How the rows of a kernel are cut into parts, one for each thread.
#include <algorithm>

#include "runtime/plan_runner.h"

namespace hebb {

namespace {

constexpr int64_t kVector = 16;

/// `count` things in `parts` runs of nearly equal length; inner boundaries are multiples of `grain`.
std::vector<int64_t> boundaries(int64_t count, int64_t parts, int64_t grain) {
  const int64_t grains = (count + grain - 1) / grain;
  parts = std::clamp<int64_t>(parts, 1, std::max<int64_t>(grains, 1));
  std::vector<int64_t> out;
  for (int64_t k = 0; k <= parts; ++k) out.push_back(std::min(grains * k / parts * grain, count));
  return out;
}

}  // namespace

Extent extent(const Program& program, SpaceId id) {
  const Space& space = program[id];
  if (!is_synaptic(space.kind)) return {1, space.size};
  return {program[space.pre].size, program[space.post].size};
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

}  // namespace hebb
