#pragma once
// Data in memory, as files hold it: arrays of numbers with names.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hebb {

/// Row-major; an empty shape is a scalar.
struct Array {
  std::vector<int64_t> shape;
  std::vector<double> values;
};

struct NamedArray {
  std::string name;
  Array array;
};

/// Something in a file that is not an array of numbers, and why.
struct Unread {
  std::string name;
  std::string reason;   // for people
  std::string text;     // of an NPY member that is one text of bytes: SciPy's "csr"
};

struct Dataset {
  std::vector<NamedArray> arrays;  // in the file's order
  std::vector<Unread> unread;
  std::string provenance;          // of an NPZ written by us: JSON text; else empty
  const Array* find(std::string_view name) const {
    for (const NamedArray& named : arrays)
      if (named.name == name) return &named.array;
    return nullptr;
  }
};

/// How numbers are written to binary files.
enum class NumberType { Float32, Float64 };

}  // namespace hebb
