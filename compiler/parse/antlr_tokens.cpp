#include "compiler/parse/antlr_tokens.h"

#include <cctype>
#include <memory>
#include <string>
#include <unordered_map>

#include "compiler/parse/limits.h"

namespace hebb::parsing {

using hebb_grammar::HebbLexer;

std::string_view unquoted(std::string_view literal) {
  literal = literal.substr(1, literal.size() - 2);
  return literal == "\\'" ? "'" : literal;
}

namespace {

/// Where each kind of word stands in ANTLR's numbering.
struct TokenTypes {
  std::unordered_map<std::string_view, size_t> literals;
};

const TokenTypes& token_types() {
  static const TokenTypes types = [] {
    static std::deque<std::string> spellings;
    TokenTypes out;
    antlr4::ANTLRInputStream nothing;
    const HebbLexer lexer(&nothing);
    const antlr4::dfa::Vocabulary& vocabulary = lexer.getVocabulary();
    for (size_t type = 1; type <= HebbLexer::UNKNOWN; ++type) {
      const std::string literal = vocabulary.getLiteralName(type);
      if (!literal.empty()) out.literals.emplace(spellings.emplace_back(unquoted(literal)), type);
    }
    return out;
  }();
  return types;
}

LexKind lex_kind(size_t type, std::string_view text) {
  switch (type) {
    case HebbLexer::ID: return LexKind::Name;
    case HebbLexer::INT: return LexKind::Integer;
    case HebbLexer::FLOAT: return LexKind::Decimal;
    case HebbLexer::STRING: return LexKind::Text;
    case HebbLexer::UNCLOSED: return LexKind::UnclosedText;
    case HebbLexer::DOC:
    case HebbLexer::COMMENT: return LexKind::Comment;
    case HebbLexer::UNKNOWN: return LexKind::Unknown;
  }
  const auto first = static_cast<unsigned char>(text.front());
  return std::isalpha(first) ? LexKind::Keyword : LexKind::Symbol;
}

}  // namespace

size_t antlr_type(const Lexeme& lexeme) {
  switch (lexeme.kind) {
    case LexKind::Name: return HebbLexer::ID;
    case LexKind::Integer: return HebbLexer::INT;
    case LexKind::Decimal: return HebbLexer::FLOAT;
    case LexKind::Text: return HebbLexer::STRING;
    case LexKind::UnclosedText: return HebbLexer::UNCLOSED;
    case LexKind::Comment: return HebbLexer::COMMENT;
    case LexKind::End: return antlr4::Token::EOF;
    case LexKind::Unknown: return HebbLexer::UNKNOWN;
    case LexKind::Keyword:
    case LexKind::Symbol: break;
  }
  const auto& literals = token_types().literals;
  const auto found = literals.find(lexeme.text);
  return found == literals.end() ? static_cast<size_t>(HebbLexer::UNKNOWN) : found->second;
}

Lexemes lex(const Sources& sources, FileId file) {
  const std::string_view text = sources[file].text;
  const uint32_t bom = byte_order_mark(text);
  antlr4::ANTLRInputStream input{std::string(text.substr(bom))};
  HebbLexer lexer(&input);
  lexer.removeErrorListeners();
  size_t character = 0;
  uint32_t byte = bom;
  const auto byte_of = [&](size_t wanted) {
    while (character < wanted && byte < text.size()) {
      do ++byte;
      while (byte < text.size() && (static_cast<unsigned char>(text[byte]) & 0xC0) == 0x80);
      ++character;
    }
    return byte;
  };
  Lexemes out;
  while (true) {
    const std::unique_ptr<antlr4::Token> token = lexer.nextToken();
    if (token->getType() == antlr4::Token::EOF) break;
    const uint32_t begin = byte_of(token->getStartIndex());
    const uint32_t end = byte_of(token->getStopIndex() + 1);
    const std::string_view word = text.substr(begin, end - begin);
    out.push_back({lex_kind(token->getType(), word), {file, begin, end}, word});
  }
  const uint32_t size = static_cast<uint32_t>(text.size());
  out.push_back({LexKind::End, {file, size, size}, ""});
  return out;
}

}  // namespace hebb::parsing
