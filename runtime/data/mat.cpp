#include "runtime/data/mat.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include <zlib.h>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr size_t kHeader = 128, kEndian = 126, kVersion = 124, kTag = 8;

enum Type : uint32_t { kInt8 = 1, kUint8, kInt16, kUint16, kInt32, kUint32, kSingle, kDouble = 9, kInt64 = 12, kUint64, kMatrix, kCompressed };

template <class T>
T read(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

struct Element {
  uint32_t type = 0;
  std::string_view data;
};

/// The next element, which is taken off `bytes`; none: they end too early.
std::optional<Element> next(std::string_view& bytes) {
  if (bytes.size() < kTag) return std::nullopt;
  const auto first = read<uint32_t>(bytes, 0);
  if (first >> 16) {   // up to four bytes, in the tag itself
    const size_t size = first >> 16;
    if (size > 4) return std::nullopt;
    const Element out{first & 0xffff, bytes.substr(4, size)};
    bytes.remove_prefix(kTag);
    return out;
  }
  const size_t size = read<uint32_t>(bytes, 4);
  if (size > bytes.size() - kTag) return std::nullopt;
  const Element out{first, bytes.substr(kTag, size)};
  const size_t padded = first == kCompressed ? size : (size + 7) / 8 * 8;
  bytes.remove_prefix(std::min(kTag + padded, bytes.size()));
  return out;
}

template <class T>
void append(std::vector<double>& out, std::string_view data) {
  for (size_t at = 0; at + sizeof(T) <= data.size(); at += sizeof(T)) out.push_back(static_cast<double>(read<T>(data, at)));
}

std::optional<std::vector<double>> numbers(const Element& element) {
  std::vector<double> out;
  switch (element.type) {
    case kInt8: append<int8_t>(out, element.data); return out;
    case kUint8: append<uint8_t>(out, element.data); return out;
    case kInt16: append<int16_t>(out, element.data); return out;
    case kUint16: append<uint16_t>(out, element.data); return out;
    case kInt32: append<int32_t>(out, element.data); return out;
    case kUint32: append<uint32_t>(out, element.data); return out;
    case kSingle: append<float>(out, element.data); return out;
    case kDouble: append<double>(out, element.data); return out;
    case kInt64: append<int64_t>(out, element.data); return out;
    case kUint64: append<uint64_t>(out, element.data); return out;
    default: return std::nullopt;
  }
}

std::string_view not_numbers(uint32_t kind) {
  switch (kind) {
    case 1: return "it is a cell array";
    case 2: return "it is a struct";
    case 3: return "it is an object";
    case 4: return "it is text";
    case 5: return "it is a sparse matrix";
    default: return "it is of a kind that is not known";
  }
}

/// Column after column, as MATLAB keeps it, to row after row.
std::vector<double> by_rows(const std::vector<double>& by_columns, const std::vector<int64_t>& shape) {
  std::vector<double> out(by_columns.size());
  std::vector<int64_t> index(shape.size());
  for (double& value : out) {
    size_t place = 0, stride = 1;
    for (size_t k = 0; k < shape.size(); ++k) {
      place += static_cast<size_t>(index[k]) * stride;
      stride *= static_cast<size_t>(shape[k]);
    }
    value = by_columns[place];
    for (size_t k = shape.size(); k-- > 0;) {
      if (++index[k] < shape[k]) break;
      index[k] = 0;
    }
  }
  return out;
}

/// False: the bytes are no matrix.
bool add_matrix(std::string_view bytes, Dataset& out) {
  const auto flags = next(bytes), dimensions = next(bytes), name = next(bytes);
  if (!flags || !dimensions || !name || flags->data.size() < 8 || dimensions->type != kInt32) return false;
  const auto word = read<uint32_t>(flags->data, 0);
  const uint32_t kind = word & 0xff;
  constexpr uint32_t kComplex = 0x0800, kFirstNumeric = 6, kLastNumeric = 15;
  const std::string named(name->data);
  if (kind < kFirstNumeric || kind > kLastNumeric) {
    out.unread.push_back({named, std::string(not_numbers(kind)), {}});
    return true;
  }
  if (word & kComplex) {
    out.unread.push_back({named, "its numbers are complex", {}});
    return true;
  }
  const auto real = next(bytes);
  if (!real) return false;
  const auto shape_values = numbers(*dimensions);
  auto values = numbers(*real);
  if (!shape_values || !values) return false;
  Array array;
  double size = 1;
  for (const double extent : *shape_values) {
    if (extent < 0) return false;
    array.shape.push_back(static_cast<int64_t>(extent));
    size *= extent;
  }
  if (size != static_cast<double>(values->size())) return false;
  array.values = by_rows(*values, array.shape);
  out.arrays.push_back({named, std::move(array)});
  return true;
}

/// Grows with what is really there.
Result<std::string> inflated(std::string_view packed) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return Failure{"the decompressor does not start"};
  std::string out;
  constexpr size_t kChunk = 1 << 20;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  int state = Z_OK;
  while (state == Z_OK) {
    const size_t used = out.size();
    if (used > available_memory() / 2) break;
    out.resize(used + kChunk);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    stream.avail_out = kChunk;
    state = inflate(&stream, Z_NO_FLUSH);
    out.resize(used + kChunk - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END) return Failure{"a compressed array in it is damaged"};
  return out;
}

}  // namespace

Result<Dataset> parse_mat(std::string_view bytes, const std::string& path) {
  const auto refuse = [&](std::string_view why) { return Failure{cat("cannot read ", quoted(path), ": ", why)}; };
  if (bytes.size() < kHeader || !bytes.starts_with("MATLAB")) return refuse("it is no MATLAB file of version 5");
  if (bytes.substr(kEndian, 2) == "MI") return refuse("its numbers are big-endian, which is not supported");
  if (bytes.substr(kEndian, 2) != "IM") return refuse("it is no MATLAB file of version 5");
  if (read<uint16_t>(bytes, kVersion) != 0x0100)
    return refuse("it is of version 7.3, which is HDF5; save it in MATLAB with  save(…, '-v7')");
  bytes.remove_prefix(kHeader);
  Dataset out;
  while (!bytes.empty()) {
    const auto element = next(bytes);
    if (!element) return refuse("it ends too early");
    std::string unpacked;
    Element matrix = *element;
    if (element->type == kCompressed) {
      Result<std::string> got = inflated(element->data);
      if (!got) return refuse(got.error());
      unpacked = *std::move(got);
      std::string_view inside = unpacked;
      const auto inner = next(inside);
      if (!inner) return refuse("a compressed array in it is damaged");
      matrix = *inner;
    }
    if (matrix.type == kMatrix && !add_matrix(matrix.data, out)) return refuse("an array in it is damaged");
  }
  return out;
}

}  // namespace hebb
