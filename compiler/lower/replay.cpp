#include "compiler/lower/replay.h"

#include "compiler/expr/simplify.h"
#include "compiler/lower/reader.h"

namespace hebb {

ExprId Replay::weight() {
  std::vector<ExprId> added;
  ExprId total = pool().load(how.weight_column, At::Self);
  for (const Deferral::Product& product : how.products) {
    added.push_back(simple(pool(), Op::Mul, factor(product), unseen(product)));
    total = simple(pool(), Op::Add, total, added.back());
  }
  return pool().select(at_once_is_exact(added), clamped(total), one_after_another());
}

ExprId Replay::clamped(ExprId value) { return Reader(draft, projection, Frame::Synapse).clamped(how.weight, value); }

/// What a post spike adds is this times what the sum was increased by.
ExprId Replay::factor(const Deferral::Product& product) {
  const ColumnId scale = how.scales[product.scale].column;
  const ExprId carrier = scale.valid() ? simple(pool(), Op::Div, product.carrier, pool().load(scale, At::Uniform)) : product.carrier;
  return simple(pool(), Op::Mul, product.at_instants, carrier);
}

ExprId Replay::unseen(const Deferral::Product& product) {
  return pool().sub(pool().load(product.sum, At::Post), pool().load(product.seen, At::Self));
}

/// Each product keeps its sign. After any part of the changes the weight is between `lowest` and `highest`; and where all
/// that went up is less than what each spike takes down for certain, no change was upward.
ExprId Replay::at_once_is_exact(const std::vector<ExprId>& added) {
  const ExprId zero = pool().constant(0), start = pool().load(how.weight_column, At::Self);
  ExprId up = zero, down = zero;
  for (const ExprId one : added) {
    up = simple(pool(), Op::Add, up, pool().make(Op::Max, one, zero));
    down = simple(pool(), Op::Add, down, pool().make(Op::Min, one, zero));
  }
  const ExprId highest = pool().add(start, up), lowest = pool().add(start, down);
  const ExprId each = factor(how.products[how.counter]);  // spike; its carrier is 1
  const auto within = [&](ExprId value) { return pool().make(Op::Equal, clamped(value), value); };
  const ExprId all_down = pool().make(Op::LessEqual, up, pool().make(Op::Max, pool().neg(each), zero));
  const ExprId all_up = pool().make(Op::LessEqual, pool().neg(down), pool().make(Op::Max, each, zero));
  return pool().make(Op::Or, pool().make(Op::And, within(highest), within(lowest)), pool().make(Op::Or, all_down, all_up));
}

ExprId Replay::one_after_another() {
  const ExprId count = unseen(how.products[how.counter]);
  ExprId value = pool().load(how.weight_column, At::Self);
  for (uint32_t k = Deferral::kMostPast; k-- > 0;) {
    ExprId next = value;
    for (const Deferral::Product& product : how.products) {
      const ExprId by = product.past.valid() ? pool().load(product.past, At::Post, k) : pool().constant(1);
      next = simple(pool(), Op::Add, next, simple(pool(), Op::Mul, factor(product), by));
    }
    value = pool().select(pool().make(Op::Less, pool().constant(k), count), clamped(next), value);
  }
  return value;
}

}  // namespace hebb
