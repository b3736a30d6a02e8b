#include "compiler/parse/syntax_error.h"

#include <algorithm>

#include "compiler/support/text.h"

namespace hebb::parsing {
void explain_and_repair(Lexemes& lexemes, size_t item, const SyntaxFailure& failure,
                        const Sources&, RepairState&, Diagnostics& diags) {
  const Lexeme& at = lexemes[failure.token];
  diags.report(DiagKind::UnexpectedToken, at.span, cat("expected ", joined(failure.expected, " "), ", found ", at.text));
  lexemes.erase(lexemes.begin() + static_cast<ptrdiff_t>(item), lexemes.end() - 1);
}
void report_in_order(const Diagnostics& found, Diagnostics& diags) {
  std::vector<Diagnostic> sorted = found.all();
  std::stable_sort(sorted.begin(), sorted.end(), [](const Diagnostic& a, const Diagnostic& b) { return a.span.begin < b.span.begin; });
  for (Diagnostic& diag : sorted) {
    Diagnostic& copy = diags.report(diag.kind, diag.span, "");
    copy = std::move(diag);
  }
}
}  // namespace hebb::parsing
