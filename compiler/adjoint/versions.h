#pragma once
// A step that does not overwrite the states it was given.

#include <map>
#include <set>
#include <span>

#include "compiler/program/program.h"

namespace hebb {

/// A column as wide as another and in its space.
ColumnId add_like(Program& program, ColumnId like, std::string name, Role role);

/// The states that kernels store to.
std::set<ColumnId> states_stored(const Program& program, std::span<const KernelId> kernels);

/// Rewrites flavours of a step so that every store to a state goes to a version of its own, the last
/// one to the state's `next`.
class Versions {
 public:
  /// `stored`: the states that some flavour stores to; each gets one `next` for all flavours.
  Versions(Program& program, const std::set<ColumnId>& stored);

  /// Where a step leaves a state: in its own column when nothing stores to it.
  ColumnId next(ColumnId state) const;

  std::vector<KernelId> rewrite(const std::vector<KernelId>& kernels);

 private:
  Kernel redirect_loads(Kernel kernel, const std::map<ColumnId, ColumnId>& current);
  void redirect_stores(Kernel& kernel, ColumnId column, ColumnId before, ColumnId version);
  KernelId copy_kernel(ColumnId from, ColumnId to);

  Program& program_;
  std::map<ColumnId, ColumnId> next_;
};

}  // namespace hebb
