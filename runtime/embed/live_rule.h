#pragma once
// The description that objects carry as a constant (block.h), made at run time over kernels in memory.

#include <memory>
#include <vector>

#include "compiler/embed/unit.h"
#include "runtime/embed/block.h"

namespace hebb {

class LiveRule {
 public:
  static Result<std::unique_ptr<LiveRule>> create(EmbedUnit unit);
  LiveRule(const LiveRule&) = delete;
  LiveRule& operator=(const LiveRule&) = delete;

  const EmbedUnit& unit() const { return unit_; }
  const hebb_block_rule& rule() const { return rule_; }
  const InputLayout& inputs() const { return layout_; }

 private:
  LiveRule(EmbedUnit unit, Kernels kernels);
  void describe();

  EmbedUnit unit_;
  Kernels code_;
  InputLayout layout_;
  std::vector<hebb_kernel> kernels_;
  std::vector<hebb_block_column> columns_;
  std::vector<hebb_block_input> inputs_;
  std::vector<hebb_block_clock> clocks_;
  std::vector<hebb_block_launch> launches_[HEBB_LISTS];
  hebb_block_rule rule_{};
};

}  // namespace hebb
