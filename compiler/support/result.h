#pragma once
// Result<T>: a value, or a sentence that says what the world (files, LLVM, devices) refused.

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace hebb {

/// Why something outside our control failed; lower case, no full stop, names the file.
struct Failure {
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : data_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure failure) : data_(std::in_place_index<1>, std::move(failure)) {}

  bool ok() const { return data_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & { assert(ok()); return std::get<0>(data_); }
  const T& operator*() const& { assert(ok()); return std::get<0>(data_); }
  T&& operator*() && { assert(ok()); return std::get<0>(std::move(data_)); }
  T* operator->() { assert(ok()); return &std::get<0>(data_); }
  const T* operator->() const { assert(ok()); return &std::get<0>(data_); }
  const std::string& error() const { assert(!ok()); return std::get<1>(data_).message; }
  Failure failure() const { return Failure{error()}; }

 private:
  std::variant<T, Failure> data_;
};

struct Done {};
using Status = Result<Done>;

}  // namespace hebb
