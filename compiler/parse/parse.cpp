// ANTLR's trees become ours here, and behind this folder nothing of ANTLR is seen. The grammar is called
// once per top-level item. When an item does not parse, syntax_error.cpp says why and how to change
// the tokens, and the item is parsed again: so every mistake is told once and the next is found too.

#include "compiler/parse/parse.h"

#include <algorithm>
#include <cassert>

#include "compiler/parse/antlr_tokens.h"
#include "compiler/parse/brackets.h"
#include "compiler/parse/build_items.h"
#include "compiler/parse/habits.h"
#include "compiler/parse/limits.h"
#include "compiler/parse/syntax_error.h"
#include "compiler/parse/words.h"

namespace hebb {
namespace {

using parsing::Grammar;
using parsing::Lexeme;
using parsing::Lexemes;
using parsing::LexKind;

// --- failures ------------------------------------------------------------------------------------

/// Leaves the generated parser at its first mistake; caught in parse_item.
struct Stop {
  parsing::SyntaxFailure failure;
};

/// Never recovers inside ANTLR: the first mistake is told with what would have been right.
class StopAtFirst : public antlr4::DefaultErrorStrategy {
 public:
  void reportError(antlr4::Parser*, const antlr4::RecognitionException&) override {}
  void sync(antlr4::Parser*) override {}
  antlr4::Token* recoverInline(antlr4::Parser* parser) override {
    stop(parser, parser->getCurrentToken()->getTokenIndex(), true);
  }
  void recover(antlr4::Parser* parser, std::exception_ptr cause) override {
    size_t token = parser->getCurrentToken()->getTokenIndex();
    bool at_decision = true;
    try {
      std::rethrow_exception(cause);
    } catch (const antlr4::NoViableAltException& e) {
      token = e.getOffendingToken()->getTokenIndex();
      at_decision = e.getStartToken()->getTokenIndex() == token;
    } catch (const antlr4::RecognitionException&) {
    }
    stop(parser, token, at_decision);
  }

 private:
  /// Behind a decision that looked further ahead, ANTLR cannot say what would have fitted.
  [[noreturn]] void stop(antlr4::Parser* parser, size_t token, bool knows_expected) {
    parsing::SyntaxFailure failure{.token = token};
    failure.rules = parser->getRuleInvocationStack();
    if (knows_expected) {
      const antlr4::dfa::Vocabulary& vocabulary = parser->getVocabulary();
      for (const ssize_t type : parser->getExpectedTokens().toList()) {
        if (type <= 0) continue;
        const std::string literal = vocabulary.getLiteralName(static_cast<size_t>(type));
        failure.expected.push_back(literal.empty()
                                       ? vocabulary.getSymbolicName(static_cast<size_t>(type))
                                       : std::string(parsing::unquoted(literal)));
      }
    }
    throw Stop{std::move(failure)};
  }
};
// --- one item after the other --------------------------------------------------------------------

struct ItemResult {
  std::optional<ast::Item> item;
  size_t next = 0;  // the first token behind it
  std::optional<parsing::SyntaxFailure> failure;
};

/// SLL looks at less context and is fast; where it fails, LL decides whether the text is wrong.
ItemResult parse_item(const Lexemes& lexemes, size_t first, const std::string& doc,
                      antlr4::atn::PredictionMode mode, Diagnostics& diags) {
  parsing::LexemeStream stream(lexemes, first);
  Grammar parser(&stream);
  parser.removeErrorListeners();
  parser.setErrorHandler(std::make_shared<StopAtFirst>());
  parser.getInterpreter<antlr4::atn::ParserATNSimulator>()->setPredictionMode(mode);
  try {
    Grammar::ItemContext* tree = parser.item();
    const parsing::Builder build{{lexemes, diags}};
    return {.item = build.item(tree, doc), .next = stream.index()};
  } catch (Stop& stop) {
    return {.failure = std::move(stop.failure)};
  }
}

ItemResult parse_item(const Lexemes& lexemes, size_t first, const std::string& doc,
                      Diagnostics& diags) {
  using Mode = antlr4::atn::PredictionMode;
  ItemResult fast = parse_item(lexemes, first, doc, Mode::SLL, diags);
  return fast.item ? std::move(fast) : parse_item(lexemes, first, doc, Mode::LL, diags);
}

/// The '##' lines that end on the line above `first`, without their signs.
std::string doc_above(const Sources& sources, const std::vector<ast::Comment>& comments, Span first) {
  const auto behind = std::partition_point(comments.begin(), comments.end(), [&](const auto& c) {
    return c.span.begin < first.begin;
  });
  std::vector<std::string> lines;
  Span below = first;
  for (auto it = behind; it != comments.begin();) {
    const ast::Comment& comment = *--it;
    const std::string_view gap = sources.text({first.file, comment.span.end, below.begin});
    const bool next_line = std::ranges::count(gap, '\n') == 1 &&
                           gap.find_first_not_of(" \t\r\n") == std::string_view::npos;
    if (!comment.text.starts_with("##") || !next_line) break;
    const size_t text = comment.text.find_first_not_of("# \t");
    lines.push_back(text == std::string::npos ? "" : comment.text.substr(text));
    below = comment.span;
  }
  std::reverse(lines.begin(), lines.end());
  return joined(lines, "\n");
}

void parse_items(const Sources& sources, Lexemes lexemes, ast::File& file, Diagnostics& diags) {
  // Each repair changes tokens and the item is read again; this bounds the work on a hopeless file.
  constexpr size_t kMostRepairs = 100;
  size_t repairs = 0;
  parsing::RepairState state;
  for (size_t first = 0; !lexemes[first].at_end() && repairs <= kMostRepairs;) {
    const std::string doc = doc_above(sources, file.comments, lexemes[first].span);
    ItemResult result = parse_item(lexemes, first, doc, diags);
    if (result.item) {
      file.items.push_back(std::move(*result.item));
      first = result.next;
      state = {};
      continue;
    }
    parsing::explain_and_repair(lexemes, first, *result.failure, sources, state, diags);
    ++repairs;
  }
}

std::string_view kind_name(const Lexeme& lexeme) {
  switch (lexeme.kind) {
    case LexKind::Name: return "name";
    case LexKind::Keyword: return "keyword";
    case LexKind::Integer: return "integer";
    case LexKind::Decimal: return "decimal";
    case LexKind::Text:
    case LexKind::UnclosedText: return "text";
    case LexKind::Symbol: return "symbol";
    case LexKind::Unknown: return "unknown";
    case LexKind::Comment: return lexeme.text.starts_with("##") ? "doc" : "comment";
    case LexKind::End: return "end";
  }
  return {};
}

}  // namespace

std::vector<Token> tokenize(const Sources& sources, FileId file, Diagnostics& diags) {
  if (!parsing::readable(sources, file, diags)) return {};
  const Lexemes all = parsing::lex(sources, file);
  Lexemes words;  // what opens a statement is seen without the comments
  std::ranges::copy_if(all, std::back_inserter(words),
                       [](const Lexeme& l) { return l.kind != LexKind::Comment; });
  parsing::settle_soft_keywords(words);
  std::vector<Token> out;
  size_t word = 0;
  for (const Lexeme& lexeme : all) {
    const Lexeme& settled = lexeme.kind == LexKind::Comment ? lexeme : words[word++];
    if (!settled.at_end()) out.push_back({std::string(kind_name(settled)), settled.span});
  }
  return out;
}

ast::File parse(const Sources& sources, FileId file, Diagnostics& diags) {
  ast::File out{.source = file};
  if (!parsing::readable(sources, file, diags)) return out;
  Lexemes lexemes;
  for (Lexeme& lexeme : parsing::lex(sources, file)) {
    if (lexeme.kind == LexKind::Comment) out.comments.push_back({std::string(lexeme.text), lexeme.span});
    else lexemes.push_back(lexeme);
  }
  parsing::settle_soft_keywords(lexemes);
  for (const Lexeme& lexeme : lexemes) out.tokens.push_back(parsing::ast_token(lexeme));
  out.tokens.pop_back();  // End

  // Stages find mistakes in their own order; the reader wants them in the order of the lines.
  Diagnostics habits, found;
  lexemes = parsing::replace_old_habits(std::move(lexemes), sources, habits);
  parsing::Balanced balanced = parsing::balance_brackets(std::move(lexemes), sources, found);
  parsing::report_outside(balanced.dropped, habits, found);
  if (parsing::within_limits(balanced.lexemes, found)) {
    parse_items(sources, std::move(balanced.lexemes), out, found);
  }
  parsing::report_in_order(found, diags);
  return out;
}

}  // namespace hebb
