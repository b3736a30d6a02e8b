#pragma once
// Functions over a pool: each is one loop, and none changes an existing node.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/expr/pool.h"

namespace hebb {

/// Rewrites leaves: `replace` returns the new node for a leaf of `from`, or an invalid id to copy it.
/// `from` and `to` may be the same pool.
class Substitution {
 public:
  Substitution(const ExprPool& from, ExprPool& to,
               std::function<ExprId(const ExprNode& leaf)> replace);
  /// An invalid root stays invalid. Work is shared between calls.
  ExprId operator()(ExprId root);

 private:
  ExprId copy(ExprId id, const ExprNode& node);

  const ExprPool& from_;
  ExprPool& to_;
  std::function<ExprId(const ExprNode&)> replace_;
  std::vector<ExprId> done_;
};

/// The node `op` of `operands`, as many as there are.
ExprId remake(ExprPool& pool, Op op, std::span<const ExprId> operands);

/// An equal expression that is cheaper or more regular, bit-identical for finite arguments except
/// where a comment at the rule says otherwise: x*1, x+0, x^2 → x*x, constant folding, select folding.
ExprId simplify(ExprPool& pool, ExprId root);
/// The same for many roots, in order; what they share is visited once.
std::vector<ExprId> simplify(ExprPool& pool, std::span<const ExprId> roots);

/// a*b + c becomes Fma(a, b, c) where the product has no other use inside `roots`: one rounding,
/// stated once, so that every engine computes the same bits. Returns the new roots, in order.
std::vector<ExprId> form_fma(ExprPool& pool, std::span<const ExprId> roots);

/// Levels of Horner staging: 0 uniform, 1 pre, 2 post, 3 row. What mentions one of 1 and 2 only can be
/// hoisted out of the loop over synapses; what mentions both, or the row, cannot.
using LevelOf = std::function<int(const ExprNode& leaf)>;
/// That of a leaf of a program's kernel over synapses.
int level_over_synapses(const ExprNode& leaf);
/// `root` with its polynomials in Horner form, the row's variables outside, coefficients hoistable; and
/// sums regrouped so that what is hoistable stands together. Applied inside operands of other functions
/// too. A polynomial that gains nothing, or would have too many terms, stays as it is. Equal up to
/// rounding. Run it after `simplify`, which would undo x * (1/tau). `multiply_out`: polynomials that stand in `root` more
/// than once, too.
ExprId horner(ExprPool& pool, ExprId root, const LevelOf& level, bool multiply_out = false);

/// The same roots with a·x·b·x, where x is the same along a row of synapses (levels 0 and 1), as (a·b)·(x·x): what
/// stands together then is computed once a row. Equal up to rounding.
std::vector<ExprId> gather_row_factors(ExprPool& pool, std::span<const ExprId> roots, const LevelOf& level);

/// d(root)/d(leaf) for each leaf, by one reverse sweep.
std::vector<ExprId> gradient(ExprPool& pool, ExprId root, std::span<const ExprId> leaves);

/// `root` as factor * variable + rest with both free of `variable`, if it is affine in it.
struct Affine { ExprId factor, rest; };
std::optional<Affine> affine_in(ExprPool& pool, ExprId root, ExprId variable);

/// exp[x0, …, xn], the divided difference of exp, symmetric and accurate for any nodes, equal ones too.
/// One node gives exp(x0).
ExprId exp_divided_difference(ExprPool& pool, std::vector<ExprId> nodes);
/// (e^x - 1) / x, and 1 at 0.
ExprId exprel(ExprPool& pool, ExprId x);

/// The value of a root in double, given the value of each leaf.
double evaluate(const ExprPool& pool, ExprId root, const std::function<double(const ExprNode& leaf)>& leaf);

/// Spelling of a leaf for printing.
using LeafName = std::function<std::string(const ExprNode& leaf)>;
std::string to_text(const ExprPool& pool, ExprId root, const LeafName& name);
std::string to_latex(const ExprPool& pool, ExprId root, const LeafName& name);

}  // namespace hebb
