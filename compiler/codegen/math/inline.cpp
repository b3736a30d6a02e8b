// The math functions that rules call for every synapse, without a branch or a table, so that a loop over
// them vectorises whole; they replace libclc's of the same names in math.h. Compiled to bitcode by clang
// for no particular CPU (math.cmake). Every fused multiply-add is written as one; nothing else may be
// fused. Polynomials are minimax (Remez, in 50 digits), their largest error given in units of the result.
// Conversions between whole numbers and reals go through the low bits of a large real: defined for nan,
// and a vector instruction on every CPU.

#include <cstdint>

namespace {

template <class Real> struct Format;
template <> struct Format<float> {
  using Bits = uint32_t;
  static constexpr int kFraction = 23;
  static constexpr Bits kBias = 127;
  static constexpr float kShift = 0x1.8p23f;             // adding it leaves a whole number in the low bits
  static constexpr float kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;
  static constexpr float kLog2e = 0x1.715476p0f;
  static constexpr float kOverflow = 89, kUnderflow = -104;  // exp of more is inf, of less is 0
  static constexpr float kSigmoidIsOne = 64, kSigmoidIsZero = -104;
  static constexpr int kSmaller = 24;                    // exp(104) 2^-24 is finite, exp(-64) 2^-24 normal
  static constexpr float kTanhIsOne = 10, kExpm1IsMinusOne = -40, kExprelIsInf = 95;
  static constexpr float kTiny = 0x1p-30f;               // f(x) = x below
  static constexpr float kScaleSubnormal = 0x1p24f, kScaledBy = 24;
  static constexpr float kSmallest = 0x1p-126f;
  static constexpr Bits kSqrtHalf = 0x3f3504f3;
};
template <> struct Format<double> {
  using Bits = uint64_t;
  static constexpr int kFraction = 52;
  static constexpr Bits kBias = 1023;
  static constexpr double kShift = 0x1.8p52;
  static constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double kLog2e = 0x1.71547652b82fep0;
  static constexpr double kOverflow = 710, kUnderflow = -746;
  static constexpr double kSigmoidIsOne = 100, kSigmoidIsZero = -746;
  static constexpr int kSmaller = 54;
  static constexpr double kTanhIsOne = 20, kExpm1IsMinusOne = -50, kExprelIsInf = 720;
  static constexpr double kTiny = 0x1p-60;
  static constexpr double kScaleSubnormal = 0x1p54, kScaledBy = 54;
  static constexpr double kSmallest = 0x1p-1022;
  static constexpr Bits kSqrtHalf = 0x3fe6a09e667f3bcd;
};
template <class Real> using Bits = typename Format<Real>::Bits;

inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline float magnitude(float a) { return __builtin_fabsf(a); }
inline double magnitude(double a) { return __builtin_fabs(a); }
inline float with_sign(float a, float b) { return __builtin_copysignf(a, b); }
inline double with_sign(double a, double b) { return __builtin_copysign(a, b); }

template <class Real> Bits<Real> bits(Real a) { return __builtin_bit_cast(Bits<Real>, a); }
template <class Real> Real real(Bits<Real> a) { return __builtin_bit_cast(Real, a); }
template <class Real> constexpr Real kInf = static_cast<Real>(__builtin_inf());
template <class Real> constexpr Real kNan = static_cast<Real>(__builtin_nan(""));

template <class Real, int N>
Real polynomial(Real t, const Real (&c)[N]) {
  Real sum = c[N - 1];
#pragma clang loop unroll(full)
  for (int k = N - 2; k >= 0; --k) sum = fma(sum, t, c[k]);
  return sum;
}

/// 2^n for -bias < n <= bias.
template <class Real>
Real power_of_two(Bits<Real> n) {
  return real<Real>((n + Format<Real>::kBias) << Format<Real>::kFraction);
}

inline float times_power_of_two(float a, int n) { return __builtin_ldexpf(a, n); }
inline double times_power_of_two(double a, int n) { return __builtin_ldexp(a, n); }

/// (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2.
inline float exp_tail(float r) {  // 3.3e-9
  constexpr float c[] = {0x1.fffffcp-2f, 0x1.555494p-3f, 0x1.55587cp-5f, 0x1.1238e2p-7f, 0x1.6a6484p-10f};
  return polynomial(r, c);
}
inline double exp_tail(double r) {  // 5.4e-18
  constexpr double c[] = {0x1.0000000000002p-1, 0x1.5555555555527p-3, 0x1.55555555529bfp-5,
                          0x1.1111111121522p-7, 0x1.6c16c17e26063p-10, 0x1.a01a013c04e0fp-13,
                          0x1.a019a8055b236p-16, 0x1.71df18064e21dp-19, 0x1.28a2214fb5280p-22,
                          0x1.ad76b55069ecap-26};
  return polynomial(r, c);
}

/// x = n ln(2) + r, |r| <= ln(2)/2.
template <class Real>
struct Reduced {
  Bits<Real> n;  // two's complement
  Real r;
};
template <class Real>
Reduced<Real> reduce(Real x) {
  using F = Format<Real>;
  const Real shifted = fma(x, F::kLog2e, F::kShift);
  const Real n = shifted - F::kShift;
  const Real r = fma(n, -F::kLn2Low, fma(n, -F::kLn2High, x));
  return {bits(shifted) - bits(F::kShift), r};
}

template <class Real>
Real own_exp(Real x) {
  using F = Format<Real>;
  const Real low = x < F::kUnderflow ? F::kUnderflow : x;  // nan stays
  const auto [n, r] = reduce(low > F::kOverflow ? F::kOverflow : low);
  const Real value = fma(r * r, exp_tail(r), r) + 1;
  // In two factors: their product may be past either end. The offset keeps the shift unsigned.
  const Bits<Real> half = ((n + 4096) >> 1) - 2048;
  return value * power_of_two<Real>(half) * power_of_two<Real>(n - half);
}

/// The same bits where a machine has an instruction for value * 2^n (link_math).
template <class Real>
Real own_exp_scaled(Real x) {
  using F = Format<Real>;
  const Real low = x < F::kUnderflow ? F::kUnderflow : x;
  const auto [n, r] = reduce(low > F::kOverflow ? F::kOverflow : low);
  const Real value = fma(r * r, exp_tail(r), r) + 1;
  return times_power_of_two(value, static_cast<int>(n));
}

/// c / (c + c exp(-x)) for a c = 2^-kSmaller so small that nothing overflows before the quotient is 0: results below the
/// smallest normal number are those of the division. The power of two comes as it is from the low bits of `shifted`.
template <class Real>
Real own_sigmoid(Real x) {
  using F = Format<Real>;
  constexpr Real kOffset = Real(F::kBias - F::kSmaller);
  constexpr Real c = 1 / Real(Bits<Real>(1) << F::kSmaller);
  const Real low = x < F::kSigmoidIsZero ? F::kSigmoidIsZero : x;  // nan stays
  const Real t = low > F::kSigmoidIsOne ? F::kSigmoidIsOne : low;
  const Real shifted = fma(t, -F::kLog2e, F::kShift + kOffset);
  const Real n = shifted - (F::kShift + kOffset);
  const Real r = -fma(n, F::kLn2Low, fma(n, F::kLn2High, t));      // a multiply-add negates at no cost, a selection does not
  const Real value = fma(fma(exp_tail(r), r, Real(1)), r, Real(1));
  return c / fma(value, real<Real>(bits(shifted) << F::kFraction), c);
}

/// Half of exp(x) - 1, so that nothing overflows; relative error small also near 0.
template <class Real>
Real half_expm1(Real x) {
  const auto [n, r] = reduce(x);
  const Real scale = power_of_two<Real>(n - 1);
  return fma(scale, fma(r * r, exp_tail(r), r), scale - Real(0.5));
}

template <class Real>
Real own_expm1(Real x) {
  using F = Format<Real>;
  const Real low = x < F::kExpm1IsMinusOne ? F::kExpm1IsMinusOne : x;
  const Real result = 2 * half_expm1(low > F::kOverflow ? F::kOverflow : low);
  return magnitude(x) < F::kTiny ? x : result;
}

/// ((exp(x) - 1) / x - 1) / x for |x| <= kExprelNear.
inline float exprel_tail(float x) {  // 1.3e-8
  constexpr float c[] = {0x1.000000p-1f, 0x1.555556p-3f, 0x1.555380p-5f, 0x1.111040p-7f, 0x1.6e88dcp-10f, 0x1.a2463ap-13f};
  return polynomial(x, c);
}
inline double exprel_tail(double x) {  // 1.4e-18
  constexpr double c[] = {0x1.0000000000000p-1, 0x1.5555555555555p-3, 0x1.555555555558ep-5, 0x1.1111111111120p-7,
                          0x1.6c16c16c02003p-10, 0x1.a01a01a00ef0fp-13, 0x1.a01a01f8a44eap-16, 0x1.71de3a84a10c3p-19,
                          0x1.27e450c2e35f7p-22, 0x1.ae63a07779c78p-26, 0x1.201cd8001288bp-29, 0x1.6267cf434f12cp-33};
  return polynomial(x, c);
}

/// own_exprel where |x| <= kExprelNear: the same bits for less.
template <class Real>
Real own_exprel_near(Real x) { return fma(x, exprel_tail(x), Real(1)); }

template <class Real>
Real own_exprel(Real x) {
  using F = Format<Real>;
  constexpr Real kExprelNear = 0.5;
  const Real low = x < F::kExpm1IsMinusOne ? F::kExpm1IsMinusOne : x;
  const auto [n, r] = reduce(low > F::kExprelIsInf ? F::kExprelIsInf : low);
  // exp(x) - 1, made so small that it does not overflow where the quotient does not.
  constexpr Real kSmaller = 0x1p-16;
  const Real scale = power_of_two<Real>(n - 16);
  const Real far = fma(scale, fma(r * r, exp_tail(r), r), scale - kSmaller) / (x * kSmaller);
  const Real result = magnitude(x) <= kExprelNear ? own_exprel_near(x) : far;
  return x > F::kExprelIsInf ? kInf<Real> : result;
}

/// With t = exp(2|x|) - 1: t / (t + 2).
template <class Real>
Real own_tanh(Real x) {
  using F = Format<Real>;
  const Real a = magnitude(x);
  const Real half = half_expm1(2 * (a > F::kTanhIsOne ? F::kTanhIsOne : a));
  const Real result = with_sign(half / (half + 1), x);
  return a < F::kTiny ? x : result;
}

/// log(1 + f) - f, for 1 + f between the square roots of 1/2 and 2.
inline float log_tail(float f) {  // 7.6e-9
  constexpr float c[] = {0x1.555552p-2f, -0x1.000182p-2f, 0x1.999f72p-3f, -0x1.549728p-3f,
                         0x1.23025cp-3f, -0x1.0c7578p-3f, 0x1.03dc54p-3f, -0x1.3a102cp-4f};
  const float square = f * f;
  return fma(square * f, polynomial(f, c), -0.5f * square);
}
inline double log_tail(double f) {  // 3.7e-18; log(1 + f) = 2 artanh(s)
  constexpr double c[] = {0x1.555555555555ep-1, 0x1.999999998ecc8p-2, 0x1.2492493642a31p-2,
                          0x1.c71c5a99479c2p-3, 0x1.7464a2fc4f529p-3, 0x1.39c835a369fdap-3,
                          0x1.2d9abbf804f53p-3};
  const double s = f / (2 + f), z = s * s, half_square = 0.5 * f * f;
  return fma(s, fma(z, polynomial(z, c), half_square), -half_square);
}

/// a = (1 + f) 2^e for normal a.
template <class Real>
struct Split {
  Real e, f;
};
template <class Real>
Split<Real> split(Real a) {
  using F = Format<Real>;
  constexpr Bits<Real> kOne = F::kBias << F::kFraction, kMask = (Bits<Real>(1) << F::kFraction) - 1;
  const Bits<Real> moved = bits(a) + (kOne - F::kSqrtHalf);
  constexpr Real kInteger = F::kShift / Real(1.5);  // 2^fraction: whole numbers in its low bits
  const Real e = real<Real>((moved >> F::kFraction) | bits(kInteger)) - (kInteger + Real(F::kBias));
  return {e, real<Real>((moved & kMask) + F::kSqrtHalf) - 1};
}

/// log(a) + correction, for normal a and a correction much smaller than 1.
template <class Real>
Real log_normal(Real a, Real correction) {
  using F = Format<Real>;
  const auto [e, f] = split(a);
  const Real low = fma(e, F::kLn2Low, log_tail(f) + correction);
  return fma(e, F::kLn2High, f + low);
}

/// What a logarithm is where its formula does not hold.
template <class Real>
Real log_edges(Real a, Real result) {
  result = a == 0 ? -kInf<Real> : result;
  result = a < 0 ? kNan<Real> : result;
  return a == a && a != kInf<Real> ? result : a;
}

template <class Real>
Real own_log(Real x) {
  using F = Format<Real>;
  const bool subnormal = x < F::kSmallest;
  const Real a = subnormal ? x * F::kScaleSubnormal : x;
  const auto [e, f] = split(a);
  const Real exponent = subnormal ? e - F::kScaledBy : e;
  const Real low = fma(exponent, F::kLn2Low, log_tail(f));
  return log_edges(x, fma(exponent, F::kLn2High, f + low));
}

template <class Real>
Real own_log1p(Real x) {
  const Real u = 1 + x;
  // What the sum lost, exactly.
  const Real lost = x < 1 ? x - (u - 1) : 1 - (u - x);
  const Real result = log_edges(u, log_normal(u, lost / u));
  return magnitude(x) < Format<Real>::kTiny ? x : result;
}

/// In double: exact to the last bit of float but for ties.
inline float own_powf(float x, float y) {
  const double a = __builtin_fabs(static_cast<double>(x)), b = y;
  const auto [e, f] = split(a);  // a float is never subnormal in double
  constexpr double log_c[] = {0x1.55555555879c8p-2, 0x1.999997eb38b85p-3, 0x1.24939fb93388bp-3,
                              0x1.c64c29b1f8b47p-4, 0x1.8f659a9358971p-4};  // artanh, 4.2e-14
  const double s = f / (2 + f), z = s * s;
  constexpr double kTwoLog2e = 2 * Format<double>::kLog2e;
  double logarithm = fma(kTwoLog2e * s, fma(z, polynomial(z, log_c), 1.0), e);
  logarithm = a == 0 ? -kInf<double> : logarithm;
  logarithm = a < kInf<double> ? logarithm : a;

  double t = b * logarithm;
  t = t < -200 ? -200 : t;  // past the ends of float, nan stays
  t = t > 200 ? 200 : t;
  constexpr double exp2_c[] = {0x1.ffffffffaa5f2p-1, 0x1.62e42ff11c1e5p-1, 0x1.ebfbe0a6d0b0fp-3,
                               0x1.c6b08aa6b91dep-5, 0x1.3b29da81b6903p-7, 0x1.5d8a757f1aab3p-10,
                               0x1.446b8875ef67cp-13, 0x1.fe15d8e9b2095p-17};  // 4.1e-11
  const double shifted = t + Format<double>::kShift, n = shifted - Format<double>::kShift;
  const double value = polynomial(t - n, exp2_c) *
                       power_of_two<double>(bits(shifted) - bits(Format<double>::kShift));
  float result = static_cast<float>(value);

  const float half = 0.5f * y;
  const bool whole = __builtin_floorf(y) == y, odd = whole & (__builtin_floorf(half) != half);
  const bool negative = (bits(x) >> 31) != 0;
  result = (odd & negative) ? -result : result;
  result = ((x < 0) & (x != -kInf<float>) & !whole) ? kNan<float> : result;
  // These hold for nan and inf on the other side too.
  const bool one = (y == 0) | (x == 1) | ((x == -1) & (magnitude(y) == kInf<float>));
  return one ? 1.0f : ((x == x) & (y == y)) ? result : x + y;
}

}  // namespace

extern "C" {
float hebb_expf(float x) { return own_exp(x); }
double hebb_exp(double x) { return own_exp(x); }
float hebb_exp_scaledf(float x) { return own_exp_scaled(x); }
double hebb_exp_scaled(double x) { return own_exp_scaled(x); }
float hebb_expm1f(float x) { return own_expm1(x); }
double hebb_expm1(double x) { return own_expm1(x); }
float hebb_exprelf(float x) { return own_exprel(x); }
double hebb_exprel(double x) { return own_exprel(x); }
float hebb_exprel_nearf(float x) { return own_exprel_near(x); }
double hebb_exprel_near(double x) { return own_exprel_near(x); }
float hebb_sigmoidf(float x) { return own_sigmoid(x); }
double hebb_sigmoid(double x) { return own_sigmoid(x); }
float hebb_tanhf(float x) { return own_tanh(x); }
double hebb_tanh(double x) { return own_tanh(x); }
float hebb_logf(float x) { return own_log(x); }
double hebb_log(double x) { return own_log(x); }
float hebb_log1pf(float x) { return own_log1p(x); }
double hebb_log1p(double x) { return own_log1p(x); }
float hebb_powf(float x, float y) { return own_powf(x, y); }
}
