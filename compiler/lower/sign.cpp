#include "compiler/lower/sign.h"

#include <unordered_map>

namespace hebb {
namespace {

std::optional<Sign> product(const std::optional<Sign>& a, const std::optional<Sign>& b) {
  if (!a || !b) return {};
  Sign result{.negative = a->negative != b->negative, .of = a->of};
  for (const ExprId id : b->of)
    if (!result.of.erase(id)) result.of.insert(id);  // a square has no sign
  return result;
}

std::optional<Sign> negated(std::optional<Sign> a) {
  if (a) a->negative = !a->negative;
  return a;
}

bool never_negative(const std::optional<Sign>& a) { return a && !a->negative && a->of.empty(); }
bool never_positive(const std::optional<Sign>& a) { return a && a->negative && a->of.empty(); }

class Signs {
 public:
  Signs(const ExprPool& pool, const LeafSign& leaf) : pool_(pool), leaf_(leaf) {}

  std::optional<Sign> of(ExprId root) {
    for (const ExprId id : nodes_below(pool_, {&root, 1})) {
      const ExprNode node = pool_[id];
      if (node.count == 0) {
        const std::optional<LeafKnown> known = node.op == Op::Const ? std::nullopt : leaf_(id, node);
        fixed_[id.value] = node.op == Op::Const || (known && known->fixed);
        signs_[id.value] = known ? std::optional(known->sign) : node.op == Op::Const ? of_number(node.value) : std::nullopt;
        continue;
      }
      bool fixed = true;
      for (int k = 0; k < node.count; ++k) fixed = fixed && fixed_.at(node.operands[k].value);
      fixed_[id.value] = fixed;
      signs_[id.value] = of_operation(node);
      if (!signs_[id.value] && fixed) signs_[id.value] = Sign{.negative = false, .of = {id}};
    }
    return signs_.at(root.value);
  }

 private:
  static std::optional<Sign> of_number(double value) {
    if (value >= 0) return Sign{};
    if (value < 0) return Sign{.negative = true, .of = {}};
    return {};
  }

  bool is_zero(ExprId id) const { return pool_.is_constant(id, 0); }

  /// Of a value that is one of both, or their sum.
  std::optional<Sign> either(ExprId a, ExprId b, const std::optional<Sign>& of_a, const std::optional<Sign>& of_b) const {
    if (is_zero(a)) return of_b;
    if (is_zero(b)) return of_a;
    return of_a && of_b && *of_a == *of_b ? of_a : std::nullopt;
  }

  std::optional<Sign> of_operation(const ExprNode& node) const {
    const ExprId a = node.operands[0], b = node.operands[1], c = node.operands[2];
    const auto sign = [&](ExprId id) { return signs_.at(id.value); };
    switch (node.op) {
      case Op::Neg: return negated(sign(a));
      case Op::Add: return either(a, b, sign(a), sign(b));
      case Op::Sub: return either(a, b, sign(a), negated(sign(b)));
      case Op::Mul: return a == b ? std::optional(Sign{}) : product(sign(a), sign(b));
      case Op::Div: return product(sign(a), sign(b));
      case Op::Fma: {
        const std::optional<Sign> ab = a == b ? std::optional(Sign{}) : product(sign(a), sign(b));
        if (is_zero(c)) return ab;
        return ab && sign(c) && *ab == *sign(c) ? ab : std::nullopt;
      }
      case Op::Select: return either(b, c, sign(b), sign(c));
      case Op::Max:
        if (never_negative(sign(a)) || never_negative(sign(b))) return Sign{};
        return either(a, b, sign(a), sign(b));
      case Op::Min:
        if (never_positive(sign(a)) || never_positive(sign(b)) || is_zero(a) || is_zero(b)) return Sign{.negative = true, .of = {}};
        return either(a, b, sign(a), sign(b));
      case Op::Sqrt: case Op::Abs: case Op::Exp: case Op::Exprel: case Op::Sigmoid: case Op::Cosh: case Op::IsFinite:
      case Op::Less: case Op::LessEqual: case Op::Equal: case Op::NotEqual: case Op::And: case Op::Or: case Op::Not:
        return Sign{};
      case Op::Floor: case Op::Ceil: case Op::Round: case Op::Sign: case Op::Expm1: case Op::Log1p: case Op::Tanh:
      case Op::Sinh: case Op::Asin: case Op::Atan: case Op::Erf:
        return sign(a);
      case Op::Pow: return never_negative(sign(a)) ? std::optional(Sign{}) : std::nullopt;
      case Op::Mod: case Op::Log: case Op::Sin: case Op::Cos: case Op::Tan: case Op::Acos: case Op::Atan2:
      case Op::Const: case Op::Var: case Op::Load: case Op::Draw: case Op::Dt:
        return {};
    }
    return {};
  }

  const ExprPool& pool_;
  const LeafSign& leaf_;
  std::unordered_map<uint32_t, std::optional<Sign>> signs_;
  std::unordered_map<uint32_t, bool> fixed_;  // made of numbers, parameters and steps
};

}  // namespace

std::optional<Sign> sign_of(const ExprPool& pool, ExprId root, const LeafSign& leaf) { return Signs(pool, leaf).of(root); }

LeafSign signs_of_parameters(const Program& program) {
  return [&program](ExprId id, const ExprNode& leaf) -> std::optional<LeafKnown> {
    if (leaf.op != Op::Load) return {};
    const ColumnId column{leaf.leaf.index};
    if (column == program.dt) return LeafKnown{.sign = {}, .fixed = true};
    if (program[column].role == Role::Indicator) return LeafKnown{};
    if (program[column].role == Role::Param) return LeafKnown{.sign = {.negative = false, .of = {id}}, .fixed = true};
    return {};
  };
}

}  // namespace hebb
