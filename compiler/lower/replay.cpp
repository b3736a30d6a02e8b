#include "compiler/lower/replay.h"

#include <map>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"
#include "compiler/lower/reader.h"

namespace hebb {

ExprId Replay::weight() {
  if (how.repeated.valid()) return repeated();
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
  return product.summed ? carrier : simple(pool(), Op::Mul, product.at_instants, carrier);
}

ExprId Replay::unseen(const Deferral::Product& product) {
  return pool().sub(pool().load(product.sum, At::Post), pool().load(product.seen, At::Self));
}

/// After any part of the changes the weight is between `lowest` and `highest`; and where all that went up is less than
/// what each spike takes down for certain, no change was upward.
ExprId Replay::at_once_is_exact(const std::vector<ExprId>& added) {
  const ExprId zero = pool().constant(0), start = pool().load(how.weight_column, At::Self);
  ExprId up = zero, down = zero;
  for (size_t k = 0; k < added.size(); ++k) {
    const auto [highest, lowest] = moved(how.products[k], added[k]);
    up = simple(pool(), Op::Add, up, pool().make(Op::Max, highest, zero));
    down = simple(pool(), Op::Add, down, pool().make(Op::Min, lowest, zero));
  }
  const ExprId highest = pool().add(start, up), lowest = pool().add(start, down);
  const auto within = [&](ExprId value) { return pool().make(Op::Equal, clamped(value), value); };
  const ExprId inside = pool().make(Op::And, within(highest), within(lowest));
  const ExprId one = how.level < how.products.size() ? factor(how.products[how.level]) : zero;  // its carrier is 1
  const ExprId most = how.most.valid() ? pool().load(how.most, At::Post) : one, least = how.least.valid() ? pool().load(how.least, At::Post) : one;
  const ExprId all_down = pool().make(Op::LessEqual, up, pool().make(Op::Max, pool().neg(most), zero));
  const ExprId all_up = pool().make(Op::LessEqual, pool().neg(down), pool().make(Op::Max, least, zero));
  return pool().make(Op::Or, inside, pool().make(Op::Or, all_down, all_up));
}

/// How far up, and how far down, the changes of a product may have moved the weight at most. Of what both ways together
/// are, `reach` is no less.
std::pair<ExprId, ExprId> Replay::moved(const Deferral::Product& product, ExprId added) {
  if (!product.reach.valid()) return {added, added};
  const ExprId both = pool().make(Op::Abs, simple(pool(), Op::Mul, factor(product), pool().load(product.reach, At::Post)));
  const auto half = [&](ExprId sum) { return pool().mul(pool().constant(0.5), sum); };
  return {half(pool().add(added, both)), half(pool().sub(added, both))};
}

ExprId Replay::one_after_another() {
  const ExprId count = unseen(how.products[how.counter]);
  ExprId value = pool().load(how.weight_column, At::Self);
  for (uint32_t k = how.most_past(); k-- > 0;) {
    ExprId next = value;
    for (const Deferral::Product& product : how.products) {
      const ExprId by = product.past.valid() ? pool().load(product.past, At::Post, k) : pool().constant(1);
      next = simple(pool(), Op::Add, next, simple(pool(), Op::Mul, factor(product), by));
    }
    value = pool().select(pool().make(Op::Less, pool().constant(k), count), clamped(next), value);
  }
  return value;
}

ExprId Replay::repeated() {
  const ExprId count = unseen(how.products[how.counter]);
  ExprId value = pool().load(how.weight_column, At::Self);
  for (uint32_t k = how.most_past(); k-- > 0;) {
    const ExprId next = clamped(pool().add(value, added(k, value)));
    value = pool().select(pool().make(Op::Less, pool().constant(k), count), next, value);
  }
  return value;
}

ExprId Replay::added(uint32_t k, ExprId weight) {
  std::map<ExprId, ExprId> then;
  then[pool().load(how.weight_column, At::Self)] = weight;
  for (const Deferral::Faded& faded : how.faded) {
    const Deferral::Scale& scale = how.scales[faded.scale];
    if (!scale.column.valid()) continue;
    const ExprId carrier = pool().div(faded.trace, pool().load(scale.column, At::Uniform));
    then[faded.trace] = pool().mul(carrier, pool().load(scale.past, At::Post, k));
  }
  for (const Deferral::Remembered& remembered : how.remembered) then[remembered.value] = pool().load(remembered.past, At::Post, k);
  for (const ExprId id : nodes_below(pool(), {&how.repeated, 1})) {
    if (then.contains(id)) continue;
    const ExprNode node = pool()[id];
    ExprId operands[3];
    for (int i = 0; i < node.count; ++i) operands[i] = then.at(node.operands[i]);
    then[id] = node.count == 0 ? id : remake(pool(), node.op, {operands, size_t{node.count}});
  }
  return then.at(how.repeated);
}

}  // namespace hebb
