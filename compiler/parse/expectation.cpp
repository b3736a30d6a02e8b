#include "compiler/parse/expectation.h"

#include <algorithm>

#include "compiler/parse/words.h"
#include "compiler/support/diagnostic.h"
#include "compiler/support/text.h"

namespace hebb::parsing {
namespace {

bool has(const std::vector<std::string>& list, std::string_view word) {
  return std::ranges::count(list, word) > 0;
}

void drop(std::vector<std::string>& list, std::initializer_list<std::string_view> words) {
  std::erase_if(list, [&](const std::string& one) { return std::ranges::count(words, one) > 0; });
}

/// "a, b or c"
std::string alternatives(const std::vector<std::string>& list) {
  std::string out;
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += i + 1 == list.size() ? " or " : ", ";
    out += list[i];
  }
  return out;
}

/// The many tokens that can begin or continue something, as the one thing they begin.
std::vector<std::string> grouped(std::vector<std::string> expected) {
  std::vector<std::string> out;
  const bool expression = has(expected, "FLOAT") && has(expected, "(");
  const bool unit = !expression && has(expected, "ID") && has(expected, "INT") && has(expected, "(");
  const bool statements = has(expected, "}") && expected.size() > 3;
  if (expression) {
    out.push_back("an expression");
    drop(expected, {"FLOAT", "INT", "ID", "STRING", "true", "false", "inf", "[", "(", "-", "+", "not",
                    "if", "run", "pre", "post"});
  } else if (unit) {
    out.push_back("a unit");
    drop(expected, {"ID", "INT", "("});
  } else if (has(expected, "ID")) {
    out.push_back("a name");
    drop(expected, {"ID", "pre", "post"});
    if (has(expected, "init")) std::erase_if(expected, [](const std::string& s) { return std::isalpha(s[0]); });
  }
  if (statements) {
    out.push_back("a statement");
    std::erase_if(expected, [](const std::string& s) { return std::isalpha(s[0]); });
  }
  if (has(expected, "STRING")) out.push_back("a text in double quotes");
  if (has(expected, "INT")) out.push_back("a whole number");
  drop(expected, {"STRING", "INT", "FLOAT", "ID"});
  for (const std::string& rest : expected) out.push_back(rest == "'" ? "\"'\"" : quoted(rest));
  return out;
}

}  // namespace

std::string expectation(const std::vector<std::string>& expected, const std::vector<std::string>& rules) {
  constexpr size_t kMost = 4;
  if (!rules.empty() && rules.front() == "item") {
    return "a rule, neuron, network, experiment, test, fun, const or import";
  }
  const bool in_block = expected.size() == 1 && expected.front() == "}";
  if (in_block) return "a statement or '}'";
  std::vector<std::string> groups = grouped(expected);
  if (groups.size() > kMost) groups.resize(kMost);
  return alternatives(groups);
}

std::string found_text(const Lexeme& lexeme) {
  constexpr size_t kLongest = 40;
  if (lexeme.at_end()) return "the end of the file";
  if (lexeme.kind == LexKind::Text) return "a text";
  if (lexeme.is("'")) return "\"'\"";
  if (lexeme.text.size() > kLongest) return cat(quoted(lexeme.text.substr(0, kLongest)), "…");
  return quoted(lexeme.text);
}

std::string hint(const std::vector<std::string>& expected, const Lexeme& before, const Lexeme& found) {
  const auto only = [&](std::string_view word) { return expected.size() == 1 && expected.front() == word; };
  if (only("else")) return "every choice has both sides:  if c then a else b";
  if (only("->")) return "write  project A -> B as AB { … }";
  if (only("[") && found.is(":")) return cat("say how many:  pop ", before.text, "[1] : …");
  if (only("}") && found.is("run")) return "a run is a value:  let sim = run Net for 100;";
  if (only("as")) return "a projection has a name:  project A -> B as AB { … }";
  if (found.is("for") && has(expected, "]")) return "a list of values is  list(f(k) for k in 0..9)";
  if (found.is("[") && only("minimize"))
    return cat("a fit takes whole parameters; what stays as it is is said behind it:  with (fixed.", before.text, " = …), a mask or a list of places");
  if (found.is(",") && only(")")) return "a list stands between square brackets:  [1, 2, 3]";
  if (found.is("]") && before.is("[")) return "a list holds at least one value";
  if (found.is("and") && only("{")) return "at either of two events:  on pre.spike or post.spike { … }";
  if (found.is("'") && before.is_word()) return "a prime stands only on the left of an equation:  x' = …;";
  if (found.is("'") || only("STRING")) return "a text stands between double quotes: \"…\"";
  if (found.is(".") && only("'")) return "a rule changes its own variables only";
  if (found.is("{") && has(expected, "FLOAT")) return "a list stands between square brackets:  [1, 2, 3]";
  if (found.is("{") && only("=")) return "a function is one expression:  fun f(x) = x^2;";
  if (found.kind != LexKind::Name) return {};
  const std::optional<std::string> meant = did_you_mean(found.text, expected);
  const bool word = meant && std::isalpha(static_cast<unsigned char>(meant->front()));
  return word && *meant != "ID" && *meant != "INT" ? cat("did you mean ", quoted(*meant), "?") : "";
}

}  // namespace hebb::parsing
