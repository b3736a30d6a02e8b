#include "compiler/parse/habits.h"
#include "compiler/parse/brackets.h"
namespace hebb::parsing {
Lexemes replace_old_habits(Lexemes lexemes, const Sources&, Diagnostics&) { return lexemes; }
Lexemes balance_brackets(Lexemes lexemes, const Sources&, Diagnostics&) { return lexemes; }
}
