// Equal computations whose results are summed are found, and nothing else is.

#include "compiler/codegen/strands.h"

#include <gtest/gtest.h>

namespace hebb {
namespace {

struct Network {
  ExprPool pool;
  ExprId x = pool.load(ColumnId{0}, At::Self), y = pool.load(ColumnId{0}, At::Self, 1);
  std::vector<ExprId> results = {};

  ExprId number(uint32_t column, uint32_t k) { return pool.load(ColumnId{column}, At::Uniform, k); }
  ExprId unit(uint32_t k) { return pool.make(Op::Sigmoid, pool.make(Op::Fma, number(1, k), x, pool.make(Op::Mul, number(2, k), y))); }

  std::vector<Strands> found() const {
    const std::vector<bool> live = live_nodes(pool, results);
    const std::vector<bool> of_synapse = [&] {
      std::vector<bool> out(pool.size());
      for (uint32_t id = 0; id < pool.size(); ++id) {
        const ExprNode node = pool[ExprId{id}];
        out[id] = node.op == Op::Load && node.leaf.at == At::Self;
        for (int k = 0; k < node.count; ++k) out[id] = out[id] || out[node.operands[k].value];
      }
      return out;
    }();
    return find_strands(pool, live, [&](uint32_t id) { return of_synapse[id]; }, results);
  }

  /// Units of this order, with these factors, after what it begins with.
  ExprId sum(const std::vector<uint32_t>& units, uint32_t factors, ExprId start = {}) {
    for (const uint32_t k : units)
      start = start.valid() ? pool.make(Op::Fma, number(factors, k), unit(k), start) : pool.make(Op::Mul, number(factors, k), unit(k));
    return start;
  }
};

std::vector<uint32_t> first(uint32_t count) {
  std::vector<uint32_t> out;
  for (uint32_t k = 0; k < count; ++k) out.push_back(k);
  return out;
}

TEST(Strands, AreTheUnitsOfTwoSums) {
  Network n;
  n.results = {n.sum(first(9), 3), n.sum(first(9), 4, n.y)};
  const std::vector<Strands> found = n.found();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].count(), 9u);
  EXPECT_EQ(found[0].steps.size(), 3u);
  EXPECT_EQ(found[0].steps.back().op, Op::Sigmoid);
  EXPECT_EQ(found[0].shared.size(), 2u);
  ASSERT_EQ(found[0].sums.size(), 2u);
  for (const Strands::Sum& sum : found[0].sums) {
    const bool is_first = sum.result == n.results[0].value;
    EXPECT_EQ(sum.result, n.results[is_first ? 0 : 1].value);
    EXPECT_EQ(sum.start, is_first ? ExprId{} : n.y);
    for (uint32_t k = 0; k < 9; ++k) EXPECT_EQ(found[0].numbers[k][sum.factor], n.number(is_first ? 3 : 4, k));
  }
}

TEST(Strands, FewAreWrittenOut) {
  Network n;
  n.results = {n.sum(first(7), 3)};
  EXPECT_TRUE(n.found().empty());
}

TEST(Strands, SumsOfAnotherOrderAreNotTheirs) {
  Network n;
  std::vector<uint32_t> turned = first(9);
  std::swap(turned[2], turned[5]);
  n.results = {n.sum(first(9), 3), n.sum(turned, 4)};
  EXPECT_TRUE(n.found().empty());
}

TEST(Strands, UnitsThatAreWantedThemselvesAreNot) {
  Network n;
  n.results = {n.sum(first(9), 3), n.unit(4)};
  EXPECT_TRUE(n.found().empty());
  n.results = {n.sum(first(9), 3), n.pool.make(Op::Exp, n.unit(4))};
  EXPECT_TRUE(n.found().empty());
}

TEST(Strands, NoSumBeginsWithAnother) {
  Network n;
  const ExprId one = n.sum(first(9), 3);
  n.results = {n.sum(first(9), 4, one)};
  EXPECT_TRUE(n.found().empty());
}

TEST(Strands, SumsThatAreReadOnTheWayAreNot) {
  Network n;
  const ExprId part = n.sum(first(8), 3);
  n.results = {n.pool.make(Op::Fma, n.number(3, 8), n.unit(8), part), part};
  EXPECT_TRUE(n.found().empty());
}

TEST(Strands, ASecondLayerReadsTheSumsOfTheFirst) {
  Network n;
  ExprId total;
  for (uint32_t k = 0; k < 8; ++k) {
    const ExprId unit = n.pool.make(Op::Tanh, n.sum(first(8), 10 + k));
    total = k == 0 ? n.pool.make(Op::Mul, n.number(5, k), unit) : n.pool.make(Op::Fma, n.number(5, k), unit, total);
  }
  n.results = {total};
  const std::vector<Strands> found = n.found();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].sums.size(), 8u);
  EXPECT_EQ(found[0].steps.back().op, Op::Sigmoid);
}

}  // namespace
}  // namespace hebb
