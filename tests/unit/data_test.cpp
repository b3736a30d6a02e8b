// Files of data: what is read and what is refused.

#include <cmath>
#include <ctime>
#include <limits>
#include <random>

#include <unistd.h>

#include <gtest/gtest.h>

#include "runtime/data/atomic_file.h"
#include "runtime/data/csv.h"
#include "runtime/data/load.h"
#include "runtime/data/npy.h"
#include "runtime/data/npz.h"
#include "tests/unit/folder.h"

namespace hebb {
namespace {

using testing::Folder;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

void expect_same(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t k = 0; k < a.size(); ++k) {
    if (std::isnan(b[k])) {
      EXPECT_TRUE(std::isnan(a[k])) << k;
    } else {
      EXPECT_EQ(a[k], b[k]) << k;
    }
  }
}

// -------------------------------------------------------------------------------------------- CSV

std::vector<double> column(std::string_view text, std::string_view name) {
  const auto data = parse_csv(text, "t.csv");
  if (!data) {
    ADD_FAILURE() << data.error();
    return {};
  }
  const Array* array = data->find(name);
  if (array == nullptr) {
    ADD_FAILURE() << "no column " << name;
    return {};
  }
  EXPECT_EQ(array->shape, std::vector<int64_t>{static_cast<int64_t>(array->values.size())});
  return array->values;
}

std::string csv_error(std::string_view text) {
  const auto data = parse_csv(text, "t.csv");
  return data ? "read" : data.error();
}

TEST(Csv, ReadsColumnsByName) {
  expect_same(column("a,b\n1,2\n3,4\n", "a"), {1, 3});
  expect_same(column("a,b\n1,2\n3,4", "b"), {2, 4});
  expect_same(column("a,b\r\n1,2\r\n3,4\r\n", "b"), {2, 4});
  expect_same(column("\xEF\xBB\xBF" "a,b\n1,2\n", "a"), {1});
  expect_same(column("a,b\n1,2\n\n\r\n\n", "b"), {2});
  expect_same(column(" a , b \n 1 ,\t2 \n", "b"), {2});
  expect_same(column("a,b\n", "b"), {});
  expect_same(column("a", "a"), {});
}

TEST(Csv, UnderstandsQuotes) {
  expect_same(column("\"a,b\",c\n1,2\n", "a,b"), {1});
  expect_same(column("\"say \"\"x\"\"\",c\n1,2\n", "say \"x\""), {1});
  expect_same(column("\"two\nlines\",c\n\"1.5\",2\n", "two\nlines"), {1.5});
}

TEST(Csv, ReadsEveryWayToWriteANumber) {
  expect_same(column("a\n1e3\n-0.5\n+7\n1E-2\n.5\n5.\n0\n-0\n", "a"), {1000, -0.5, 7, 0.01, 0.5, 5, 0, 0});
  expect_same(column("a,b\n,1\nnan,1\nNaN,1\nNA,1\nN/A,1\n  ,1\n\"\",1\n", "a"), std::vector<double>(7, kNaN));
  expect_same(column("a\n1e999\n-1e999\n1e-999\ninf\n-inf\n", "a"), {kInf, -kInf, 0, kInf, -kInf});
  expect_same(column("a\n1\n\n3\n", "a"), {1, kNaN, 3});  // one column: an empty line is an empty cell
  expect_same(column("a\n179769313486231570000000000000000000000\n", "a"), {1.7976931348623157e38});
}

TEST(Csv, SaysWhereAndWhatIsNoNumber) {
  EXPECT_EQ(csv_error("a,b\n1,2\n3,four\n"), "t.csv:3:3: column 'b' holds 'four', expected a number");
  EXPECT_EQ(csv_error("\"a\nb\",c\n1,x\n"), "t.csv:3:3: column 'c' holds 'x', expected a number");
  EXPECT_EQ(csv_error("a\n1.2.3\n"), "t.csv:2:1: column 'a' holds '1.2.3', expected a number");
  EXPECT_EQ(csv_error("a\n0x10\n"), "t.csv:2:1: column 'a' holds '0x10', expected a number");
  EXPECT_EQ(csv_error("a\n+-1\n"), "t.csv:2:1: column 'a' holds '+-1', expected a number");
  EXPECT_EQ(csv_error("a\n1\x1b[31m\n"), "t.csv:2:1: column 'a' holds '1?[31m', expected a number");
  EXPECT_EQ(csv_error("a\n" + std::string(100, 'x') + "\n"),
            "t.csv:2:1: column 'a' holds '" + std::string(40, 'x') + "…', expected a number");
}

TEST(Csv, RowsMustBeAsLongAsTheFirstLine) {
  EXPECT_EQ(csv_error("a,b\n1\n"), "t.csv:2:1: the row has 1 cell, the first line names 2");
  EXPECT_EQ(csv_error("a,b\n1,2\n\n3,4\n"), "t.csv:3:1: the row has 1 cell, the first line names 2");
  EXPECT_EQ(csv_error("a,b\n1,2,3,4\n"), "t.csv:2:7: the row has 4 cells, the first line names 2");
  EXPECT_EQ(csv_error("a,b\n1,2,\n"), "t.csv:2:5: the row has 3 cells, the first line names 2");
}

TEST(Csv, TheFirstLineMustName) {
  EXPECT_EQ(csv_error("1,2\n3,4\n"), "t.csv:1:1: the first line holds numbers, expected the names of the columns");
  EXPECT_EQ(csv_error("a,,c\n"), "t.csv:1:3: column 2 has no name in the first line");
  EXPECT_EQ(csv_error("a,b,a\n"), "t.csv:1:5: two columns are named 'a'");
  EXPECT_EQ(csv_error("a;b\n1;2\n"), "t.csv:1:1: columns are separated by ';', expected ','");
  EXPECT_EQ(csv_error("a\tb\n1\t2\n"), "t.csv:1:1: columns are separated by tabs, expected ','");
  for (const char* nothing : {"", "\n", "\r\n\n", "\xEF\xBB\xBF", "\xEF\xBB\xBF\n"})
    EXPECT_EQ(csv_error(nothing), "t.csv is empty, expected a line with the names of the columns");
}

TEST(Csv, BadQuotesAreNamed) {
  EXPECT_EQ(csv_error("a,\"b\n1,2\n"), "t.csv:1:3: a quote is not closed: '\"b?1,2'");
  EXPECT_EQ(csv_error("a,b\n1,\"2\"3\n"), "t.csv:2:3: a quote is not closed: '\"2\"3'");
  EXPECT_EQ(csv_error(std::string_view("a\n1\0\n", 5)), "t.csv holds NUL bytes: it is no text file");
}

TEST(Csv, ManyNamesAndManyLinesDoNotReserveTheirProduct) {
  std::string text = "c0";
  for (int k = 1; k < 200'000; ++k) text += ",c" + std::to_string(k);
  text += "\n" + std::string(200'000, '\n') + "1\n";
  EXPECT_EQ(csv_error(text), "t.csv:2:1: the row has 1 cell, the first line names 200000");
}

TEST(Csv, ReadsTheDigits) {
  const auto data = load_data(HEBB_SOURCE_DIR "/examples/data/digits.csv");
  ASSERT_TRUE(data.ok()) << data.error();
  ASSERT_EQ(data->arrays.size(), 65u);
  EXPECT_EQ(data->arrays[0].name, "p0");
  EXPECT_EQ(data->find("label")->shape, std::vector<int64_t>{1797});
  EXPECT_EQ(data->find("p3")->values[1], 12);
}

TEST(Csv, ComesBackAsWritten) {
  Dataset data;
  data.arrays = {{"x, \"y\"", {{4}, {0.1, kNaN, -kInf, 5e-324}}}, {"z", {{4}, {1, 2, 3, 1e308}}}};
  const auto text = csv_text(data);
  ASSERT_TRUE(text.ok());
  expect_same(column(*text, "x, \"y\""), data.arrays[0].array.values);
  expect_same(column(*text, "z"), data.arrays[1].array.values);
  data.arrays[1].array = {{3}, {1, 2, 3}};
  EXPECT_EQ(csv_text(data).error(), "the columns of a CSV file must be equally long, 'x, \"y\"' has 4 numbers, 'z' has 3");
  data.arrays[1].array = {{2, 2}, {1, 2, 3, 4}};
  EXPECT_EQ(csv_text(data).error(), "'z' has 2 dimensions, a column of a CSV file has one; .npy and .npz keep any shape");
}

// -------------------------------------------------------------------------------------------- NPY

std::string npy(std::string_view header, std::string_view data, int version = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  for (int k = 0; k < (version == 1 ? 2 : 4); ++k) out += static_cast<char>(header.size() >> (8 * k) & 0xff);
  return out + std::string(header) + std::string(data);
}
std::string npy_of(const std::string& type, const std::string& shape, std::string_view data, bool fortran = false) {
  return npy("{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }\n", data);
}
template <class T>
std::string bytes_of(std::initializer_list<T> values, bool swapped = false) {
  std::string out;
  for (const T value : values) {
    std::string one(reinterpret_cast<const char*>(&value), sizeof value);
    if (swapped) std::reverse(one.begin(), one.end());
    out += one;
  }
  return out;
}
std::string npy_error(std::string_view bytes) {
  const auto array = parse_npy(bytes, "a.npy");
  return array ? "read" : array.error();
}

TEST(Npy, ReadsEveryTypeInBothByteOrders) {
  const auto check = [](const std::string& type, const std::string& data, const std::vector<double>& expected) {
    const auto array = parse_npy(npy_of(type, "(3,)", data), "a.npy");
    ASSERT_TRUE(array.ok()) << type << array.error();
    EXPECT_EQ(array->shape, std::vector<int64_t>{3});
    expect_same(array->values, expected);
  };
  for (const bool swapped : {false, true}) {
    const std::string order = swapped ? ">" : "<";
    check(order + "f4", bytes_of<float>({1.5f, -2, std::numeric_limits<float>::quiet_NaN()}, swapped), {1.5, -2, kNaN});
    check(order + "f8", bytes_of<double>({0.1, -kInf, 5e-324}, swapped), {0.1, -kInf, 5e-324});
    check(order + "i2", bytes_of<int16_t>({1, -2, 32767}, swapped), {1, -2, 32767});
    check(order + "i4", bytes_of<int32_t>({1, -2, 1 << 30}, swapped), {1, -2, 1 << 30});
    check(order + "i8", bytes_of<int64_t>({1, -2, int64_t{1} << 60}, swapped), {1, -2, 0x1p60});
    check(order + "u2", bytes_of<uint16_t>({1, 2, 65535}, swapped), {1, 2, 65535});
    check(order + "u4", bytes_of<uint32_t>({1, 2, 4294967295u}, swapped), {1, 2, 4294967295.0});
    check(order + "u8", bytes_of<uint64_t>({1, 2, ~uint64_t{0}}, swapped), {1, 2, 0x1p64});
  }
  check("|i1", bytes_of<int8_t>({1, -128, 127}), {1, -128, 127});
  check("|u1", bytes_of<uint8_t>({1, 2, 255}), {1, 2, 255});
  check("|b1", std::string("\x00\x01\x01", 3), {0, 1, 1});
  check("=f8", bytes_of<double>({1, 2, 3}), {1, 2, 3});
}

TEST(Npy, ReadsShapesAndOrders) {
  const std::string six = bytes_of<double>({0, 1, 2, 3, 4, 5});
  const auto fortran = parse_npy(npy_of("<f8", "(2, 3)", six, true), "a");
  ASSERT_TRUE(fortran.ok());
  EXPECT_EQ(fortran->shape, (std::vector<int64_t>{2, 3}));
  expect_same(fortran->values, {0, 2, 4, 1, 3, 5});
  const auto c = parse_npy(npy_of("<f8", "(2, 3)", six), "a");
  expect_same(c->values, {0, 1, 2, 3, 4, 5});
  const std::string eight = bytes_of<double>({0, 1, 2, 3, 4, 5, 6, 7});
  const auto cube = parse_npy(npy_of("<f8", "(2, 2, 2)", eight, true), "a");
  expect_same(cube->values, {0, 4, 2, 6, 1, 5, 3, 7});
  const auto scalar = parse_npy(npy_of("<f8", "()", bytes_of<double>({4})), "a");
  ASSERT_TRUE(scalar.ok());
  EXPECT_TRUE(scalar->shape.empty());
  expect_same(scalar->values, {4});
  for (const char* empty : {"(0,)", "(3, 0, 2)", "(0, 9223372036854775807)", "(9223372036854775807, 9223372036854775807, 0)"}) {
    for (const bool order : {false, true}) {
      const auto none = parse_npy(npy_of("<f8", empty, "", order), "a");
      ASSERT_TRUE(none.ok()) << none.error();
      EXPECT_TRUE(none->values.empty());
    }
  }
}

TEST(Npy, ReadsHalvesExactly) {
  const std::string bits = bytes_of<uint16_t>({0x0000, 0x8000, 0x3c00, 0xc100, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x8001, 0x3555, 0x7c00, 0xfc00, 0x7e01});
  const auto halves = parse_npy(npy_of("<f2", "(13,)", bits), "a");
  ASSERT_TRUE(halves.ok()) << halves.error();
  expect_same(halves->values, {0, -0.0, 1, -2.5, 65504, 0x1p-14, 1023 * 0x1p-24, 0x1p-24, -0x1p-24, 1365 * 0x1p-12, INFINITY, -INFINITY, std::nan("")});
  EXPECT_TRUE(std::signbit(halves->values[1]));
  const auto swapped = parse_npy(npy_of(">f2", "(2,)", std::string("\x3c\x00\xc1\x00", 4)), "a");
  ASSERT_TRUE(swapped.ok());
  expect_same(swapped->values, {1, -2.5});
}

TEST(Npy, ReadsAllVersionsAndAnyKeyOrder) {
  const std::string one = bytes_of<double>({7});
  for (const int version : {1, 2, 3})
    EXPECT_EQ(npy_error(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", one, version)), "read");
  EXPECT_EQ(npy_error(npy("{\"shape\": (1L,), \"fortran_order\":False,\"descr\":\"<f8\"}", one)), "read");
}

TEST(Npy, RefusesOtherTypesByName) {
  EXPECT_EQ(npy_error(npy_of("<U10", "(1,)", std::string(40, 'x'))),
            "cannot read 'a.npy': it holds '<U10', expected numbers (f2, f4, f8, i1 to i8, u1 to u8, b1)");
  for (const char* type : {"<c16", "|O", "<M8[ns]", "<f16", "<f1", "f8", "<i3", "|S1", "<f", "", "<b2", "<f80"})
    EXPECT_NE(npy_error(npy_of(type, "(1,)", std::string(64, 'x'))).find("it holds '"), std::string::npos) << type;
  const std::string structured = npy("{'descr': [('x', '<f8'), ('y', '<f8')], 'fortran_order': False, 'shape': (1,)}", std::string(16, 'x'));
  EXPECT_NE(npy_error(structured).find("it holds '[('x'"), std::string::npos);
  EXPECT_TRUE(is_npy_of_other_type(structured));
}

TEST(Npy, RefusesLengthsThatAreNotThere) {
  EXPECT_EQ(npy_error(npy_of("<f8", "(3,)", std::string(23, 'x'))),
            "cannot read 'a.npy': it is cut short, its shape asks for 3 numbers, it holds 2");
  EXPECT_EQ(npy_error(npy_of("<f8", "(1,)", std::string(9, 'x'))),
            "cannot read 'a.npy': 1 byte follow the 1 number its shape asks for");
  for (const char* shape : {"(9223372036854775807,)", "(4294967296, 4294967296)", "(3037000500, 3037000500, 2)", "(1152921504606846977,)"})
    EXPECT_NE(npy_error(npy_of("<f8", shape, std::string(64, 'x'))).find("it is cut short"), std::string::npos) << shape;
  for (const char* shape : {"(-1,)", "(99999999999999999999,)", "(1 2)", "(1,,)", "(,)", "1", "(1", "[1]", "('1',)",
                            "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"})
    EXPECT_EQ(npy_error(npy_of("<f8", shape, std::string(8, 'x'))), "cannot read 'a.npy': its header is broken") << shape;
}

TEST(Npy, RefusesBrokenHeaders) {
  EXPECT_EQ(npy_error(""), "cannot read 'a.npy': it is no NPY file");
  EXPECT_EQ(npy_error("PK\x03\x04"), "cannot read 'a.npy': it is no NPY file");
  EXPECT_EQ(npy_error(npy("{}", "", 4)), "cannot read 'a.npy': NPY version 4 is unknown, expected 1, 2 or 3");
  for (const char* header : {"", "{", "{}", "{'descr': '<f8'}", "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': ()}",
                             "{'descr': '<f8', 'fortran_order': Maybe, 'shape': ()}", "{'descr: '<f8'", "[1]",
                             "{'descr': [[[[[[, 'fortran_order': False, 'shape': ()}", "{'x': 1}"})
    EXPECT_EQ(npy_error(npy(header, "12345678")), "cannot read 'a.npy': its header is broken") << header;
}

TEST(Npy, AnyCutAndAnyChangedByteIsSafe) {
  const Array array{{3, 4}, std::vector<double>(12, 1.5)};
  const std::string whole = npy_bytes(array, NumberType::Float64);
  for (size_t length = 0; length < whole.size(); ++length) EXPECT_NE(npy_error(std::string_view(whole).substr(0, length)), "read");
  std::mt19937 random(1);
  for (int trial = 0; trial < 20000; ++trial) {
    std::string changed = whole;
    for (int k = 0; k < 1 + trial % 3; ++k) changed[random() % 128] = static_cast<char>(random());
    const auto read = parse_npy(changed, "a.npy");
    if (!read) continue;
    size_t count = 1;
    for (const int64_t length : read->shape) count *= static_cast<size_t>(length);
    ASSERT_EQ(read->values.size(), count);
  }
}

TEST(Npy, ComesBackAsWrittenAndAligned) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{{}, {0}, {1}, {7}, {17}, {3, 5}, {2, 3, 4}, {1000000, 0}}) {
    Array array{.shape = shape, .values = {}};
    size_t count = 1;
    for (const int64_t length : shape) count *= static_cast<size_t>(length);
    for (size_t k = 0; k < count; ++k) array.values.push_back(k == 1 ? kNaN : 0.1 * static_cast<double>(k));
    for (const NumberType type : {NumberType::Float32, NumberType::Float64}) {
      const std::string bytes = npy_bytes(array, type);
      const size_t size = type == NumberType::Float32 ? 4 : 8;
      EXPECT_EQ((bytes.size() - count * size) % 64, 0u);
      const auto back = parse_npy(bytes, "a");
      ASSERT_TRUE(back.ok()) << back.error();
      EXPECT_EQ(back->shape, shape);
      std::vector<double> expected = array.values;
      if (size == 4) for (double& value : expected) value = static_cast<float>(value);
      expect_same(back->values, expected);
    }
  }
}

// -------------------------------------------------------------------------------------------- NPZ

Dataset sample() {
  Dataset data;
  data.arrays = {{"w", {{2, 3}, {1, 2, 3, 4, 5, kNaN}}}, {"Y.r", {{}, {0.25}}}, {"none", {{0}, {}}},
                 {"zeros", {{100000}, std::vector<double>(100000)}}};
  data.provenance = "{\"seed\": 1}";
  return data;
}

TEST(Npz, ComesBackAsWritten) {
  for (const bool compress : {false, true}) {
    const auto bytes = npz_bytes(sample(), NumberType::Float64, compress);
    ASSERT_TRUE(bytes.ok()) << bytes.error();
    EXPECT_EQ(compress, bytes->size() < 10000);
    const auto back = parse_npz(*bytes, "a.npz");
    ASSERT_TRUE(back.ok()) << back.error();
    ASSERT_EQ(back->arrays.size(), 4u);
    EXPECT_EQ(back->provenance, "{\"seed\": 1}");
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_EQ(back->arrays[k].name, sample().arrays[k].name);
      EXPECT_EQ(back->arrays[k].array.shape, sample().arrays[k].array.shape);
      expect_same(back->arrays[k].array.values, sample().arrays[k].array.values);
    }
  }
}

TEST(Npz, ATrajectoryIsWrittenAboutAsFastAsItIsRead) {
  // Voltages in float: many short repetitions, over which the best compression takes forty times as long.
  std::mt19937 random(1);
  std::uniform_real_distribution<float> voltage(-70, -50);
  Dataset data;
  data.arrays = {{"E.v", {{4000, 100}, {}}}};
  for (int k = 0; k < 400'000; ++k) data.arrays[0].array.values.push_back(voltage(random));
  const std::clock_t begin = std::clock();
  const auto bytes = npz_bytes(data, NumberType::Float64);
  const std::clock_t written = std::clock();
  ASSERT_TRUE(bytes.ok() && parse_npz(*bytes, "a.npz").ok());
  EXPECT_LT(written - begin, 20 * (std::clock() - written));
  EXPECT_LT(bytes->size(), 400'000u * sizeof(double) * 2 / 3);
}

TEST(Npz, TheSameDataGiveTheSameBytes) {
  const auto first = npz_bytes(sample(), NumberType::Float32);
  ::sleep(2);  // the resolution of a ZIP's clock
  const auto second = npz_bytes(sample(), NumberType::Float32);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

TEST(Npz, ReadsWhatNumPyWrote) {
  // By NumPy 1.24: savez(w = float64 [2, 3], f = the same as big-endian float32 in Fortran order,
  // names = two texts, n = int64 scalar, b = two truths), and savez_compressed(w, z = zeros [1000, 100]).
  const auto data = load_data(HEBB_SOURCE_DIR "/tests/unit/files/numpy_savez.npz");
  ASSERT_TRUE(data.ok()) << data.error();
  for (const char* name : {"w", "f"}) {
    ASSERT_NE(data->find(name), nullptr);
    EXPECT_EQ(data->find(name)->shape, (std::vector<int64_t>{2, 3}));
    expect_same(data->find(name)->values, {0, 1, 2, 3, 4, 5});
  }
  expect_same(data->find("n")->values, {3});
  expect_same(data->find("b")->values, {1, 0});
  ASSERT_EQ(data->unread.size(), 1u);
  EXPECT_EQ(data->unread[0].name, "names");
  EXPECT_EQ(data->unread[0].reason, "it holds '<U2', expected numbers (f2, f4, f8, i1 to i8, u1 to u8, b1)");
  const auto compressed = load_data(HEBB_SOURCE_DIR "/tests/unit/files/numpy_savez_compressed.npz");
  ASSERT_TRUE(compressed.ok()) << compressed.error();
  EXPECT_EQ(compressed->find("z")->values, std::vector<double>(100'000));
}

TEST(Npz, NothingToWriteIsRefused) {
  EXPECT_EQ(npz_bytes({}, NumberType::Float64).error(), "cannot make an NPZ archive: there are no arrays to write");
}

TEST(Npz, AnyCutAndAnyChangedByteIsSafe) {
  Dataset small;
  small.arrays = {{"w", {{2}, {1, 2}}}, {"x", {{3}, {1, 2, 3}}}};
  for (const bool compress : {false, true}) {
    const auto bytes = npz_bytes(small, NumberType::Float64, compress);
    ASSERT_TRUE(bytes.ok());
    for (size_t length = 0; length < bytes->size(); ++length)
      EXPECT_FALSE(parse_npz(std::string_view(*bytes).substr(0, length), "a.npz").ok()) << length;
    std::mt19937 random(2);
    for (int trial = 0; trial < 5000; ++trial) {
      std::string changed = *bytes;
      changed[random() % changed.size()] = static_cast<char>(random());
      const auto back = parse_npz(changed, "a.npz");
      if (!back) {
        EXPECT_NE(back.error().find("'a.npz"), std::string::npos) << back.error();
        continue;
      }
      // What is read is what was written, under whatever name: the checksum holds it.
      for (const NamedArray& named : back->arrays)
        EXPECT_TRUE(named.array.values == small.arrays[0].array.values || named.array.values == small.arrays[1].array.values);
    }
  }
  EXPECT_FALSE(parse_npz("", "a.npz").ok());
  EXPECT_FALSE(parse_npz("no archive at all", "a.npz").ok());
}

// ------------------------------------------------------------------------------------------- files

TEST(Files, LoadAndSaveByTheirEnding) {
  const Folder folder;
  const Dataset data = sample();
  ASSERT_TRUE(save_data(folder / "a.npz", data).ok());
  EXPECT_EQ(load_data(folder / "a.npz")->arrays.size(), 4u);
  Dataset one;
  one.arrays = {{"x", {{2}, {1, 2}}}};
  ASSERT_TRUE(save_data(folder / "b.npy", one).ok());
  EXPECT_EQ(load_data(folder / "b.npy")->arrays[0].name, "b");
  ASSERT_TRUE(save_data(folder / "c.CSV", one).ok());
  EXPECT_EQ(load_data(folder / "c.CSV")->arrays[0].name, "x");
  EXPECT_FALSE(save_data(folder / "d.npy", data).ok());
  Dataset twice = one;
  twice.arrays.push_back(one.arrays[0]);
  for (const char* name : {"e.npz", "e.csv", "e.h5"}) {
    EXPECT_TRUE(save_data(folder / name, twice).error().ends_with("two of the arrays are named 'x'"));
  }
  EXPECT_EQ(folder.files(), 3u);
  EXPECT_EQ(load_data("x.d/y").error(), "cannot read 'x.d/y': the ending of its name is unknown, expected .csv, .npy, .npz, .h5 or .mat");
  EXPECT_EQ(load_data(folder / "none.csv").error(), "cannot read '" + folder / "none.csv" + "': No such file or directory");
}

TEST(Hdf5, RoundTrip) {
  const Folder folder;
  Dataset data;
  data.arrays = {{"w", {{2, 3}, {1, 2, 3, 4, 5, -0.5}}}, {"one", {{}, {7}}}, {"none", {{0, 4}, {}}},
                 {"E.spike.times", {{3}, {0.1, 0.5, 2}}}, {"E.spike.neurons", {{3}, {4, 0, 9}}}, {"EE.w", {{1}, {NAN}}}};
  data.provenance = "{\"seed\": 1}";
  ASSERT_TRUE(save_data(folder / "a.h5", data).ok());
  const auto back = load_data(folder / "a.h5");
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->provenance, data.provenance);
  EXPECT_EQ(back->find("w")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(back->find("w")->values, data.arrays[0].array.values);
  EXPECT_EQ(back->find("one")->values, std::vector<double>{7});
  EXPECT_EQ(back->find("none")->shape, (std::vector<int64_t>{0, 4}));
  EXPECT_TRUE(std::isnan(back->find("EE.w")->values[0]));
  // Spikes lie where SONATA wants them.
  EXPECT_EQ(back->find("spikes.E.timestamps")->values, data.arrays[3].array.values);
  EXPECT_EQ(back->find("spikes.E.node_ids")->values, data.arrays[4].array.values);
  EXPECT_EQ(folder.files(), 1u);
}

TEST(Hdf5, LargeArraysGoInPieces) {
  const Folder folder;
  Dataset data;
  NamedArray large{"x", {{400'000, 2}, {}}};
  for (int k = 0; k < 800'000; ++k) large.array.values.push_back(k);
  data.arrays = {large};
  ASSERT_TRUE(save_data(folder / "a.h5", data).ok());
  EXPECT_EQ(load_data(folder / "a.h5")->arrays[0].array.values, large.array.values);
}

TEST(Hdf5, WhatIsNoneIsRefusedAndTheOldFileStays) {
  const Folder folder;
  ASSERT_TRUE(write_file(folder / "a.h5", "not HDF5").ok());
  EXPECT_NE(load_data(folder / "a.h5").error().find("it is no sound HDF5 file"), std::string::npos);
  EXPECT_NE(load_data(folder / "none.h5").error().find("No such file"), std::string::npos);
  const NamedArray bad{"a", {{1}, {1}}};
  Dataset data;
  data.arrays = {bad, {"a.b", {{1}, {1}}}, {"", {{1}, {2}}}};
  EXPECT_FALSE(save_data(folder / "a.h5", data).ok());
  EXPECT_EQ(*read_file(folder / "a.h5"), "not HDF5");
  EXPECT_EQ(folder.files(), 1u);
}

}  // namespace
}  // namespace hebb
