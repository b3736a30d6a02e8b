#include "runtime/data/part_file.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zip.h>

#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "runtime/data/hdf5.h"

namespace hebb {

namespace {

constexpr int64_t kHeader = 512;  // bytes before the numbers: room for any shape

int64_t size_of(int64_t numbers) { return kHeader + numbers * static_cast<int64_t>(sizeof(double)); }

Failure failure(std::string_view verb, const std::string& path, int error) {
  return {cat("cannot ", verb, ' ', quoted(path), ": ", std::strerror(error))};
}

int write_at(int file, const char* bytes, size_t size, int64_t at) {
  while (size > 0) {
    const ssize_t written = ::pwrite(file, bytes, size, at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return ENOSPC;
    bytes += written, at += written, size -= static_cast<size_t>(written);
  }
  return 0;
}

uint64_t sum_with(uint64_t sum, std::span<const double> values) {
  for (const double value : values) {
    sum = (sum ^ std::bit_cast<uint64_t>(value)) * 0x9E3779B97F4A7C15ull;
    sum ^= sum >> 29;
  }
  return sum;
}

/// The beginning of a version 1 NPY file, filled up with spaces to its fixed length.
std::string npy_header(const std::vector<int64_t>& shape) {
  std::string extents = "(";
  for (size_t d = 0; d < shape.size(); ++d) extents += cat(d > 0 ? ", " : "", shape[d], shape.size() == 1 ? "," : "");
  std::string text = cat("{'descr': '<f8', 'fortran_order': False, 'shape': ", extents, "), }");
  constexpr size_t kPrefix = 10;
  text.resize(kHeader - kPrefix - 1, ' ');
  text += '\n';
  std::string out = "\x93NUMPY";
  out += std::string_view("\x01\x00", 2);
  out += static_cast<char>(text.size() & 0xff);
  out += static_cast<char>(text.size() >> 8);
  return out + text;
}

Status write_npz(const std::string& path, std::span<const StreamedArray> arrays, const std::string& provenance) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (archive == nullptr) return failure("write", path, errno);
  const auto give_up = [&] {
    Failure why{cat("cannot write ", quoted(path), ": ", zip_strerror(archive))};
    zip_discard(archive);
    return why;
  };
  const auto add = [&](const std::string& name, zip_source_t* source) {
    if (source == nullptr) return false;
    const zip_int64_t at = zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (at < 0) zip_source_free(source);
    if (at < 0) return false;
    constexpr zip_uint16_t kMidnight = 0, kFirstOf1980 = 0x21;  // the same data, the same bytes
    const auto index = static_cast<zip_uint64_t>(at);
    return zip_set_file_compression(archive, index, ZIP_CM_STORE, 0) == 0 &&
           zip_file_set_dostime(archive, index, kMidnight, kFirstOf1980, 0) == 0;
  };
  for (const StreamedArray& array : arrays)
    if (!add(array.name + ".npy", zip_source_file(archive, array.part->path().c_str(), 0, -1))) return give_up();
  if (!add("provenance.json", zip_source_buffer(archive, provenance.data(), provenance.size(), 0))) return give_up();
  if (zip_close(archive) != 0) return give_up();
  return Done{};
}

Status write_hdf5(const std::string& path, std::span<const StreamedArray> arrays, const std::string& provenance) {
  std::vector<Hdf5Array> sources;
  for (const StreamedArray& array : arrays)
    sources.push_back({array.name, array.shape, array.unit,
                       [part = array.part](int64_t begin, std::span<double> into) { return part->read(begin, into); }});
  return write_hdf5(path, sources, provenance);
}

}  // namespace

Result<PartFile> PartFile::open(const std::string& path, int64_t numbers) {
  PartFile out;
  out.path_ = path;
  for (;;) {
    out.file_ = ::open(path.c_str(), O_RDWR | (numbers == kAsItIs ? 0 : O_CREAT) | O_CLOEXEC, 0666);
    if (out.file_ < 0) return failure(numbers == kAsItIs ? "go on with" : "write", path, errno);
    // Where a file system knows no locks, nothing is locked.
    if (::flock(out.file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      return Failure{cat("cannot write ", quoted(path), ": another run is writing it")};
    struct stat opened, named;
    if (::fstat(out.file_, &opened) != 0) return failure("write", path, errno);
    if (::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) break;
    ::close(out.file_);  // who held it removed it meanwhile
  }
  if (numbers == kAsItIs) return out;
  const auto sum = out.sum_of(numbers);
  if (!sum) return sum.failure();
  if (const Status done = out.cut(numbers, *sum); !done) return done.failure();
  return out;
}

Result<uint64_t> PartFile::sum_of(int64_t numbers) const {
  if (numbers > 0 && ::lseek(file_, 0, SEEK_END) < size_of(numbers))
    return Failure{cat("cannot go on with ", quoted(path_), ": it is shorter than the checkpoint says")};
  constexpr int64_t kAtOnce = 1 << 16;
  uint64_t sum = 0;
  std::vector<double> values;
  for (int64_t begin = 0; begin < numbers; begin += kAtOnce) {
    values.resize(static_cast<size_t>(std::min(kAtOnce, numbers - begin)));
    if (const Status got = read(begin, values); !got) return got.failure();
    sum = sum_with(sum, values);
  }
  return sum;
}

Status PartFile::cut(int64_t numbers, uint64_t sum) {
  if (::ftruncate(file_, size_of(numbers)) != 0) return failure("write", path_, errno);
  numbers_ = numbers;
  sum_ = sum;
  return Done{};
}

PartFile::PartFile(PartFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), numbers_(other.numbers_), sum_(other.sum_) {}

PartFile& PartFile::operator=(PartFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(numbers_, other.numbers_);
  std::swap(sum_, other.sum_);
  return *this;
}

PartFile::~PartFile() {
  if (file_ >= 0) ::close(file_);
}

Status PartFile::append(std::span<const double> values) {
  const int64_t at = size_of(numbers_);
  if (const int error = write_at(file_, reinterpret_cast<const char*>(values.data()), values.size_bytes(), at))
    return failure("write", path_, error);
  numbers_ += static_cast<int64_t>(values.size());
  sum_ = sum_with(sum_, values);
  return Done{};
}

Status PartFile::read(int64_t begin, std::span<double> into) const {
  auto* bytes = reinterpret_cast<char*>(into.data());
  size_t left = into.size_bytes();
  int64_t at = size_of(begin);
  while (left > 0) {
    const ssize_t got = ::pread(file_, bytes, left, at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failure("read", path_, got < 0 ? errno : EIO);
    bytes += got, at += got, left -= static_cast<size_t>(got);
  }
  return Done{};
}

Status PartFile::finish(const std::vector<int64_t>& shape) {
  const std::string header = npy_header(shape);
  if (const int error = write_at(file_, header.data(), header.size(), 0)) return failure("write", path_, error);
  return Done{};
}

void PartFile::flush() const { (void)::fdatasync(file_); }

void PartFile::remove() { ::unlink(path_.c_str()); }

Status save_streamed(const std::string& path, std::span<const StreamedArray> arrays, const std::string& provenance) {
  const bool npz = path.ends_with(".npz");
  return replace_file(path, [&](const std::string& temporary) {
    return npz ? write_npz(temporary, arrays, provenance) : write_hdf5(temporary, arrays, provenance);
  });
}

}  // namespace hebb
