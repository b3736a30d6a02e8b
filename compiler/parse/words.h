#pragma once
// Which words open a statement, and where each belongs.

#include <span>
#include <string_view>

#include "compiler/parse/lexemes.h"

namespace hebb::parsing {

/// What stands between braces, or the file itself.
enum class Block { File, Rule, Neuron, Network, Projection, Experiment, Handler };

struct Opener {
  std::string_view word;
  std::span<const Block> belongs_in;
  std::string_view place;  // "a rule or a neuron"
};

/// The row of a word that opens a statement somewhere, or null.
const Opener* opener(std::string_view word);
std::span<const Opener> all_openers();
bool opens_in(const Opener& opener, Block block);

/// "a rule", "a handler"
std::string_view block_name(Block block);
/// The block that a '{' opens whose statement begins with `first` inside `outer`.
Block block_of(std::string_view first, Block outer);

bool opens_item(const Lexeme& lexeme);

/// Words that are names unless they open a statement: 'let accept ~ …' is a task's own word.
void settle_soft_keywords(Lexemes& lexemes);
/// The same for one place, after a repair in front of it.
void settle_soft_keyword(Lexemes& lexemes, size_t at);
bool is_soft_keyword(std::string_view word);

}  // namespace hebb::parsing
