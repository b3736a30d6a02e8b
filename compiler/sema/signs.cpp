#include "compiler/sema/signs.h"

#include <algorithm>

#include "compiler/expr/transform.h"

namespace hebb::sema {
namespace {

Sign opposite(Sign a) {
  if (a == Sign::Positive) return Sign::Negative;
  return a == Sign::Negative ? Sign::Positive : a;
}
Sign sum(Sign a, Sign b) {
  if (a == Sign::Zero) return b;
  return b == Sign::Zero || a == b ? a : Sign::Unknown;
}
Sign product(Sign a, Sign b) {
  if (a == Sign::Zero || b == Sign::Zero) return Sign::Zero;
  if (a == Sign::Unknown || b == Sign::Unknown) return Sign::Unknown;
  return a == b ? Sign::Positive : Sign::Negative;
}
Sign of_number(double x) {
  if (x == 0) return Sign::Zero;
  if (x > 0) return Sign::Positive;
  return x < 0 ? Sign::Negative : Sign::Unknown;
}
bool at_least_zero(Sign a) { return a == Sign::Positive || a == Sign::Zero; }

Sign of_node(const ExprNode& node, Sign a, Sign b, Sign c) {
  switch (node.op) {
    case Op::Const:
      return of_number(node.value);
    case Op::Neg:
      return opposite(a);
    case Op::Add:
      return sum(a, b);
    case Op::Sub:
      return sum(a, opposite(b));
    case Op::Mul:
      return node.operands[0] == node.operands[1] ? Sign::Positive : product(a, b);
    case Op::Div:
      return product(a, b);
    case Op::Fma:
      return sum(product(a, b), c);
    case Op::Min:
      return a == b ? a : (a == Sign::Negative || b == Sign::Negative) ? Sign::Negative : Sign::Unknown;
    case Op::Max:
      return at_least_zero(a) || at_least_zero(b) ? Sign::Positive : a == b ? a : Sign::Unknown;
    case Op::Select:
      return sum(b, c);
    case Op::Sqrt:
    case Op::Abs:
    case Op::Exp:
    case Op::Exprel:
    case Op::Cosh:
    case Op::Sigmoid:
    case Op::Draw:
    case Op::Dt:
    case Op::Less:
    case Op::LessEqual:
    case Op::Equal:
    case Op::NotEqual:
    case Op::And:
    case Op::Or:
    case Op::Not:
    case Op::IsFinite:
      return Sign::Positive;
    case Op::Pow:
      return at_least_zero(a) ? Sign::Positive : Sign::Unknown;
    case Op::Expm1:
    case Op::Log1p:
    case Op::Tanh:
    case Op::Sinh:
    case Op::Asin:
    case Op::Atan:
    case Op::Erf:
    case Op::Floor:
    case Op::Ceil:
    case Op::Round:
    case Op::Sign:
      return a;
    case Op::Acos:
      return Sign::Positive;
    case Op::Var:
    case Op::Load:
    case Op::Log:
    case Op::Sin:
    case Op::Cos:
    case Op::Tan:
    case Op::Atan2:
    case Op::Mod:
      return Sign::Unknown;
  }
  return Sign::Unknown;
}

}  // namespace

Sign sign_of(const Model& model, ExprId root, const std::map<uint32_t, Sign>& variables) {
  std::map<uint32_t, Sign> done;
  const std::vector<ExprId> roots = {root};
  for (const ExprId id : nodes_below(model.pool, roots)) {
    const ExprNode node = model.pool[id];
    if (node.op == Op::Var) {
      const auto known = variables.find(node.leaf.index);
      done[id.value] = known == variables.end() ? Sign::Unknown : known->second;
      continue;
    }
    const auto at = [&](int k) { return k < node.count ? done[node.operands[k].value] : Sign::Unknown; };
    done[id.value] = of_node(node, at(0), at(1), at(2));
  }
  return done[root.value];
}

std::map<uint32_t, Sign> signs_of(Model& model, const Dynamics& dynamics) {
  std::map<uint32_t, Sign> signs;
  const auto initial = [&](const Variable& v) {
    Sign out = Sign::Zero;
    for (const ExprId init : v.init) out = sum(out, sign_of(model, init, signs));
    return out;
  };
  for (const VarId id : dynamics.variables) {
    const Variable& v = model[id];
    if (v.kind == VarKind::Param) signs[id.value] = initial(v);
  }
  // Optimism first: every state that can start at 0 or above stays there, until an equation objects.
  for (const VarId id : dynamics.variables) {
    const Variable& v = model[id];
    if (v.kind != VarKind::State && v.kind != VarKind::Weight) continue;
    const bool bounded = !v.low.valid() && v.bounds.low >= 0;
    const bool starts = v.kind == VarKind::State && at_least_zero(initial(v));
    if (bounded || starts) signs[id.value] = Sign::Positive;
  }
  for (const After& after : dynamics.afters) {
    if (signs.contains(after.of.value)) signs[after.marker.value] = signs[after.of.value];
  }
  for (bool again = true; again;) {
    again = false;
    for (const VarId id : dynamics.variables) {
      const Variable v = model[id];
      if (v.kind == VarKind::Let && signs[id.value] != Sign::Unknown) {
        Sign now = Sign::Zero;
        for (const ExprId value : v.value) now = sum(now, sign_of(model, value, signs));
        if (!signs.contains(id.value) || signs[id.value] != now) again = true;
        signs[id.value] = now;
        continue;
      }
      const bool bounded = !v.low.valid() && v.bounds.low >= 0;
      if (bounded || (v.kind != VarKind::State && v.kind != VarKind::Weight) || !signs.contains(id.value))
        continue;
      bool holds = true;
      for (const Jump& jump : dynamics.jumps) {
        if (jump.variable == id) holds = holds && at_least_zero(sign_of(model, jump.value, signs));
      }
      for (const Flow& flow : dynamics.flows) {
        if (flow.variable != id || !holds) continue;
        // At 0 the rate must not point down.
        Substitution at_zero(model.pool, model.pool, [&](const ExprNode& leaf) {
          return leaf.op == Op::Var && leaf.leaf.index == id.value ? model.pool.constant(0) : ExprId{};
        });
        holds = at_least_zero(sign_of(model, at_zero(flow.rate), signs));
      }
      if (holds) continue;
      signs.erase(id.value);
      for (const After& after : dynamics.afters)
        if (after.of == id) signs.erase(after.marker.value);
      again = true;
    }
  }
  return signs;
}

}  // namespace hebb::sema
