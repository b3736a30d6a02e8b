#include "runtime/measure/fourier.h"

#include <cmath>
#include <complex>
#include <cstdint>
#include <utility>

namespace hebb {

namespace {

using Complex = std::complex<double>;
constexpr double kPi = 3.14159265358979323846;

/// In place; the length is a power of two. sign -1: forwards, +1: backwards, not divided by n.
void transform(std::vector<Complex>& x, int sign) {
  const size_t n = x.size();
  for (size_t i = 1, j = 0; i < n; ++i) {
    size_t bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (size_t length = 2; length <= n; length *= 2) {
    std::vector<Complex> turns(length / 2);
    for (size_t k = 0; k < turns.size(); ++k)
      turns[k] = std::polar(1.0, sign * 2 * kPi * static_cast<double>(k) / static_cast<double>(length));
    for (size_t begin = 0; begin < n; begin += length)
      for (size_t k = 0; k < turns.size(); ++k) {
        const Complex odd = x[begin + k + turns.size()] * turns[k];
        x[begin + k + turns.size()] = x[begin + k] - odd;
        x[begin + k] += odd;
      }
  }
}

}  // namespace

/// As a convolution with a chirp (Bluestein 1970): kt = (k² + t² - (k - t)²) / 2.
std::vector<double> fourier_magnitudes(std::span<const double> x) {
  const size_t n = x.size();
  if (n == 0) return {};
  size_t length = 1;
  while (length < 2 * n) length *= 2;
  const auto chirp = [&](size_t k) {  // the angle repeats after 2n: reduced before it is rounded
    const auto square = static_cast<unsigned __int128>(k) * k % (2 * n);
    return std::polar(1.0, -kPi * static_cast<double>(static_cast<uint64_t>(square)) / static_cast<double>(n));
  };
  std::vector<Complex> a(length), b(length);
  for (size_t t = 0; t < n; ++t) {
    const Complex turn = chirp(t);
    a[t] = x[t] * turn;
    b[t] = std::conj(turn);
    if (t > 0) b[length - t] = b[t];
  }
  transform(a, -1);
  transform(b, -1);
  for (size_t k = 0; k < length; ++k) a[k] *= b[k];
  transform(a, 1);
  std::vector<double> out(n);
  for (size_t k = 0; k < n; ++k) out[k] = std::abs(a[k]) / static_cast<double>(length);
  return out;
}

}  // namespace hebb
