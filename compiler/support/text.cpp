#include "compiler/support/text.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hebb {

std::string shortest(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

std::string quoted(std::string_view name) { return cat('\'', name, '\''); }

std::string plural(size_t count, std::string_view noun) {
  if (count != 1 && noun.ends_with("index")) return cat(count, ' ', noun.substr(0, noun.size() - 2), "ices");
  return cat(count, ' ', noun, count == 1 ? "" : "s");
}

std::string listed(std::span<const std::string> names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
    out += names[i];
  }
  return out;
}

std::string joined(std::span<const std::string> pieces, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0) out += separator;
    out += pieces[i];
  }
  return out;
}

namespace {

/// Edits between two words; a swap of neighbours counts once.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::optional<std::string> did_you_mean(std::string_view name,
                                        std::span<const std::string> candidates) {
  constexpr size_t kLongestName = 200;
  if (name.size() > kLongestName) return {};
  const size_t limit = name.size() <= 2 ? 1 : name.size() <= 5 ? 2 : 3;
  constexpr size_t kShortestBeginning = 3;
  std::optional<std::string> best, whole;   // whole: the shortest name that begins so
  size_t best_distance = limit + 1;
  for (const std::string& candidate : candidates) {
    if (candidate == name || candidate.size() > kLongestName) continue;
    const bool begins_so = name.size() >= kShortestBeginning && candidate.starts_with(name);
    if (begins_so && (!whole || candidate.size() < whole->size())) whole = candidate;
    const size_t distance = edit_distance(name, candidate);
    if (distance >= best_distance || distance >= candidate.size()) continue;
    best_distance = distance;
    best = candidate;
  }
  return whole ? whole : best;
}

namespace {

/// Of a decimal number that is not 0 and far from 1: the sign of its power of ten.
bool is_below_one(std::string_view text) {
  const size_t mark = std::min(text.find_first_of("eE"), text.size());
  const std::string_view exponent = text.substr(std::min(mark + 1, text.size()));
  const std::string_view digits = text.substr(0, mark);
  const auto point = static_cast<int64_t>(std::min(digits.find('.'), digits.size()));
  const auto first = static_cast<int64_t>(std::min(digits.find_first_of("123456789"), digits.size()));
  const bool down = exponent.starts_with('-');
  const std::string_view size = exponent.substr(down || exponent.starts_with('+') ? 1 : 0);
  int64_t power = 0;
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), power);
  if (error == std::errc::result_out_of_range) return down;
  return point - first + (down ? -power : power) <= 0;
}

}  // namespace

std::optional<double> parse_double(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return {};
  if (error == std::errc::result_out_of_range) {
    // from_chars leaves the value alone: tell overflow from underflow by where the first digit stands.
    const double size = is_below_one(text) ? 0.0 : std::numeric_limits<double>::infinity();
    return text.front() == '-' ? -size : size;
  }
  if (error != std::errc()) return {};
  return value;
}

}  // namespace hebb
