#include "compiler/support/machine_format.h"

#include "compiler/support/text.h"
#include "compiler/support/utf8.h"

namespace hebb {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string hex_byte(unsigned char byte) {
  return {kHexDigits[byte >> 4], kHexDigits[byte & 15]};
}

/// One element of "spans".
std::string json_span(Span span, bool primary, std::string_view label, const Fix* fix,
                      const Sources& sources) {
  const LineColumn begin = sources.position(span.file, span.begin);
  const LineColumn end = sources.position(span.file, span.end);
  std::string out = cat("{\"file_name\":", json_string(sources[span.file].path),
                        ",\"byte_start\":", span.begin, ",\"byte_end\":", span.end,
                        ",\"line_start\":", begin.line, ",\"line_end\":", end.line,
                        ",\"column_start\":", begin.column, ",\"column_end\":", end.column,
                        ",\"is_primary\":", primary ? "true" : "false",
                        ",\"text\":", json_string(sources.line(span.file, begin.line)),
                        ",\"label\":", label.empty() ? "null" : json_string(label));
  if (fix) {
    out += cat(",\"suggested_replacement\":", json_string(fix->replacement),
               ",\"suggestion_applicability\":",
               fix->certain ? "\"MachineApplicable\"" : "\"MaybeIncorrect\"");
  }
  return out + '}';
}

std::string json_child(std::string_view message, const std::string& spans) {
  return cat("{\"message\":", json_string(message),
             ",\"code\":null,\"level\":\"help\",\"spans\":[", spans,
             "],\"children\":[],\"rendered\":null}");
}

/// GitHub's escapes for message text; properties also lose ':' and ','.
std::string github_escaped(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    const bool escape = c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','));
    if (escape) out += cat('%', hex_byte(static_cast<unsigned char>(c)));
    else out += c;
  }
  return out;
}

}  // namespace

std::string_view severity_word(Severity severity) {
  switch (severity) {
    case Severity::Error: return "error";
    case Severity::Warning: return "warning";
    case Severity::Note: return "note";
  }
  return {};
}

std::string escape_for_terminal(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = utf8_length_at(text, i);
    // U+0080..U+009F are control characters too: C2 80 to C2 9F.
    const bool c1_control = length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    const bool control = byte < 0x20 || byte == 0x7F;
    if (length == 0 || control || c1_control) {
      const size_t bytes = length == 0 ? 1 : length;
      for (size_t k = 0; k < bytes; ++k) {
        out += cat("\\x", hex_byte(static_cast<unsigned char>(text[i + k])));
      }
      i += bytes;
      continue;
    }
    out += text.substr(i, length);
    i += length;
  }
  return out;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length_at(text, i);
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0) out += "\\ufffd";
    else if (byte == '"' || byte == '\\') out += cat('\\', text[i]);
    else if (byte == '\n') out += "\\n";
    else if (byte < 0x20) out += cat("\\u00", hex_byte(byte));
    else out += text.substr(i, length);
    i += length == 0 ? 1 : length;
  }
  return out + '"';
}

std::string render_json(const Diagnostic& diag, const Sources& sources, std::string_view rendered) {
  const DiagInfo& kind = info(diag.kind);
  std::string spans;
  if (diag.span.valid()) spans += json_span(diag.span, true, diag.note, nullptr, sources);
  for (const Label& label : diag.labels) {
    if (!label.span.valid()) continue;
    if (!spans.empty()) spans += ',';
    spans += json_span(label.span, false, label.text, nullptr, sources);
  }
  std::string children;
  if (!diag.help.empty()) children += json_child(diag.help, "");
  for (const Fix& fix : diag.fixes) {
    if (!children.empty()) children += ',';
    children += json_child(cat("replace by ", quoted(fix.replacement)),
                           json_span(fix.span, true, "", &fix, sources));
  }
  return cat("{\"$message_type\":\"diagnostic\",\"message\":", json_string(diag.message),
             ",\"code\":{\"code\":\"", kind.code, "\",\"explanation\":null},\"level\":\"",
             severity_word(kind.severity), "\",\"spans\":[", spans, "],\"children\":[", children,
             "],\"rendered\":", json_string(rendered), "}\n");
}

std::string render_github(const Diagnostic& diag, const Sources& sources) {
  const DiagInfo& kind = info(diag.kind);
  const std::string_view command = kind.severity == Severity::Note ? "notice" : severity_word(kind.severity);
  std::string out = cat("::", command, ' ');
  if (diag.span.valid()) {
    const LineColumn begin = sources.position(diag.span.file, diag.span.begin);
    const LineColumn end = sources.position(diag.span.file, diag.span.end);
    out += cat("file=", github_escaped(sources[diag.span.file].path, true), ",line=", begin.line,
               ",endLine=", end.line, ",col=", begin.column, ",endColumn=", end.column, ',');
  }
  std::string text = diag.message;
  if (!diag.help.empty()) text += cat("\nhelp: ", diag.help);
  return cat(out, "title=", kind.code, "::", github_escaped(text, false), '\n');
}

}  // namespace hebb
