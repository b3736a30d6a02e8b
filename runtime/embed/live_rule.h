#pragma once
// The description that objects carry as a constant (block.h), made at run time over kernels in memory.

#include <memory>
#include <mutex>
#include <vector>

#include "compiler/embed/unit.h"
#include "runtime/embed/block.h"

namespace hebb {

/// A hebb_block_rule and all that its pointers point to.
class LiveBlock {
 public:
  using Lists = std::vector<std::vector<KernelId>>;
  /// `program` has the columns of the unit's own first. `touched`: launches may be of single rows and columns.
  static Result<std::unique_ptr<LiveBlock>> create(const EmbedUnit& unit, const Program& program, const Lists& lists, bool touched);
  LiveBlock(const LiveBlock&) = delete;
  LiveBlock& operator=(const LiveBlock&) = delete;
  const hebb_block_rule& rule() const { return rule_; }

 private:
  explicit LiveBlock(Kernels kernels) : code_(std::move(kernels)) {}
  void describe(const EmbedUnit& unit, const Program& program, const Lists& lists, bool touched);

  Kernels code_;
  std::vector<hebb_kernel> kernels_;
  std::vector<hebb_block_column> columns_;
  std::vector<hebb_block_input> inputs_;
  std::vector<hebb_block_clock> clocks_;
  std::vector<hebb_block_launch> launches_[HEBB_LISTS];
  hebb_block_rule rule_{};
};

class LiveRule {
 public:
  static Result<std::unique_ptr<LiveRule>> create(EmbedUnit unit);

  const EmbedUnit& unit() const { return unit_; }
  const hebb_block_rule& rule() const { return block_->rule(); }
  const InputLayout& inputs() const { return layout_; }
  /// Compiled when it is first asked for; lives as long as the rule. Any thread may ask.
  Result<const hebb_block_gradient*> gradient();

 private:
  LiveRule(EmbedUnit unit, std::unique_ptr<LiveBlock> block);

  EmbedUnit unit_;
  InputLayout layout_;
  std::unique_ptr<LiveBlock> block_;

  std::mutex gradient_mutex_;
  std::unique_ptr<LiveBlock> reverse_;
  std::vector<hebb_block_bar> bars_;
  std::vector<int32_t> shared_;
  hebb_block_gradient gradient_{};
};

}  // namespace hebb
