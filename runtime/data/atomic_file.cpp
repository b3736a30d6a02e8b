#include "runtime/data/atomic_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/support/text.h"

namespace hebb {

namespace {

Failure failure(std::string_view verb, const std::string& path, int error) {
  return {cat("cannot ", verb, ' ', quoted(path), ": ", std::strerror(error))};
}

/// Closes on every path out of a function.
struct Descriptor {
  int number = -1;
  explicit Descriptor(int n) : number(n) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() { if (number >= 0) ::close(number); }
  /// 0, or the error: some file systems report a full disk only here.
  int close() {
    const int error = ::close(number) == 0 ? 0 : errno;
    number = -1;
    return error;
  }
};

/// 0, or the error that stopped it.
int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return ENOSPC;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

/// Pipes and devices cannot be synchronised; that is no failure.
int flush(int file) {
  if (::fsync(file) == 0) return 0;
  return errno == EINVAL || errno == ENOTSUP || errno == EROFS ? 0 : errno;
}

/// Write, flush, take over the old file's permissions, close.
int fill(Descriptor& file, std::string_view bytes, const struct stat* old) {
  if (const int error = write_all(file.number, bytes)) return error;
  if (old != nullptr && ::fchmod(file.number, old->st_mode & 07777) != 0) return errno;
  if (const int error = flush(file.number)) return error;
  return file.close();
}

constexpr std::string_view kTemporary = ".tmp";
constexpr size_t kLongestHost = 40, kLongestName = NAME_MAX - 80;  // what is cut off makes no file another

/// Without dots, which stand between the parts of a temporary's name.
std::string host() {
  char name[256] = "";
  if (::gethostname(name, sizeof name - 1) != 0) return "host";
  std::string out(name);
  std::replace(out.begin(), out.end(), '.', '-');
  return out.substr(0, kLongestHost);
}

/// The process of this host that made a file of this name, .NAME.HOST.PROCESS.NUMBER.tmp; 0: none.
pid_t maker_of(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(kTemporary)) return 0;
  name.remove_suffix(kTemporary.size());
  const auto last = [&] {
    const size_t dot = name.empty() ? 0 : name.rfind('.');  // the first character is one
    const std::string_view part = name.empty() ? name : name.substr(dot + 1);
    name = name.substr(0, dot);
    return part;
  };
  last();
  const std::string_view process = last();
  pid_t value = 0;
  const auto [end, error] = std::from_chars(process.data(), process.data() + process.size(), value);
  const bool number = error == std::errc() && end == process.data() + process.size() && value > 0;
  return number && last() == host() ? value : 0;
}

struct Temporary {
  std::string path;
  int file = -1;
  int error = 0;
};

Temporary create_beside(const std::string& folder, const std::string& name) {
  constexpr int kTries = 100;  // names left over by killed processes with our number
  Temporary out;
  for (int k = 0; k < kTries; ++k) {
    out.path = cat(folder, "/.", name, '.', host(), '.', ::getpid(), '.', k, kTemporary);
    out.file = ::open(out.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    out.error = out.file >= 0 ? 0 : errno;
    if (out.error != EEXIST) return out;
  }
  return out;
}

}  // namespace

void remove_leftovers(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    const pid_t process = maker_of(file->path().filename().native());
    if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) ::unlink(file->path().c_str());
  }
}

Result<std::string> read_file(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) return failure("read", path, errno);
  struct stat status {};
  if (::fstat(file.number, &status) != 0) return failure("read", path, errno);
  if (S_ISDIR(status.st_mode)) return failure("read", path, EISDIR);
  // The size is a hint: a pipe has none, and a file may grow. What has no size may also have no end.
  constexpr size_t kLongestStream = size_t{1} << 28;
  std::string bytes;
  size_t used = 0;
  bytes.resize(static_cast<size_t>(status.st_size) + 1);
  for (;;) {
    if (used == bytes.size()) bytes.resize(bytes.size() * 2 + 65536);
    const ssize_t got = ::read(file.number, bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read", path, errno);
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > kLongestStream && !S_ISREG(status.st_mode)) return failure("read", path, EFBIG);
  }
  bytes.resize(used);
  return bytes;
}

Status write_file(const std::string& path, std::string_view bytes) {
  std::string target = path;
  struct stat old {};
  const bool exists = ::stat(path.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode)) return failure("write", path, EISDIR);
  if (exists && !S_ISREG(old.st_mode)) {
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.number < 0) return failure("write", path, errno);
    if (const int error = fill(file, bytes, nullptr)) return failure("write", path, error);
    return Done{};
  }
  if (exists) {  // through links, so that the file is replaced and not the link to it
    if (::access(path.c_str(), W_OK) != 0) return failure("write", path, errno);
    char* real = ::realpath(path.c_str(), nullptr);
    if (real == nullptr) return failure("write", path, errno);
    target = real;
    std::free(real);
  }

  const size_t slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : target.substr(0, slash);
  const std::string name = slash == std::string::npos ? target : target.substr(slash + 1);
  if (name.empty()) return failure("write", path, path.empty() ? ENOENT : EISDIR);
  const Temporary temporary = create_beside(folder, name.substr(0, kLongestName));
  if (temporary.file < 0) return failure("write", path, temporary.error);
  Descriptor file(temporary.file);
  int error = fill(file, bytes, exists ? &old : nullptr);
  if (error == 0 && ::rename(temporary.path.c_str(), target.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.path.c_str());
    return failure("write", path, error);
  }
  Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number >= 0) flush(directory.number);  // the file is whole either way
  return Done{};
}

Status replace_file(const std::string& path, const std::function<Status(const std::string& temporary)>& write) {
  struct stat old {};
  const bool exists = ::stat(path.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) return failure("write", path, S_ISDIR(old.st_mode) ? EISDIR : EINVAL);
  if (exists && ::access(path.c_str(), W_OK) != 0) return failure("write", path, errno);
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const Temporary temporary = create_beside(folder, name.substr(0, kLongestName));
  if (temporary.file < 0) return failure("write", path, temporary.error);
  ::close(temporary.file);
  Status done = write(temporary.path);
  if (done) {
    Descriptor file(::open(temporary.path.c_str(), O_RDWR | O_CLOEXEC));
    int error = file.number < 0 ? errno : flush(file.number);
    if (error == 0 && exists && ::fchmod(file.number, old.st_mode & 07777) != 0) error = errno;
    if (error == 0 && ::rename(temporary.path.c_str(), path.c_str()) != 0) error = errno;
    if (error != 0) done = failure("write", path, error);
  } else {
    // People know the file they asked for, not the one beside it.
    std::string text = done.error();
    for (size_t at = text.find(temporary.path); at != std::string::npos; at = text.find(temporary.path))
      text.replace(at, temporary.path.size(), path);
    done = Failure{text};
  }
  if (!done) {
    ::unlink(temporary.path.c_str());
    return done;
  }
  Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number >= 0) flush(directory.number);
  return Done{};
}

}  // namespace hebb
