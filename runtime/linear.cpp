#include "runtime/linear.h"

#include <Eigen/Dense>

namespace hebb {

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Matrix covariance(std::span<const double> data, int64_t rows, int64_t columns) {
  const Matrix x = Eigen::Map<const Matrix>(data.data(), rows, columns);
  const Matrix centred = x.rowwise() - x.colwise().mean();
  return centred.transpose() * centred / static_cast<double>(rows);
}

}  // namespace

std::vector<double> covariance_matrix(std::span<const double> data, int64_t rows, int64_t columns) {
  const Matrix c = covariance(data, rows, columns);
  return {c.data(), c.data() + c.size()};
}

std::vector<double> principal_components(std::span<const double> data, int64_t rows, int64_t columns,
                                         int64_t k) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance(data, rows, columns));
  std::vector<double> out;
  out.reserve(k * columns);
  for (int64_t i = 0; i < k; ++i) {
    const Eigen::VectorXd v = solver.eigenvectors().col(columns - 1 - i);  // ascending eigenvalues
    Eigen::Index largest = 0;
    v.cwiseAbs().maxCoeff(&largest);
    const double sign = v[largest] < 0 ? -1 : 1;
    for (int64_t j = 0; j < columns; ++j) out.push_back(sign * v[j]);
  }
  return out;
}

std::vector<double> symmetric_eigenvalues(std::span<const double> matrix, int64_t n) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(
      Eigen::Map<const Matrix>(matrix.data(), n, n), Eigen::EigenvaluesOnly);
  const Eigen::VectorXd ascending = solver.eigenvalues();
  return {std::make_reverse_iterator(ascending.data() + n), std::make_reverse_iterator(ascending.data())};
}

}  // namespace hebb
