// Numbers on their way to a file: cut, gone on with, told from others.

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/data/atomic_file.h"
#include "runtime/data/load.h"
#include "runtime/data/part_file.h"
#include "tests/unit/folder.h"

namespace hebb {
namespace {

using testing::Folder;

TEST(Parts, GrowAreCutAndBecomeArrays) {
  const Folder folder;
  {
    auto part = PartFile::open(folder / "p", 0);
    ASSERT_TRUE(part.ok());
    ASSERT_TRUE(part->append(std::vector<double>{1, 2, 3, 4}).ok());
    ASSERT_TRUE(part->append(std::vector<double>{5, 6}).ok());
    EXPECT_EQ(PartFile::open(folder / "p", 0).error(), "cannot write '" + (folder / "p") + "': another run is writing it");
    EXPECT_EQ(part->numbers(), 6);
  }
  {
    auto cut = PartFile::open(folder / "p", 4);
    ASSERT_TRUE(cut.ok());
    ASSERT_TRUE(cut->append(std::vector<double>{7, 8}).ok());
    ASSERT_TRUE(cut->finish({3, 2}).ok());
    const std::vector<StreamedArray> arrays = {{"x.w", {3, 2}, "mV", &*cut}};
    for (const char* name : {"a.npz", "a.h5"}) {
      ASSERT_TRUE(save_streamed(folder / name, arrays, "{}").ok());
      const auto back = load_data(folder / name);
      ASSERT_TRUE(back.ok()) << back.error();
      EXPECT_EQ(back->find("x.w")->shape, (std::vector<int64_t>{3, 2})) << name;
      EXPECT_EQ(back->find("x.w")->values, (std::vector<double>{1, 2, 3, 4, 7, 8})) << name;
      EXPECT_EQ(back->provenance, "{}");
    }
  }
  EXPECT_FALSE(PartFile::open(folder / "p", 100).ok());
  EXPECT_FALSE(PartFile::open(folder / "none/p", 0).ok());
  EXPECT_EQ(PartFile::open(folder / "q", PartFile::kAsItIs).error(), "cannot go on with '" + (folder / "q") + "': No such file or directory");
  PartFile::open(folder / "p", PartFile::kAsItIs)->remove();
  EXPECT_EQ(folder.files(), 2u);
}

TEST(Parts, HaveASumOfWhatTheyHold) {
  const Folder folder;
  uint64_t sum = 0;
  {
    auto part = PartFile::open(folder / "p", 0);
    ASSERT_TRUE(part->append(std::vector<double>{1, 2}).ok());
    ASSERT_TRUE(part->append(std::vector<double>(100'000, 3)).ok());
    sum = part->sum();
    ASSERT_TRUE(part->append(std::vector<double>{4, 5}).ok());
    EXPECT_NE(part->sum(), sum);
  }
  const auto whole = read_file(folder / "p");
  {
    auto part = PartFile::open(folder / "p", PartFile::kAsItIs);
    EXPECT_EQ(*part->sum_of(100'002), sum);
    EXPECT_EQ(part->sum_of(200'000).error(), "cannot go on with '" + (folder / "p") + "': it is shorter than the checkpoint says");
  }
  for (const size_t at : {size_t{512}, size_t{512 + 8 * 70'000}}) {
    std::string flipped = *whole;
    flipped[at] ^= 1;
    ASSERT_TRUE(write_file(folder / "p", flipped).ok());
    EXPECT_NE(*PartFile::open(folder / "p", PartFile::kAsItIs)->sum_of(100'002), sum);
  }
  ASSERT_TRUE(write_file(folder / "p", *whole).ok());
  auto part = PartFile::open(folder / "p", 100'002);
  EXPECT_EQ(part->sum(), sum);
  ASSERT_TRUE(part->append(std::vector<double>{4, 5}).ok());
  EXPECT_EQ(*part->sum_of(100'004), part->sum());
}

}  // namespace
}  // namespace hebb
