// Rows cut into kernels: every effect once, few values in each, and nothing overwritten before it is read.

#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/program/cut_row.h"
#include "compiler/program/row_order.h"

namespace hebb {
namespace {

/// A sum of `terms` products of powers, each needed again in the reverse order.
struct Series {
  Program program;
  ColumnId x, total;
  Kernel kernel;
  explicit Series(uint32_t terms) {
    const SpaceId one = program.add(Space{.name = "one"});
    program.dt = program.add(Column{.name = "dt", .space = one, .role = Role::Param});
    x = program.add(Column{.name = "x", .space = one, .role = Role::State, .width = 2});
    total = program.add(Column{.name = "total", .space = one});
    ExprPool& pool = program.pool;
    std::vector<ExprId> powers = {pool.load(x, At::Uniform, 0)};
    for (uint32_t k = 0; k < terms; ++k) powers.push_back(pool.mul(powers.back(), pool.load(x, At::Uniform, 1)));
    ExprId sum = pool.constant(1);
    for (uint32_t k = terms; k-- > 0;) sum = pool.make(Op::Fma, sum, powers[k], pool.constant(k));
    kernel = {.name = "series", .domain = one};
    kernel.stores = {{.into = x, .element = 1, .value = powers[3]}, {.into = x, .element = 0, .value = sum}};
    kernel.accumulates = {{.into = total, .at = At::Uniform, .value = pool.mul(sum, powers[5])}};
  }
};

size_t live(const Program& program, const Kernel& kernel) {
  std::vector<bool> inside(program.pool.size());
  for (const ExprId id : nodes_below(program.pool, roots(kernel))) inside[id.value] = !info(program.pool[id].op).is_leaf;
  std::vector<RowEffect> effects;
  for (const Store& store : kernel.stores) effects.push_back({{store.value}});
  for (const Accumulate& sum : kernel.accumulates) effects.push_back({taken_by(program.pool, sum)});
  return order_of_row(program.pool, inside, effects).live;
}

TEST(CutRow, ShortRowsStayWhole) {
  Series series(8);
  const size_t columns = series.program.columns.size();
  EXPECT_TRUE(cut_row(series.program, series.kernel, "between", 32).empty());
  EXPECT_EQ(series.program.columns.size(), columns);
}

TEST(CutRow, PiecesHaveFewValuesAndEveryEffectOnce) {
  Series series(200);
  ASSERT_GT(live(series.program, series.kernel), 150u);
  const std::vector<Kernel> pieces = cut_row(series.program, series.kernel, "between", 32);
  ASSERT_GE(pieces.size(), 2u);
  const ColumnId between = series.program.find_column("between");
  ASSERT_TRUE(between.valid());
  size_t sums = 0;
  std::vector<int> handed_on(static_cast<size_t>(series.program[between].width));
  for (const Kernel& piece : pieces) {
    EXPECT_LE(live(series.program, piece), 36u) << "with what it reads";
    sums += piece.accumulates.size();
    for (const ExprId id : nodes_below(series.program.pool, roots(piece))) {
      const ExprNode node = series.program.pool[id];
      if (node.op != Op::Load || node.leaf.index != between.value) continue;
      EXPECT_EQ(handed_on[node.leaf.element], 1) << "read after an earlier piece stored it";
    }
    for (const Store& store : piece.stores) {
      if (store.into == between) {
        ++handed_on[store.element];
      } else {
        EXPECT_EQ(&piece, &pieces.back()) << "the row reads what it overwrites";
      }
    }
    series.program.plan.step.push_back({series.program.add(piece)});
  }
  EXPECT_EQ(sums, 1u);
  EXPECT_EQ(handed_on, std::vector<int>(handed_on.size(), 1));
  EXPECT_EQ(std::count_if(pieces.back().stores.begin(), pieces.back().stores.end(), [&](const Store& store) { return store.into == series.x; }), 2);
  EXPECT_EQ(verify(series.program), std::vector<std::string>{});
}

TEST(CutRow, AProductThatIsSummedStaysOne) {
  Series series(200);
  for (const Kernel& piece : cut_row(series.program, series.kernel, "between", 32))
    for (const Accumulate& sum : piece.accumulates) EXPECT_EQ(series.program.pool[sum.value].op, Op::Mul);
}

}  // namespace
}  // namespace hebb
