#pragma once
// Emits one kernel: what emit_llvm.cpp (the launch), emit_nodes.cpp (values and memory), emit_loops.cpp (loops, neurons),
// emit_dense.cpp and emit_sparse.cpp (synapses) share.

#include <llvm/IR/Module.h>

#include <functional>
#include <map>
#include <set>

#include "compiler/codegen/alias_scopes.h"
#include "compiler/codegen/emit_expr.h"
#include "compiler/codegen/emit_llvm.h"
#include "compiler/codegen/rounds.h"
#include "compiler/codegen/stages.h"
#include "compiler/codegen/strands.h"
#include "compiler/support/text.h"

namespace hebb::emitting {

using llvm::Value;

/// Element `element` of a column; what a pointer or a running value belongs to.
struct Place {
  ColumnId column;
  uint32_t element = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

class KernelEmitter {
 public:
  KernelEmitter(const Program& program, KernelId id, const EmitOptions& options,
                llvm::Module& module);
  void emit();

 private:
  // Where in its loops the emitter stands.
  struct RowValues {
    Value* index = nullptr;                   // of the presynaptic neuron
    Value* synapse = nullptr;                 // sparse: its number
    std::vector<NodeValue> nodes;             // by ExprId: pre and row level
    std::map<Place, Value*> pointers;         // start of this row of a dense column
  };

  struct LaunchValues {
    Value *row, *pre_begin, *pre_end, *post_begin, *post_end, *post_count, *key, *step;
    Value *columns, *planes;
    Value *row_begin, *row_end, *post_index, *column_begin, *synapse, *pre_index;  // sparse
    Value *list, *list_begin, *list_end;
  };

  static Place place(const Accumulate& sum) { return {sum.into, sum.element}; }

  // --- the launch ---

  Value* field(llvm::Type* type, size_t offset, const char* name);
  void read_launch();
  /// Whole launches of a program whose sizes are those of the run.
  void know_sizes();
  static int64_t padded(int64_t rows) { return (rows + 15) / 16 * 16; }
  /// Elements between two planes of a column.
  Value* plane(ColumnId column, const std::string& name);
  Value* at_index(Value* array, llvm::Type* type, uint64_t index, const std::string& name);
  /// Start of one element's plane; computed in the entry block, once.
  Value* element_pointer(const Place& place);

  // --- memory ---

  Value* load(Value* pointer, ColumnId column, int row = 0);
  void store(Value* value, Value* pointer, ColumnId column, int row = 0);
  void note_parallel(llvm::Instruction* access);
  Value* offset(Value* pointer, Value* index);
  /// The element of this row: (i, j), neuron j, or the only one.
  Value* self_pointer(const Place& place, Value* post, RowValues& row);

  // --- nodes ---

  const NodeValue& value(ExprId id, const RowValues& row) const;
  void set_value(uint32_t id, NodeValue value, RowValues& row);
  NodeValue leaf_value(const ExprNode& node, Value* post, RowValues& row, int lane);
  NodeValue draw(const Leaf& leaf, Value* post, const RowValues& row);
  void compute(uint32_t id, Value* post, RowValues& row, int lane);
  void shared_nodes(const std::vector<uint32_t>& ids, Value* post = nullptr);

  // --- running values: sums that go on from row to row ---

  Value* combine(const Accumulate& sum, Value* so_far, const RowValues& row);
  /// Fast mode may regroup sums, and nothing else.
  struct ReductionFlags {
    explicit ReductionFlags(KernelEmitter& emitter) : guard(emitter.b_) {
      if (emitter.options_.math == MathMode::Exact) return;
      llvm::FastMathFlags flags;
      flags.setAllowContract();
      flags.setAllowReassoc();
      flags.setNoSignedZeros();
      emitter.b_.setFastMathFlags(flags);
    }
    llvm::IRBuilderBase::FastMathFlagGuard guard;
  };
  Value* variable(const std::string& name, llvm::Type* type = nullptr);
  Value*& running(ColumnId column, uint32_t element, int lane);
  void open_running(const Accumulate& sum, int lane, Value* pointer);
  void close_running(const Accumulate& sum, int lane, Value* pointer);
  void add_to_running(const Accumulate& sum, int lane, const RowValues& row);

  // --- rows ---

  /// All rows of a block at one post: what is per post once, then row after row.
  void emit_row_block(Value* post, std::vector<RowValues> rows, int count);
  Value* advance(const Scan& scan, int lane, const RowValues& row,
                 std::map<Place, Value*>& per_post);

  // --- loops ---

  bool has_sum(At at) const;
  bool has_scan(At along) const;
  /// Whether something is carried from post to post.
  bool is_chain() const { return has_sum(At::Pre) || has_sum(At::Uniform) || has_scan(At::Post); }
  /// for (index = begin; index < end; index += step) body(index)
  void loop(const char* name, Value* begin, Value* end, Value* step,
            const std::function<void(Value*)>& body, llvm::MDNode* hints = nullptr);
  /// Asks for full-width vectors: iterations are independent. Never for a chain: the vectoriser would
  /// take the request as leave to reorder a sum. Masked: the last few are a vector too.
  llvm::MDNode* vector_hints(bool masked = false);
  void emit_post_loop(const std::vector<RowValues>& rows, int count, Value* begin, Value* end);

  // --- neurons ---

  /// Voltages rarely move far in a step, and then (e^z - 1) / z is a short polynomial: where that holds for
  /// every neuron of a chunk, only that is computed.
  void emit_neurons();
  /// So few that they are one or two vectors when their padding is computed too.
  bool few_neurons() const;
  Value* neurons_end();
  /// Sums over a few neurons: what is added is computed for all of them at once, then added neuron by neuron.
  void emit_few_neurons();
  /// One of two bodies, and on.
  void emit_either(Value* condition, const std::function<void(bool)>& body);
  /// A stack slot that is 0.
  Value* flag();
  /// Not 0 when an argument of some neuron from `begin` on is not near 0.
  Value* emit_far(const std::vector<ExprId>& arguments, Value* begin, Value* end);

  // --- dense ---

  /// Posts up to the padding when nothing sees what is computed there: no remainder loop runs.
  Value* padded_end();
  void emit_dense();
  int registers() const;
  /// One vector of posts through all rows.
  void emit_by_columns(Value* begin, Value* end);
  /// A matrix of a few times the second-level cache is walked in tiles of posts, in turns from the left
  /// and from the right: half of it is still there from the step before. Others in one tile.
  Value* cache_tile(Value* begin, Value* end);
  int64_t matrix_bytes() const;
  int64_t dense_places() const;
  void emit_tiles(Value* begin, Value* end, Value* tile, bool to_and_fro);
  void clear_scratch(Value* begin, Value* end);
  Value* scratch_pointer(const Scan& scan, Value* post);
  /// Presynaptic rows, several together, then the few that are left.
  void emit_rows(Value* post_begin, Value* post_end);
  void emit_pre(Value* pre, int count, Value* post_begin, Value* post_end);

  // --- synapses of sparse spaces ---

  Value* index_at(Value* array, Value* at, unsigned bits, const char* name);
  unsigned index_bits(SpaceId neurons) const;
  /// No two synapses of one neuron share another: those of a neuron may be computed together where the
  /// machine can gather and scatter, unless something is summed over them.
  llvm::MDNode* synapse_hints();
  /// Whether vectors are worth what they take from and give to memory one number at a time.
  bool gathers_pay() const;
  /// Synapses of a neuron of the side whose synapses are looked at, roughly.
  double expected_row() const;
  /// Whether it is computed anew for each synapse of a row, or of a column when something mentions its neurons.
  bool is_of_synapse(uint32_t id) const;
  /// Finds the order in which few values of a long synapse exist at once.
  void order_long_synapse();
  void emit_sparse();
  /// The rows of spiking neurons lie anywhere in memory: they are asked for before their turn.
  void fetch_row(Value* at);
  void emit_synapses_of_pre(Value* pre);
  void emit_synapses(Value* begin, Value* end, RowValues& row);
  /// Not 0 when one of these synapses needs one of the rare arms.
  Value* emit_rare(Value* begin, Value* end, RowValues& of_pre);
  /// Computes the result of the rounds for these synapses, at most kRoundChunk.
  static constexpr int64_t kRoundChunk = 32;
  void emit_rounds(Value* begin, Value* end, RowValues& of_pre);
  NodeValue after_rounds(const RowValues& row);
  void emit_synapses_of_post(Value* post);

  // --- synapses side by side ---

  /// Long ones where vectors can neither gather nor scatter.
  bool is_packed() const;
  /// Whether a node has a value for each synapse of a row or column.
  bool varies(uint32_t id) const;
  /// What stores and sums take, and varies.
  std::vector<ExprId> packed_results() const;
  void find_strands();
  /// Lays down those numbers of strands that are the same for all rows, or for this one.
  void keep_numbers(bool of_row, const RowValues& row);
  /// Stack array of a node.
  Value* side_by_side(uint32_t id);
  Value* read_packed(uint32_t id, Value* k);
  void write_packed(uint32_t id, Value* k, Value* value);
  /// What some nodes need of what is not `there`.
  struct Wanted {
    const std::set<uint32_t>* there;
    std::set<uint32_t> nodes = {};
    std::vector<uint32_t> leaves = {};
    std::set<size_t> strands = {};
  };
  void want(uint32_t id, Wanted& wanted) const;
  void packed_loop(const char* name, Value* padded, const std::function<void(Value*)>& body);
  void compute_packed(const std::vector<ExprId>& results, Value* padded, const RowValues& of_row, std::set<uint32_t>& there);
  void emit_strands(size_t which, Value* padded, const RowValues& of_row);
  /// Synapses begin … end of a row, or of the column of `post`; and at most so many as are laid side by side.
  void emit_in_packs(Value* begin, Value* end, Value* post, RowValues& of_row);
  void emit_packed(Value* begin, Value* end, Value* post, const RowValues& of_row);

  /// Asks for what synapses begin … end of a column read and write.
  void fetch_synapses(Value* begin, Value* end);
  std::vector<Place> self_loads() const;
  /// Where this row of each dense column that the kernel touches begins.
  void find_rows(RowValues& row);

  const Program& program_;
  const Kernel& kernel_;
  const EmitOptions& options_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> b_;
  AliasScopes aliases_;
  const Rounds rounds_;
  const Stages stages_;
  const RareArms rare_;
  const DenseLayout layout_;
  std::vector<uint32_t> long_order_;                       // of a long synapse: all that is computed for it; else empty
  const SpaceKind domain_;
  llvm::Type* real_ = nullptr;
  llvm::Function* function_ = nullptr;
  LaunchValues launch_{};
  std::map<Place, Value*> element_pointers_;
  std::vector<NodeValue> shared_;                          // by ExprId: uniform and post level
  std::map<std::pair<Place, int>, Value*> running_;        // stack slots, by lane
  std::map<uint32_t, Value*> scratch_;                     // per post, of scans along Pre
  Value* tile_begin_ = nullptr;
  bool near_ = false;                                      // all arguments of exprel are
  bool none_is_rare_ = false;                              // no synapse being emitted needs a rare arm
  Value* flag_ = nullptr;                                  // stack slot
  Value *round_value_ = nullptr, *round_count_ = nullptr, *round_post_ = nullptr;  // stack slots, of a chunk of synapses
  Value* rounds_begin_ = nullptr;                          // the first synapse of that
  std::vector<Strands> strands_;
  std::map<uint32_t, size_t> strands_of_;                  // by node: which of them have it as a sum
  std::vector<Value*> numbers_;                            // stack arrays, by strands
  std::map<uint32_t, Value*> side_by_side_;                // stack arrays, by node
  llvm::MDNode* parallel_ = nullptr;                       // access group of the loop being emitted
};

}  // namespace hebb::emitting
