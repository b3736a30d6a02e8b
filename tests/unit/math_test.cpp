// The math functions against wider arithmetic over their whole domain, and at its edges. The C library
// gives float's reference in double and double's in long double (64-bit fraction).

#include "compiler/expr/math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

extern "C" float hebb_exp_scaledf(float);
extern "C" double hebb_exp_scaled(double);

namespace {

template <class Real> constexpr Real kInf = std::numeric_limits<Real>::infinity();
template <class Real> constexpr Real kNan = std::numeric_limits<Real>::quiet_NaN();

/// Distance from the exact value in units of the last place of the result.
template <class Real, class Wide>
double ulps(Real got, Wide want) {
  const Real rounded = static_cast<Real>(want);
  if (std::isnan(got) || std::isnan(rounded)) return std::isnan(got) && std::isnan(rounded) ? 0 : 1e30;
  if (std::isinf(got) || std::isinf(rounded)) return got == rounded ? 0 : 1e30;
  const Real magnitude = std::fabs(rounded);
  const Wide unit = static_cast<Wide>(std::nextafter(magnitude, kInf<Real>)) - static_cast<Wide>(magnitude);
  return static_cast<double>(std::fabs(static_cast<Wide>(got) - want) / unit);
}

template <class Real, class Wide>
struct Function {
  const char* name;
  Real (*ours)(Real);
  Wide (*reference)(Wide);
  double limit;  // ulps
};

template <class Wide> Wide exprel(Wide x) { return x == 0 ? 1 : std::isinf(x) && x > 0 ? x : std::expm1(x) / x; }

template <class Wide> Wide sigmoid(Wide x) { return 1 / (1 + std::exp(-x)); }

const Function<float, double> kFloat[] = {
    {"sigmoidf", hebb_sigmoidf, sigmoid<double>, 2.5},
    {"exprelf", hebb_exprelf, exprel<double>, 2.5},
    {"expf", hebb_expf, std::exp, 1.5},     {"expm1f", hebb_expm1f, std::expm1, 2},
    {"logf", hebb_logf, std::log, 1.5},     {"log1pf", hebb_log1pf, std::log1p, 2},
    {"tanhf", hebb_tanhf, std::tanh, 2.5},  {"sinf", hebb_sinf, std::sin, 2.5},
    {"cosf", hebb_cosf, std::cos, 2.5},     {"tanf", hebb_tanf, std::tan, 3},
    {"sinhf", hebb_sinhf, std::sinh, 2.5},  {"coshf", hebb_coshf, std::cosh, 2.5},
    {"asinf", hebb_asinf, std::asin, 2.5},  {"acosf", hebb_acosf, std::acos, 2.5},
    {"atanf", hebb_atanf, std::atan, 2.5},  {"erff", hebb_erff, std::erf, 2.5}};
const Function<double, long double> kDouble[] = {
    {"sigmoid", hebb_sigmoid, sigmoid<long double>, 2.5},
    {"exprel", hebb_exprel, exprel<long double>, 2.5},
    {"exp", hebb_exp, std::exp, 1.5},     {"expm1", hebb_expm1, std::expm1, 2},
    {"log", hebb_log, std::log, 1.5},     {"log1p", hebb_log1p, std::log1p, 2},
    {"tanh", hebb_tanh, std::tanh, 2.5},  {"sin", hebb_sin, std::sin, 2},
    {"cos", hebb_cos, std::cos, 2},       {"tan", hebb_tan, std::tan, 2.5},
    {"sinh", hebb_sinh, std::sinh, 2.5},  {"cosh", hebb_cosh, std::cosh, 2.5},
    {"asin", hebb_asin, std::asin, 2.5},  {"acos", hebb_acos, std::acos, 2.5},
    {"atan", hebb_atan, std::atan, 2.5},  {"erf", hebb_erf, std::erf, 2.5}};

/// Every 1,999th float: all exponents, both signs, subnormals, infinities and nans.
std::vector<float> all_over_float() {
  std::vector<float> values;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 1999)
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  return values;
}

/// Every exponent of double, with random fractions, and the range where most functions do their work.
std::vector<double> all_over_double() {
  std::vector<double> values;
  uint64_t random = 88172645463325252u;
  const auto next = [&] {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    return random;
  };
  for (uint64_t exponent = 0; exponent < 2048; ++exponent)
    for (int k = 0; k < 40; ++k)
      values.push_back(std::bit_cast<double>((next() & 0x800fffffffffffffu) | (exponent << 52)));
  for (int k = 0; k < 100000; ++k)
    values.push_back((static_cast<double>(next() >> 11) * 0x1p-53 - 0.5) * (k % 2 == 0 ? 4 : 1500));
  return values;
}

template <class Real, class Wide>
void expect_accurate(const Function<Real, Wide>& function, const std::vector<Real>& values) {
  double worst = 0;
  Real where = 0;
  for (const Real x : values) {
    const double error = ulps(function.ours(x), function.reference(static_cast<Wide>(x)));
    if (error > worst) worst = error, where = x;
  }
  EXPECT_LE(worst, function.limit) << function.name << " at " << std::hexfloat << where << ": "
                                   << function.ours(where) << ", exact "
                                   << static_cast<double>(function.reference(static_cast<Wide>(where)));
  testing::Test::RecordProperty(function.name, std::to_string(worst));
}

TEST(Math, FloatFunctionsAreAccurateEverywhere) {
  const std::vector<float> values = all_over_float();
  for (const auto& function : kFloat) expect_accurate(function, values);
}

TEST(Math, DoubleFunctionsAreAccurateEverywhere) {
  const std::vector<double> values = all_over_double();
  for (const auto& function : kDouble) expect_accurate(function, values);
}

TEST(Math, EveryFloatAroundTheTurningPoints) {
  // Where a formula changes hands: all floats in between.
  std::vector<float> values;
  for (const float centre : {0x1p-30f, 0.5f, 93.2f, 0x1p-25f, 0.34657359f, 0.70710678f, 1.0f, 1.41421356f, 10.0f, 88.7228f,
                             87.3365f, 103.972f, 0x1p-126f, 17.33f, 16.639f, 64.0f, 104.0f})
    for (int k = -3000; k <= 3000; ++k) {
      const float x = std::bit_cast<float>(std::bit_cast<int32_t>(centre) + k);
      values.push_back(x), values.push_back(-x);
    }
  for (const auto& function : kFloat) expect_accurate(function, values);
}

template <class Real>
void expect_same(Real got, Real want, const std::string& what) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << what << " is " << got;
    return;
  }
  EXPECT_TRUE(got == want && std::signbit(got) == std::signbit(want)) << what << " is " << got << ", not " << want;
}

// What is inlined where a machine has an instruction for a * 2^n.
TEST(Math, ExpWithTheInstructionGivesTheSameBits) {
  for (const float x : all_over_float()) ASSERT_EQ(std::bit_cast<uint32_t>(hebb_exp_scaledf(x)), std::bit_cast<uint32_t>(hebb_expf(x))) << x;
  for (float x = -104.5f; x < -86; x += 0x1p-12f) ASSERT_EQ(hebb_exp_scaledf(x), hebb_expf(x)) << x;
  for (const double x : all_over_double()) ASSERT_EQ(std::bit_cast<uint64_t>(hebb_exp_scaled(x)), std::bit_cast<uint64_t>(hebb_exp(x))) << x;
  for (double x = -746.5; x < -707; x += 0x1p-11) ASSERT_EQ(hebb_exp_scaled(x), hebb_exp(x)) << x;
}

TEST(Math, EdgesAreThoseOfTheStandard) {
  for (const double x : {0.0, -0.0, 1.0, -1.0, kInf<double>, -kInf<double>, kNan<double>, 2e3, -2e3}) {
    const std::string at = "(" + std::to_string(x) + ")";
    const float xf = static_cast<float>(x);
    if (x != 1 && x != -1) {
      expect_same(hebb_exp(x), std::exp(x), "exp" + at);
      expect_same(hebb_expf(xf), std::exp(xf), "expf" + at);
      expect_same(hebb_tanh(x), std::tanh(x), "tanh" + at);
      expect_same(hebb_tanhf(xf), std::tanh(xf), "tanhf" + at);
    }
    if (x <= 1 || !std::isfinite(x)) {
      expect_same(hebb_log(x), std::log(x), "log" + at);
      expect_same(hebb_logf(xf), std::log(xf), "logf" + at);
    }
    if (x <= 0 || !std::isfinite(x)) {
      expect_same(hebb_log1p(x), std::log1p(x), "log1p" + at);
      expect_same(hebb_log1pf(xf), std::log1p(xf), "log1pf" + at);
    }
    if (std::fabs(x) != 1) {
      expect_same(hebb_expm1(x), std::expm1(x), "expm1" + at);
      expect_same(hebb_expm1f(xf), std::expm1(xf), "expm1f" + at);
    }
    if (x == 0 || !std::isfinite(x)) {
      expect_same(hebb_sinf(xf), std::sin(xf), "sinf" + at);
      expect_same(hebb_cosf(xf), std::cos(xf), "cosf" + at);
      expect_same(hebb_atan2(x, -0.0), std::atan2(x, -0.0), "atan2" + at);
      // libclc loses the sign of -0 here.
      expect_same(hebb_sin(x) + 0.0, std::sin(x) + 0.0, "sin" + at);
      expect_same(hebb_erf(x) + 0.0, std::erf(x) + 0.0, "erf" + at);
      expect_same(hebb_sinhf(xf), std::sinh(xf), "sinhf" + at);
    }
  }
}

// Every 2^-14 between the ends, and on through the subnormal results, whose units are those of the smallest.
TEST(Math, SigmoidKeepsItsRelativePrecisionDownToZero) {
  std::vector<float> floats;
  for (float x = -105; x < 70; x += 0x1p-14f) floats.push_back(x);
  expect_accurate(kFloat[0], floats);
  std::vector<double> doubles;
  for (double x = -747; x < 110; x += 0x1.0007p-10) doubles.push_back(x);
  expect_accurate(kDouble[0], doubles);
  EXPECT_GT(hebb_sigmoidf(-103), 0.0f);
  EXPECT_GT(hebb_sigmoid(-745), 0.0);
}

TEST(Math, SigmoidAtItsEdges) {
  for (const double zero : {0.0, -0.0, 1e-320, -1e-320}) {
    expect_same(hebb_sigmoid(zero), 0.5, "sigmoid of about 0");
    expect_same(hebb_sigmoidf(static_cast<float>(zero)), 0.5f, "sigmoidf of about 0");
  }
  for (const double low : {-kInf<double>, -1e300, -2e3}) expect_same(hebb_sigmoid(low), 0.0, "sigmoid far below 0");
  for (const double high : {kInf<double>, 1e300, 2e3, 40.0}) expect_same(hebb_sigmoid(high), 1.0, "sigmoid far above 0");
  for (const float low : {-kInf<float>, -3e38f, -105.0f}) expect_same(hebb_sigmoidf(low), 0.0f, "sigmoidf far below 0");
  for (const float high : {kInf<float>, 3e38f, 105.0f, 20.0f}) expect_same(hebb_sigmoidf(high), 1.0f, "sigmoidf far above 0");
  EXPECT_TRUE(std::isnan(hebb_sigmoid(kNan<double>)));
  EXPECT_TRUE(std::isnan(hebb_sigmoidf(kNan<float>)));
}

TEST(Math, PowersAreAccurate) {
  double worst = 0, worst_double = 0;
  uint64_t random = 88172645463325252u;
  const auto next = [&] {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    return random;
  };
  for (int k = 0; k < 400000; ++k) {
    const float x = k % 2 == 0 ? std::bit_cast<float>(static_cast<uint32_t>(next()))
                               : static_cast<float>(next() >> 40) * 0x1p-22f;
    const float y = static_cast<float>(static_cast<double>(next() >> 11) * 0x1p-53 * 40 - 20) /
                    static_cast<float>(1 + k % 7);
    worst = std::max(worst, ulps(hebb_powf(x, y), std::pow(static_cast<double>(x), static_cast<double>(y))));
    const double xd = static_cast<double>(next() >> 11) * 0x1p-50, yd = y;
    worst_double = std::max(
        worst_double, ulps(hebb_pow(xd, yd), std::pow(static_cast<long double>(xd), static_cast<long double>(yd))));
  }
  EXPECT_LE(worst, 1);
  EXPECT_LE(worst_double, 2.5);
}

TEST(Math, PowersAtTheEdgesAreThoseOfTheStandard) {
  const std::vector<float> values = {0.0f, -0.0f, 1, -1, 2, -2, 3, -3, 0.5f, -0.5f, 2.5f, -2.5f, 1e30f, -1e30f,
                                     16777215, 16777216, -16777215, 1e-40f, -1e-40f, kInf<float>, -kInf<float>,
                                     kNan<float>};
  for (const float x : values)
    for (const float y : values) {
      const std::string at = "(" + std::to_string(x) + ", " + std::to_string(y) + ")";
      const float want = static_cast<float>(std::pow(static_cast<double>(x), static_cast<double>(y)));
      if (want == 0 || std::isinf(want) || std::isnan(want) || (want == std::round(want) && std::fabs(want) < 0x1p24f))
        expect_same(hebb_powf(x, y), want, "powf" + at);
      const double wide = std::pow(static_cast<double>(x), static_cast<double>(y));
      if (wide == 0 || std::isinf(wide) || std::isnan(wide))
        expect_same(hebb_pow(x, y), wide, "pow" + at);
    }
}

}  // namespace
