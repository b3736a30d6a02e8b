#pragma once
// What the user is told: kinds with stable codes, spans with labels, a help line, and the ways to
// print them. One root cause, one diagnostic; nothing internal is ever in a message.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/support/source.h"

namespace hebb {

enum class Severity { Error, Warning, Note };

/// One enumerator per row of diagnostic_kinds.def.
enum class DiagKind {
#define HEBB_DIAGNOSTIC(kind, code, severity, title) kind,
#include "compiler/support/diagnostic_kinds.def"
#undef HEBB_DIAGNOSTIC
};

struct DiagInfo {
  DiagKind kind;
  std::string_view name;   // the enumerator's spelling
  std::string_view code;   // "D01": stable, documented
  Severity severity;
  std::string_view title;  // what the kind is about, for lists of codes
};

const std::vector<DiagInfo>& all_diagnostics();
const DiagInfo& info(DiagKind kind);

/// A second place: "fixed here", "put ';' here".
struct Label {
  Span span;
  std::string text;
};

/// Replace `span` by `replacement`. `certain` fixes may be applied without asking.
struct Fix {
  Span span;
  std::string replacement;
  bool certain = true;
};

struct Diagnostic {
  DiagKind kind;
  Span span;            // may be invalid: about a whole file or the command line
  std::string message;  // lower case, no full stop
  std::string note;     // text after the caret under `span`; may be empty
  std::vector<Label> labels;
  std::string help;     // may be empty
  std::vector<Fix> fixes;
};

/// Collects diagnostics in the order of their discovery.
class Diagnostics {
 public:
  /// The returned reference is valid until the next report: set note, labels, help on it.
  Diagnostic& report(DiagKind kind, Span span, std::string message);

  /// What was reported last, for a caller who knows more about it; none: nothing was.
  Diagnostic* last() { return all_.empty() ? nullptr : &all_.back(); }

  bool has_errors() const { return errors_ > 0; }
  size_t errors() const { return errors_; }
  size_t size() const { return all_.size(); }
  const std::vector<Diagnostic>& all() const { return all_; }

 private:
  std::vector<Diagnostic> all_;
  size_t errors_ = 0;
};

enum class MessageFormat { Human, Json, Short, Github };

struct RenderOptions {
  MessageFormat format = MessageFormat::Human;
  bool colour = false;
  size_t error_limit = 20;  // 0: no limit
};

/// All diagnostics as text, ending with "N errors, M warnings" in the human form when there are any.
std::string render(const Diagnostics& diags, const Sources& sources, const RenderOptions& options);
std::string render(const Diagnostic& diag, const Sources& sources, const RenderOptions& options);

/// Control characters and invalid bytes as \xNN, so that echoing a source cannot drive a terminal.
std::string escape_for_terminal(std::string_view text);

}  // namespace hebb
