// Pictures: well-formed XML whatever the data and texts, ticks at round numbers, gaps at NaN.

#include <cmath>
#include <limits>
#include <set>

#include <gtest/gtest.h>

#include "compiler/support/text.h"
#include "runtime/plot/image_grid.h"
#include "runtime/plot/line_plot.h"
#include "runtime/plot/svg.h"

namespace hebb {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<double>::max();

/// What is wrong with the XML, or empty: every element closed in order, every attribute quoted and given
/// once, every & an entity we use, every id referred to there.
std::string flaw(const std::string& text) {
  std::vector<std::string> open;
  std::set<std::string> ids;
  const auto sound = [](const std::string& piece) {
    for (size_t at = piece.find('&'); at != std::string::npos; at = piece.find('&', at + 1)) {
      const std::string entity = piece.substr(at, piece.find(';', at) - at);
      if (entity != "&lt" && entity != "&gt" && entity != "&amp" && entity != "&quot" && entity != "&#39") return false;
    }
    return piece.find_first_of("<>") == std::string::npos;
  };
  for (size_t at = 0; at < text.size();) {
    const size_t tag = text.find('<', at);
    const std::string content = text.substr(at, tag - at);
    if (!sound(content)) return "bad text: " + content;
    if (tag == std::string::npos) break;
    const size_t end = text.find('>', tag);
    if (end == std::string::npos) return "an element does not end";
    std::string inside = text.substr(tag + 1, end - tag - 1);
    at = end + 1;
    if (inside[0] == '/') {
      if (open.empty() || open.back() != inside.substr(1)) return "closes " + inside;
      open.pop_back();
      continue;
    }
    const bool empty = inside.back() == '/';
    if (empty) inside.pop_back();
    size_t k = std::min(inside.find(' '), inside.size());
    if (!empty) open.push_back(inside.substr(0, k));
    std::set<std::string> seen;
    while (k < inside.size()) {
      const size_t equals = inside.find("=\"", k);
      const size_t close = equals == std::string::npos ? equals : inside.find('"', equals + 2);
      if (inside[k] != ' ' || close == std::string::npos) return "bad attributes: " + inside.substr(k);
      const std::string name = inside.substr(k + 1, equals - k - 1), value = inside.substr(equals + 2, close - equals - 2);
      k = close + 1;
      if (!seen.insert(name).second) return "twice: " + name;
      if (name == "id" && !ids.insert(value).second) return "id twice: " + value;
      if (!sound(value) || value.find("nan") != std::string::npos || value.find("inf") != std::string::npos) return "bad attribute: " + value;
    }
  }
  return open.empty() ? "" : "left open: " + open.back();
}

size_t count(const std::string& text, std::string_view piece) {
  size_t n = 0;
  for (size_t at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) ++n;
  return n;
}

LinePlot one_line(std::vector<double> y) {
  Series series{.label = "w", .x = {}, .y = std::move(y)};
  for (size_t k = 0; k < series.y.size(); ++k) series.x.push_back(static_cast<double>(k));
  return {.title = "T", .x = {.label = "time", .unit = "ms"}, .y = {.label = "w", .unit = "nS"}, .series = {series}};
}

TEST(Xml, TheCheckerItselfFindsFlaws) {
  for (const char* bad : {"<a>", "<a></b>", "<a b=c/>", "<a>&</a>", "<a b=\"1\" b=\"2\"/>", "<a b=\"nan\"/>", "<a id=\"x\"/><b id=\"x\"/>"})
    EXPECT_NE(flaw(bad), "") << bad;
  EXPECT_EQ(flaw("<a b=\"1\"><c/>x &lt; y</a>"), "");
}

TEST(Xml, EscapesEverythingXmlCannotHold) {
  EXPECT_EQ(xml_escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(xml_escaped("τ → Δw"), "τ → Δw");
  EXPECT_EQ(xml_escaped(std::string_view("a\0b\x1b", 4)), "a\uFFFDb\uFFFD");
  EXPECT_EQ(xml_escaped("\xff\xC3"), "\uFFFD\uFFFD");
  EXPECT_EQ(xml_escaped("\xC0\x80"), "\uFFFD\uFFFD");              // overlong
  EXPECT_EQ(xml_escaped("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // half of a pair
  EXPECT_EQ(xml_escaped("\xEF\xBF\xBF"), "\uFFFD\uFFFD\uFFFD");  // U+FFFF
  EXPECT_EQ(xml_escaped("\xF0\x9F\xA7\xA0"), "\xF0\x9F\xA7\xA0");
}

TEST(Coordinates, AreShortAndFinite) {
  EXPECT_EQ(coordinate(1), "1");
  EXPECT_EQ(coordinate(1.5), "1.5");
  EXPECT_EQ(coordinate(100), "100");
  EXPECT_EQ(coordinate(0.126), "0.13");
  EXPECT_EQ(coordinate(-0.001), "0");
  EXPECT_EQ(coordinate(kNaN), "0");
  EXPECT_EQ(coordinate(kInf), "1000000");
}

std::string labels(const Ticks& ticks) { return joined(ticks.labels, " "); }

TEST(Ticks, StandAtRoundNumbers) {
  EXPECT_EQ(labels(linear_ticks(0, 10, 5)), "0 2 4 6 8 10");
  EXPECT_EQ(labels(linear_ticks(0, 1, 5)), "0.0 0.2 0.4 0.6 0.8 1.0");
  EXPECT_EQ(labels(linear_ticks(-70, -50, 4)), "−70 −65 −60 −55 −50");
  EXPECT_EQ(labels(linear_ticks(0.13, 0.87, 4)), "0.2 0.4 0.6 0.8");
  EXPECT_EQ(labels(linear_ticks(-0.3, 0.3, 3)), "−0.2 0.0 0.2");
}

TEST(Ticks, ShareAFactorWhenLargeOrSmall) {
  const Ticks small = linear_ticks(0, 5e-6, 5);
  EXPECT_EQ(small.exponent, -6);
  EXPECT_EQ(labels(small), "0 1 2 3 4 5");
  const Ticks large = linear_ticks(0, 250'000, 5);
  EXPECT_EQ(large.exponent, 5);
  EXPECT_EQ(labels(large), "0.0 0.5 1.0 1.5 2.0 2.5");
  EXPECT_EQ(linear_ticks(0, 20'000, 5).exponent, 0);
  EXPECT_EQ(power_of_ten(-12), "×10⁻¹²");
  EXPECT_EQ(axis_text("w", "nS", -6), "w (×10⁻⁶ nS)");
  EXPECT_EQ(axis_text("w", "1", 0), "w");
  EXPECT_EQ(axis_text("", "mV", 0), "mV");
}

TEST(Ticks, StayFewAndInsideForAnyRange) {
  const std::vector<double> ends = {-kLargest, -1e300, -1, -1e-300, -5e-324, 0, 5e-324, 1e-300, 1e-5, 1, 1.0000000000000002, 1e17, 1e17 + 16, 1e300, kLargest};
  for (const double low : ends) {
    for (const double high : ends) {
      const Ticks ticks = linear_ticks(low, high, 5);
      EXPECT_EQ(ticks.values.size(), ticks.labels.size());
      EXPECT_LE(ticks.values.size(), 12u) << low << ' ' << high;
      if (low < high) {
        EXPECT_GE(ticks.values.size(), 2u) << low << ' ' << high;
      }
      const long double room = 1e-9L * (static_cast<long double>(high) - low);
      for (const double value : ticks.values) {
        EXPECT_GE(value, low - room);
        EXPECT_LE(value, high + room);
      }
    }
  }
  EXPECT_TRUE(linear_ticks(1, 1, 5).values.empty());
  EXPECT_TRUE(linear_ticks(kNaN, 1, 5).values.empty());
  EXPECT_TRUE(linear_ticks(0, kInf, 5).values.empty());
}

TEST(Ticks, OnLogAxesArePowersOfTen) {
  EXPECT_EQ(labels(log_ticks(1e-3, 1, 5)), "0.001 0.01 0.1 1");
  EXPECT_EQ(labels(log_ticks(1, 50, 5)), "1 2 5 10 20 50");
  EXPECT_EQ(labels(log_ticks(1e-12, 1e-6, 3)), "10⁻¹² 10⁻¹⁰ 10⁻⁸ 10⁻⁶");
  EXPECT_TRUE(log_ticks(0, 1, 5).values.empty());
  EXPECT_LE(log_ticks(1e-300, 1e300, 5).values.size(), 7u);
}

TEST(LinePlot, ANaNIsAGap) {
  const std::string whole = svg(one_line({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(count(whole, "<polyline"), 1u);
  for (const double hole : {kNaN, kInf, -kInf}) {
    const std::string gap = svg(one_line({1, 2, hole, 4, 5, 6}));
    EXPECT_EQ(count(gap, "<polyline"), 2u);
    EXPECT_EQ(flaw(gap), "");
  }
  // A value alone between two gaps is a dot.
  const std::string lonely = svg(one_line({1, 2, kNaN, 4, kNaN, 6, 7}));
  EXPECT_EQ(count(lonely, "<polyline"), 2u);
  EXPECT_EQ(count(lonely, "<circle"), 1u);
}

TEST(LinePlot, IsSoundForAnyData) {
  const std::vector<std::vector<double>> all = {{}, {1}, {kNaN}, {kInf, -kInf}, {0, 0}, {-65, -65, -65}, {5e-324, 0}, {kLargest, -kLargest}, {kLargest, kLargest}, {-kLargest, -kLargest}, {1e17, 1e17 + 16}, {-1, 0, 1}};
  for (const auto& values : all) {
    for (const bool logarithmic : {false, true}) {
      for (const bool points : {false, true}) {
        LinePlot plot = one_line(values);
        plot.x.logarithmic = plot.y.logarithmic = logarithmic;
        plot.series[0].points = points;
        EXPECT_EQ(flaw(svg(plot)), "") << testing::PrintToString(values);
      }
    }
  }
  EXPECT_NE(svg(one_line({})).find("no values to show"), std::string::npos);
  EXPECT_NE(svg(one_line({kNaN})).find("no values to show"), std::string::npos);
  EXPECT_EQ(svg(one_line({1})).find("no values to show"), std::string::npos);
  EXPECT_EQ(flaw(svg(LinePlot{})), "");
}

TEST(LinePlot, EscapesItsTexts) {
  LinePlot plot = one_line({1, 2});
  const std::string evil = "</text><script>alert(1)</script>&\"'\x01\xff";
  plot.title = plot.x.label = plot.y.unit = plot.series[0].label = evil;
  plot.series.push_back(plot.series[0]);
  const std::string out = svg(plot);
  EXPECT_EQ(flaw(out), "");
  EXPECT_EQ(out.find("<script"), std::string::npos);
}

TEST(LinePlot, KeepsToOneMegabyteHoweverManyPoints) {
  LinePlot plot = one_line({});
  for (int k = 0; k < 1'000'000; ++k) {
    plot.series[0].x.push_back(k);
    plot.series[0].y.push_back(k == 777'777 ? 50 : std::sin(k * 0.37));
  }
  const std::string out = svg(plot);
  EXPECT_LT(out.size(), 100'000u);
  // The one high value is still there: the line reaches the top of its frame, 4 % below the edge.
  const size_t begin = out.find("points=\"");
  ASSERT_NE(begin, std::string::npos);
  const std::string list = out.substr(begin, out.find("\" fill", begin) - begin);
  double highest = 1e9;
  for (size_t at = list.find(','); at != std::string::npos; at = list.find(',', at + 1))
    highest = std::min(highest, std::strtod(list.c_str() + at + 1, nullptr));
  EXPECT_LT(highest, 70);
}

TEST(LinePlot, PointsOutOfOrderAreNotThinned) {
  LinePlot plot = one_line({});
  for (int k = 0; k < 5000; ++k) {
    plot.series[0].x.push_back(std::cos(k * 0.1));
    plot.series[0].y.push_back(std::sin(k * 0.1));
  }
  EXPECT_GT(count(svg(plot), ","), 5000u);
}

TEST(LinePlot, LongTimesAreInSecondsOrHours) {
  const auto unit = [](double end) {
    LinePlot plot = one_line({0, 1});
    plot.series[0].x[1] = end;
    const std::string out = svg(plot);
    for (const char* name : {"time (ms)", "time (s)", "time (h)"})
      if (count(out, std::string(">") + name + "<") > 0) return std::string(name);
    return std::string();
  };
  EXPECT_EQ(unit(9'999), "time (ms)");
  EXPECT_EQ(unit(10'000), "time (s)");
  EXPECT_EQ(unit(8e6), "time (h)");
}

TEST(LinePlot, NamesSeveralSeriesInALegend) {
  LinePlot plot = one_line({1, 2});
  EXPECT_EQ(svg(plot).find(">w<"), std::string::npos);
  plot.series[0].label = "first";
  for (const char* label : {"second", "third"}) {
    plot.series.push_back(plot.series[0]);
    plot.series.back().label = label;
  }
  const std::string out = svg(plot);
  for (const char* label : {">first<", ">second<", ">third<"}) EXPECT_EQ(count(out, label), 1u);
  for (int k = 3; k < 100; ++k) {
    plot.series.push_back(plot.series[0]);
    plot.series.back().label = "s" + std::to_string(k);
  }
  const std::string many = svg(plot);
  EXPECT_EQ(count(many, ">100 in all<"), 1u);
  EXPECT_EQ(count(many, ">first<"), 1u);
  EXPECT_EQ(count(many, ">s99<"), 1u);
}

TEST(Colours, OfTwoSeriesDiffer) {
  std::set<std::string> seen;
  for (size_t k = 0; k < 7; ++k) seen.insert(hex(series_colour(k)));
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_EQ(hex(grey_map(1)), "#ffffff");
  EXPECT_EQ(hex(grey_map(-5)), hex(grey_map(0)));
  EXPECT_EQ(hex(diverging_map(0)), "#fafafa");
  EXPECT_GT(diverging_map(0.8).red, diverging_map(0.8).blue);
  EXPECT_LT(diverging_map(-0.8).red, diverging_map(-0.8).blue);
}

TEST(ImageGrid, ShowsEachPixelInItsColour) {
  ImageGrid grid{.images = {{.rows = 1, .columns = 3, .values = {-2, 0, 2}, .caption = "unit <1>"}}};
  const std::string out = svg(grid);
  EXPECT_EQ(flaw(out), "");
  for (const double at : {-1.0, 0.0, 1.0}) EXPECT_GE(count(out, hex(diverging_map(at))), 1u);
  EXPECT_EQ(count(out, "unit &lt;1&gt;"), 1u);
  grid.images[0].values = {0, 1, 2};
  const std::string grey = svg(grid);
  for (const double at : {0.0, 0.5, 1.0}) EXPECT_GE(count(grey, hex(grey_map(at))), 1u);
}

TEST(ImageGrid, ZeroIsWhiteHoweverUnevenTheRange) {
  const ImageGrid grid{.images = {{.rows = 1, .columns = 2, .values = {-1, 10}}, {.rows = 1, .columns = 1, .values = {0}}}};
  EXPECT_EQ(count(svg(grid), hex(diverging_map(-0.1))), 1u);
  EXPECT_GE(count(svg(grid), hex(diverging_map(0))), 1u);
}

TEST(ImageGrid, HatchesWhatIsNoNumber) {
  const ImageGrid grid{.images = {{.rows = 2, .columns = 2, .values = {1, kNaN, kInf, 2}}}};
  EXPECT_EQ(count(svg(grid), kHatched), 2u);
}

TEST(ImageGrid, IsSoundForAnyData) {
  EXPECT_EQ(flaw(svg(ImageGrid{})), "");
  for (const auto& values : std::vector<std::vector<double>>{{kNaN}, {0}, {3}, {-3}, {kLargest}, {-kLargest}, {5e-324}}) {
    for (const ColourMap map : {ColourMap::Auto, ColourMap::Grey, ColourMap::Diverging}) {
      for (const bool own : {false, true}) {
        ImageGrid grid{.title = "t", .images = {{.rows = 1, .columns = 1, .values = values}, {.rows = 0, .columns = 5}}, .map = map, .own_scales = own};
        EXPECT_EQ(flaw(svg(grid)), "") << values[0];
        grid.images.push_back({.rows = 1, .columns = 2, .values = {kLargest, -kLargest}});
        EXPECT_EQ(flaw(svg(grid)), "") << values[0];
      }
    }
  }
}

TEST(ImageGrid, LargeMatricesAreMeansOfBlocks) {
  ImageGrid grid{.images = {{.rows = 256, .columns = 200, .values = std::vector<double>(256 * 200, 1.0)}}};
  grid.images[0].values[0] = 5;  // its block's mean is 2
  const std::string out = svg(grid);
  EXPECT_EQ(count(out, "means of 2 × 2"), 1u);
  EXPECT_EQ(count(out, hex(grey_map(1)) + "\"/>"), 1u + 1u);  // the block and the white ground
}

}  // namespace
}  // namespace hebb
