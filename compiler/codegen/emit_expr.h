#pragma once
// One node of an expression as LLVM instructions, on scalars; loops are vectorised later. Bits are
// those of the operator table.

#include <llvm/IR/IRBuilder.h>

#include <span>

#include "compiler/expr/operators.h"

namespace hebb {

/// What a node is worth. Comparisons and logic have both forms (the unused one is deleted later),
/// all else only a number.
struct NodeValue {
  llvm::Value* number = nullptr;
  llvm::Value* truth = nullptr;  // i1
};

/// `type` is float or double.
NodeValue emit_constant(llvm::Type* type, double value);
NodeValue emit_operation(llvm::IRBuilder<>& builder, Op op, std::span<const NodeValue> operands,
                         llvm::Type* type);

/// i1: it is not 0.
llvm::Value* truth_of(llvm::IRBuilder<>& builder, const NodeValue& value);

/// Op::Exprel for arguments near 0, in fewer instructions; and which those are.
llvm::Value* emit_exprel_near(llvm::IRBuilder<>& builder, llvm::Value* argument);
llvm::Value* is_exprel_near(llvm::IRBuilder<>& builder, llvm::Value* argument);

/// What a draw depends on; all 64-bit integers.
struct DrawSite {
  llvm::Value* key = nullptr;
  llvm::Value* step = nullptr;
  llvm::Value* element = nullptr;
  uint32_t site = 0, slot = 0;
};
/// Uniform in (0, 1): Philox4x32-10 of (key; element, slot, step, site).
NodeValue emit_draw(llvm::IRBuilder<>& builder, const DrawSite& site, llvm::Type* type);

}  // namespace hebb
