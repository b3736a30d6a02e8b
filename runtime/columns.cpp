#include "runtime/columns.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr int64_t kVector = 16;        // elements; rows and planes are multiples of it
constexpr size_t kAlignment = 64;      // bytes
constexpr size_t kStaggerSlots = 61;   // columns start on different cache sets

constexpr int64_t padded(int64_t n) { return (n + kVector - 1) / kVector * kVector; }

/// Sizes as doubles first: no column is so large that its size overflows one.
double elements_of(const Program& program, const Column& column) {
  const Space& space = program[column.space];
  const auto up = [](int64_t n) { return static_cast<double>(n) + (kVector - 1); };
  switch (space.kind) {
    case SpaceKind::Uniform: return up(column.width);
    case SpaceKind::Neurons: return up(space.size) * static_cast<double>(column.width);
    case SpaceKind::Sparse:
      return (expected_synapses(program, space) + kVector) * static_cast<double>(column.width);
    case SpaceKind::Dense:
      return static_cast<double>(program[space.pre].size) * up(program[space.post].size) *
             static_cast<double>(column.width);
  }
  return 0;
}

/// Columns that only name a running sum: kernels keep it in a register, they need no memory.
std::vector<bool> only_scanned(const Program& program) {
  std::vector<bool> scanned(program.columns.size());
  for (const Kernel& kernel : program.kernels)
    for (const Scan& scan : kernel.scans) scanned[scan.as.value] = true;
  return scanned;
}

/// Spaces whose synapses some kernel finds by post neuron.
std::vector<bool> read_by_post(const Program& program) {
  std::vector<bool> read(program.spaces.size());
  for (const Kernel& kernel : program.kernels)
    if (kernel.rows == Rows::OfPost) read[kernel.domain.value] = true;
  return read;
}

double connection_bytes(const Program& program, const Space& space, bool by_post) {
  const double pres = static_cast<double>(program[space.pre].size);
  const double posts = static_cast<double>(program[space.post].size);
  const double each = index_bytes(program[space.post].size) +
                      (by_post ? 4 + index_bytes(program[space.pre].size) : 0);
  return expected_synapses(program, space) * each + (pres + posts) * sizeof(int64_t);
}

ColumnLayout layout_of(const Program& program, const Column& column, int64_t synapses) {
  const Space& space = program[column.space];
  switch (space.kind) {
    case SpaceKind::Uniform:
      return {.pres = 1, .posts = 1, .width = column.width, .row = 0, .plane = 1};
    case SpaceKind::Neurons:
      return {.pres = 1, .posts = space.size, .width = column.width, .row = 0,
              .plane = padded(space.size)};
    case SpaceKind::Sparse:
      return {.pres = 1, .posts = synapses, .width = column.width, .row = 0, .plane = padded(synapses)};
    case SpaceKind::Dense: break;
  }
  const int64_t pres = program[space.pre].size;
  const int64_t posts = program[space.post].size;
  const int64_t row = padded(posts);
  return {.pres = pres, .posts = posts, .width = column.width, .row = row, .plane = pres * row};
}

template <class Real>
void scatter(const ColumnLayout& at, Real* base, const double* values) {
  for (int64_t i = 0; i < at.pres; ++i)
    for (int64_t j = 0; j < at.posts; ++j)
      for (int64_t e = 0; e < at.width; ++e) base[at.offset(i, j, e)] = static_cast<Real>(*values++);
}

template <class Real>
void gather(const ColumnLayout& at, const Real* base, double* into) {
  for (int64_t i = 0; i < at.pres; ++i)
    for (int64_t j = 0; j < at.posts; ++j)
      for (int64_t e = 0; e < at.width; ++e) *into++ = static_cast<double>(base[at.offset(i, j, e)]);
}

/// Threads that own blocks of post neurons: in rows that lie whole each would fetch, ahead of its own, what the next one
/// is about to write. Short rows lie whole: a row in pieces costs more where one thread goes through all of it. A
/// sum over everything has one order.
bool may_lie_in_blocks(const Program& program, SpaceId space, int64_t synapses, int threads, int64_t least_piece) {
  if (synapses < program[program[space].pre].size * threads * least_piece) return false;
  return std::none_of(program.kernels.begin(), program.kernels.end(), [&](const Kernel& kernel) {
    return kernel.domain == space && std::any_of(kernel.accumulates.begin(), kernel.accumulates.end(), [](const Accumulate& sum) { return sum.at == At::Uniform; });
  });
}

/// Rows whose number is neither 0 nor -0, ascending. Spikes are few: blocks without any are passed over.
template <class Bits>
int64_t nonzero(const Bits* bits, int64_t begin, int64_t rows, uint32_t* into) {
  constexpr int64_t kBlock = 256 / sizeof(Bits);
  using Vector [[gnu::vector_size(64)]] = Bits;
  constexpr int64_t kLanes = 64 / sizeof(Bits);
  constexpr Bits kMagnitude = static_cast<Bits>(~Bits{0}) >> 1;
  int64_t count = 0;
  int64_t i = begin;
  for (; i + kBlock <= rows; i += kBlock) {
    Vector all{};
    for (int64_t k = 0; k < kBlock; k += kLanes) {
      Vector some;
      std::memcpy(&some, bits + i + k, sizeof some);
      all |= some;
    }
    Bits any = 0;
    for (int64_t k = 0; k < kLanes; ++k) any |= all[k];
    if ((any & kMagnitude) == 0) continue;
    for (int64_t k = i; k < i + kBlock; ++k)
      if ((bits[k] & kMagnitude) != 0) into[count++] = static_cast<uint32_t>(k);
  }
  for (; i < rows; ++i)
    if ((bits[i] & kMagnitude) != 0) into[count++] = static_cast<uint32_t>(i);
  return count;
}

#ifdef __x86_64__
template <class Bits>
[[gnu::target("avx2")]] int64_t nonzero_avx2(const Bits* bits, int64_t begin, int64_t rows, uint32_t* into) {
  constexpr int64_t kLanes = 32 / sizeof(Bits), kBlock = 4 * kLanes;
  const __m256i magnitude = sizeof(Bits) == 4 ? _mm256_set1_epi32(0x7fffffff) : _mm256_set1_epi64x(0x7fffffffffffffff);
  int64_t count = 0;
  for (int64_t i = begin; i < rows;) {
    const auto* at = reinterpret_cast<const __m256i*>(bits + i);
    if (i + kBlock <= rows) {
      const __m256i low = _mm256_or_si256(_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1));
      const __m256i high = _mm256_or_si256(_mm256_loadu_si256(at + 2), _mm256_loadu_si256(at + 3));
      if (_mm256_testz_si256(_mm256_or_si256(low, high), magnitude)) {
        i += kBlock;
        continue;
      }
    }
    for (const int64_t end = std::min(i + kBlock, rows); i < end; i += kLanes, ++at) {  // rows are padded
      const __m256i some = _mm256_and_si256(_mm256_loadu_si256(at), magnitude), none = _mm256_setzero_si256();
      unsigned hits = sizeof(Bits) == 4 ? static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(some, none))))
                                        : static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(some, none))));
      for (hits ^= (1u << kLanes) - 1; hits != 0; hits &= hits - 1) {
        const int64_t row = i + __builtin_ctz(hits);
        if (row < rows) into[count++] = static_cast<uint32_t>(row);
      }
    }
  }
  return count;
}

[[gnu::target("avx512f")]] int64_t nonzero_wide(const uint32_t* bits, int64_t begin, int64_t rows, uint32_t* into) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  int64_t count = 0;
  for (int64_t i = begin; i < rows; i += 16) {  // rows are padded
    const __m512i some = _mm512_loadu_si512(bits + i);
    for (unsigned hits = _mm512_test_epi32_mask(some, magnitude); hits != 0; hits &= hits - 1) {
      const int64_t row = i + __builtin_ctz(hits);
      if (row < rows) into[count++] = static_cast<uint32_t>(row);
    }
  }
  return count;
}
[[gnu::target("avx512f")]] int64_t nonzero_wide(const uint64_t* bits, int64_t begin, int64_t rows, uint32_t* into) {
  const __m512i magnitude = _mm512_set1_epi64(0x7fffffffffffffff);
  int64_t count = 0;
  for (int64_t i = begin; i < rows; i += 8) {
    const __m512i some = _mm512_loadu_si512(bits + i);
    for (unsigned hits = _mm512_test_epi64_mask(some, magnitude); hits != 0; hits &= hits - 1) {
      const int64_t row = i + __builtin_ctz(hits);
      if (row < rows) into[count++] = static_cast<uint32_t>(row);
    }
  }
  return count;
}
#endif

}  // namespace

Result<Columns> Columns::create(const Program& program, Precision precision, uint64_t key, int threads, int64_t least_piece) {
  const size_t element = precision == Precision::Float32 ? sizeof(float) : sizeof(double);
  const size_t slack = (kStaggerSlots + 1) * kAlignment;

  const std::vector<bool> scanned = only_scanned(program);
  double needed = 0;
  for (size_t k = 0; k < program.columns.size(); ++k) {
    if (scanned[k]) continue;
    needed += elements_of(program, program.columns[k]) * static_cast<double>(element) +
              static_cast<double>(slack);
  }
  const std::vector<bool> by_post = read_by_post(program);
  for (size_t k = 0; k < program.spaces.size(); ++k)
    if (program.spaces[k].kind == SpaceKind::Sparse)
      needed += connection_bytes(program, program.spaces[k], by_post[k]);
  const uint64_t available = available_memory();
  const auto refusal = [&] {
    return Failure{cat(quoted(program.name), " needs ", bytes_text(needed), " of memory, ",
                       bytes_text(static_cast<double>(available)), " available")};
  };
  if (needed > static_cast<double>(available) || needed > 0x1p60) return refusal();

  Columns columns;
  columns.precision_ = precision;
  columns.connections_.resize(program.spaces.size());
  for (size_t k = 0; k < program.spaces.size(); ++k) {
    const Space& space = program.spaces[k];
    if (space.kind != SpaceKind::Sparse) continue;
    Result<Connections> drawn = connect(program, space, key);
    if (!drawn) return drawn.failure();
    columns.connections_[k] = *std::move(drawn);
    if (space.connect.delayed())
      if (const Status sorted = sort_by_delay(program, space, key, by_post[k], columns.connections_[k]); !sorted) return sorted.failure();
    if (threads > 1 && !space.connect.delayed() && may_lie_in_blocks(program, SpaceId{static_cast<uint32_t>(k)}, columns.connections_[k].count(), threads, least_piece))
      lay_in_blocks(columns.connections_[k], program[space.pre].size, program[space.post].size, threads);
    if (by_post[k]) index_by_post(columns.connections_[k], program[space.pre].size, program[space.post].size);
    columns.bytes_ += columns.connections_[k].bytes();
  }
  for (const Column& column : program.columns) {
    const bool memory = !scanned[columns.layouts_.size()];
    const ColumnLayout layout =
        memory ? layout_of(program, column, columns.connections(column.space).count()) : ColumnLayout{.pres = 0, .posts = 0, .width = 0};
    const bool uniform = program[column.space].kind == SpaceKind::Uniform;
    const int64_t elements = uniform ? padded(column.width) : layout.width * layout.plane;
    const size_t size = std::max<size_t>(static_cast<size_t>(elements) * element, kAlignment);
    // Large blocks all start at the same offset of a page: shift each by another number of lines,
    // or the columns of a kernel would evict each other from the first-level cache.
    const size_t shift = columns.layouts_.size() * 7 % kStaggerSlots * kAlignment;
    Zeroed block = allocate_zeroed(size + shift);
    if (block == nullptr) return refusal();
    void* base = static_cast<std::byte*>(block.get()) + shift;
    columns.memory_.push_back(std::move(block));
    columns.layouts_.push_back(layout);
    columns.parameter_.push_back(column.role == Role::Param);
    columns.sizes_.push_back(size);
    columns.bases_.push_back(base);
    columns.planes_.push_back(uniform ? 0 : layout.plane);
    const std::vector<uint32_t>& place = columns.connections(column.space).place;
    columns.spaces_.push_back(column.space.value);
    columns.places_.push_back(place.empty() ? nullptr : place.data());
    columns.bytes_ += size;
  }
  return columns;
}

void Columns::write(ColumnId id, std::span<const double> values) {
  const ColumnLayout& at = layout(id);
  if (values.size() == 1 && at.size() != 1) return fill(id, values[0]);
  assert(static_cast<int64_t>(values.size()) == at.size() && "one number per element");
  std::vector<double> sorted;
  if (const uint32_t* place = places_[id.value]) {
    sorted.resize(values.size());
    for (int64_t s = 0; s < at.posts; ++s)
      for (int64_t k = 0; k < at.width; ++k) sorted[static_cast<size_t>(place[s] * at.width + k)] = values[static_cast<size_t>(s * at.width + k)];
    values = sorted;
  } else if (const Connections* blocks = in_blocks(id)) {
    sorted.resize(values.size());
    each_stretch(*blocks, [&](int64_t first, int64_t at_place, int64_t count) {
      std::copy_n(values.begin() + first * at.width, count * at.width, sorted.begin() + at_place * at.width);
    });
    values = sorted;
  }
  if (precision_ == Precision::Float32) scatter(at, static_cast<float*>(memory(id)), values.data());
  else scatter(at, static_cast<double*>(memory(id)), values.data());
  host_wrote(id);
  if (parameter_[id.value]) ++parameter_changes_;
}

void Columns::fill(ColumnId id, double value) {
  if (parameter_[id.value]) ++parameter_changes_;
  if (value == 0 && !std::signbit(value)) {
    std::memset(memory(id), 0, bytes(id));
  } else if (precision_ == Precision::Float32) {
    std::fill_n(static_cast<float*>(memory(id)), bytes(id) / sizeof(float), static_cast<float>(value));
  } else {
    std::fill_n(static_cast<double*>(memory(id)), bytes(id) / sizeof(double), value);
  }
  if (device_ != nullptr) device_->host_filled(id, value);
}

void Columns::fill_rows(ColumnId id, int64_t begin, int64_t end, double value) {
  if (precision_ == Precision::Float32) std::fill(static_cast<float*>(base(id)) + begin, static_cast<float*>(base(id)) + end, static_cast<float>(value));
  else std::fill(static_cast<double*>(base(id)) + begin, static_cast<double*>(base(id)) + end, value);
}

void Columns::set_device(std::unique_ptr<DeviceRun> device) { device_ = std::move(device); }

int64_t Columns::nonzero_rows(ColumnId id, int64_t begin, int64_t end, uint32_t* into) const {
  const auto of = [&]<class Bits>(const Bits* bits) {
#ifdef __x86_64__
    static const bool wide = __builtin_cpu_supports("avx512f"), avx2 = __builtin_cpu_supports("avx2");
    if (wide) return nonzero_wide(bits, begin, end, into);
    if (avx2) return nonzero_avx2(bits, begin, end, into);
#endif
    return nonzero(bits, begin, end, into);
  };
  if (precision_ == Precision::Float32) return of(static_cast<const uint32_t*>(base(id)));
  return of(static_cast<const uint64_t*>(base(id)));
}

void Columns::read(ColumnId id, std::span<double> into) const {
  const auto reader = readers_.find(id.value);
  reader == readers_.end() ? read_stored(id, into) : reader->second(into);
}

void Columns::read_stored(ColumnId id, std::span<double> into) const {
  const ColumnLayout& at = layout(id);
  assert(static_cast<int64_t>(into.size()) == at.size() && "one place per element");
  if (precision_ == Precision::Float32) gather(at, static_cast<const float*>(base(id)), into.data());
  else gather(at, static_cast<const double*>(base(id)), into.data());
  if (const uint32_t* place = places_[id.value]) {
    const std::vector<double> stored(into.begin(), into.end());
    for (int64_t s = 0; s < at.posts; ++s)
      for (int64_t k = 0; k < at.width; ++k) into[static_cast<size_t>(s * at.width + k)] = stored[static_cast<size_t>(place[s] * at.width + k)];
  }
  if (const Connections* blocks = in_blocks(id)) {
    const std::vector<double> stored(into.begin(), into.end());
    each_stretch(*blocks, [&](int64_t first, int64_t at_place, int64_t count) {
      std::copy_n(stored.begin() + at_place * at.width, count * at.width, into.begin() + first * at.width);
    });
  }
}

const Connections* Columns::in_blocks(ColumnId id) const {
  const Connections& synapses = connections_[spaces_[id.value]];
  return synapses.blocks.empty() ? nullptr : &synapses;
}

std::string Columns::in_order(ColumnId id) const {
  const auto* const stored = static_cast<const char*>(base(id));
  std::string out(stored, bytes(id));
  const int64_t each = precision_ == Precision::Float32 ? sizeof(float) : sizeof(double), plane = layout(id).plane * each;
  if (const Connections* blocks = in_blocks(id))
    each_stretch(*blocks, [&](int64_t first, int64_t place, int64_t count) {
      for (int64_t e = 0; e < layout(id).width; ++e) std::copy_n(stored + e * plane + place * each, count * each, out.data() + e * plane + first * each);
    });
  return out;
}

void Columns::set_in_order(ColumnId id, std::string_view bytes) {
  auto* const stored = static_cast<char*>(base(id));
  std::copy(bytes.begin(), bytes.end(), stored);
  const int64_t each = precision_ == Precision::Float32 ? sizeof(float) : sizeof(double), plane = layout(id).plane * each;
  if (const Connections* blocks = in_blocks(id))
    each_stretch(*blocks, [&](int64_t first, int64_t place, int64_t count) {
      for (int64_t e = 0; e < layout(id).width; ++e) std::copy_n(bytes.data() + e * plane + first * each, count * each, stored + e * plane + place * each);
    });
}

std::vector<uint32_t> Columns::row(ColumnId id) const {
  std::vector<uint32_t> words(bytes(id) / sizeof(uint32_t));
  std::memcpy(words.data(), base(id), words.size() * sizeof(uint32_t));
  return words;
}

}  // namespace hebb
