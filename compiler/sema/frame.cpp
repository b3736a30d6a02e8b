#include "compiler/sema/frame.h"

#include "compiler/support/text.h"

namespace hebb::sema {

std::string_view describe(SymbolKind kind) {
  switch (kind) {
    case SymbolKind::Constant:
      return "a constant";
    case SymbolKind::Local:
      return "a local value";
    case SymbolKind::Parameter:
      return "a parameter";
    case SymbolKind::Weight:
      return "the weight";
    case SymbolKind::State:
      return "a state";
    case SymbolKind::Signal:
      return "a signal";
    case SymbolKind::Input:
      return "an input";
    case SymbolKind::Receive:
      return "an event port";
    case SymbolKind::Let:
      return "a 'let'";
    case SymbolKind::Reduce:
      return "a 'reduce'";
    case SymbolKind::Stat:
      return "a 'stat'";
    case SymbolKind::Event:
      return "an event";
    case SymbolKind::Population:
      return "a population";
    case SymbolKind::Projection:
      return "a projection";
    case SymbolKind::Broken:
      return "unknown";
  }
  return {};
}

Diagnostic& report(Frame& frame, DiagKind kind, Span span, std::string message) {
  if (frame.in_prelude) return frame.diags().report(kind, frame.call_site, std::move(message));
  Diagnostic& diag = frame.diags().report(kind, span, std::move(message));
  if (frame.call_depth > 0) diag.labels.push_back({frame.call_site, "called here"});
  return diag;
}

std::string source_text(const Frame& frame, Span span) {
  return std::string(frame.session.sources.text(span));
}

uint32_t line_of(const Frame& frame, Span span) {
  return frame.session.sources.position(span.file, span.begin).line;
}

}  // namespace hebb::sema
