#pragma once
// ANTLR's tokens and ours.

#include <deque>

#include <HebbLexer.h>

#include "compiler/parse/lexemes.h"

namespace hebb::parsing {

/// "'while'" → "while"; ANTLR spells the prime with its escape.
std::string_view unquoted(std::string_view literal);

size_t antlr_type(const Lexeme& lexeme);

/// Every token of a file, comments among them. ANTLR counts characters, spans count bytes.
Lexemes lex(const Sources& sources, FileId file);

/// The lexemes from `first` on, as ANTLR wants to see them; made only as far as the parser looks.
class LexemeStream : public antlr4::TokenStream {
 public:
  LexemeStream(const Lexemes& lexemes, size_t first) : lexemes_(lexemes), first_(first), at_(first) {}

  antlr4::Token* LT(ssize_t k) override {
    if (k == 0 || (k < 0 && static_cast<size_t>(-k) > at_ - first_)) return nullptr;
    return get(k > 0 ? at_ + static_cast<size_t>(k) - 1 : at_ - static_cast<size_t>(-k));
  }
  antlr4::Token* get(size_t index) const override {
    index = std::min(index, lexemes_.size() - 1);
    while (made_.size() <= index - first_) {
      const size_t next = first_ + made_.size();
      made_.emplace_back(antlr_type(lexemes_[next]));
      made_.back().setTokenIndex(next);
    }
    return &made_[index - first_];
  }
  size_t LA(ssize_t k) override {
    const antlr4::Token* token = LT(k);
    return token ? token->getType() : 0;
  }
  void consume() override { at_ = std::min(at_ + 1, lexemes_.size() - 1); }
  ssize_t mark() override { return 0; }
  void release(ssize_t) override {}
  size_t index() override { return at_; }
  void seek(size_t index) override { at_ = std::min(index, lexemes_.size() - 1); }
  size_t size() override { return lexemes_.size(); }
  std::string getSourceName() const override { return {}; }
  antlr4::TokenSource* getTokenSource() const override { return nullptr; }
  std::string getText() override { return {}; }
  std::string getText(const antlr4::misc::Interval&) override { return {}; }
  std::string getText(antlr4::RuleContext*) override { return {}; }
  std::string getText(antlr4::Token*, antlr4::Token*) override { return {}; }

 private:
  const Lexemes& lexemes_;
  size_t first_, at_;
  mutable std::deque<antlr4::CommonToken> made_;
};

}  // namespace hebb::parsing
