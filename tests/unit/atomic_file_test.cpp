// Files are replaced whole: an old one survives a failed write.

#include <csignal>
#include <filesystem>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "runtime/data/atomic_file.h"
#include "tests/unit/folder.h"

namespace hebb {
namespace {

namespace fs = std::filesystem;
using testing::Folder;

TEST(Files, AFolderIsNoFile) {
  const Folder folder;
  EXPECT_NE(read_file(folder.path.string()).error().find("Is a directory"), std::string::npos);
  EXPECT_NE(write_file(folder.path.string(), "x").error().find("Is a directory"), std::string::npos);
  EXPECT_FALSE(write_file("", "x").ok());
  EXPECT_FALSE(write_file(folder / "none/x", "x").ok());
}

TEST(Files, AreReplacedWholeAndKeepTheirPermissionsAndLinks) {
  const Folder folder;
  const std::string path = folder / "out.npz", link = folder / "link";
  ASSERT_TRUE(write_file(path, "old").ok());
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("out.npz", link);
  ASSERT_TRUE(write_file(link, std::string(3'000'000, 'n')).ok());
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(fs::file_size(path), 3'000'000u);
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(folder.files(), 2u);
  ASSERT_TRUE(write_file(path, "").ok());
  EXPECT_EQ(*read_file(path), "");
}

TEST(Files, AFullDiskIsReported) {
  const Status status = write_file("/dev/full", "x");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error(), "cannot write '/dev/full': No space left on device");
}

TEST(Files, AWriteThatFailsLeavesTheOldFileAndNoTemporary) {
  const Folder folder;
  const std::string path = folder / "out.npz";
  ASSERT_TRUE(write_file(path, "old").ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 100'000, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = write_file(path, std::string(1'000'000, 'n'));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error(), "cannot write '" + path + "': File too large");
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(folder.files(), 1u);
}

TEST(Files, AProcessKilledWhileItWritesLeavesTheOldFile) {
  const Folder folder;
  const std::string path = folder / "out.npz";
  ASSERT_TRUE(write_file(path, "old").ok());
  const pid_t child = fork();
  if (child == 0) {
    const rlimit small{.rlim_cur = 100'000, .rlim_max = 100'000};
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_FSIZE, &small);  // SIGXFSZ in the middle of the write
    (void)write_file(path, std::string(1'000'000, 'n'));
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(*read_file(path), "old");
  // Not what others made, or a process of another machine, or one that lives.
  const std::vector<std::string> kept = {".tmp", "..tmp", ".a.tmp", ".a.b.1.0.tmp", ".a." + std::to_string(child) + ".0.tmp"};
  for (const std::string& name : kept) ASSERT_TRUE(write_file(folder / name, "").ok());
  ASSERT_TRUE(replace_file(folder / "other", [&](const std::string& temporary) {
    remove_leftovers(folder.path);
    EXPECT_TRUE(std::filesystem::exists(temporary));
    return Status(Done{});
  }).ok());
  EXPECT_EQ(folder.files(), 2 + kept.size());
  for (const std::string& name : kept) EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
  remove_leftovers(folder / "missing");
}

TEST(Files, AFolderThatMayNotBeWrittenIsReported) {
  const Folder folder;
  const std::string path = folder / "out.npz";
  ASSERT_TRUE(write_file(path, "old").ok());
  fs::permissions(folder.path, fs::perms::owner_read | fs::perms::owner_exec);
  const pid_t child = fork();
  if (child == 0) {
    // Root may write anywhere: be nobody.
    if (geteuid() == 0 && (fs::permissions(folder.path, fs::perms(0555)), setuid(65534) != 0)) _exit(2);
    const Status status = write_file(folder / "new.npz", "new");
    _exit(!status.ok() && status.error() == "cannot write '" + folder / "new.npz" + "': Permission denied" ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  fs::permissions(folder.path, fs::perms::owner_all);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(folder.files(), 1u);
}

TEST(Files, AFileThatMayNotBeWrittenIsNotReplaced) {
  const Folder folder;
  const std::string path = folder / "out.npz";
  ASSERT_TRUE(write_file(path, "old").ok());
  fs::permissions(folder.path, fs::perms(0777));
  fs::permissions(path, fs::perms(0444));
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    _exit(write_file(path, "new").ok() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(*read_file(path), "old");
}

}  // namespace
}  // namespace hebb
