// Which synapses sparse spaces get.

#include "runtime/connectivity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace hebb {
namespace {

struct Made {
  Program program;
  Connections connections;
};

Made make(int64_t pres, int64_t posts, Connect how, uint64_t key = 1, bool recurrent = false) {
  Made made;
  const SpaceId pre = made.program.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = pres});
  const SpaceId post = recurrent ? pre : made.program.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = posts});
  const SpaceId id = made.program.add(
      Space{.kind = SpaceKind::Sparse, .name = "S", .pre = pre, .post = post, .connect = std::move(how)});
  Result<Connections> drawn = connect(made.program, made.program[id], key);
  EXPECT_TRUE(drawn.ok());
  made.connections = *std::move(drawn);
  index_by_post(made.connections, pres, posts);
  return made;
}

std::vector<int64_t> indegrees(const Connections& c) {
  std::vector<int64_t> counts;
  for (size_t j = 0; j + 1 < c.column_begin.size(); ++j) counts.push_back(c.column_begin[j + 1] - c.column_begin[j]);
  return counts;
}

void expect_sound(const Connections& c, int64_t pres, int64_t posts) {
  ASSERT_EQ(c.row_begin.size(), static_cast<size_t>(pres) + 1);
  ASSERT_EQ(c.row_begin.back(), c.count());
  for (int64_t i = 0; i < pres; ++i)
    for (int64_t s = c.row_begin[i]; s < c.row_begin[i + 1]; ++s) {
      ASSERT_LT(c.post[s], posts);
      if (s > c.row_begin[i]) { ASSERT_GT(c.post[s], c.post[s - 1]) << "ascending, so no pair twice"; }
    }
  std::set<uint32_t> seen;
  for (int64_t j = 0; j < posts; ++j)
    for (int64_t q = c.column_begin[j]; q < c.column_begin[j + 1]; ++q) {
      const Edge edge = edge_of(c, c.synapse[q]);
      ASSERT_EQ(edge.post, j);
      ASSERT_EQ(edge.pre, c.pre[q]);
      seen.insert(c.synapse[q]);
    }
  ASSERT_EQ(static_cast<int64_t>(seen.size()), c.count());
}

TEST(Connectivity, EveryWiringIsSound) {
  for (const Connect& how : {Connect{.wiring = Wiring::Random, .p = 0.1}, Connect{.wiring = Wiring::Random, .p = 0},
                             Connect{.wiring = Wiring::Random, .p = 1}, Connect{.wiring = Wiring::FixedIndegree, .degree = 11},
                             Connect{.wiring = Wiring::FixedOutdegree, .degree = 50}, Connect{.wiring = Wiring::FixedIndegree, .degree = 0}})
    expect_sound(make(70, 50, how).connections, 70, 50);
  expect_sound(make(50, 50, {.wiring = Wiring::OneToOne}).connections, 50, 50);
  expect_sound(make(3, 70'000, {.wiring = Wiring::Random, .p = 0.01}).connections, 3, 70'000);
}

// More threads than neurons, no synapses, one neuron: the same synapses in the same order, each at one place.
TEST(Connectivity, BlocksOfThreadsHoldEachSynapseOnce) {
  for (const auto& [pres, posts, p] : {std::tuple(70, 50, 0.3), {7, 1, 1.0}, {1, 300, 0.9}, {5, 40, 0.0}, {30, 100, 1.0}})
    for (const int threads : {2, 3, 7, 100}) {
      const Connections whole = make(pres, posts, {.wiring = Wiring::Random, .p = p}).connections;
      Connections cut = whole;
      lay_in_blocks(cut, pres, posts, threads);
      index_by_post(cut, pres, posts);
      ASSERT_EQ(cut.blocks.size(), static_cast<size_t>(threads));
      ASSERT_EQ(cut.count(), whole.count());
      EXPECT_EQ(cut.column_begin, whole.column_begin);
      for (int64_t thread = 0; thread < threads; ++thread)
        for (int64_t s = cut.blocks[thread].front(); s < cut.blocks[thread].back(); ++s) {
          EXPECT_GE(cut.post[s], block_begin(posts, threads, static_cast<int>(thread)));
          EXPECT_LT(cut.post[s], block_begin(posts, threads, static_cast<int>(thread) + 1));
        }
      int64_t next = 0;
      std::set<int64_t> places;
      each_stretch(cut, [&](int64_t first, int64_t place, int64_t count) {
        EXPECT_EQ(first, next);
        next += count;
        for (int64_t k = 0; k < count; ++k) {
          const Edge edge = edge_of(whole, first + k), moved = edge_of(cut, place + k);
          EXPECT_EQ(edge.pre, moved.pre);
          EXPECT_EQ(edge.post, moved.post);
          EXPECT_EQ(place_of(cut, edge.pre, first + k), place + k);
          places.insert(place + k);
        }
      });
      EXPECT_EQ(next, whole.count());
      EXPECT_EQ(static_cast<int64_t>(places.size()), whole.count());
      for (size_t q = 0; q < static_cast<size_t>(whole.count()); ++q) {
        EXPECT_EQ(cut.pre[q], whole.pre[q]);
        EXPECT_EQ(edge_of(cut, cut.synapse[q]).post, edge_of(whole, whole.synapse[q]).post);
      }
    }
}

// 400 x 500 pairs at 0.1: 20000 synapses, standard deviation 134; four of them are 537.
TEST(Connectivity, RandomHasTheDensityAskedFor) {
  const Made made = make(400, 500, {.wiring = Wiring::Random, .p = 0.1});
  EXPECT_NEAR(static_cast<double>(made.connections.count()), 20'000, 537);
  // Indegrees are binomial: variance 400 * 0.1 * 0.9 = 36, known to 36 * sqrt(2 / 499) = 2.3.
  double sum = 0, squares = 0;
  for (const int64_t n : indegrees(made.connections)) sum += n, squares += static_cast<double>(n) * n;
  EXPECT_NEAR(squares / 500 - sum / 500 * (sum / 500), 36, 4 * 2.3);
}

TEST(Connectivity, DegreesAreExact) {
  const Made in = make(300, 200, {.wiring = Wiring::FixedIndegree, .degree = 30});
  for (const int64_t n : indegrees(in.connections)) EXPECT_EQ(n, 30);
  const Made out = make(300, 200, {.wiring = Wiring::FixedOutdegree, .degree = 200});
  EXPECT_EQ(out.connections.count(), 300 * 200);
  const Made partly = make(300, 200, {.wiring = Wiring::FixedOutdegree, .degree = 7});
  for (int64_t i = 0; i < 300; ++i)
    EXPECT_EQ(partly.connections.row_begin[i + 1] - partly.connections.row_begin[i], 7);
}

// Each of 100 neurons is chosen 10 times in 100 draws of 10: binomial, standard deviation 3.
TEST(Connectivity, ChoicesAreUniform) {
  const Made made = make(100, 100, {.wiring = Wiring::FixedOutdegree, .degree = 10});
  double squares = 0;
  for (const int64_t n : indegrees(made.connections)) squares += (static_cast<double>(n) - 10) * (static_cast<double>(n) - 10);
  EXPECT_NEAR(squares / 100, 9, 4 * 9 * std::sqrt(2.0 / 99));
}

TEST(Connectivity, NoneToItselfWhenAsked) {
  for (const Connect& how : {Connect{.wiring = Wiring::Random, .p = 0.5, .self = false},
                             Connect{.wiring = Wiring::FixedIndegree, .degree = 59, .self = false},
                             Connect{.wiring = Wiring::FixedOutdegree, .degree = 59, .self = false}}) {
    const Made made = make(60, 60, how, 1, true);
    expect_sound(made.connections, 60, 60);
    for (int64_t s = 0; s < made.connections.count(); ++s) {
      const Edge edge = edge_of(made.connections, s);
      EXPECT_NE(edge.pre, edge.post);
    }
    if (how.degree == 59) { EXPECT_EQ(made.connections.count(), 60 * 59); }
  }
}

TEST(Connectivity, KeyAndSiteDecide) {
  const auto posts = [](uint64_t key, uint32_t site) {
    const Made made = make(40, 40, {.wiring = Wiring::Random, .p = 0.2, .site = site}, key);
    std::vector<uint32_t> all;
    for (int64_t s = 0; s < made.connections.count(); ++s) all.push_back(made.connections.post[s]);
    return all;
  };
  EXPECT_EQ(posts(1, 0), posts(1, 0));
  EXPECT_NE(posts(1, 0), posts(2, 0));
  EXPECT_NE(posts(1, 0), posts(1, 1));
}

}  // namespace
}  // namespace hebb
