#include "runtime/data/npy.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <optional>

#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMostDimensions = 32;  // NumPy's own limit

static_assert(std::endian::native == std::endian::little, "written for little-endian hosts");

struct Header {
  std::string type;            // "<f8"; of a structured type, its text
  bool fortran = false;
  std::vector<int64_t> shape;
  size_t data = 0;             // offset
};

/// Reads the literal of the header: {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
struct Literal {
  std::string_view text;
  size_t at = 0;

  void space() { while (at < text.size() && (text[at] == ' ' || text[at] == '\n')) ++at; }
  bool eat(std::string_view word) {
    space();
    if (!text.substr(at).starts_with(word)) return false;
    at += word.size();
    return true;
  }
  std::optional<std::string> string() {
    space();
    if (at >= text.size() || (text[at] != '\'' && text[at] != '"')) return {};
    const size_t end = text.find(text[at], at + 1);
    if (end == std::string_view::npos) return {};
    std::string out(text.substr(at + 1, end - at - 1));
    at = end + 1;
    return out;
  }
  /// A list, kept as text: structured types are not taken apart.
  std::optional<std::string> list() {
    space();
    const size_t begin = at;
    int depth = 0;
    for (; at < text.size(); ++at) {
      depth += text[at] == '[' || text[at] == '(' ? 1 : text[at] == ']' || text[at] == ')' ? -1 : 0;
      if (depth == 0) break;
    }
    if (at >= text.size() || at == begin) return {};
    ++at;
    return std::string(text.substr(begin, at - begin));
  }
  std::optional<std::vector<int64_t>> shape() {
    if (!eat("(")) return {};
    std::vector<int64_t> out;
    while (!eat(")")) {
      space();
      int64_t length = 0;
      const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), length);
      if (error != std::errc() || length < 0 || out.size() == kMostDimensions) return {};
      at = static_cast<size_t>(end - text.data());
      eat("L");  // written by Python 2
      out.push_back(length);
      if (eat(",")) continue;
      if (!eat(")")) return {};
      break;
    }
    return out;
  }
};

Result<Header> parse_header(std::string_view bytes, const std::string& path) {
  const auto bad = [&](std::string_view why) { return Failure{cat("cannot read ", quoted(path), ": ", why)}; };
  if (!bytes.starts_with(kMagic)) return bad("it is no NPY file");
  constexpr size_t kVersion = kMagic.size();
  if (bytes.size() < kVersion + 4) return bad("it is cut short in its header");
  const auto byte = [&](size_t k) { return static_cast<size_t>(static_cast<unsigned char>(bytes[k])); };
  const size_t version = byte(kVersion);
  if (version < 1 || version > 3) return bad(cat("NPY version ", version, " is unknown, expected 1, 2 or 3"));
  const size_t length_bytes = version == 1 ? 2 : 4;
  const size_t start = kVersion + 2 + length_bytes;
  if (bytes.size() < start) return bad("it is cut short in its header");
  size_t length = 0;
  for (size_t k = length_bytes; k-- > 0;) length = length << 8 | byte(kVersion + 2 + k);
  if (length > bytes.size() - start) return bad("it is cut short in its header");

  Literal literal{.text = bytes.substr(start, length)};
  Header header{.type = {}, .shape = {}, .data = start + length};
  bool has_type = false, has_order = false, has_shape = false;
  const auto broken = [&] { return bad("its header is broken"); };
  if (!literal.eat("{")) return broken();
  while (!literal.eat("}")) {
    const auto key = literal.string();
    if (!key || !literal.eat(":")) return broken();
    if (*key == "descr") {
      auto type = literal.string();
      if (!type) type = literal.list();
      if (!type || std::exchange(has_type, true)) return broken();
      header.type = *type;
    } else if (*key == "fortran_order") {
      header.fortran = literal.eat("True");
      if ((!header.fortran && !literal.eat("False")) || std::exchange(has_order, true)) return broken();
    } else if (*key == "shape") {
      const auto shape = literal.shape();
      if (!shape || std::exchange(has_shape, true)) return broken();
      header.shape = *shape;
    } else {
      return broken();
    }
    literal.eat(",");
  }
  if (!has_type || !has_order || !has_shape) return broken();
  return header;
}

struct Element {
  char kind = 'f';   // f i u b
  size_t bytes = 8;
  bool swapped = false;
};

std::optional<Element> element(std::string_view type) {
  if (type.size() != 3 || std::string_view("<>=|").find(type[0]) == std::string_view::npos) return {};
  const Element out{.kind = type[1], .bytes = static_cast<size_t>(type[2] - '0'), .swapped = type[0] == '>'};
  const std::string_view sizes = out.kind == 'f' ? "248" : out.kind == 'b' ? "1" : "1248";
  if (std::string_view("fiub").find(out.kind) == std::string_view::npos) return {};
  if (sizes.find(type[2]) == std::string_view::npos) return {};
  return out;
}

Failure other_type(const std::string& path, const std::string& type) {
  constexpr size_t kLongest = 40;
  return {cat("cannot read ", quoted(path), ": it holds ", quoted(type.substr(0, kLongest)),
              ", expected numbers (f2, f4, f8, i1 to i8, u1 to u8, b1)")};
}

/// The product of the lengths; nothing when it does not fit.
std::optional<size_t> element_count(const std::vector<int64_t>& shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  int64_t count = 1;
  for (const int64_t length : shape)
    if (__builtin_mul_overflow(count, length, &count)) return {};
  return static_cast<size_t>(count);
}

template <class T>
void convert(const char* from, size_t count, bool swapped, double* into) {
  for (size_t k = 0; k < count; ++k, from += sizeof(T)) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, from, sizeof(T));
    if (swapped) std::reverse(bytes, bytes + sizeof(T));
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    into[k] = static_cast<double>(value);
  }
}

/// IEEE binary16: a sign, 5 bits of exponent, 10 of fraction. Exact; any nan becomes the one nan.
double from_half(uint16_t bits) {
  constexpr int kFraction = 10, kBias = 15;
  constexpr uint16_t kHidden = 1 << kFraction, kMostExponent = 31;
  const uint16_t exponent = (bits >> kFraction) & kMostExponent, fraction = bits & (kHidden - 1);
  double size;
  if (exponent == kMostExponent) size = fraction == 0 ? INFINITY : std::nan("");
  else if (exponent == 0) size = std::ldexp(fraction, 1 - kBias - kFraction);
  else size = std::ldexp(kHidden + fraction, exponent - kBias - kFraction);
  return std::copysign(size, bits >> 15 ? -1.0 : 1.0);
}

void convert_halves(const char* from, size_t count, bool swapped, double* into) {
  for (size_t k = 0; k < count; ++k) {
    uint16_t bits;
    std::memcpy(&bits, from + k * sizeof(bits), sizeof(bits));
    into[k] = from_half(swapped ? __builtin_bswap16(bits) : bits);
  }
}

void convert(Element type, const char* from, size_t count, double* into) {
  const bool s = type.swapped;
  switch (type.kind) {
    case 'f':
      if (type.bytes == 2) return convert_halves(from, count, s, into);
      return type.bytes == 4 ? convert<float>(from, count, s, into) : convert<double>(from, count, s, into);
    case 'i':
      if (type.bytes == 1) return convert<int8_t>(from, count, s, into);
      if (type.bytes == 2) return convert<int16_t>(from, count, s, into);
      if (type.bytes == 4) return convert<int32_t>(from, count, s, into);
      return convert<int64_t>(from, count, s, into);
    case 'b':
      for (size_t k = 0; k < count; ++k) into[k] = from[k] != 0;
      return;
    default:
      if (type.bytes == 1) return convert<uint8_t>(from, count, s, into);
      if (type.bytes == 2) return convert<uint16_t>(from, count, s, into);
      if (type.bytes == 4) return convert<uint32_t>(from, count, s, into);
      return convert<uint64_t>(from, count, s, into);
  }
}

/// First index fastest becomes last index fastest.
std::vector<double> from_fortran(const std::vector<int64_t>& shape, const std::vector<double>& values) {
  std::vector<size_t> stride(shape.size(), 1);
  for (size_t d = 1; d < shape.size(); ++d) stride[d] = stride[d - 1] * static_cast<size_t>(shape[d - 1]);
  std::vector<double> out;
  out.reserve(values.size());
  std::vector<int64_t> index(shape.size(), 0);
  size_t from = 0;
  while (out.size() < values.size()) {
    out.push_back(values[from]);
    for (size_t d = shape.size(); d-- > 0;) {  // the next index in row-major order
      from += stride[d];
      if (++index[d] < shape[d]) break;
      from -= stride[d] * static_cast<size_t>(shape[d]);
      index[d] = 0;
    }
  }
  return out;
}

}  // namespace

Result<Array> parse_npy(std::string_view bytes, const std::string& path) {
  const Result<Header> header = parse_header(bytes, path);
  if (!header) return header.failure();
  const std::optional<Element> type = element(header->type);
  if (!type) return other_type(path, header->type);
  const std::optional<size_t> count = element_count(header->shape);
  const size_t have = bytes.size() - header->data;
  if (!count || *count > have / type->bytes)
    return Failure{cat("cannot read ", quoted(path), ": it is cut short, its shape asks for ",
                       count ? plural(*count, "number") : "more numbers than there can be", ", it holds ",
                       have / type->bytes)};
  if (*count * type->bytes < have)
    return Failure{cat("cannot read ", quoted(path), ": ", plural(have - *count * type->bytes, "byte"),
                       " follow the ", plural(*count, "number"), " its shape asks for")};
  Array array{.shape = header->shape, .values = std::vector<double>(*count)};
  convert(*type, bytes.data() + header->data, *count, array.values.data());
  if (header->fortran && array.shape.size() > 1) array.values = from_fortran(array.shape, array.values);
  return array;
}

bool is_npy_of_other_type(std::string_view bytes) {
  const Result<Header> header = parse_header(bytes, "");
  return header && !element(header->type);
}

std::string npy_text(std::string_view bytes) {
  const Result<Header> header = parse_header(bytes, "");
  if (!header || !header->type.starts_with("|S") || !header->shape.empty()) return {};
  const std::string_view text = bytes.substr(header->data);
  return std::string(text.substr(0, text.find('\0')));  // filled up with zeros
}

std::string npy_bytes(const Array& array, NumberType type) {
  assert(element_count(array.shape) == array.values.size() && "the shape counts the values");
  std::string shape = "(";
  for (size_t d = 0; d < array.shape.size(); ++d)
    shape += cat(d > 0 ? ", " : "", array.shape[d], array.shape.size() == 1 ? "," : "");
  const bool is_float = type == NumberType::Float32;
  std::string header = cat("{'descr': '", is_float ? "<f4" : "<f8", "', 'fortran_order': False, 'shape': ", shape, "), }");
  constexpr size_t kPrefix = 10, kAlignment = 64;
  header.append((kAlignment - (kPrefix + header.size() + 1) % kAlignment) % kAlignment, ' ');
  header += '\n';
  assert(header.size() < 65536 && "a shape has at most 32 lengths");

  std::string out(kMagic);
  out += std::string_view("\x01\x00", 2);
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  const size_t data = out.size();
  out.resize(data + array.values.size() * (is_float ? sizeof(float) : sizeof(double)));
  if (!is_float) {
    if (!array.values.empty()) std::memcpy(out.data() + data, array.values.data(), array.values.size() * sizeof(double));
    return out;
  }
  for (size_t k = 0; k < array.values.size(); ++k) {
    const float value = static_cast<float>(array.values[k]);
    std::memcpy(out.data() + data + k * sizeof(float), &value, sizeof(float));
  }
  return out;
}

}  // namespace hebb
