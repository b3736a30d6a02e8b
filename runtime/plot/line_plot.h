#pragma once
// Curves and points over two axes.

#include <optional>
#include <string>
#include <vector>

namespace hebb {

struct Axis {
  std::string label;          // "weight w"
  std::string unit;           // "mV"; empty or "1": none is shown
  bool logarithmic = false;   // values of 0 and below are left out
  std::optional<double> low, high;
};

/// A NaN or infinity is a gap.
struct Series {
  std::string label;
  std::vector<double> x, y;   // equally long
  bool points = false;        // a dot for each, no line
};

/// An x axis in ms that spans 10 s or more is shown in s (from 2 hours on in h). With more than one series
/// there is a legend beside the plot.
struct LinePlot {
  std::string title;
  Axis x, y;
  std::vector<Series> series;
  double width = 640;         // pixels, without the legend
  double height = 400;
};

/// A whole SVG file.
std::string svg(const LinePlot& plot);

}  // namespace hebb
