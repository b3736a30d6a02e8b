#include "compiler/units/inference.h"

namespace hebb {
namespace {

/// a * b^exponent
DimensionTerm combine(const DimensionTerm& a, const DimensionTerm& b, Rational exponent) {
  DimensionTerm out{.fixed = a.fixed * power(b.fixed, exponent)};
  size_t i = 0, j = 0;
  while (i < a.unknowns.size() || j < b.unknowns.size()) {
    const bool left =
        j == b.unknowns.size() || (i < a.unknowns.size() && a.unknowns[i].unknown < b.unknowns[j].unknown);
    if (left) {
      out.unknowns.push_back(a.unknowns[i++]);
      continue;
    }
    Rational sum = b.unknowns[j].exponent * exponent;
    const bool both = i < a.unknowns.size() && a.unknowns[i].unknown == b.unknowns[j].unknown;
    if (both) sum = a.unknowns[i++].exponent + sum;
    if (sum.num != 0) out.unknowns.push_back({b.unknowns[j].unknown, sum});
    ++j;
  }
  return out;
}

}  // namespace

DimensionTerm operator*(const DimensionTerm& a, const DimensionTerm& b) { return combine(a, b, {1, 1}); }
DimensionTerm operator/(const DimensionTerm& a, const DimensionTerm& b) { return combine(a, b, {-1, 1}); }
DimensionTerm power(const DimensionTerm& a, Rational exponent) { return combine({}, a, exponent); }

DimensionTerm DimensionSystem::fresh() {
  const uint32_t unknown = static_cast<uint32_t>(solutions_.size());
  solutions_.emplace_back();
  return {.fixed = {}, .unknowns = {{unknown, {1, 1}}}};
}

DimensionTerm DimensionSystem::reduce(const DimensionTerm& term) const {
  DimensionTerm out = term;
  bool again = true;
  while (again) {
    again = false;
    for (const DimensionTerm::Factor& factor : out.unknowns) {
      const Solution& solution = solutions_[factor.unknown];
      if (!solution.known) continue;
      const Rational exponent = factor.exponent;
      const DimensionTerm self{.fixed = {}, .unknowns = {{factor.unknown, {1, 1}}}};
      out = combine(combine(out, self, Rational{} - exponent), solution.term, exponent);
      again = true;
      break;
    }
  }
  return out;
}

bool DimensionSystem::equate(const DimensionTerm& a, const DimensionTerm& b, Span origin) {
  if (a.unknowns.empty() && b.unknowns.empty()) return a.fixed == b.fixed;
  const DimensionTerm difference = reduce(a / b);
  if (difference.unknowns.empty()) return difference.fixed.dimensionless();
  // The youngest unknown is solved for: it is most likely a literal 0 or a name just met.
  const DimensionTerm::Factor pivot = difference.unknowns.back();
  const DimensionTerm self{.fixed = {}, .unknowns = {{pivot.unknown, {1, 1}}}};
  // difference = 1, so self = (difference / self^e)^(-1/e)
  const DimensionTerm rest = combine(difference, self, Rational{} - pivot.exponent);
  Solution& solution = solutions_[pivot.unknown];
  solution.known = true;
  solution.term = power(rest, Rational{-1, 1} / pivot.exponent);
  solution.origin = origin;
  return true;
}

std::optional<Dimension> DimensionSystem::value(const DimensionTerm& term) const {
  const DimensionTerm reduced = reduce(term);
  if (!reduced.unknowns.empty()) return {};
  return reduced.fixed;
}

Span DimensionSystem::origin(const DimensionTerm& term) const {
  for (const DimensionTerm::Factor& factor : term.unknowns) {
    const Solution& solution = solutions_[factor.unknown];
    if (solution.known && solution.origin.valid()) return solution.origin;
  }
  return {};
}

}  // namespace hebb
