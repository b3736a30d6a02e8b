#pragma once
// Tells LLVM which memory accesses of a kernel cannot meet.

#include <llvm/IR/Instruction.h>
#include <llvm/IR/MDBuilder.h>

#include <map>
#include <utility>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// Columns, and the rows of a dense column that are computed together, do not overlap: each gets a
/// scope, and an access of one is declared free of all others.
class AliasScopes {
 public:
  explicit AliasScopes(llvm::LLVMContext& context) : builder_(context), context_(context) {
    domain_ = builder_.createAnonymousAliasScopeDomain("columns");
  }

  void note(llvm::Instruction* access, ColumnId column, int row) {
    accesses_.push_back({access, {column.value, row}});
    scopes_.try_emplace({column.value, row}, nullptr);
  }

  void attach() {
    std::vector<llvm::Metadata*> all;
    for (auto& [key, scope] : scopes_) {
      scope = builder_.createAnonymousAliasScope(domain_);
      all.push_back(scope);
    }
    std::map<Key, llvm::MDNode*> others;
    for (const auto& [key, scope] : scopes_) {
      std::vector<llvm::Metadata*> list;
      for (llvm::Metadata* other : all)
        if (other != scope) list.push_back(other);
      others[key] = llvm::MDNode::get(context_, list);
    }
    for (const auto& [access, key] : accesses_) {
      access->setMetadata(llvm::LLVMContext::MD_alias_scope,
                          llvm::MDNode::get(context_, {scopes_[key]}));
      access->setMetadata(llvm::LLVMContext::MD_noalias, others[key]);
    }
  }

 private:
  using Key = std::pair<uint32_t, int>;
  llvm::MDBuilder builder_;
  llvm::LLVMContext& context_;
  llvm::MDNode* domain_;
  std::map<Key, llvm::MDNode*> scopes_;
  std::vector<std::pair<llvm::Instruction*, Key>> accesses_;
};

}  // namespace hebb
