/* a*b + c with one rounding for machines without such an instruction, so that they give the bits of those
 * that have it. WebAssembly only. */

static int positive(double a) { return a > 0; }

typedef union bits {
  double number;
  unsigned long long whole;
} bits;

/* The neighbour of `sum` with an odd last digit, when `sum` is not exact: rounding it once more to fewer
 * digits then gives what rounding the exact value would (round to odd, Boldo and Melquiond 2008). */
static double to_odd(double sum, double error) {
  bits b = {sum};
  if (!(error > 0 || error < 0) || (b.whole & 1)) return sum;
  b.whole += positive(error) == positive(sum) ? 1 : -1;
  return b.number;
}

static double error_of_sum(double a, double b, double sum) {
  const double b_seen = sum - a;
  return (a - (sum - b_seen)) + (b - b_seen);
}

float hebb_fmaf(float a, float b, float c) {
  const double product = (double)a * (double)b; /* exact */
  const double sum = product + (double)c;
  return (float)to_odd(sum, error_of_sum(product, c, sum));
}

static double high_half(double a) {
  const double scaled = a * 134217729.0; /* 2^27 + 1 */
  return scaled - (scaled - a);
}

/* Exact where neither the product nor its rounding error over- or underflows; else rounded twice. */
double hebb_fma(double a, double b, double c) {
  const double product = a * b;
  const double sum = product + c;
  const double size = __builtin_fabs(product);
  if (!(__builtin_fabs(a) < 1e150 && __builtin_fabs(b) < 1e150 && __builtin_fabs(c) < 1e300 && size > 1e-250)) return sum;
  const double a_high = high_half(a), b_high = high_half(b), a_low = a - a_high, b_low = b - b_high;
  const double low = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
  /* product + low + c exactly, as two sums, the lower one rounded to odd. */
  const double upper = c + low, upper_error = error_of_sum(c, low, upper);
  const double total = product + upper, total_error = error_of_sum(product, upper, total);
  const double tail = total_error + upper_error;
  return total + to_odd(tail, error_of_sum(total_error, upper_error, tail));
}
