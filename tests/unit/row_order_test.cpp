// Orders of a row: complete, operands first, and few values at once.

#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/program/row_order.h"

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

}  // namespace
}  // namespace hebb
