// Orders of a row: complete, operands first, and few values at once.

#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/program/remake.h"
#include "compiler/program/row_order.h"
#include "compiler/program/share_sums.h"

namespace hebb {
namespace {

/// Two sums over `terms` squares of loads, each square computed before any sum begins.
struct Example {
  ExprPool pool;
  std::vector<RowEffect> effects;
  std::vector<bool> inside;
  explicit Example(uint32_t terms) {
    std::vector<ExprId> squares;
    for (uint32_t k = 0; k < terms; ++k) {
      const ExprId x = pool.load(ColumnId{0}, At::Self, k);
      squares.push_back(pool.mul(x, x));
    }
    for (const Op op : {Op::Add, Op::Sub}) {
      ExprId sum = pool.load(ColumnId{1}, At::Self);
      for (const ExprId square : squares) sum = pool.make(op, sum, square);
      effects.push_back({{sum}});
    }
    inside.resize(pool.size());
    for (uint32_t id = 0; id < pool.size(); ++id) inside[id] = !info(pool[ExprId{id}].op).is_leaf;
  }
};

TEST(RowOrder, HoldsEverythingOnceAfterWhatItNeeds) {
  const Example example(40);
  const RowOrder found = order_of_row(example.pool, example.inside, example.effects);
  EXPECT_EQ(found.order.size(), 40u + 2 * 40 + 2);
  std::vector<size_t> place(example.pool.size() + 2, SIZE_MAX);
  for (size_t k = 0; k < found.order.size(); ++k) {
    EXPECT_EQ(place[found.order[k]], SIZE_MAX);
    place[found.order[k]] = k;
    if (found.order[k] >= example.pool.size()) continue;
    const ExprNode node = example.pool[ExprId{found.order[k]}];
    for (int n = 0; n < node.count; ++n) {
      const uint32_t need = node.operands[n].value;
      EXPECT_TRUE(!example.inside[need] || place[need] < k);
    }
  }
}

TEST(RowOrder, SumsTakeEachTermAsSoonAsItIsThere) {
  const Example example(40);
  EXPECT_LE(order_of_row(example.pool, example.inside, example.effects).live, 6u);
}

TEST(RowOrder, ARowWithoutArithmeticHasItsEffectsOnly) {
  ExprPool pool;
  const ExprId x = pool.load(ColumnId{0}, At::Self);
  const RowOrder found = order_of_row(pool, {false}, {{{x}}});
  EXPECT_EQ(found.order, std::vector<uint32_t>{1});
  EXPECT_EQ(order_of_row(pool, {false}, {}).order, std::vector<uint32_t>{});
}

TEST(RowOrder, AnEffectComesAfterThoseItWaitsFor) {
  ExprPool pool;
  std::vector<RowEffect> effects;
  for (uint32_t k = 0; k < 3; ++k) effects.push_back({{pool.load(ColumnId{0}, At::Self, k)}});
  effects[0].after = {2};
  effects[2].after = {1};
  EXPECT_EQ(order_of_row(pool, {false, false, false}, effects).order, (std::vector<uint32_t>{4, 5, 3}));
}

/// Two layers, W2 tanh(W1 w), of `units`: every hidden value is needed by two outputs, which are stored.
struct Network {
  ExprPool pool;
  std::vector<ExprId> hidden, outputs;
  explicit Network(uint32_t units) {
    const ExprId w = pool.load(ColumnId{0}, At::Self);
    for (uint32_t k = 0; k < units; ++k) hidden.push_back(pool.make(Op::Tanh, pool.mul(pool.load(ColumnId{1}, At::Uniform, k), w)));
    for (uint32_t out = 0; out < 2; ++out) {
      ExprId sum = pool.load(ColumnId{2}, At::Uniform, out);
      for (uint32_t k = 0; k < units; ++k)
        sum = pool.make(Op::Fma, pool.load(ColumnId{3}, At::Uniform, out * units + k), hidden[k], sum);
      outputs.push_back(sum);
    }
  }
  std::vector<bool> all(bool leaves) const {
    std::vector<bool> out(pool.size());
    for (uint32_t id = 0; id < pool.size(); ++id) out[id] = leaves || !info(pool[ExprId{id}].op).is_leaf;
    return out;
  }
  Remakes remade(int most) const {
    std::vector<bool> leaves(pool.size());
    for (uint32_t id = 0; id < pool.size(); ++id) leaves[id] = info(pool[ExprId{id}].op).is_leaf;
    return remakes(pool, all(true), leaves, most, /*anchored=*/true);
  }
};

TEST(RowOrder, LayersTakeEachHiddenValueAsSoonAsItIsThere) {
  const Network network(50);
  const RowOrder found = order_of_row(network.pool, network.all(false), {{{network.outputs[0]}}, {{network.outputs[1]}}}, {},
                                      network.remade(10).kept);
  EXPECT_LE(found.live, 12u);
}

TEST(Remake, CountsOperationsOnceAndKeepsWhatCostsMore) {
  const Network network(3);
  const Remakes cheap = network.remade(10), dear = network.remade(kRemakeOperations);
  EXPECT_FALSE(cheap.again[network.hidden[0].value]);
  EXPECT_EQ(cheap.kept[network.hidden[0].value], network.hidden[0]);
  EXPECT_TRUE(dear.again[network.hidden[0].value]);
  EXPECT_FALSE(dear.kept[network.hidden[0].value].valid());
  EXPECT_TRUE(dear.kept[network.outputs[0].value].valid()) << "three tanh cost more than a register: a part of the sum stays";
}

TEST(ShareSums, EachSumOnceAndFewValuesInEveryPart) {
  Network network(10);
  ExprPool& pool = network.pool;
  // As the derivative of a network: a product with each hidden value, all behind its output.
  Kernel kernel;
  for (uint32_t k = 0; k < 10; ++k)
    kernel.accumulates.push_back({.into = ColumnId{4}, .element = k, .value = pool.mul(network.outputs[0], network.hidden[k])});
  const auto parts = share_sums(pool, kernel, 6);
  std::vector<int> times(10);
  for (const auto& part : parts) {
    EXPECT_LE(part.size(), 5u);
    for (const size_t sum : part) ++times[sum];
  }
  EXPECT_EQ(times, std::vector<int>(10, 1));
  EXPECT_GE(parts.size(), 2u);
  EXPECT_EQ(share_sums(pool, kernel, 100).size(), 1u);
}

}  // namespace
}  // namespace hebb
