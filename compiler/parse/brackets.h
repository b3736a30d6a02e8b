#pragma once
// Every bracket gets its partner, or is told about and repaired.

#include "compiler/parse/lexemes.h"
#include "compiler/support/diagnostic.h"

namespace hebb::parsing {

struct Balanced {
  Lexemes lexemes;
  std::vector<Span> dropped;  // items left out; what else was told about them may be an echo
};

/// '(' and '[' are closed at the end of their statement at the latest; an item whose braces do not
/// match is reported and left out, for nobody can say what its lines belong to.
Balanced balance_brackets(Lexemes lexemes, const Sources& sources, Diagnostics& diags);

}  // namespace hebb::parsing
