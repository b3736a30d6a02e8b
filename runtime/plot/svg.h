#pragma once
// Scalable vector graphics: elements with escaped text, colours every reader can tell apart, ticks at
// round numbers. No fonts, scripts or files from outside are referred to.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hebb {

/// For XML text and attributes; characters that XML cannot hold become U+FFFD.
std::string xml_escaped(std::string_view text);
/// A coordinate: two decimals at most.
std::string coordinate(double value);
/// Width in pixels of `text` in the sans-serif font of our figures, estimated.
double text_width(std::string_view text, double font_size);

struct Colour {
  double red = 0, green = 0, blue = 0;  // 0 … 1
};
std::string hex(Colour colour);
/// Colours of lines, in order: Okabe and Ito's set without its yellow, which fades on white.
Colour series_colour(size_t k);
/// From dark (0) to white (1).
Colour grey_map(double at);
/// Blue (-1) through white (0) to red (1), of equal lightness on both sides.
Colour diverging_map(double at);
/// Dark violet (0) to yellow-green (1): for many lines in order.
Colour sequence_map(double at);

/// Round numbers in [low, high], about `wanted` of them, at 1, 2 or 5 times a power of ten, and their
/// labels. Large or small numbers share a factor: labels are of value / 10^exponent.
struct Ticks {
  std::vector<double> values;
  std::vector<std::string> labels;
  int exponent = 0;
};
Ticks linear_ticks(double low, double high, int wanted);
/// Powers of ten (or 1, 2, 5 times one where the range is short); low > 0.
Ticks log_ticks(double low, double high, int wanted);
/// "×10⁻³"
std::string power_of_ten(int exponent);
/// What an axis shows: "weight w (×10⁻³ nS)". A unit of "1" is none.
std::string axis_text(std::string_view label, std::string_view unit, int exponent);

enum class Anchor { Start, Middle, End };
struct TextStyle {
  double size = 11;
  Anchor anchor = Anchor::Start;
  bool bold = false;
  bool upwards = false;      // turned to read from below
};

/// A picture being drawn; later elements lie on top.
class Svg {
 public:
  /// `title` is what a screen reader says first, `description` after it.
  Svg(double width, double height, std::string_view title, std::string_view description);
  void line(double x1, double y1, double x2, double y2, std::string_view colour, double width = 1);
  void rectangle(double x, double y, double width, double height, std::string_view fill,
                 std::string_view stroke = "none");
  void circle(double x, double y, double radius, std::string_view fill, double opacity = 1);
  /// x y x y …
  void polyline(std::span<const double> points, std::string_view colour, double width, std::string_view dashes);
  void text(double x, double y, std::string_view text, const TextStyle& style);
  /// Whatever is drawn until `end_clip` is cut off at the rectangle.
  void begin_clip(double x, double y, double width, double height);
  void end_clip();
  /// Squares drawn until `end_pixels` touch without seams.
  void begin_pixels();
  void end_pixels();
  std::string finish();

 private:
  std::string out_;
  int clips_ = 0;
};

/// Fill of pixels that are not numbers.
inline constexpr std::string_view kHatched = "url(#hatched)";
inline constexpr std::string_view kInk = "#222222";
inline constexpr std::string_view kAxis = "#444444";
inline constexpr std::string_view kGrid = "#e4e4e4";

}  // namespace hebb
