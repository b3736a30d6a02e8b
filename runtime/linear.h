#pragma once
// The linear algebra that experiments compare learning with, by Eigen. Matrices are row-major.

#include <cstdint>
#include <span>
#include <vector>

namespace hebb {

/// Covariance of the columns of a rows × columns matrix, divided by the number of rows.
std::vector<double> covariance_matrix(std::span<const double> data, int64_t rows, int64_t columns);

/// The `k` unit eigenvectors of that covariance with the largest eigenvalues, largest first, one a row.
/// Signs are fixed: the component of largest magnitude is positive.
std::vector<double> principal_components(std::span<const double> data, int64_t rows, int64_t columns,
                                         int64_t k);

/// Eigenvalues of a symmetric n × n matrix, largest first.
std::vector<double> symmetric_eigenvalues(std::span<const double> matrix, int64_t n);

}  // namespace hebb
