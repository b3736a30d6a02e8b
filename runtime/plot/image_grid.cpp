#include "runtime/plot/image_grid.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "compiler/support/text.h"
#include "runtime/plot/svg.h"

namespace hebb {

namespace {

constexpr double kCaptionText = 11, kTitleText = 14, kTickText = 11;
constexpr int64_t kMostPixels = 128;  // on a side

struct Range {
  double low = 0, high = 0;
};

Range range_of(const std::vector<const Image*>& images) {
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const Image* image : images) {
    for (const double value : image->values) {
      if (!std::isfinite(value)) continue;
      range.low = std::min(range.low, value);
      range.high = std::max(range.high, value);
    }
  }
  return range.low > range.high ? Range{0, 0} : range;
}

/// A range with its map settled: Diverging is symmetric around 0.
struct Mapping {
  bool diverging = false;
  Range range;
  Colour operator()(double value) const {
    if (diverging) return diverging_map(range.high > 0 ? value / range.high : 0);
    const long double span = static_cast<long double>(range.high) - range.low;
    return grey_map(span > 0 ? static_cast<double>((static_cast<long double>(value) - range.low) / span) : 0.5);
  }
};

Mapping mapping(ColourMap map, Range range) {
  const bool diverging = map == ColourMap::Diverging || (map == ColourMap::Auto && range.low < 0);
  if (!diverging) return {false, range};
  const double reach = std::max(std::abs(range.low), std::abs(range.high));
  return {true, {-reach, reach}};
}

int64_t block(const Image& image) {
  return std::max<int64_t>(1, (std::max(image.rows, image.columns) + kMostPixels - 1) / kMostPixels);
}

/// The same picture with every block × block square replaced by its mean.
Image coarse(const Image& image) {
  const int64_t side = block(image);
  if (side == 1) return image;
  Image out{.rows = (image.rows + side - 1) / side, .columns = (image.columns + side - 1) / side, .values = {}, .caption = image.caption};
  for (int64_t i = 0; i < out.rows; ++i) {
    for (int64_t j = 0; j < out.columns; ++j) {
      double sum = 0, count = 0;
      for (int64_t r = i * side; r < std::min((i + 1) * side, image.rows); ++r)
        for (int64_t c = j * side; c < std::min((j + 1) * side, image.columns); ++c) {
          sum += image.values[static_cast<size_t>(r * image.columns + c)];
          ++count;
        }
      out.values.push_back(sum / count);
    }
  }
  const std::string note = cat("means of ", side, " × ", side);
  out.caption = out.caption.empty() ? note : cat(out.caption, ", ", note);
  return out;
}

void draw_image(Svg& svg, const Image& image, const Mapping& colours, double left, double top, double pixel) {
  svg.begin_pixels();
  const double width = pixel * static_cast<double>(image.columns), height = pixel * static_cast<double>(image.rows);
  for (int64_t i = 0; i < image.rows; ++i) {
    for (int64_t j = 0; j < image.columns;) {
      // Neighbours of one colour are one rectangle.
      const auto fill = [&](int64_t column) {
        const double value = image.values[static_cast<size_t>(i * image.columns + column)];
        return std::isfinite(value) ? hex(colours(value)) : std::string(kHatched);
      };
      const std::string colour = fill(j);
      const int64_t begin = j++;
      while (j < image.columns && fill(j) == colour) ++j;
      svg.rectangle(left + pixel * static_cast<double>(begin), top + pixel * static_cast<double>(i),
                    pixel * static_cast<double>(j - begin), pixel, colour);
    }
  }
  svg.end_pixels();
  svg.rectangle(left - 0.5, top - 0.5, width + 1, height + 1, "none", "#777777");
}

void draw_bar(Svg& svg, const Mapping& colours, const ImageGrid& grid, double left, double top, double height) {
  constexpr double kWidth = 14;
  constexpr int kSteps = 64;
  const Range range = colours.range;
  const double step = height / kSteps;
  svg.begin_pixels();
  for (int k = 0; k < kSteps; ++k) {
    const double share = 1 - (k + 0.5) / kSteps;
    const double value = range.low + share * range.high - share * range.low;
    svg.rectangle(left, top + k * step, kWidth, step + 0.3, hex(colours(value)));
  }
  svg.end_pixels();
  svg.rectangle(left - 0.5, top - 0.5, kWidth + 1, height + 1, "none", "#777777");
  const Ticks ticks = linear_ticks(range.low, range.high, std::max(2, static_cast<int>(height / 40)));
  double widest = 0;
  for (size_t k = 0; k < ticks.values.size(); ++k) {
    const double share = static_cast<double>((static_cast<long double>(ticks.values[k]) - range.low) /
                                             (static_cast<long double>(range.high) - range.low));
    const double at = top + (1 - share) * height;
    svg.line(left + kWidth, at, left + kWidth + 4, at, kAxis);
    svg.text(left + kWidth + 7, at + kTickText * 0.35, ticks.labels[k], {.size = kTickText});
    widest = std::max(widest, text_width(ticks.labels[k], kTickText));
  }
  svg.text(left + kWidth + 7 + widest + 16, top + height / 2, axis_text(grid.value_label, grid.value_unit, ticks.exponent),
           {.size = kTickText, .anchor = Anchor::Middle, .upwards = true});
}

/// Pictures in a row: near a rectangle twice as wide as high, and no ragged last row when it can be helped.
int64_t chosen_per_row(int64_t count) {
  const auto even = static_cast<int64_t>(std::ceil(std::sqrt(2.0 * static_cast<double>(count))));
  for (int64_t n = std::max<int64_t>(even, 1); n <= std::min<int64_t>(even + 2, count); ++n)
    if (count % n == 0) return n;
  return std::max<int64_t>(1, std::min(even, count));
}

}  // namespace

std::string svg(const ImageGrid& grid) {
  std::vector<Image> images;
  int64_t longest = 1;
  bool captions = false;
  double widest_caption = 0;
  for (const Image& image : grid.images) {
    assert(static_cast<int64_t>(image.values.size()) == image.rows * image.columns && "rows × columns values");
    images.push_back(coarse(image));
    longest = std::max({longest, images.back().rows, images.back().columns});
    captions = captions || !images.back().caption.empty();
    widest_caption = std::max(widest_caption, text_width(images.back().caption, kCaptionText));
  }
  std::vector<const Image*> all;
  double cell_width = 0, cell_height = 0;
  const double pixel = std::max(1.0, std::floor(grid.cell / static_cast<double>(longest)));
  for (const Image& image : images) {
    all.push_back(&image);
    cell_width = std::max(cell_width, pixel * static_cast<double>(image.columns));
    cell_height = std::max(cell_height, pixel * static_cast<double>(image.rows));
  }
  cell_width = std::max(cell_width, widest_caption);
  const Mapping shared = mapping(grid.map, range_of(all));
  const auto count = static_cast<int64_t>(images.size());
  const int64_t per_row = std::max<int64_t>(1, std::min(grid.per_row > 0 ? grid.per_row : chosen_per_row(count), std::max<int64_t>(count, 1)));
  const int64_t rows = (count + per_row - 1) / per_row;

  constexpr double kMargin = 14, kGap = 14;
  const double line = captions ? kCaptionText + 7 : 0;
  const double top = kMargin + (grid.title.empty() ? 0 : kTitleText + 12);
  const double content = static_cast<double>(per_row) * (cell_width + kGap) - kGap;
  const double height_of_rows = std::max(20.0, static_cast<double>(rows) * (cell_height + line + kGap) - kGap);
  const bool bar = !grid.own_scales && shared.range.low < shared.range.high;
  const double width = std::max({content, 40.0, text_width(grid.title, kTitleText) - (bar ? 90 : 0)});
  Svg svg(width + 2 * kMargin + (bar ? 100 : 0), top + height_of_rows + kMargin, grid.title,
          cat(plural(images.size(), "picture"), grid.value_label.empty() ? "" : cat(" of ", grid.value_label)));
  if (!grid.title.empty()) svg.text(kMargin, kMargin + kTitleText * 0.8, grid.title, {.size = kTitleText, .bold = true});
  for (int64_t k = 0; k < count; ++k) {
    const Image& image = images[static_cast<size_t>(k)];
    const double middle = kMargin + static_cast<double>(k % per_row) * (cell_width + kGap) + cell_width / 2;
    const double y = top + static_cast<double>(k / per_row) * (cell_height + line + kGap);
    const Mapping colours = grid.own_scales ? mapping(grid.map, range_of({&image})) : shared;
    draw_image(svg, image, colours, std::round(middle - pixel * static_cast<double>(image.columns) / 2), std::round(y), pixel);
    svg.text(middle, y + cell_height + kCaptionText + 4, image.caption, {.size = kCaptionText, .anchor = Anchor::Middle});
  }
  if (count == 0) svg.text(kMargin, top + kCaptionText, "no pictures to show", {.size = kCaptionText});
  if (bar) draw_bar(svg, shared, grid, kMargin + width + 18, top, std::min(height_of_rows - line, 220.0));
  return svg.finish();
}

}  // namespace hebb
