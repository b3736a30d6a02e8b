// Diagnostics for people: message, source line, underline, second places, help. The layout follows
// what rustc and clang taught everybody to read.

#include <algorithm>

#include "compiler/support/diagnostic.h"
#include "compiler/support/machine_format.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

constexpr size_t kTabWidth = 2;
constexpr size_t kShownColumns = 120;   // a longer line is shown around its mark only
constexpr size_t kColumnsBefore = 40;

struct Colours {
  std::string_view error, warning, note, strong, line_number, off;
};
Colours colours(bool on) {
  if (!on) return {};
  return {"\033[1;31m", "\033[1;35m", "\033[1;36m", "\033[1m", "\033[1;34m", "\033[0m"};
}

std::string_view colour_of(Severity severity, const Colours& colours) {
  switch (severity) {
    case Severity::Error: return colours.error;
    case Severity::Warning: return colours.warning;
    case Severity::Note: return colours.note;
  }
  return {};
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// What one source byte becomes on screen: tabs are widened, control bytes escaped.
std::string shown(std::string_view line, size_t at) {
  if (line[at] == '\t') return std::string(kTabWidth, ' ');
  if (static_cast<unsigned char>(line[at]) >= 0x80) return std::string(1, line[at]);
  return escape_for_terminal(line.substr(at, 1));
}

/// A line as shown, and where the marked bytes [begin, end) of it start and how wide they are. A long
/// line is cut around the byte `anchor`; the mark may lie outside then.
struct ShownLine {
  std::string text;
  size_t column = 0, width = 1;
  bool inside = true;
};
ShownLine show_line(std::string_view line, size_t begin, size_t end, size_t anchor) {
  begin = std::min(begin, line.size());
  anchor = std::min(anchor, line.size());
  end = std::clamp(end, begin, line.size());
  size_t first = 0;  // bytes left out in front
  size_t last = line.size();
  ShownLine out;
  if (line.size() > kShownColumns) {
    if (anchor > kColumnsBefore) first = anchor - kColumnsBefore;
    while (first > 0 && is_continuation(line[first])) --first;
    last = std::min(line.size(), first + kShownColumns);
    while (last < line.size() && is_continuation(line[last])) ++last;
  }
  out.inside = begin >= first && begin <= last;
  size_t columns = 0;
  if (first > 0) out.text = "…", columns = 1;
  out.column = columns;
  size_t marked = 0;
  for (size_t i = first; i < last; ++i) {
    const std::string piece = shown(line, i);
    out.text += piece;
    if (is_continuation(line[i])) continue;
    if (i < begin) out.column += piece.size();
    if (i >= begin && i < end) marked += piece.size();
  }
  if (last < line.size()) out.text += "…";
  out.width = std::max<size_t>(marked, 1);
  // Bytes >= 0x80 that are not UTF-8 must not reach a terminal raw.
  out.text = escape_for_terminal(out.text);
  return out;
}

std::string place(Span span, const Sources& sources) {
  const LineColumn at = sources.position(span.file, span.begin);
  return cat(escape_for_terminal(sources[span.file].path), ':', at.line, ':', at.column);
}

/// The last line on screen, and the byte it is shown around.
struct Screen {
  uint32_t line = 0;  // 0: none
  size_t anchor = 0;
};

/// The source line, unless it is on screen already, with its underline.
std::string snippet(Span span, std::string_view note, std::string_view colour, size_t gutter,
                    const Sources& sources, const Colours& c, Screen& screen) {
  const uint32_t line = sources.position(span.file, span.begin).line;
  const uint32_t start = sources[span.file].line_starts[line - 1];
  const std::string_view text = sources.line(span.file, line);
  const size_t begin = std::max(span.begin, start) - start, end = std::max(span.end, start) - start;
  ShownLine shown = show_line(text, begin, end, line == screen.line ? screen.anchor : begin);
  std::string out;
  if (line != screen.line || !shown.inside) {
    if (!shown.inside) shown = show_line(text, begin, end, begin);
    screen = {line, begin};
    const std::string number = std::to_string(line);
    out += cat(c.line_number, std::string(gutter - number.size(), ' '), number, " |", c.off, ' ',
               shown.text, '\n');
  }
  out += cat(c.line_number, std::string(gutter, ' '), " |", c.off, ' ',
             std::string(shown.column, ' '), colour, '^', std::string(shown.width - 1, '~'));
  if (!note.empty()) out += cat(' ', escape_for_terminal(note));
  return cat(out, c.off, '\n');
}

size_t gutter_width(const Diagnostic& diag, const Sources& sources) {
  uint32_t highest = sources.position(diag.span.file, diag.span.begin).line;
  for (const Label& label : diag.labels) {
    if (!label.span.valid()) continue;
    highest = std::max(highest, sources.position(label.span.file, label.span.begin).line);
  }
  return std::to_string(highest).size() + 2;
}

std::string render_human(const Diagnostic& diag, const Sources& sources, bool colour) {
  const Colours c = colours(colour);
  const DiagInfo& kind = info(diag.kind);
  const std::string_view severity_colour = colour_of(kind.severity, c);
  std::string out;
  if (diag.span.valid()) out += cat(c.strong, place(diag.span, sources), ": ", c.off);
  out += cat(severity_colour, severity_word(kind.severity), '[', kind.code, "]: ", c.off, c.strong,
             escape_for_terminal(diag.message), c.off, '\n');
  if (diag.span.valid()) {
    const size_t gutter = gutter_width(diag, sources);
    Screen screen;
    out += snippet(diag.span, diag.note, severity_colour, gutter, sources, c, screen);
    Span previous = diag.span;
    for (const Label& label : diag.labels) {
      if (!label.span.valid()) continue;
      const bool same_file = label.span.file == previous.file;
      if (!same_file) {
        out += cat("  ", place(label.span, sources), ":\n");
        screen = {};
      }
      out += snippet(label.span, label.text, c.note, gutter, sources, c, screen);
      previous = label.span;
    }
  } else if (!diag.note.empty()) {
    out += cat("  ", escape_for_terminal(diag.note), '\n');
  }
  if (!diag.help.empty()) {
    out += cat("  ", c.note, "help:", c.off, ' ', escape_for_terminal(diag.help), '\n');
  }
  return out;
}

std::string render_short(const Diagnostic& diag, const Sources& sources) {
  const DiagInfo& kind = info(diag.kind);
  const std::string where = diag.span.valid() ? cat(place(diag.span, sources), ": ") : "";
  return cat(where, severity_word(kind.severity), '[', kind.code, "]: ",
             escape_for_terminal(diag.message), '\n');
}

}  // namespace

std::string render(const Diagnostic& diag, const Sources& sources, const RenderOptions& options) {
  switch (options.format) {
    case MessageFormat::Human: return render_human(diag, sources, options.colour);
    case MessageFormat::Json: return render_json(diag, sources, render_human(diag, sources, false));
    case MessageFormat::Short: return render_short(diag, sources);
    case MessageFormat::Github: return render_github(diag, sources);
  }
  return {};
}

std::string render(const Diagnostics& diags, const Sources& sources, const RenderOptions& options) {
  const bool human = options.format == MessageFormat::Human;
  std::string out;
  size_t errors = 0, warnings = 0;
  for (const Diagnostic& diag : diags.all()) {
    const Severity severity = info(diag.kind).severity;
    errors += severity == Severity::Error;
    warnings += severity == Severity::Warning;
    const bool over_limit = options.error_limit > 0 && errors > options.error_limit;
    if (over_limit) continue;
    out += render(diag, sources, options);
    if (human) out += '\n';
  }
  if (!human || (errors == 0 && warnings == 0)) return out;
  std::vector<std::string> counts;
  if (errors > 0) counts.push_back(plural(errors, "error"));
  if (warnings > 0) counts.push_back(plural(warnings, "warning"));
  out += joined(counts, ", ");
  if (options.error_limit > 0 && errors > options.error_limit) {
    out += cat(" (the first ", options.error_limit, " shown; --error-limit=0 shows all)");
  }
  return out + '\n';
}

}  // namespace hebb
