#include "runtime/plot/line_plot.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>

#include "compiler/support/text.h"
#include "runtime/plot/svg.h"

namespace hebb {

namespace {

constexpr double kTickText = 11, kLabelText = 12.5, kTitleText = 14;
constexpr size_t kLegendRows = 14;     // of more series the legend shows
constexpr size_t kSamples = 9;         // so many, evenly spaced
constexpr size_t kDistinctColours = 7;
constexpr size_t kPointsPerPixel = 4;  // lines with more are thinned

/// Where a value lies between 0 (low end) and 1; NaN for what the axis cannot show.
struct Scale {
  double low = 0, high = 1;
  bool logarithmic = false;
  double operator()(double value) const {
    if (logarithmic) return value > 0 ? (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low)) : std::nan("");
    // In long double, so that high - low cannot overflow.
    return static_cast<double>((static_cast<long double>(value) - low) / (static_cast<long double>(high) - low));
  }
};

bool shown(double value, bool logarithmic) { return std::isfinite(value) && (!logarithmic || value > 0); }

Scale scale_for(const Axis& axis, const std::vector<Series>& series, bool is_x) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Series& one : series) {
    for (size_t k = 0; k < one.x.size(); ++k) {
      if (!std::isfinite(one.x[k]) || !std::isfinite(one.y[k])) continue;
      const double value = is_x ? one.x[k] : one.y[k];
      if (!shown(value, axis.logarithmic)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (low > high) low = axis.logarithmic ? 0.1 : 0, high = axis.logarithmic ? 10 : 1;
  if (axis.logarithmic && std::log10(high) - std::log10(low) < 1e-6) low /= 2, high *= 2;
  if (low == high) {
    const double room = low == 0 ? 1 : std::abs(low) * 0.05;
    low -= room;
    high += room;
  } else {
    // Lines fill the x axis; dots need room, or the first would be cut in two.
    const bool dots = std::any_of(series.begin(), series.end(), [](const Series& one) { return one.points; });
    const double share = !is_x ? 0.04 : dots ? 0.02 : 0;
    const double factor = axis.logarithmic ? std::pow(high / low, share) : 1;
    const double room = axis.logarithmic ? 0 : high * share - low * share;  // apart: the difference may overflow
    low = low / factor - room;
    high = high * factor + room;
  }
  constexpr double kLargest = std::numeric_limits<double>::max();
  low = std::clamp(low, axis.logarithmic ? std::numeric_limits<double>::min() : -kLargest, kLargest);
  high = std::clamp(high, -kLargest, kLargest);
  if (axis.low && shown(*axis.low, axis.logarithmic)) low = *axis.low;
  if (axis.high && shown(*axis.high, axis.logarithmic)) high = *axis.high;
  if (!(low < high)) high = low + std::max(std::abs(low) * 1e-6, 1e-300);
  return {low, high, axis.logarithmic};
}

void use_larger_time_unit(LinePlot& plot) {
  if (plot.x.unit != "ms" || plot.x.logarithmic) return;
  const Scale scale = scale_for(plot.x, plot.series, true);
  constexpr double kTenSeconds = 1e4, kTwoHours = 7.2e6;
  const double span = scale.high - scale.low;
  if (!(span >= kTenSeconds)) return;
  const double unit = span >= kTwoHours ? 3.6e6 : 1e3;
  plot.x.unit = span >= kTwoHours ? "h" : "s";
  for (Series& series : plot.series)
    for (double& x : series.x) x /= unit;
  if (plot.x.low) plot.x.low = *plot.x.low / unit;
  if (plot.x.high) plot.x.high = *plot.x.high / unit;
}

/// Pixel positions of one unbroken stretch.
using Points = std::vector<double>;

/// Of the points in one pixel column, only the first, lowest, highest and last can be seen. For lines that
/// run from left to right.
Points thinned(const Points& points) {
  Points out;
  size_t k = 0;
  while (k < points.size()) {
    const double pixel = std::floor(points[k]);
    size_t end = k, low = k, high = k;
    for (; end < points.size() && std::floor(points[end]) == pixel; end += 2) {
      if (points[end + 1] < points[low + 1]) low = end;
      if (points[end + 1] > points[high + 1]) high = end;
    }
    std::array<size_t, 4> keep = {k, low, high, end - 2};
    std::sort(keep.begin(), keep.end());
    for (size_t j = 0; j < keep.size(); ++j) {
      if (j > 0 && keep[j] == keep[j - 1]) continue;
      out.push_back(points[keep[j]]);
      out.push_back(points[keep[j] + 1]);
    }
    k = end;
  }
  return out;
}

struct Frame {
  double left = 0, top = 0, width = 0, height = 0;
  Scale x, y;
  double at_x(double value) const { return left + x(value) * width; }
  double at_y(double value) const { return top + (1 - y(value)) * height; }
};

std::vector<Points> stretches(const Frame& frame, const Series& series) {
  std::vector<Points> out(1);
  for (size_t k = 0; k < series.x.size(); ++k) {
    const bool visible = shown(series.x[k], frame.x.logarithmic) && shown(series.y[k], frame.y.logarithmic);
    if (!visible) {
      if (!out.back().empty()) out.emplace_back();
      continue;
    }
    // Far outside the frame is as good as further: keeps the numbers finite and short.
    const auto near = [](double at) { return std::clamp(at, -1e5, 1e5); };
    out.back().push_back(near(frame.at_x(series.x[k])));
    out.back().push_back(near(frame.at_y(series.y[k])));
  }
  const bool in_order = std::is_sorted(series.x.begin(), series.x.end());
  for (Points& points : out)
    if (in_order && points.size() / 2 > kPointsPerPixel * static_cast<size_t>(frame.width)) points = thinned(points);
  return out;
}

struct Look {
  std::string colour;
  std::string dashes;
  double width = 1.6;
};

Look look(size_t k, size_t count) {
  if (count > kLegendRows)
    return {hex(sequence_map(static_cast<double>(k) / static_cast<double>(count - 1))), "", 1};
  static constexpr const char* kDashes[] = {"", "6 3", "2 3"};
  return {hex(series_colour(k)), kDashes[k / kDistinctColours % 3], 1.6};
}

void draw_series(Svg& svg, const Frame& frame, const Series& series, const Look& look) {
  for (const Points& points : stretches(frame, series)) {
    // A value between two gaps has no line: show it as a dot.
    if (series.points || points.size() == 2) {
      for (size_t k = 0; k < points.size(); k += 2)
        svg.circle(points[k], points[k + 1], series.points ? 2.6 : 1.8, look.colour, series.points ? 0.75 : 1);
    } else if (!points.empty()) {
      svg.polyline(points, look.colour, look.width, look.dashes);
    }
  }
}

void draw_axes(Svg& svg, const Frame& f, const Ticks& x, const Ticks& y) {
  const double bottom = f.top + f.height, right = f.left + f.width;
  for (size_t k = 0; k < y.values.size(); ++k) {
    const double at = f.at_y(y.values[k]);
    svg.line(f.left, at, right, at, kGrid);
    svg.line(f.left - 4, at, f.left, at, kAxis);
    svg.text(f.left - 7, at + kTickText * 0.35, y.labels[k], {.size = kTickText, .anchor = Anchor::End});
  }
  for (size_t k = 0; k < x.values.size(); ++k) {
    const double at = f.at_x(x.values[k]);
    svg.line(at, f.top, at, bottom, kGrid);
    svg.line(at, bottom, at, bottom + 4, kAxis);
    svg.text(at, bottom + 6 + kTickText, x.labels[k], {.size = kTickText, .anchor = Anchor::Middle});
  }
  const auto inside = [](double share) { return share > 0.001 && share < 0.999; };
  if (!f.y.logarithmic && inside(f.y(0))) svg.line(f.left, f.at_y(0), right, f.at_y(0), "#8c8c8c");
  if (!f.x.logarithmic && inside(f.x(0))) svg.line(f.at_x(0), f.top, f.at_x(0), bottom, "#8c8c8c");
  svg.line(f.left, f.top, f.left, bottom, kAxis);
  svg.line(f.left, bottom, right, bottom, kAxis);
}

struct LegendRow {
  std::string text;
  size_t series = 0;
  bool sample = true;
};

std::vector<LegendRow> legend_rows(const std::vector<Series>& series) {
  std::vector<LegendRow> rows;
  if (series.size() < 2) return rows;
  if (series.size() <= kLegendRows) {
    for (size_t k = 0; k < series.size(); ++k) rows.push_back({series[k].label, k});
    return rows;
  }
  for (size_t k = 0; k < kSamples; ++k) {
    const size_t at = k * (series.size() - 1) / (kSamples - 1);
    rows.push_back({series[at].label, at});
  }
  rows.push_back({cat(series.size(), " in all"), 0, false});
  return rows;
}

void draw_legend(Svg& svg, double left, double top, const std::vector<LegendRow>& rows, const LinePlot& plot) {
  constexpr double kRow = 18, kSample = 22;
  for (size_t k = 0; k < rows.size(); ++k) {
    const double y = top + kRow * (static_cast<double>(k) + 0.5);
    const Look style = look(rows[k].series, plot.series.size());
    const std::array<double, 4> sample = {left, y, left + kSample, y};
    if (rows[k].sample && plot.series[rows[k].series].points) svg.circle(left + kSample / 2, y, 3, style.colour);
    else if (rows[k].sample) svg.polyline(sample, style.colour, std::max(style.width, 1.6), style.dashes);
    svg.text(left + kSample + 7, y + kTickText * 0.35, rows[k].text, {.size = kTickText});
  }
}

}  // namespace

std::string svg(const LinePlot& original) {
  LinePlot plot = original;
  for (const Series& series : plot.series) {
    assert(series.x.size() == series.y.size() && "a series has one y for each x");
    (void)series;
  }
  use_larger_time_unit(plot);

  Frame frame{.x = scale_for(plot.x, plot.series, true), .y = scale_for(plot.y, plot.series, false)};
  const auto ticks = [](const Scale& s, int wanted) {
    return s.logarithmic ? log_ticks(s.low, s.high, wanted) : linear_ticks(s.low, s.high, wanted);
  };
  constexpr double kPixelsPerTick = 80, kMargin = 12;
  const Ticks y = ticks(frame.y, std::max(2, static_cast<int>(plot.height / kPixelsPerTick)));
  const Ticks x = ticks(frame.x, std::max(2, static_cast<int>(plot.width / kPixelsPerTick)));
  const std::string x_text = axis_text(plot.x.label, plot.x.unit, x.exponent);
  const std::string y_text = axis_text(plot.y.label, plot.y.unit, y.exponent);

  double widest = 0;
  for (const std::string& label : y.labels) widest = std::max(widest, text_width(label, kTickText));
  frame.left = kMargin + (y_text.empty() ? 0 : kLabelText + 10) + widest + 8;
  frame.top = kMargin + (plot.title.empty() ? 4 : kTitleText + 12);
  frame.width = std::max(40.0, plot.width - frame.left - kMargin - 8);
  frame.height = std::max(40.0, plot.height - frame.top - kMargin - kTickText - 8 - (x_text.empty() ? 0 : kLabelText + 6));

  const std::vector<LegendRow> rows = legend_rows(plot.series);
  double legend = 0;
  for (const LegendRow& row : rows) legend = std::max(legend, text_width(row.text, kTickText));
  if (!rows.empty()) legend += 22 + 7 + kMargin;

  Svg svg(plot.width + legend, plot.height, plot.title.empty() ? y_text : plot.title,
          plot.series.size() == 1 ? cat(y_text, " over ", x_text) : cat(y_text, ", ", plot.series.size(), " series, over ", x_text));
  if (!plot.title.empty()) svg.text(frame.left, kMargin + kTitleText * 0.8, plot.title, {.size = kTitleText, .bold = true});
  draw_axes(svg, frame, x, y);
  svg.begin_clip(frame.left, frame.top - 3, frame.width + 3, frame.height + 6);
  bool any = false;
  for (size_t k = 0; k < plot.series.size(); ++k) {
    draw_series(svg, frame, plot.series[k], look(k, plot.series.size()));
    for (size_t j = 0; j < plot.series[k].x.size() && !any; ++j)
      any = shown(plot.series[k].x[j], plot.x.logarithmic) && shown(plot.series[k].y[j], plot.y.logarithmic);
  }
  svg.end_clip();
  if (!any)
    svg.text(frame.left + frame.width / 2, frame.top + frame.height / 2, "no values to show",
             {.size = kLabelText, .anchor = Anchor::Middle});
  svg.text(frame.left + frame.width / 2, plot.height - kMargin, x_text, {.size = kLabelText, .anchor = Anchor::Middle});
  svg.text(kMargin + kLabelText * 0.8, frame.top + frame.height / 2, y_text,
           {.size = kLabelText, .anchor = Anchor::Middle, .upwards = true});
  draw_legend(svg, plot.width, frame.top, rows, plot);
  return svg.finish();
}

}  // namespace hebb
