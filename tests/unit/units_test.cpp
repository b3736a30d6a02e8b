// Rationals, dimensions, the unit table, inference.

#include <gtest/gtest.h>

#include <limits>

#include "compiler/units/inference.h"

namespace hebb {
namespace {

Dimension base(BaseQuantity quantity, int64_t num = 1, int64_t den = 1) {
  Dimension out;
  out.exponents[static_cast<size_t>(quantity)] = make_rational(num, den);
  return out;
}
const Dimension kTime = base(BaseQuantity::Time);
const Dimension kVoltage = base(BaseQuantity::Voltage);
const Dimension kCurrent = base(BaseQuantity::Current);

TEST(Rationals, AreReducedWithAPositiveDenominator) {
  EXPECT_EQ(make_rational(2, -4), (Rational{-1, 2}));
  EXPECT_EQ(make_rational(0, -7), (Rational{0, 1}));
  EXPECT_EQ(make_rational(1, 3) + make_rational(1, 6), (Rational{1, 2}));
  EXPECT_EQ(make_rational(1, 2) - make_rational(1, 2), Rational{});
  EXPECT_EQ(make_rational(2, 3) * make_rational(3, 4), (Rational{1, 2}));
  EXPECT_EQ(make_rational(2, 3) / make_rational(-4, 3), (Rational{-1, 2}));
}

TEST(Rationals, OverflowIsNoFraction) {
  const Rational huge = make_rational(std::numeric_limits<int64_t>::max(), 1);
  EXPECT_NE(huge * huge, Rational{});
  EXPECT_NE(huge + huge, Rational{});
  EXPECT_NE(make_rational(std::numeric_limits<int64_t>::min(), 1), Rational{});
}

TEST(Dimensions, ReadAsPeopleWriteThem) {
  EXPECT_EQ(describe(Dimension{}), "a plain number");
  EXPECT_EQ(describe(kVoltage / kTime), "voltage/time");
  EXPECT_EQ(describe(Dimension{} / kTime), "1/time");
  EXPECT_EQ(describe(power(kVoltage, {1, 2})), "voltage^(1/2)");
  EXPECT_EQ(unit_text(kVoltage / kTime), "mV/ms");
  EXPECT_EQ(unit_text(Dimension{} / power(kVoltage, {2, 1})), "1/mV^2");
  EXPECT_EQ(unit_text(Dimension{}), "1");
}

TEST(Units, FormOneConsistentSet) {
  const auto unit = [](std::string_view name) { return *find_unit(name); };
  EXPECT_EQ(unit("s").scale, 1000);
  EXPECT_EQ(unit("nS").scale, 1);
  EXPECT_EQ(unit("nS").dimension, kCurrent / kVoltage);
  EXPECT_EQ(unit("Hz").dimension, Dimension{} / kTime);
  // pA = nS * mV, mV = GOhm * pA, pA * ms = pF * mV: no factor between them.
  EXPECT_EQ(unit("pA").scale, unit("nS").scale * unit("mV").scale);
  EXPECT_EQ(unit("mV").scale, unit("GOhm").scale * unit("pA").scale);
  EXPECT_EQ(unit("pA").scale * unit("ms").scale, unit("pF").scale * unit("mV").scale);
  EXPECT_EQ(unit("F").scale * unit("V").scale, unit("A").scale * unit("s").scale);
  EXPECT_EQ(unit("Ohm").dimension * unit("S").dimension, Dimension{});
  EXPECT_EQ(find_unit("parsec"), nullptr);
  EXPECT_EQ(find_unit(""), nullptr);
}

TEST(Inference, SolvesForWhatIsNotWritten) {
  DimensionSystem system;
  const DimensionTerm trace = system.fresh(), tau{.fixed = kTime, .unknowns = {}};
  // x' = (S - x)/tau with S a spike train: x is 1/time.
  const DimensionTerm train{.fixed = Dimension{} / kTime, .unknowns = {}};
  EXPECT_TRUE(system.equate(trace, train, {}));
  EXPECT_TRUE(system.equate(trace / tau, train / tau, {}));
  EXPECT_EQ(system.value(trace), Dimension{} / kTime);
}

TEST(Inference, EquationsAreLinearInExponents) {
  // Oja: r_pre = r_post * w and w = eta r_pre r_post with a plain eta: r_post^2 = 1.
  DimensionSystem system;
  const DimensionTerm pre = system.fresh(), post = system.fresh(), w = system.fresh();
  EXPECT_FALSE(system.value(post));
  EXPECT_TRUE(system.equate(pre, post * w, {}));
  EXPECT_TRUE(system.equate(w, pre * post, {}));
  EXPECT_EQ(system.value(post), Dimension{});
  EXPECT_FALSE(system.value(w)) << "nothing says what a weight is";
  EXPECT_EQ(system.value(w / pre), Dimension{});
}

TEST(Inference, RootsGiveFractions) {
  DimensionSystem system;
  const DimensionTerm x = system.fresh();
  EXPECT_TRUE(system.equate(power(x, {3, 1}), {.fixed = kVoltage, .unknowns = {}}, {}));
  EXPECT_EQ(system.value(x), power(kVoltage, {1, 3}));
}

TEST(Inference, AContradictionIsRefusedAndForgotten) {
  DimensionSystem system;
  const DimensionTerm x = system.fresh();
  const DimensionTerm volt{.fixed = kVoltage, .unknowns = {}}, time{.fixed = kTime, .unknowns = {}};
  const Span origin{FileId{0}, 3, 5};
  EXPECT_TRUE(system.equate(x, volt, origin));
  EXPECT_FALSE(system.equate(x, time, {}));
  EXPECT_EQ(system.value(x), kVoltage);
  EXPECT_EQ(system.origin(x), origin);
  EXPECT_FALSE(system.equate(volt, time, {}));
}

TEST(Inference, ChainsOfUnknownsResolve) {
  DimensionSystem system;
  std::vector<DimensionTerm> chain = {system.fresh()};
  for (int i = 1; i < 200; ++i) {
    chain.push_back(system.fresh());
    EXPECT_TRUE(system.equate(chain[i - 1], chain[i], {}));
  }
  EXPECT_TRUE(system.equate(chain.front(), {.fixed = kCurrent, .unknowns = {}}, {}));
  EXPECT_EQ(system.value(chain.back()), kCurrent);
}

}  // namespace
}  // namespace hebb
