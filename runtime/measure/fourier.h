#pragma once
// The discrete Fourier transform of any length.

#include <span>
#include <vector>

namespace hebb {

/// |sum over t of x[t] exp(-2 pi i k t / n)|, k = 0 … n - 1, in n log n steps.
std::vector<double> fourier_magnitudes(std::span<const double> x);

}  // namespace hebb
