#pragma once
// What is refused before the grammar looks at a file: text that is not UTF-8, NUL bytes, too many
// bytes, nesting that no recursive stage could survive.

#include "compiler/parse/lexemes.h"
#include "compiler/support/diagnostic.h"

namespace hebb::parsing {

/// Bytes of the byte order mark in front of `text`: 3 or 0.
uint32_t byte_order_mark(std::string_view text);

/// Reports at most one diagnostic; false when the text cannot be tokens.
bool readable(const Sources& sources, FileId file, Diagnostics& diags);

/// Nesting of brackets, of 'if', of '^', of signs and of member chains together stays below its limit,
/// and so does the length of each item.
bool within_limits(const Lexemes& lexemes, Diagnostics& diags);

}  // namespace hebb::parsing
