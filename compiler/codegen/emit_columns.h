#pragma once
// Dense kernels that read many values per post and only sum over presynaptic rows: one vector of posts goes through
// all rows before the next one, so that values and sums stay in registers. Sums keep their order, and so their bits.

#include <functional>

#include "compiler/codegen/alias_scopes.h"
#include "compiler/codegen/emit_expr.h"
#include "compiler/codegen/stages.h"

namespace hebb {

/// Whether that pays. `registers`: of the machine, each a vector of posts.
bool goes_by_columns(const Program& program, const Kernel& kernel, const Stages& stages, int registers);

struct ColumnLoops {
  const Program& program;
  const Kernel& kernel;
  const Stages& stages;
  llvm::IRBuilder<>& builder;
  llvm::Function* function;
  AliasScopes& aliases;
  llvm::Type* real;
  unsigned lanes;                                          // posts of a vector
  llvm::Value *row, *pre_begin, *pre_end;                  // of the launch
  std::function<llvm::Value*(ColumnId, uint32_t)> element; // where an element of a column begins
  std::function<NodeValue(ExprId)> uniform;                // nodes that are the same for all synapses
};
/// For posts from `begin` to `end`, a whole number of vectors.
void emit_columns(const ColumnLoops& loops, llvm::Value* begin, llvm::Value* end);

}  // namespace hebb
