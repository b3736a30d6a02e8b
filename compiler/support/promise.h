#pragma once
// What `assert` does in Hebb's sources when a promise is broken; see promise/assert.h.

#include <stdexcept>

namespace hebb {

/// A bug of Hebb: "compiler/lower/lower.cpp:12: "a lowered program keeps every promise"".
struct BrokenPromise : std::logic_error {
  using std::logic_error::logic_error;
};

}  // namespace hebb
