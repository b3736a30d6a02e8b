// Rows of random projections: the same with and without wide vectors, and as dense as asked for.

#include "runtime/geometric.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace hebb {
namespace {

std::vector<uint32_t> narrow(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns) {
  std::vector<uint32_t> into(static_cast<size_t>(columns) + 16);
  into.resize(static_cast<size_t>(draw_row_narrow(key, site, row, p, columns, into.data())));
  return into;
}

template <class Index>
std::vector<uint32_t> drawn(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns) {
  std::vector<Index> into(static_cast<size_t>(columns) + 16);
  into.resize(static_cast<size_t>(draw_row(key, site, row, p, columns, into.data())));
  return {into.begin(), into.end()};
}

TEST(Geometric, EveryWidthDrawsTheSame) {
  for (const double p : {kLeastGapDensity, 0.02, 0.1, 0.37, 0.5, 0.9, kMostGapDensity})
    for (const int64_t columns : {0, 1, 15, 16, 17, 1000, 8001})
      for (int64_t row = 0; row < 40; ++row) {
        const auto want = narrow(0xfeedfacecafebeef, 7, row, p, columns);
        ASSERT_EQ(drawn<uint16_t>(0xfeedfacecafebeef, 7, row, p, columns), want) << p << " " << columns << " " << row;
        ASSERT_EQ(drawn<uint32_t>(0xfeedfacecafebeef, 7, row, p, columns), want);
      }
}

// How often each gap comes, against p (1 - p)^gap: 3 million draws each; five deviations.
TEST(Geometric, GapsComeAsOftenAsTheyShould) {
  for (const double p : {kLeastGapDensity, 0.1, 0.9}) {
    std::vector<double> seen(60);
    double draws = 0;
    const auto columns = static_cast<int64_t>(30'000 / p);
    for (int64_t row = 0; row < 100; ++row) {
      int64_t before = -1;
      for (const uint32_t at : drawn<uint32_t>(3, 1, row, p, columns)) {
        const int64_t gap = at - before - 1;
        if (gap < static_cast<int64_t>(seen.size())) ++seen[static_cast<size_t>(gap)];
        before = at;
        ++draws;
      }
    }
    for (size_t gap = 0; gap < seen.size(); ++gap) {
      const double share = p * std::pow(1 - p, static_cast<double>(gap));
      EXPECT_NEAR(seen[gap], draws * share, 5 * std::sqrt(draws * share) + 5) << p << " " << gap;
    }
  }
}

}  // namespace
}  // namespace hebb
