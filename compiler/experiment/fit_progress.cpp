#include "compiler/experiment/fit_progress.h"

#include <cmath>
#include <cstdio>

#include "compiler/support/text.h"

namespace hebb {

namespace {

std::string digits(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string time_text(double seconds) {
  if (!(seconds < 1e7)) return "long";
  if (seconds < 90) return cat(std::llround(seconds), " s");
  if (seconds < 90 * 60) return cat(std::llround(seconds / 60), " min");
  return cat(std::llround(seconds / 3600), " h");
}

}  // namespace

std::string progress_line(const FitProgress& at, int columns) {
  const std::string update = cat(at.update, "/", at.steps);
  std::string start;
  if (at.starts > 1) start = at.first == at.last ? cat(", start ", at.first, "/", at.starts) : cat(", starts ", at.first, "-", at.last, "/", at.starts);
  const std::string loss = "  loss " + digits(at.loss), norm = "  gradient " + digits(at.norm);
  const std::string time = cat("  ", at.at_most ? "at most " : "", time_text(at.seconds_left), " left");
  for (const std::string& line : {"fit " + update + start + loss + norm + time, "fit " + update + start + loss + time,
                                  update + loss + time, update + loss, update})
    if (static_cast<int>(line.size()) < columns) return line;
  return "";
}

}  // namespace hebb
