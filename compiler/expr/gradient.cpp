#include <algorithm>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"

namespace hebb {

namespace {

struct Guard { ExprId condition, inside; };

/// The adjoint as (if condition then inside else 0), when it has that form: a truth value c is
/// (if c then 1 else 0).
std::optional<Guard> guard_of(ExprPool& pool, ExprId adjoint) {
  const ExprNode node = pool[adjoint];
  switch (node.op) {
    case Op::Select:
      if (pool.is_constant(node.operands[2], 0)) return Guard{node.operands[0], node.operands[1]};
      if (pool.is_constant(node.operands[1], 0)) {
        return Guard{simple(pool, Op::Not, node.operands[0]), node.operands[2]};
      }
      return std::nullopt;
    case Op::Less: case Op::LessEqual: case Op::Equal: case Op::NotEqual: case Op::And: case Op::Or:
    case Op::Not: case Op::IsFinite:
      return Guard{adjoint, pool.constant(1)};
    default: return std::nullopt;
  }
}

ExprId guarded(ExprPool& pool, ExprId condition, ExprId inside) {
  return simple(pool, Op::Select, condition, inside, pool.constant(0));
}

// adjoint * partial. An adjoint that is zero unless a condition holds stays under its condition, so the
// derivative of the branch not taken, 0 * inf perhaps, does not leak.
ExprId scaled(ExprPool& pool, ExprId adjoint, ExprId partial) {
  if (pool.is_constant(partial, 0)) return pool.constant(0);
  const std::optional<Guard> guard = guard_of(pool, adjoint);
  if (!guard) return simple(pool, Op::Mul, adjoint, partial);
  return guarded(pool, guard->condition, scaled(pool, guard->inside, partial));
}

ExprId sum(ExprPool& pool, ExprId a, ExprId b) {
  const std::optional<Guard> left = guard_of(pool, a), right = guard_of(pool, b);
  if (left && right && left->condition == right->condition) {
    return guarded(pool, left->condition, sum(pool, left->inside, right->inside));
  }
  return simple(pool, Op::Add, a, b);
}

ExprId contribution(ExprPool& pool, ExprId self, const ExprNode& node, int k, ExprId adjoint) {
  const ExprId zero = pool.constant(0);
  if (node.op == Op::Select && k == 1) return guarded(pool, node.operands[0], adjoint);
  if (node.op == Op::Select && k == 2) return simple(pool, Op::Select, node.operands[0], zero, adjoint);
  if (node.op == Op::Min || node.op == Op::Max) {      // likewise a selection of the adjoint
    const ExprId taken = info(node.op).partial(pool, self, node.operands, k);
    return guarded(pool, taken, adjoint);
  }
  return scaled(pool, adjoint, simplify(pool, info(node.op).partial(pool, self, node.operands, k)));
}

}  // namespace

std::vector<ExprId> gradient(ExprPool& pool, ExprId root, std::span<const ExprId> leaves) {
  const std::vector<ExprId> nodes = nodes_below(pool, std::span(&root, 1));
  std::vector<bool> active(root.value + 1, false);     // depends on one of the leaves
  std::vector<bool> is_leaf(root.value + 1, false);
  for (const ExprId leaf : leaves) {
    if (leaf.value <= root.value) active[leaf.value] = is_leaf[leaf.value] = true;
  }
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    for (int k = 0; k < node.count; ++k) {
      if (active[node.operands[k].value]) active[id.value] = true;
    }
  }

  std::vector<ExprId> adjoint(root.value + 1);
  adjoint[root.value] = pool.constant(1);
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    const ExprId id = *it;
    if (!adjoint[id.value].valid() || !active[id.value] || is_leaf[id.value]) continue;
    const ExprNode node = pool[id];
    for (int k = 0; k < node.count; ++k) {
      const uint32_t into = node.operands[k].value;
      if (!active[into]) continue;
      const ExprId share = contribution(pool, id, node, k, adjoint[id.value]);
      if (pool.is_constant(share, 0)) continue;
      adjoint[into] = adjoint[into].valid() ? sum(pool, adjoint[into], share) : share;
    }
  }
  std::vector<ExprId> result;
  for (const ExprId leaf : leaves) {
    const bool reached = leaf.value <= root.value && adjoint[leaf.value].valid();
    result.push_back(reached ? adjoint[leaf.value] : pool.constant(0));
  }
  return result;
}

std::optional<Affine> affine_in(ExprPool& pool, ExprId root, ExprId variable) {
  const std::vector<ExprId> nodes = nodes_below(pool, std::span(&root, 1));
  // A node that does not depend on the variable has an invalid factor.
  std::vector<Affine> part(root.value + 1);
  const ExprId zero = pool.constant(0);
  const auto factor = [&](ExprId id) { return id.valid() ? id : zero; };
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    if (id == variable) {
      part[id.value] = {.factor = pool.constant(1), .rest = zero};
      continue;
    }
    Affine o[3];
    bool depends = false;
    for (int k = 0; k < node.count; ++k) {
      o[k] = part[node.operands[k].value];
      depends = depends || o[k].factor.valid();
    }
    if (!depends) {
      part[id.value] = {.factor = {}, .rest = id};
      continue;
    }
    const auto both = [&](Op op) {
      return Affine{.factor = simple(pool, op, factor(o[0].factor), factor(o[1].factor)),
                    .rest = simple(pool, op, o[0].rest, o[1].rest)};
    };
    const auto times = [&](const Affine& a, ExprId by) {
      return Affine{.factor = simple(pool, Op::Mul, a.factor, by),
                    .rest = simple(pool, Op::Mul, a.rest, by)};
    };
    const auto product = [&]() -> std::optional<Affine> {
      if (o[0].factor.valid() && o[1].factor.valid()) return std::nullopt;
      if (o[0].factor.valid()) return times(o[0], o[1].rest);
      return Affine{.factor = simple(pool, Op::Mul, o[0].rest, o[1].factor),
                    .rest = simple(pool, Op::Mul, o[0].rest, o[1].rest)};
    };
    switch (node.op) {
      case Op::Neg:
        part[id.value] = {.factor = simple(pool, Op::Neg, o[0].factor),
                          .rest = simple(pool, Op::Neg, o[0].rest)};
        break;
      case Op::Add: case Op::Sub: part[id.value] = both(node.op); break;
      case Op::Mul: {
        const std::optional<Affine> result = product();
        if (!result) return std::nullopt;
        part[id.value] = *result;
        break;
      }
      case Op::Fma: {
        std::optional<Affine> result;
        if (!o[0].factor.valid() && !o[1].factor.valid()) {
          result = Affine{.factor = {}, .rest = simple(pool, Op::Mul, o[0].rest, o[1].rest)};
        } else {
          result = product();
        }
        if (!result) return std::nullopt;
        part[id.value] = {
            .factor = simple(pool, Op::Add, factor(result->factor), factor(o[2].factor)),
            .rest = simple(pool, Op::Add, result->rest, o[2].rest)};
        break;
      }
      case Op::Div:
        if (o[1].factor.valid()) return std::nullopt;
        part[id.value] = {.factor = simple(pool, Op::Div, o[0].factor, o[1].rest),
                          .rest = simple(pool, Op::Div, o[0].rest, o[1].rest)};
        break;
      case Op::Select:
        if (o[0].factor.valid()) return std::nullopt;
        part[id.value] = {
            .factor = simple(pool, Op::Select, o[0].rest, factor(o[1].factor), factor(o[2].factor)),
            .rest = simple(pool, Op::Select, o[0].rest, o[1].rest, o[2].rest)};
        break;
      default: return std::nullopt;
    }
  }
  const Affine result = part[root.value];
  return Affine{.factor = factor(result.factor), .rest = result.rest};
}

}  // namespace hebb
