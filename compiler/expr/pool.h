#pragma once
// All arithmetic of a model or a program: a hash-consed, append-only pool of operations. Operands
// have smaller ids than the node that uses them, so every analysis is one loop over the pool.
// Numbers are doubles; truth values are 0 and 1. Arrays do not exist here: they are unrolled before.

#include <cassert>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "compiler/expr/operators.h"

namespace hebb {

struct ExprId {
  uint32_t value = UINT32_MAX;
  bool valid() const { return value != UINT32_MAX; }
  friend bool operator==(ExprId, ExprId) = default;
  friend auto operator<=>(ExprId, ExprId) = default;
};

/// Index into Model::variables.
struct VarId {
  uint32_t value = UINT32_MAX;
  bool valid() const { return value != UINT32_MAX; }
  friend bool operator==(VarId, VarId) = default;
  friend auto operator<=>(VarId, VarId) = default;
};

/// Index into Program::columns.
struct ColumnId {
  uint32_t value = UINT32_MAX;
  bool valid() const { return value != UINT32_MAX; }
  friend bool operator==(ColumnId, ColumnId) = default;
  friend auto operator<=>(ColumnId, ColumnId) = default;
};

/// Which element of a column a row reads. Fixed: number `element` of a neurons column in the order
/// [row][element of the array], whichever row is being computed.
enum class At : uint8_t { Self, Pre, Post, Uniform, Fixed };

/// What a leaf reads: `Op::Var` (in a Model), `Op::Load` (in a Program), `Op::Draw`.
struct Leaf {
  uint32_t index = 0;    // Var: VarId; Load: ColumnId; Draw: site
  uint32_t element = 0;  // Var, Load: element of a small array, row-major; Draw: slot (0, 1)
  At at = At::Self;      // Load only
  friend bool operator==(const Leaf&, const Leaf&) = default;
};

struct ExprNode {
  Op op = Op::Const;
  uint8_t count = 0;                 // operands in use
  ExprId operands[3];
  double value = 0;                  // Const only; compared by bits
  Leaf leaf;                         // Var, Load, Draw only
};

class ExprPool {
 public:
  ExprId constant(double value);
  ExprId variable(VarId var, uint32_t element = 0);
  ExprId load(ColumnId column, At at, uint32_t element = 0);
  ExprId draw(uint32_t site, uint32_t slot);
  /// The step of the grid, `dt`, in ms: becomes a load of the uniform column "dt" in a Program.
  ExprId dt();

  /// The node as asked for, nothing rewritten except exact foldings of constants.
  ExprId make(Op op, ExprId a);
  ExprId make(Op op, ExprId a, ExprId b);
  ExprId make(Op op, ExprId a, ExprId b, ExprId c);

  ExprId add(ExprId a, ExprId b) { return make(Op::Add, a, b); }
  ExprId sub(ExprId a, ExprId b) { return make(Op::Sub, a, b); }
  ExprId mul(ExprId a, ExprId b) { return make(Op::Mul, a, b); }
  ExprId div(ExprId a, ExprId b) { return make(Op::Div, a, b); }
  ExprId neg(ExprId a) { return make(Op::Neg, a); }
  ExprId select(ExprId condition, ExprId yes, ExprId no) { return make(Op::Select, condition, yes, no); }

  /// By value: the pool may grow and move.
  ExprNode operator[](ExprId id) const { assert(id.value < nodes_.size()); return nodes_[id.value]; }
  uint32_t size() const { return static_cast<uint32_t>(nodes_.size()); }
  bool is_constant(ExprId id) const { return (*this)[id].op == Op::Const; }
  bool is_constant(ExprId id, double value) const { return is_constant(id) && (*this)[id].value == value; }

 private:
  ExprId intern(const ExprNode& node);

  struct Hash { size_t operator()(const ExprNode& node) const; };
  struct Same { bool operator()(const ExprNode& a, const ExprNode& b) const; };
  std::vector<ExprNode> nodes_;
  std::unordered_map<ExprNode, uint32_t, Hash, Same> index_;
};

/// Every node some root needs, in increasing order: operands before results. Invalid roots are skipped.
/// The cost follows the number of such nodes, not the size of the pool (but for one bit each).
std::vector<ExprId> nodes_below(const ExprPool& pool, std::span<const ExprId> roots);
/// live[i] is true for every node some root needs.
std::vector<bool> live_nodes(const ExprPool& pool, const std::vector<ExprId>& roots);

}  // namespace hebb
