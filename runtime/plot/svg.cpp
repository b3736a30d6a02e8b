#include "runtime/plot/svg.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "compiler/support/text.h"

namespace hebb {

namespace {

/// Length of the well-formed UTF-8 character at the start of `text`; 0 when there is none that XML may
/// hold.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t k) { return static_cast<unsigned>(static_cast<unsigned char>(text[k])); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
  const size_t length = first >= 0xF0 && first < 0xF5 ? 4 : first >= 0xE0 && first < 0xF0 ? 3 : first >= 0xC2 && first < 0xE0 ? 2 : 0;
  if (length == 0 || length > text.size()) return 0;
  unsigned code = first & (0xFFu >> (length + 1));
  for (size_t k = 1; k < length; ++k) {
    if ((byte(k) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(k) & 0x3F);
  }
  const unsigned smallest = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  const bool allowed = code >= smallest && code <= 0x10FFFF && !surrogate && code != 0xFFFE && code != 0xFFFF;
  return allowed ? length : 0;
}

std::string fixed(double value, int decimals) {
  char text[64];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, decimals);
  std::string out = error == std::errc() ? std::string(text, end) : shortest(value);
  // A true minus sign, and no negative zero.
  const bool zero = out.find_first_of("123456789") == std::string::npos;
  if (out[0] == '-') out = (zero ? "" : "\u2212") + out.substr(1);
  return out;
}

Colour mixed(Colour a, Colour b, double share) {
  return {a.red + (b.red - a.red) * share, a.green + (b.green - a.green) * share, a.blue + (b.blue - a.blue) * share};
}

constexpr Colour rgb(unsigned code) {
  return {(code >> 16) / 255.0, ((code >> 8) & 0xFF) / 255.0, (code & 0xFF) / 255.0};
}

/// Piecewise linear through equally spaced colours.
template <size_t N>
Colour along(const std::array<Colour, N>& stops, double at) {
  const double place = std::clamp(at, 0.0, 1.0) * static_cast<double>(N - 1);
  const size_t k = std::min(static_cast<size_t>(place), N - 2);
  return mixed(stops[k], stops[k + 1], place - static_cast<double>(k));
}

std::string attribute(std::string_view name, std::string_view value) {
  return cat(' ', name, "=\"", xml_escaped(value), '"');
}
std::string attribute(std::string_view name, double value) {
  return cat(' ', name, "=\"", coordinate(value), '"');
}

}  // namespace

std::string xml_escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = character_length(text);
    switch (length == 1 ? text[0] : '\0') {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += length == 0 ? std::string_view("\uFFFD") : text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string coordinate(double value) {
  constexpr double kFarOut = 1e6;  // beyond any page; keeps the text short and finite
  if (std::isnan(value)) value = 0;
  value = std::clamp(value, -kFarOut, kFarOut);
  char text[40];
  auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 2).ptr;
  while (end[-1] == '0') --end;
  if (end[-1] == '.') --end;
  const std::string_view out(text, static_cast<size_t>(end - text));
  return out == "-0" ? "0" : std::string(out);
}

double text_width(std::string_view text, double font_size) {
  constexpr double kMeanWidth = 0.56;  // em
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  return static_cast<double>(text.size() - static_cast<size_t>(std::count_if(text.begin(), text.end(), continues))) *
         kMeanWidth * font_size;
}

std::string hex(Colour colour) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "#";
  for (const double part : {colour.red, colour.green, colour.blue}) {
    const auto value = static_cast<unsigned>(std::lround(std::clamp(part, 0.0, 1.0) * 255));
    out += kDigits[value >> 4];
    out += kDigits[value & 15];
  }
  return out;
}

Colour series_colour(size_t k) {
  static constexpr std::array kColours = {rgb(0x0072B2), rgb(0xD55E00), rgb(0x009E73), rgb(0xCC79A7),
                                          rgb(0xE69F00), rgb(0x56B4E9), rgb(0x000000)};
  return kColours[k % kColours.size()];
}

Colour grey_map(double at) { return mixed(rgb(0x111111), rgb(0xFFFFFF), std::clamp(at, 0.0, 1.0)); }

Colour diverging_map(double at) {
  static constexpr std::array kStops = {rgb(0x123E7C), rgb(0x3F7FBF), rgb(0xA6CBE6), rgb(0xFAFAFA),
                                        rgb(0xF3B49B), rgb(0xCF5A44), rgb(0x7F1322)};
  return along(kStops, (at + 1) / 2);
}

Colour sequence_map(double at) {
  static constexpr std::array kStops = {rgb(0x432C6B), rgb(0x35608D), rgb(0x21908C), rgb(0x43A85E), rgb(0xA8B820)};
  return along(kStops, at);
}

std::string power_of_ten(int exponent) {
  static constexpr const char* kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = exponent < 0 ? "×10⁻" : "×10";
  for (const char digit : std::to_string(std::abs(exponent))) out += kDigits[digit - '0'];
  return out;
}

std::string axis_text(std::string_view label, std::string_view unit, int exponent) {
  std::string inside = exponent != 0 ? power_of_ten(exponent) : "";
  if (!unit.empty() && unit != "1") inside += cat(inside.empty() ? "" : " ", unit);
  if (inside.empty()) return std::string(label);
  return label.empty() ? inside : cat(label, " (", inside, ')');
}

Ticks linear_ticks(double low, double high, int wanted) {
  Ticks ticks;
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high)) return ticks;
  // long double: the range of two large doubles may not be one.
  const long double span = static_cast<long double>(high) - low;
  const long double rough = span / std::max(wanted, 1);
  int power = static_cast<int>(std::floor(std::log10(rough)));
  const long double unit = std::pow(10.0L, power);
  const int factor = rough <= unit * 1.5L ? 1 : rough <= unit * 3.5L ? 2 : rough <= unit * 7.5L ? 5 : 10;
  const long double step = unit * factor;
  if (factor == 10) ++power;
  const long double reach = std::max(std::abs(static_cast<long double>(low)), std::abs(static_cast<long double>(high)));
  if (reach / step > 1e15L) {  // the steps would fall between two doubles
    ticks.values = {low, high};
    ticks.labels = {shortest(low), shortest(high)};
    return ticks;
  }
  const int size = static_cast<int>(std::floor(std::log10(reach)));
  if (size >= 5 || size < -3) ticks.exponent = size;
  const auto first = static_cast<int64_t>(std::ceil(low / step - 1e-9L));
  const auto last = static_cast<int64_t>(std::floor(high / step + 1e-9L));
  const int decimals = std::max(0, ticks.exponent - power);
  for (int64_t k = first; k <= last; ++k) {
    const long double value = static_cast<long double>(k) * step;
    ticks.values.push_back(static_cast<double>(value));
    ticks.labels.push_back(fixed(static_cast<double>(value / std::pow(10.0L, ticks.exponent)), decimals));
  }
  return ticks;
}

Ticks log_ticks(double low, double high, int wanted) {
  Ticks ticks;
  if (!(low > 0) || !(low < high) || !std::isfinite(high)) return ticks;
  const int first = static_cast<int>(std::floor(std::log10(low) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(high) - 1e-9));
  const int decades = last - first;
  const int every = std::max(1, (decades + wanted - 1) / std::max(wanted, 1));
  const bool between = std::log10(high) - std::log10(low) < 2;
  for (int power = first; power <= last; power += every) {
    for (const int factor : {1, 2, 5}) {
      if (factor > 1 && !between) break;
      const double value = parse_double(cat(factor, 'e', power)).value_or(0);
      if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
      ticks.values.push_back(value);
      const bool plain = first >= -3 && last <= 4;  // one way for all labels
      const std::string label = plain ? shortest(value) : power_of_ten(power);
      ticks.labels.push_back(plain ? label : factor == 1 ? label.substr(std::string_view("×").size())
                                                         : cat(factor, label));
    }
  }
  return ticks;
}

Svg::Svg(double width, double height, std::string_view title, std::string_view description) {
  out_ = cat("<svg xmlns=\"http://www.w3.org/2000/svg\"", attribute("width", width), attribute("height", height),
             " viewBox=\"0 0 ", coordinate(width), ' ', coordinate(height),
             "\" role=\"img\" aria-labelledby=\"title description\"",
             " font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\">\n",
             "<title id=\"title\">", xml_escaped(title), "</title>\n<desc id=\"description\">",
             xml_escaped(description), "</desc>\n",
             "<defs><pattern id=\"hatched\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\">",
             "<rect width=\"4\" height=\"4\" fill=\"#f2e6c2\"/><path d=\"M0 4L4 0\" stroke=\"#8a6d1f\"/></pattern></defs>\n");
  rectangle(0, 0, width, height, "#ffffff");
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view colour, double width) {
  out_ += cat("<line", attribute("x1", x1), attribute("y1", y1), attribute("x2", x2), attribute("y2", y2),
              attribute("stroke", colour), attribute("stroke-width", width), "/>\n");
}

void Svg::rectangle(double x, double y, double width, double height, std::string_view fill, std::string_view stroke) {
  out_ += cat("<rect", attribute("x", x), attribute("y", y), attribute("width", width),
              attribute("height", height), attribute("fill", fill));
  if (stroke != "none") out_ += attribute("stroke", stroke);
  out_ += "/>\n";
}

void Svg::circle(double x, double y, double radius, std::string_view fill, double opacity) {
  out_ += cat("<circle", attribute("cx", x), attribute("cy", y), attribute("r", radius), attribute("fill", fill));
  if (opacity < 1) out_ += attribute("fill-opacity", opacity);
  out_ += "/>\n";
}

void Svg::polyline(std::span<const double> points, std::string_view colour, double width, std::string_view dashes) {
  out_ += "<polyline points=\"";
  for (size_t k = 0; k + 1 < points.size(); k += 2)
    out_ += cat(k > 0 ? " " : "", coordinate(points[k]), ',', coordinate(points[k + 1]));
  out_ += cat("\" fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\"", attribute("stroke", colour),
              attribute("stroke-width", width));
  if (!dashes.empty()) out_ += attribute("stroke-dasharray", dashes);
  out_ += "/>\n";
}

void Svg::text(double x, double y, std::string_view text, const TextStyle& style) {
  static constexpr const char* kAnchors[] = {"start", "middle", "end"};
  out_ += cat("<text", attribute("x", x), attribute("y", y), attribute("font-size", style.size),
              attribute("fill", kInk));
  if (style.anchor != Anchor::Start) out_ += attribute("text-anchor", kAnchors[static_cast<int>(style.anchor)]);
  if (style.bold) out_ += " font-weight=\"bold\"";
  if (style.upwards) out_ += cat(" transform=\"rotate(-90 ", coordinate(x), ' ', coordinate(y), ")\"");
  out_ += cat('>', xml_escaped(text), "</text>\n");
}

void Svg::begin_clip(double x, double y, double width, double height) {
  const std::string id = cat("clip", clips_++);
  out_ += cat("<clipPath id=\"", id, "\"><rect", attribute("x", x), attribute("y", y), attribute("width", width),
              attribute("height", height), "/></clipPath>\n<g clip-path=\"url(#", id, ")\">\n");
}
void Svg::end_clip() { out_ += "</g>\n"; }
void Svg::begin_pixels() { out_ += "<g shape-rendering=\"crispEdges\">\n"; }
void Svg::end_pixels() { out_ += "</g>\n"; }

std::string Svg::finish() { return std::move(out_ += "</svg>\n"); }

}  // namespace hebb
