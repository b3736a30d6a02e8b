#pragma once
// Diagnostics for programs: one JSON object a line with the fields of rustc, and GitHub annotations.

#include "compiler/support/diagnostic.h"

namespace hebb {

/// "error", "warning", "note"
std::string_view severity_word(Severity severity);

/// Text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

std::string render_json(const Diagnostic& diag, const Sources& sources, std::string_view rendered);
std::string render_github(const Diagnostic& diag, const Sources& sources);

}  // namespace hebb
