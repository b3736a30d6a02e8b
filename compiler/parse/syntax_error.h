#pragma once
// From the place where the grammar stopped to a sentence in the words of the language, and to tokens
// with which it can go on. Knows nothing of ANTLR.

#include <string>
#include <unordered_set>
#include <vector>

#include "compiler/parse/lexemes.h"
#include "compiler/support/diagnostic.h"

namespace hebb::parsing {

struct SyntaxFailure {
  size_t token = 0;                   // the first lexeme that does not fit
  std::vector<std::string> expected;  // spellings, or ID INT FLOAT STRING; empty: not known
  std::vector<std::string> rules;     // of the grammar, innermost first
};

/// What is remembered while one item is parsed again and again.
struct RepairState {
  std::unordered_set<std::string> keyword_names;  // keywords already told to be no names
  // The last statement that was given up: its first lexeme and line. What follows on that line is most
  // likely its rest.
  size_t broken_at = SIZE_MAX;
  uint32_t broken_line = 0;
};

/// Reports what is wrong at `failure` and changes the lexemes from `item` on, so that parsing again gets
/// further: something is inserted, replaced, or the whole statement is taken out.
void explain_and_repair(Lexemes& lexemes, size_t item, const SyntaxFailure& failure,
                        const Sources& sources, RepairState& state, Diagnostics& diags);

/// Adds what was told outside the `dropped` places.
void report_outside(const std::vector<Span>& dropped, const Diagnostics& told, Diagnostics& diags);

/// Adds `found` to `diags` in the order of their places.
void report_in_order(const Diagnostics& found, Diagnostics& diags);

}  // namespace hebb::parsing
