#pragma once
// Habits from other languages that the tokens alone give away: dw/dt, '**', '.5', '//', '&&', …
// Each is told once and replaced by what was meant, so that the parser finds nothing to add.

#include "compiler/parse/lexemes.h"
#include "compiler/support/diagnostic.h"

namespace hebb::parsing {

Lexemes replace_old_habits(Lexemes lexemes, const Sources& sources, Diagnostics& diags);

}  // namespace hebb::parsing
