#pragma once
// Values as bytes and back, for files of our own: both directions are one list of fields.

#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace hebb {

struct ByteWriter {
  std::string bytes;

  template <class T>
    requires std::is_trivially_copyable_v<T>
  void operator()(const T& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<uint64_t>(text.size()));
    bytes += text;
  }
  template <class T>
  void operator()(const std::vector<T>& values) {
    (*this)(static_cast<uint64_t>(values.size()));
    if constexpr (std::is_trivially_copyable_v<T>)
      bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    else
      for (const T& value : values) (*this)(value);
  }
  template <class T>
  void operator()(const std::deque<T>& values) {
    (*this)(static_cast<uint64_t>(values.size()));
    for (const T& value : values) (*this)(value);
  }
};

/// Believes nothing: a length is checked against what is left before anything is allocated.
struct ByteReader {
  std::string_view bytes;
  bool ok = true;
  bool same_sizes = false;   // arrays of numbers must be as long as what they are read into

  template <class T>
    requires std::is_trivially_copyable_v<T>
  void operator()(T& value) {
    ok = ok && bytes.size() >= sizeof value;
    if (!ok) return;
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
  }
  void operator()(std::string& text) {
    const uint64_t size = length(1);
    if (!ok) return;
    text.assign(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  template <class T>
  void operator()(std::vector<T>& values) {
    if constexpr (std::is_trivially_copyable_v<T>) {
      const uint64_t size = length(sizeof(T));
      ok = ok && (!same_sizes || size == values.size());
      if (!ok) return;
      values.resize(size);
      if (size > 0) std::memcpy(values.data(), bytes.data(), size * sizeof(T));
      bytes.remove_prefix(size * sizeof(T));
    } else {
      const uint64_t size = length(sizeof(uint64_t));  // each begins with its own length
      if (!ok) return;
      values.resize(size);
      for (T& value : values) (*this)(value);
    }
  }
  template <class T>
  void operator()(std::deque<T>& values) {
    const uint64_t size = length(sizeof(uint64_t));
    if (!ok) return;
    values.resize(size);
    for (T& value : values) (*this)(value);
  }

 private:
  uint64_t length(size_t each) {
    uint64_t size = 0;
    (*this)(size);
    ok = ok && size <= bytes.size() / each;
    return size;
  }
};

}  // namespace hebb
