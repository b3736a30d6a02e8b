#pragma once
// "expected X, found Y" in the words of the language.

#include <string>
#include <vector>

#include "compiler/parse/lexemes.h"

namespace hebb::parsing {

/// At most a few expectations: "an expression", "';' or ','". Empty when nothing sensible can be said.
std::string expectation(const std::vector<std::string>& expected, const std::vector<std::string>& rules);
std::string found_text(const Lexeme& lexeme);
/// A further sentence, or nothing.
std::string hint(const std::vector<std::string>& expected, const Lexeme& before, const Lexeme& found);

}  // namespace hebb::parsing
