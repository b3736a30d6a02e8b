#pragma once
// Equal computations of a synapse, each with numbers of its own, whose results are summed up one after another, as those of the hidden
// units of a rule that is a network:
//   s = p[n-1] * f(x, q[n-1]) + (… + (p[1] * f(x, q[1]) + p[0] * f(x, q[0])))
// Written out they are code that no machine keeps decoded; a loop over them is short.

#include <functional>
#include <vector>

#include "compiler/expr/pool.h"

namespace hebb {

struct Strands {
  struct Operand {
    enum class Kind { Step, Number, Same };
    Kind kind = Kind::Same;
    uint32_t index = 0;      // of a step; of a number; of a node that is the same for all strands
  };
  struct Step {
    Op op = Op::Const;
    std::vector<Operand> operands;
  };
  struct Sum {
    uint32_t result = 0;     // the node that is the whole sum
    ExprId start;            // what it begins with; invalid: nothing
    uint32_t factor = 0;     // the number that a strand's result is multiplied with
  };
  std::vector<Step> steps;                    // of one strand, operands first; the last one is its result
  std::vector<std::vector<ExprId>> numbers;   // by strand: what is not computed for each synapse
  std::vector<uint32_t> shared;               // what is, outside: the same for all strands
  std::vector<Sum> sums;
  size_t count() const { return numbers.size(); }
};

/// Operands before what needs them. `live`: by ExprId. `varies`: whether a node has a value for each synapse. `roots`: nodes that are
/// wanted as such.
std::vector<Strands> find_strands(const ExprPool& pool, const std::vector<bool>& live, const std::function<bool(uint32_t)>& varies,
                                  const std::vector<ExprId>& roots);

}  // namespace hebb
