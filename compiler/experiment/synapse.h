#pragma once
// The program behind protocol(…): one synapse of a rule, or of a sum of rules, with parameters set.

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/evaluate.h"
#include "compiler/program/program.h"

namespace hebb {

struct Synapse {
  std::shared_ptr<const Program> program;
  std::string name;                                 // of the rule, for messages
  std::string weight;                               // "w"; empty: the rule has none
  std::map<std::string, MaybeDimension> dimensions; // of its variables, "pre.r" included
  bool uses_steps = false;                          // an `on step`: one grid step is one update
};

/// The rule expression of a protocol: 'Triplet(A3p = 5e-3) + Decay'. Reports what is wrong with it.
std::shared_ptr<const Synapse> make_synapse(Evaluation& e, const ast::Expr& rule);

}  // namespace hebb
