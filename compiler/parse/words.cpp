#include "compiler/parse/words.h"

#include <algorithm>

namespace hebb::parsing {
namespace {

constexpr Block kFile[] = {Block::File};
constexpr Block kAnywhere[] = {Block::File, Block::Rule, Block::Neuron, Block::Network};
constexpr Block kRule[] = {Block::Rule};
constexpr Block kNeuron[] = {Block::Neuron};
constexpr Block kRuleOrNeuron[] = {Block::Rule, Block::Neuron};
constexpr Block kModel[] = {Block::Rule, Block::Neuron, Block::Network};
constexpr Block kLet[] = {Block::Rule, Block::Neuron, Block::Experiment, Block::Handler};
constexpr Block kNetwork[] = {Block::Network};
constexpr Block kProjection[] = {Block::Projection};
constexpr Block kExperiment[] = {Block::Experiment};
constexpr Block kHandler[] = {Block::Handler};

constexpr std::string_view kTopLevel = "the file itself, outside all braces";
constexpr std::string_view kARuleOrNeuron = "a rule or a neuron";
constexpr std::string_view kAModel = "a rule, a neuron or a network";
constexpr std::string_view kAProjection = "the braces of a projection";
constexpr std::string_view kAnExperiment = "an experiment or a test";
constexpr std::string_view kAHandler = "the braces of 'on' or 'emit'";

constexpr Opener kOpeners[] = {
    {"import", kFile, kTopLevel},
    {"fun", kFile, kTopLevel},
    {"rule", kFile, kTopLevel},
    {"neuron", kFile, kTopLevel},
    {"network", kFile, kTopLevel},
    {"experiment", kFile, kTopLevel},
    {"test", kFile, kTopLevel},
    {"const", kAnywhere, "a file, a rule, a neuron or a network"},
    {"param", kRuleOrNeuron, kARuleOrNeuron},
    {"state", kRuleOrNeuron, kARuleOrNeuron},
    {"weight", kRule, "a rule"},
    {"signal", kModel, kAModel},
    {"event", kModel, kAModel},
    {"let", kLet, "a rule, a neuron, an experiment or a test"},
    {"reduce", kRule, "a rule"},
    {"stat", kRuleOrNeuron, kARuleOrNeuron},
    {"on", kRuleOrNeuron, kARuleOrNeuron},
    {"receive", kNeuron, "a neuron"},
    {"input", kNeuron, "a neuron"},
    {"emit", kNeuron, "a neuron"},
    {"refractory", kNeuron, "a neuron"},
    {"prune", kHandler, kAHandler},
    {"grow", kHandler, kAHandler},
    {"pop", kNetwork, "a network"},
    {"project", kNetwork, "a network"},
    {"record", kNetwork, "a network"},
    {"abort", kNetwork, "a network"},
    {"freeze", kNetwork, "a network"},
    {"connect", kProjection, kAProjection},
    {"init", kProjection, kAProjection},
    {"delay", kProjection, kAProjection},
    {"drive", kProjection, kAProjection},
    {"bind", kProjection, kAProjection},
    {"print", kExperiment, kAnExperiment},
    {"plot", kExperiment, kAnExperiment},
    {"save", kExperiment, kAnExperiment},
    {"assert", kExperiment, kAnExperiment},
    {"fit", kExperiment, kAnExperiment},
    {"search", kExperiment, kAnExperiment},
    {"measure", kExperiment, kAnExperiment},
    {"accept", kExperiment, kAnExperiment},
};

constexpr std::string_view kSoft[] = {"print",  "plot",    "save",   "assert", "fit",
                                      "search", "measure", "accept", "freeze", "abort",
                                      "prune",  "grow",    "record"};

/// Behind a soft keyword these show that it is used as a name.
constexpr std::string_view kBehindName[] = {"'", "=", "+=", "-=", ":=", ".", ",", ")", "]", ";"};

}  // namespace

const Opener* opener(std::string_view word) {
  const auto found = std::ranges::find(kOpeners, word, &Opener::word);
  return found == std::end(kOpeners) ? nullptr : found;
}

std::span<const Opener> all_openers() { return kOpeners; }

bool opens_in(const Opener& opener, Block block) {
  return std::ranges::count(opener.belongs_in, block) > 0;
}

std::string_view block_name(Block block) {
  switch (block) {
    case Block::File: return "the top level";
    case Block::Rule: return "a rule";
    case Block::Neuron: return "a neuron";
    case Block::Network: return "a network";
    case Block::Projection: return "a projection";
    case Block::Experiment: return "an experiment or a test";
    case Block::Handler: return "a handler";
  }
  return {};
}

Block block_of(std::string_view first, Block outer) {
  if (first == "rule") return Block::Rule;
  if (first == "neuron") return Block::Neuron;
  if (first == "network") return Block::Network;
  if (first == "experiment" || first == "test") return Block::Experiment;
  if (first == "project") return Block::Projection;
  if (first == "on" || first == "emit") return Block::Handler;
  return outer;
}

bool opens_item(const Lexeme& lexeme) {
  if (lexeme.kind != LexKind::Keyword) return false;
  const Opener* row = opener(lexeme.text);
  return row && row->place == kTopLevel;
}

bool is_soft_keyword(std::string_view word) { return std::ranges::count(kSoft, word) > 0; }

void settle_soft_keyword(Lexemes& lexemes, size_t at) {
  Lexeme& word = lexemes[at];
  if (!word.is_word() || !is_soft_keyword(word.text)) return;
  const bool opens = at == 0 || lexemes[at - 1].is(";") || lexemes[at - 1].is("{") || lexemes[at - 1].is("}");
  const bool used =
      at + 1 < lexemes.size() && std::ranges::count(kBehindName, lexemes[at + 1].text) > 0;
  word.kind = opens && !used ? LexKind::Keyword : LexKind::Name;
}

void settle_soft_keywords(Lexemes& lexemes) {
  for (size_t i = 0; i < lexemes.size(); ++i) settle_soft_keyword(lexemes, i);
}

}  // namespace hebb::parsing
