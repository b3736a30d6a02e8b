#pragma once
// Names of rules and their variables as names of C and C++: Greek letters are spelled, other letters
// outside ASCII become uXXXX, keywords and names that are taken get a '_' at their end.

#include <set>
#include <string>
#include <string_view>

namespace hebb {

/// "tau_plus", "τ_plus" → "tau_plus"; "pre.r" → "pre_r"; "class" → "class_"; "2x" → "x2x".
std::string c_identifier(std::string_view name);

/// c_identifier, unlike all in `taken`; is added to them.
std::string fresh_c_identifier(std::string_view name, std::set<std::string>& taken);

/// What the names of a rule's functions begin with: "PairSTDP" → "pair_stdp".
std::string c_prefix(std::string_view rule);

/// Text that may stand within a C comment: no end of comment, no trigraph, one line.
std::string in_comment(std::string_view text);

}  // namespace hebb
