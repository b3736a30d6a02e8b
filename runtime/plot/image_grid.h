#pragma once
// Small pictures side by side: weight vectors as images, matrices as maps.

#include <cstdint>
#include <string>
#include <vector>

namespace hebb {

/// `values` row-major, the first row on top. What is not finite is hatched.
struct Image {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
  std::string caption;
};

enum class ColourMap {
  Auto,       // Diverging when some value is negative, else Grey
  Grey,       // dark is low
  Diverging,  // white is 0, blue below, red above
};

struct ImageGrid {
  std::string title;
  std::vector<Image> images;
  int64_t per_row = 0;        // pictures in a row of the grid; 0: chosen
  ColourMap map = ColourMap::Auto;
  bool own_scales = false;    // each picture fills its own range; then there is no colour bar
  std::string value_label;    // of the colour bar: "weight w"
  std::string value_unit;     // "nS"; empty or "1": none is shown
  double cell = 112;          // pixels of the longer side of one picture
};

/// A whole SVG file. Pictures of more than 128 rows or columns are shown as means of blocks.
std::string svg(const ImageGrid& grid);

}  // namespace hebb
