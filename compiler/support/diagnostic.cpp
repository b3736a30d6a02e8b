#include "compiler/support/diagnostic.h"

#include <cassert>

namespace hebb {

const std::vector<DiagInfo>& all_diagnostics() {
  static const std::vector<DiagInfo> table = {
#define HEBB_DIAGNOSTIC(kind, code, severity, title) \
  {DiagKind::kind, #kind, code, Severity::severity, title},
#include "compiler/support/diagnostic_kinds.def"
#undef HEBB_DIAGNOSTIC
  };
  return table;
}

const DiagInfo& info(DiagKind kind) {
  const DiagInfo& row = all_diagnostics()[static_cast<size_t>(kind)];
  assert(row.kind == kind && "rows stand in the order of the enumerators");
  return row;
}

Diagnostic& Diagnostics::report(DiagKind kind, Span span, std::string message) {
  if (info(kind).severity == Severity::Error) ++errors_;
  all_.push_back({.kind = kind, .span = span, .message = std::move(message)});
  return all_.back();
}

}  // namespace hebb
