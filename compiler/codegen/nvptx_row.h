#pragma once
// One row of a kernel as one thread computes it: parameters and addresses, nodes, sums, and how few registers it gets by with.
// Which rows a thread has is decided in nvptx_emit.cpp.

#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <map>
#include <set>

#include "compiler/codegen/emit_expr.h"
#include "compiler/codegen/nvptx_emit.h"
#include "compiler/codegen/row_plan.h"
#include "compiler/codegen/stages.h"

namespace hebb {

/// Reads of a kernel's rows beyond the first of each value, kept with the function.
inline constexpr const char* kRereadAttribute = "hebb-reread";

class ThreadRow {
 protected:
  using Value = llvm::Value;
  using Kind = DeviceParameter::Kind;

  ThreadRow(const DeviceProgram& device, KernelId id, Precision precision, ThreadTarget target, llvm::Module& module);

  // --- functions and their parameters ---
  llvm::Type* type_of(Kind kind);
  void open_gpu(llvm::Module& module);
  void open_host(llvm::Module& module);
  size_t find(const std::function<bool(const DeviceParameter&)>& is) const;
  bool has(Kind kind) const;
  Value* parameter(Kind kind) const;
  bool is_uniform(ColumnId column) const;
  /// Where element `element` of `column` begins, of this lane, `row` elements on (null: none).
  Value* address(ColumnId column, uint32_t element, Value* row);

  // --- nodes ---
  Value* wide(Value* index);
  /// The row of the domain that is being computed, as an index into its columns; null: of one.
  Value* self();
  NodeValue leaf(const ExprNode& node);
  NodeValue draw(const Leaf& leaf);
  void compute(const std::vector<uint32_t>& ids);
  NodeValue operation(const ExprNode& node);

  // --- registers ---
  /// Whether a store may change what the row is yet to read.
  bool comes_too_early(const Store& store) const;
  NodeValue value_of(ExprId id);
  void make(uint32_t id);
  /// Forgets what the row has read, once that is much. `made` was computed just now: addresses get a 0 made of its bits, so
  /// that nobody reads in advance or takes what was read before.
  void begin_stretch(const NodeValue& made);
  /// One round of a loop. Where registers are few, every address in it gets a 0 made of the loop's index (which has 31 bits, or
  /// 63): nobody then moves reads out of the loop, or keeps a pointer for each column that goes along.
  void round(Value* index, const std::function<void()>& body);

  // --- sums ---
  Value* variable(const std::string& name);
  Value* owner(const Accumulate& sum);
  void open(const Accumulate& sum, Value* row);
  /// The address is made of the sum as well, by a 0, so that it comes into being now and not before the loop.
  void close(const Accumulate& sum, Value* row);
  Value* bits_of(Value* number);
  void open_all(At at);
  void close_all(At at);
  Value* combine(const Accumulate& sum, Value* so_far);

  // --- rows ---
  /// The row at (pre_, post_, synapse_), whose neurons' nodes are there.
  void row();
  void put(const Store& store, const NodeValue& value);
  void add(const Accumulate& sum);
  void row_in_order();
  Value* any_column() const;
  Value* self_of(const Store& store);
  void at_pre(Value* pre);
  void at_post(Value* post);

  const Program& program_;
  const Kernel& kernel_;
  const DeviceKernel& device_;
  const ThreadTarget target_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> b_;
  const Stages stages_;
  const RowPlan plan_;
  const DeviceProgram& device_program_;
  const KernelId id_;
  const SpaceKind domain_;
  llvm::Type* real_ = nullptr;
  llvm::Type* pointer_ = nullptr;
  llvm::Function* function_ = nullptr;
  llvm::BasicBlock* exit_ = nullptr;
  std::vector<Value*> values_;              // of the parameters
  Value *block_x_ = nullptr, *block_y_ = nullptr, *block_z_ = nullptr, *blocks_y_ = nullptr, *thread_ = nullptr,
        *threads_ = nullptr;
  Value* lane_ = nullptr;                   // elements before this lane
  Value *pre_ = nullptr, *post_ = nullptr;  // of 32 bits
  Value* synapse_ = nullptr;                // of 64 bits
  std::vector<NodeValue> nodes_;            // by ExprId, at the present row
  std::map<uint32_t, NodeValue> row_reads_; // of what is read again: what the present stretch of the row has
  size_t reads_ = 0;                        // of memory, in this stretch
  size_t stretch_ = 0;                      // of the row
  std::vector<size_t> made_in_;             // by ExprId: the stretch
  std::set<uint32_t> first_reads_;          // what the row has read at all
  int again_ = 0;                           // reads of a row beyond these, and of what stays the same from row to row
  bool row_loop_ = false;
  bool in_row_ = false;
  Value* row_zero_ = nullptr;               // in a crowded row: a part of every address
  Value* first_zero_ = nullptr;             // where the row begins
  std::map<const Store*, NodeValue> held_;  // what is to be stored last
  std::map<const Accumulate*, Value*> sums_;
  std::map<uint32_t, Value*> running_;      // scans
};

}  // namespace hebb
