// Files of MATLAB: what is read and what is refused.

#include <random>

#include <gtest/gtest.h>
#include <zlib.h>

#include "runtime/data/mat.h"

namespace hebb {
namespace {

template <class T>
std::string raw(std::initializer_list<T> values) {
  std::string out;
  for (const T value : values) out.append(reinterpret_cast<const char*>(&value), sizeof value);
  return out;
}
std::string mat_element(uint32_t type, const std::string& data, bool pad = true) {
  std::string out = raw<uint32_t>({type, static_cast<uint32_t>(data.size())}) + data;
  while (pad && out.size() % 8 != 0) out += '\0';
  return out;
}
std::string mat_matrix(uint32_t kind, std::initializer_list<int32_t> shape, const std::string& name, const std::string& numbers) {
  return mat_element(14, mat_element(6, raw<uint32_t>({kind, 0})) + mat_element(5, raw(shape)) + mat_element(1, name) + numbers);
}
std::string mat_file(const std::string& elements) {
  std::string header = "MATLAB 5.0 MAT-file";
  header.resize(124, ' ');
  return header + raw<uint16_t>({0x0100}) + "IM" + elements;
}
std::string deflated(const std::string& bytes) {
  std::string out(compressBound(bytes.size()), '\0');
  uLongf size = out.size();
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()), Z_OK);
  out.resize(size);
  return out;
}

TEST(mat, arrays_of_every_storage_compressed_or_not_come_row_by_row) {
  // MATLAB keeps [1 2 3; 4 5 6] as 1 4 2 5 3 6, and whole numbers in the smallest type.
  const std::string x = mat_matrix(6, {2, 3}, "X", mat_element(9, raw<double>({1, 4, 2, 5, 3, 6})));
  const std::string y = mat_matrix(6, {1, 3}, "Y", raw<uint32_t>({2u | 3u << 16}) + raw<uint8_t>({0, 1, 1, 0}));   // in the tag itself
  const std::string r = mat_matrix(12, {2, 1}, "R", mat_element(3, raw<int16_t>({-7, 300})));
  const std::string s = mat_matrix(4, {1, 2}, "note", mat_element(4, raw<uint16_t>({'h', 'i'})));
  for (const bool packed : {false, true}) {
    std::string elements;
    for (const std::string& one : {x, y, r, s}) elements += packed ? mat_element(15, deflated(one), false) : one;
    const auto data = parse_mat(mat_file(elements), "fly.mat");
    ASSERT_TRUE(data.ok()) << data.error();
    ASSERT_EQ(data->arrays.size(), 3u);
    EXPECT_EQ(data->find("X")->shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(data->find("X")->values, (std::vector<double>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(data->find("Y")->values, (std::vector<double>{0, 1, 1}));
    EXPECT_EQ(data->find("R")->values, (std::vector<double>{-7, 300}));
    ASSERT_EQ(data->unread.size(), 1u);
    EXPECT_EQ(data->unread[0].reason, "it is text");
  }
}

TEST(mat, what_is_damaged_or_another_version_is_refused) {
  const std::string x = mat_matrix(6, {2, 3}, "X", mat_element(9, raw<double>({1, 4, 2, 5, 3, 6})));
  const std::string whole = mat_file(x), packed = mat_file(mat_element(15, deflated(x), false));
  for (size_t end = 0; end < whole.size(); ++end) {
    if (end == 128) continue;   // a file without arrays
    EXPECT_FALSE(parse_mat(whole.substr(0, end), "a.mat").ok()) << end;
  }
  for (size_t end = 129; end < packed.size(); ++end) EXPECT_FALSE(parse_mat(packed.substr(0, end), "a.mat").ok()) << end;
  EXPECT_FALSE(parse_mat(mat_file(mat_matrix(6, {2, 2}, "X", mat_element(9, raw<double>({1, 4, 2, 5, 3, 6})))), "a.mat").ok());
  EXPECT_FALSE(parse_mat(mat_file(mat_matrix(6, {-1, -6}, "X", mat_element(9, raw<double>({1, 4, 2, 5, 3, 6})))), "a.mat").ok());
  std::string newer = whole;
  newer[125] = 2;
  const auto refused = parse_mat(newer, "a.mat");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().find("version 7.3"), std::string::npos);
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {   // anything may be refused, nothing may crash
    std::string bytes = round % 2 ? whole : packed;
    for (int k = 0; k < 3; ++k) bytes[128 + random() % (bytes.size() - 128)] = static_cast<char>(random());
    (void)parse_mat(bytes, "a.mat");
  }
}

}  // namespace
}  // namespace hebb
