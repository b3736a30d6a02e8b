#pragma once
// Which trajectories of each run an experiment mentions, found before anything runs: only those are kept.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ast/ast.h"

namespace hebb {

struct Wanted {
  std::map<std::string, Span> whole;   // "Y.r", "w_mean": every step; where it is first mentioned
  std::map<std::string, Span> final;   // mentioned inside final(…): the last value
  std::vector<std::pair<const ast::Call*, std::string>> measures;   // mean_rate(sim.E.spike): the call, "E.spike"
  bool everything = false;             // the result itself is used: all of the network's records
};

/// What 'let', 'measure' and 'accept' have in common: a name for an expression.
struct Definition {
  ast::Name name;
  const ast::Expr* value = nullptr;
};
std::optional<Definition> definition_of(const ast::Action& action);

std::map<const ast::Run*, Wanted> wanted_recordings(const std::vector<ast::Action>& actions);

/// The expressions directly below one; all terms of a chain of infix operators.
std::vector<const ast::Expr*> children(const ast::Expr& expr);
/// The expressions an action is made of; of a block, those of its loops.
std::vector<const ast::Expr*> expressions(const ast::Action& action);

}  // namespace hebb
