#pragma once
// Text → AST. Reports every syntax error it can tell apart, in the words of the language, and never
// shows ANTLR's own. Checks UTF-8, NUL bytes, size and nesting before anything else is looked at.

#include "compiler/ast/ast.h"
#include "compiler/support/diagnostic.h"

namespace hebb {

/// A larger file is refused. Who reads one can ask for its size first and never hold it in memory.
inline constexpr size_t kMaxSourceBytes = 4 << 20;

/// The AST of a file. Statements and items that did not parse are left out and reported, so a file
/// with errors must not be checked further: what was left out would be missed as a second error.
ast::File parse(const Sources& sources, FileId file, Diagnostics& diags);

struct Token { std::string kind; Span span; };
/// The token stream, for `--emit=tokens` and highlighters.
std::vector<Token> tokenize(const Sources& sources, FileId file, Diagnostics& diags);

}  // namespace hebb
