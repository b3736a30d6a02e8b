#include "compiler/codegen/emit_llvm.h"

#include <llvm/IR/Module.h>

#include <functional>
#include <map>

#include "compiler/codegen/alias_scopes.h"
#include "compiler/codegen/emit_columns.h"
#include "compiler/codegen/emit_expr.h"
#include "compiler/codegen/stages.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

using llvm::Value;

/// Element `element` of a column; what a pointer or a running value belongs to.
struct Place {
  ColumnId column;
  uint32_t element = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

/// The columns of one posts loop are walked in tiles of this many posts when a running sum per post has
/// to be kept on the stack.
constexpr int64_t kScratchPosts = 512;

/// Synapses of a neuron from which on vectors of them pay; and where each takes so many multiply-adds.
constexpr double kShortRow = 64, kShortLongRow = 4;
constexpr int kLongSynapse = 100;

/// Rows of spiking neurons that are asked for before they are computed.
constexpr int64_t kRowsAhead = 2;

/// Synapses of a row for which it is decided together whether some post neuron spikes; a multiple of every vector.
constexpr int64_t kSynapseChunk = 64;

/// Neurons for which it is decided together how to compute; a multiple of every vector.
constexpr int64_t kChunk = 512;

/// Bytes of a matrix for which tiles pay, and how many posts they have; measured with bench/.
constexpr int64_t kCacheTileFrom = 1 << 20, kCacheTileTo = 16 << 20, kCacheTilePosts = 128;

class KernelEmitter {
 public:
  KernelEmitter(const Program& program, KernelId id, const EmitOptions& options,
                llvm::Module& module)
      : program_(program), kernel_(program[id]), options_(options), module_(module),
        context_(module.getContext()), b_(context_), aliases_(context_),
        stages_(stages(program, kernel_)), rare_(rare_arms(program, kernel_, stages_)),
        layout_(dense_layout(program, kernel_, stages_, options.vector_bits == 512 ? 32 : 16, options.whole)),
        domain_(program[kernel_.domain].kind) {
    real_ = options.precision == Precision::Float32 ? b_.getFloatTy() : b_.getDoubleTy();
    shared_.resize(program.pool.size());
    if (options.math == MathMode::Fast) {
      llvm::FastMathFlags flags;
      flags.setAllowContract();
      b_.setFastMathFlags(flags);
    }
    function_ = llvm::Function::Create(
        llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy()}, false),
        llvm::Function::ExternalLinkage, kernel_symbol(program, id), module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr("prefer-vector-width", std::to_string(options.vector_bits));
    function_->addParamAttr(0, llvm::Attribute::NoAlias);
    function_->addParamAttr(0, llvm::Attribute::ReadOnly);
    function_->getArg(0)->setName("launch");
  }

  void emit() {
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function_));
    read_launch();
    shared_nodes(stages_.uniform);
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Uniform) open_running(sum, 0, element_pointer(place(sum)));
    switch (domain_) {
      case SpaceKind::Uniform: emit_row_block(nullptr, {}, 1); break;
      case SpaceKind::Neurons: emit_neurons(); break;
      case SpaceKind::Dense: emit_dense(); break;
      case SpaceKind::Sparse: emit_sparse(); break;
    }
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Uniform) close_running(sum, 0, element_pointer(place(sum)));
    b_.CreateRetVoid();
    aliases_.attach();
  }

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

  Value* field(llvm::Type* type, size_t offset, const char* name) {
    // Two pointers come first, then numbers of 64 bits; sparse kernels are made for this machine only.
    constexpr size_t kPointers = 2 * sizeof(void*);
    if (options_.pointer_bytes == 4) offset = offset < kPointers ? offset / 2 : offset - kPointers / 2;
    Value* pointer = b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), function_->getArg(0), offset);
    llvm::LoadInst* load = b_.CreateLoad(type, pointer, name);
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
    return load;
  }

  void read_launch() {
    const auto whole = [&](size_t offset, const char* name) {
      return field(b_.getInt64Ty(), offset, name);
    };
    launch_.columns = field(b_.getPtrTy(), offsetof(hebb_launch, columns), "columns");
    launch_.planes = field(b_.getPtrTy(), offsetof(hebb_launch, planes), "planes");
    launch_.row = whole(offsetof(hebb_launch, row), "row");
    launch_.pre_begin = whole(offsetof(hebb_launch, pre_begin), "pre_begin");
    launch_.pre_end = whole(offsetof(hebb_launch, pre_end), "pre_end");
    launch_.post_begin = whole(offsetof(hebb_launch, post_begin), "post_begin");
    launch_.post_end = whole(offsetof(hebb_launch, post_end), "post_end");
    launch_.post_count = whole(offsetof(hebb_launch, post_count), "post_count");
    if (options_.whole && domain_ != SpaceKind::Sparse) know_sizes();
    launch_.key = whole(offsetof(hebb_launch, key), "key");
    launch_.step = whole(offsetof(hebb_launch, step), "step");
    if (domain_ != SpaceKind::Sparse && kernel_.rows == Rows::All) return;
    const auto array = [&](size_t offset, const char* name) {
      return field(b_.getPtrTy(), offset, name);
    };
    launch_.row_begin = array(offsetof(hebb_launch, row_begin), "row_begin");
    launch_.row_end = array(offsetof(hebb_launch, row_end), "row_end");
    launch_.post_index = array(offsetof(hebb_launch, post_index), "post_index");
    launch_.column_begin = array(offsetof(hebb_launch, column_begin), "column_begin");
    launch_.synapse = array(offsetof(hebb_launch, synapse), "synapse");
    launch_.pre_index = array(offsetof(hebb_launch, pre_index), "pre_index");
    launch_.list = array(offsetof(hebb_launch, list), "list");
    launch_.list_begin = whole(offsetof(hebb_launch, list_begin), "list_begin");
    launch_.list_end = whole(offsetof(hebb_launch, list_end), "list_end");
  }

  /// Whole launches of a program whose sizes are those of the run.
  void know_sizes() {
    const Space& domain = program_[kernel_.domain];
    const bool dense = domain.kind == SpaceKind::Dense;
    const int64_t posts = dense ? program_[domain.post].size : domain.size;
    launch_.row = b_.getInt64(dense ? padded(posts) : 0);
    launch_.pre_begin = launch_.post_begin = b_.getInt64(0);
    launch_.pre_end = b_.getInt64(dense ? program_[domain.pre].size : 1);
    launch_.post_end = launch_.post_count = b_.getInt64(posts);
  }

  static int64_t padded(int64_t rows) { return (rows + 15) / 16 * 16; }

  /// Elements between two planes of a column.
  Value* plane(ColumnId column, const std::string& name) {
    const Space& space = program_[program_[column].space];
    if (options_.whole && space.kind == SpaceKind::Neurons) return b_.getInt64(padded(space.size));
    if (options_.whole && space.kind == SpaceKind::Dense)
      return b_.getInt64(program_[space.pre].size * padded(program_[space.post].size));
    return at_index(launch_.planes, b_.getInt64Ty(), column.value, name + ".plane");
  }

  Value* at_index(Value* array, llvm::Type* type, uint64_t index, const std::string& name) {
    Value* pointer = b_.CreateConstInBoundsGEP1_64(type, array, index);
    llvm::LoadInst* load = b_.CreateLoad(type, pointer, name);
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
    return load;
  }

  /// Start of one element's plane; computed in the entry block, once.
  Value* element_pointer(const Place& place) {
    if (const auto known = element_pointers_.find(place); known != element_pointers_.end())
      return known->second;
    const llvm::IRBuilderBase::InsertPointGuard guard(b_);
    if (llvm::Instruction* end = function_->getEntryBlock().getTerminator())
      b_.SetInsertPoint(end);
    const std::string& name = program_[place.column].name;
    Value* pointer = at_index(launch_.columns, b_.getPtrTy(), place.column.value, name);
    if (place.element != 0) {
      Value* offset = b_.getInt64(place.element);
      if (program_[program_[place.column].space].kind != SpaceKind::Uniform)
        offset = b_.CreateNSWMul(offset, plane(place.column, name));
      pointer = b_.CreateInBoundsGEP(real_, pointer, offset, name);
    }
    return element_pointers_[place] = pointer;
  }

  // --- memory ---

  Value* load(Value* pointer, ColumnId column, int row = 0) {
    llvm::LoadInst* load = b_.CreateLoad(real_, pointer, program_[column].name);
    aliases_.note(load, column, row);
    note_parallel(load);
    return load;
  }

  void store(Value* value, Value* pointer, ColumnId column, int row = 0) {
    llvm::StoreInst* store = b_.CreateStore(value, pointer);
    aliases_.note(store, column, row);
    note_parallel(store);
  }

  void note_parallel(llvm::Instruction* access) {
    if (parallel_ != nullptr) access->setMetadata(llvm::LLVMContext::MD_access_group, parallel_);
  }

  Value* offset(Value* pointer, Value* index) {
    return index == nullptr ? pointer : b_.CreateInBoundsGEP(real_, pointer, index);
  }

  /// The element of this row: (i, j), neuron j, or the only one.
  Value* self_pointer(const Place& place, Value* post, RowValues& row) {
    if (domain_ == SpaceKind::Sparse) return offset(element_pointer(place), row.synapse);
    if (domain_ != SpaceKind::Dense) return offset(element_pointer(place), post);
    return offset(row.pointers.at(place), post);
  }

  // --- nodes ---

  const NodeValue& value(ExprId id, const RowValues& row) const {
    const bool is_shared = (stages_.level[id.value] & kPre) == 0;
    return is_shared ? shared_[id.value] : row.nodes[id.value];
  }

  NodeValue leaf_value(const ExprNode& node, Value* post, RowValues& row, int lane) {
    if (node.op == Op::Const) return emit_constant(real_, node.value);
    if (node.op == Op::Draw) return draw(node.leaf, post, row);
    assert(node.op == Op::Load && "a Program has no variables");
    const ColumnId column{node.leaf.index};
    Place place{column, node.leaf.element};
    const auto read = [&](Value* pointer, int of_row = 0) {
      return NodeValue{.number = load(pointer, column, of_row)};
    };
    switch (node.leaf.at) {
      case At::Uniform: return read(element_pointer(place));
      case At::Fixed: {
        const auto width = static_cast<uint32_t>(program_[column].width);
        place.element = node.leaf.element % width;
        return read(offset(element_pointer(place), b_.getInt64(node.leaf.element / width)));
      }
      case At::Pre: return read(offset(element_pointer(place), row.index));
      case At::Post: return read(offset(element_pointer(place), post));
      case At::Self: break;
    }
    return read(self_pointer(place, post, row), domain_ == SpaceKind::Dense ? lane : 0);
  }

  NodeValue draw(const Leaf& leaf, Value* post, const RowValues& row) {
    Value* element = b_.getInt64(0);
    if (domain_ == SpaceKind::Neurons) element = post;
    if (is_synaptic(domain_))
      element = b_.CreateNSWAdd(b_.CreateNSWMul(row.index, launch_.post_count), post);
    return emit_draw(b_, {.key = launch_.key, .step = launch_.step, .element = element,
                          .site = leaf.index, .slot = leaf.element}, real_);
  }

  void compute(uint32_t id, Value* post, RowValues& row, int lane) {
    if (nobody_spikes_ && !rare_.live_without[id]) return;
    const ExprNode node = program_.pool[ExprId{id}];
    NodeValue result;
    if (nobody_spikes_ && rare_.selects.contains(id)) {
      result = value(node.operands[2], row);
    } else if (info(node.op).is_leaf) {
      result = leaf_value(node, post, row, lane);
    } else {
      NodeValue operands[3];
      for (int k = 0; k < node.count; ++k) operands[k] = value(node.operands[k], row);
      if (near_ && node.op == Op::Exprel) result.number = emit_exprel_near(b_, operands[0].number);
      else result = emit_operation(b_, node.op, {operands, size_t{node.count}}, real_);
    }
    ((stages_.level[id] & kPre) == 0 ? shared_ : row.nodes)[id] = result;
  }

  void shared_nodes(const std::vector<uint32_t>& ids, Value* post = nullptr) {
    RowValues none;
    for (const uint32_t id : ids) compute(id, post, none, 0);
  }

  // --- running values: sums that go on from row to row ---

  Value* combine(const Accumulate& sum, Value* so_far, const RowValues& row) {
    const ExprNode node = program_.pool[sum.value];
    if (sum.combine != Combine::Sum) {
      const NodeValue operands[2] = {{.number = so_far}, value(sum.value, row)};
      return emit_operation(b_, sum.combine == Combine::Min ? Op::Min : Op::Max, operands, real_)
          .number;
    }
    const ReductionFlags flags(*this);
    if (node.op != Op::Mul) return b_.CreateFAdd(so_far, value(sum.value, row).number);
    return b_.CreateIntrinsic(llvm::Intrinsic::fma, {real_},
                              {value(node.operands[0], row).number,
                               value(node.operands[1], row).number, so_far});
  }

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

  Value* variable(const std::string& name, llvm::Type* type = nullptr) {
    const llvm::IRBuilderBase::InsertPointGuard guard(b_);
    llvm::BasicBlock& entry = function_->getEntryBlock();
    b_.SetInsertPoint(&entry, entry.begin());
    return b_.CreateAlloca(type ? type : real_, nullptr, name);
  }

  Value*& running(ColumnId column, uint32_t element, int lane) {
    return running_[{Place{column, element}, lane}];
  }

  void open_running(const Accumulate& sum, int lane, Value* pointer) {
    Value*& slot = running(sum.into, sum.element, lane);
    if (slot == nullptr) slot = variable(program_[sum.into].name + ".sum");
    b_.CreateStore(load(pointer, sum.into), slot);
  }

  void close_running(const Accumulate& sum, int lane, Value* pointer) {
    store(b_.CreateLoad(real_, running(sum.into, sum.element, lane)), pointer, sum.into);
  }

  void add_to_running(const Accumulate& sum, int lane, const RowValues& row) {
    Value* slot = running(sum.into, sum.element, lane);
    b_.CreateStore(combine(sum, b_.CreateLoad(real_, slot), row), slot);
  }

  // --- rows ---

  /// All rows of a block at one post: what is per post once, then row after row.
  void emit_row_block(Value* post, std::vector<RowValues> rows, int count) {
    rows.resize(count);
    if (!is_synaptic(domain_)) rows[0].nodes.resize(program_.pool.size());
    shared_nodes(stages_.post, post);
    std::map<Place, Value*> per_post;   // running values of this post
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Post)
        per_post[place(sum)] = load(offset(element_pointer(place(sum)), post), sum.into);
    for (const Scan& scan : kernel_.scans)
      if (scan.along == At::Pre) per_post[{scan.as}] = load(scratch_pointer(scan, post), scan.as);

    for (int lane = 0; lane < count; ++lane) {
      RowValues& row = rows[lane];
      for (size_t s = 0; s < kernel_.scans.size(); ++s) {
        for (const uint32_t id : stages_.rows[s]) compute(id, post, row, lane);
        const NodeValue total{.number = advance(kernel_.scans[s], lane, row, per_post)};
        for (const uint32_t id : stages_.scan_reads[s]) row.nodes[id] = total;
      }
      for (const uint32_t id : stages_.rows.back()) compute(id, post, row, lane);
      for (const Store& effect : kernel_.stores)
        store(value(effect.value, row).number,
              self_pointer({effect.into, effect.element}, post, row), effect.into,
              domain_ == SpaceKind::Dense ? lane : 0);
      for (const Accumulate& sum : kernel_.accumulates) {
        if (sum.at == At::Post)
          per_post[place(sum)] = combine(sum, per_post[place(sum)], row);
        else
          add_to_running(sum, sum.at == At::Pre ? lane : 0, row);
      }
    }

    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Post)
        store(per_post[place(sum)], offset(element_pointer(place(sum)), post), sum.into);
    for (const Scan& scan : kernel_.scans)
      if (scan.along == At::Pre) store(per_post[{scan.as}], scratch_pointer(scan, post), scan.as);
  }

  Value* advance(const Scan& scan, int lane, const RowValues& row,
                 std::map<Place, Value*>& per_post) {
    const ReductionFlags flags(*this);
    Value* const addend = value(scan.value, row).number;
    if (scan.along == At::Pre) return per_post[{scan.as}] = b_.CreateFAdd(per_post[{scan.as}], addend);
    Value* slot = running(scan.as, 0, lane);
    Value* total = b_.CreateFAdd(b_.CreateLoad(real_, slot), addend);
    b_.CreateStore(total, slot);
    return total;
  }

  // --- loops ---

  bool has_sum(At at) const {
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == at) return true;
    return false;
  }
  bool has_scan(At along) const {
    for (const Scan& scan : kernel_.scans)
      if (scan.along == along) return true;
    return false;
  }
  /// Whether something is carried from post to post.
  bool is_chain() const { return has_sum(At::Pre) || has_sum(At::Uniform) || has_scan(At::Post); }

  /// for (index = begin; index < end; index += step) body(index)
  void loop(const char* name, Value* begin, Value* end, Value* step,
            const std::function<void(Value*)>& body, llvm::MDNode* hints = nullptr) {
    llvm::BasicBlock* before = b_.GetInsertBlock();
    llvm::BasicBlock* inside = llvm::BasicBlock::Create(context_, name, function_);
    llvm::BasicBlock* after = llvm::BasicBlock::Create(context_, cat(name, ".end"), function_);
    b_.CreateCondBr(b_.CreateICmpSLT(begin, end), inside, after);
    b_.SetInsertPoint(inside);
    llvm::PHINode* index = b_.CreatePHI(b_.getInt64Ty(), 2, name);
    index->addIncoming(begin, before);
    body(index);
    Value* next = b_.CreateNSWAdd(index, step);
    index->addIncoming(next, b_.GetInsertBlock());
    llvm::Instruction* branch = b_.CreateCondBr(b_.CreateICmpSLT(next, end), inside, after);
    if (hints != nullptr) branch->setMetadata(llvm::LLVMContext::MD_loop, hints);
    b_.SetInsertPoint(after);
  }

  /// Asks for full-width vectors: iterations are independent. Never for a chain: the vectoriser would
  /// take the request as leave to reorder a sum. Masked: the last few are a vector too.
  llvm::MDNode* vector_hints(bool masked = false) {
    const auto hint = [&](const char* name, llvm::Constant* value) -> llvm::Metadata* {
      llvm::Metadata* parts[] = {llvm::MDString::get(context_, name),
                                 llvm::ConstantAsMetadata::get(value)};
      return llvm::MDNode::get(context_, parts);
    };
    const unsigned width = options_.vector_bits / real_->getPrimitiveSizeInBits();
    llvm::Metadata* group[] = {llvm::MDString::get(context_, "llvm.loop.parallel_accesses"),
                               parallel_};
    llvm::Metadata* parts[] = {
        nullptr, llvm::MDNode::get(context_, group),
        hint("llvm.loop.vectorize.enable", b_.getTrue()),
        hint("llvm.loop.vectorize.predicate.enable", b_.getInt1(masked)),
        hint("llvm.loop.vectorize.width", b_.getInt32(width)),
        hint("llvm.loop.interleave.count", b_.getInt32(1))};
    llvm::MDNode* node = llvm::MDNode::getDistinct(context_, parts);
    node->replaceOperandWith(0, node);
    return node;
  }

  void emit_post_loop(const std::vector<RowValues>& rows, int count, Value* begin, Value* end) {
    llvm::MDNode* hints = nullptr;
    if (!is_chain()) {
      parallel_ = llvm::MDNode::getDistinct(context_, {});
      hints = vector_hints();
    }
    loop("post", begin, end, b_.getInt64(1),
         [&](Value* post) { emit_row_block(post, rows, count); }, hints);
    parallel_ = nullptr;
  }

  // --- neurons ---

  /// Voltages rarely move far in a step, and then (e^z - 1) / z is a short polynomial: where that holds for
  /// every neuron of a chunk, only that is computed.
  void emit_neurons() {
    if (kernel_.rows == Rows::OfSpikes)
      return loop("list", launch_.list_begin, launch_.list_end, b_.getInt64(1), [&](Value* at) {
        emit_row_block(index_at(launch_.list, at, 32, "neuron"), {}, 1);
      });
    std::vector<ExprId> arguments;
    for (const uint32_t id : stages_.rows.back()) {
      const ExprNode node = program_.pool[ExprId{id}];
      if (node.op == Op::Exprel) arguments.push_back(node.operands[0]);
    }
    if (few_neurons() && has_sum(At::Uniform)) return emit_few_neurons();
    if (arguments.empty() || is_chain()) return emit_post_loop({}, 1, launch_.post_begin, neurons_end());
    loop("chunk", launch_.post_begin, launch_.post_end, b_.getInt64(kChunk), [&](Value* begin) {
      Value* const past = b_.CreateNSWAdd(begin, b_.getInt64(kChunk));
      Value* const end = b_.CreateSelect(b_.CreateICmpSLT(past, launch_.post_end), past, launch_.post_end);
      emit_either(b_.CreateIsNull(emit_far(arguments, begin, end)), [&](bool all_near) {
        near_ = all_near;
        emit_post_loop({}, 1, begin, end);
      });
      near_ = false;
    });
  }

  /// So few that they are one or two vectors when their padding is computed too.
  bool few_neurons() const {
    constexpr int64_t kFewest = 4, kMost = 64;
    const int64_t neurons = program_[kernel_.domain].size;
    return options_.whole && neurons >= kFewest && neurons <= kMost;
  }
  Value* neurons_end() {
    return few_neurons() && !is_chain() ? b_.getInt64(padded(program_[kernel_.domain].size)) : launch_.post_end;
  }

  /// Sums over a few neurons: what is added is computed for all of them at once, then added neuron by neuron.
  void emit_few_neurons() {
    std::map<uint32_t, Value*> kept;   // by node: what each neuron adds
    for (const Accumulate& sum : kernel_.accumulates) {
      const ExprNode node = program_.pool[sum.value];
      const bool product = sum.combine == Combine::Sum && node.op == Op::Mul;
      for (const ExprId id : product ? std::vector{node.operands[0], node.operands[1]} : std::vector{sum.value})
        if (stages_.level[id.value] == kRow) kept[id.value] = nullptr;
    }
    llvm::Type* const each = llvm::ArrayType::get(real_, static_cast<uint64_t>(padded(program_[kernel_.domain].size)));
    for (auto& [id, memory] : kept) memory = variable("added", each);
    parallel_ = llvm::MDNode::getDistinct(context_, {});
    loop("post", launch_.post_begin, b_.getInt64(padded(program_[kernel_.domain].size)), b_.getInt64(1), [&](Value* post) {
      RowValues row;
      row.nodes.resize(program_.pool.size());
      for (const uint32_t id : stages_.rows.back()) compute(id, post, row, 0);
      for (const Store& effect : kernel_.stores)
        store(value(effect.value, row).number, self_pointer({effect.into, effect.element}, post, row), effect.into);
      for (const auto& [id, memory] : kept)
        note_parallel(b_.CreateStore(value(ExprId{id}, row).number, offset(memory, post)));
    }, vector_hints());
    parallel_ = nullptr;
    loop("sum", launch_.post_begin, launch_.post_end, b_.getInt64(1), [&](Value* post) {
      RowValues row;
      row.nodes.resize(program_.pool.size());
      for (const auto& [id, memory] : kept) row.nodes[id].number = b_.CreateLoad(real_, offset(memory, post));
      for (const Accumulate& sum : kernel_.accumulates) add_to_running(sum, 0, row);
    });
  }

  /// One of two bodies, and on.
  void emit_either(Value* condition, const std::function<void(bool)>& body) {
    llvm::BasicBlock* const yes = llvm::BasicBlock::Create(context_, "yes", function_);
    llvm::BasicBlock* const no = llvm::BasicBlock::Create(context_, "no", function_);
    llvm::BasicBlock* const after = llvm::BasicBlock::Create(context_, "either.end", function_);
    b_.CreateCondBr(condition, yes, no);
    for (llvm::BasicBlock* block : {yes, no}) {
      b_.SetInsertPoint(block);
      body(block == yes);
      b_.CreateBr(after);
    }
    b_.SetInsertPoint(after);
  }

  /// A stack slot that is 0.
  Value* flag() {
    if (flag_ == nullptr) flag_ = variable("flag", b_.getInt32Ty());
    b_.CreateStore(b_.getInt32(0), flag_);
    return flag_;
  }

  /// Not 0 when an argument of some neuron from `begin` on is not near 0.
  Value* emit_far(const std::vector<ExprId>& arguments, Value* begin, Value* end) {
    Value* const some = flag();
    const std::vector<bool> needed = live_nodes(program_.pool, arguments);
    parallel_ = llvm::MDNode::getDistinct(context_, {});
    loop("near", begin, end, b_.getInt64(1), [&](Value* post) {
      RowValues row;
      row.nodes.resize(program_.pool.size());
      for (const uint32_t id : stages_.rows.back())
        if (id < needed.size() && needed[id]) compute(id, post, row, 0);
      Value* far = b_.CreateLoad(b_.getInt32Ty(), some);
      for (const ExprId argument : arguments)
        far = b_.CreateOr(far, b_.CreateZExt(b_.CreateNot(is_exprel_near(b_, value(argument, row).number)), b_.getInt32Ty()));
      b_.CreateStore(far, some);
    }, vector_hints());
    parallel_ = nullptr;
    return b_.CreateLoad(b_.getInt32Ty(), some);
  }

  /// Posts up to the padding when nothing sees what is computed there: no remainder loop runs.
  Value* padded_end() {
    if (is_chain()) return launch_.post_end;
    Value* up = b_.CreateAnd(b_.CreateNSWAdd(launch_.post_end, b_.getInt64(15)), ~uint64_t{15});
    Value* is_last = b_.CreateICmpEQ(launch_.post_end, launch_.post_count);
    return b_.CreateSelect(is_last, up, launch_.post_end, "post_padded_end");
  }

  void emit_dense() {
    Value* const begin = launch_.post_begin;
    Value* const end = padded_end();
    if (options_.math == MathMode::Exact && goes_by_columns(program_, kernel_, stages_, registers())) return emit_by_columns(begin, end);
    if (!has_scan(At::Pre)) {
      if (is_chain()) return emit_rows(begin, end);
      if (!layout_.memory_bound || matrix_bytes() < kCacheTileFrom) return emit_rows(begin, end);
      return emit_tiles(begin, end, cache_tile(begin, end), /*to_and_fro=*/true);
    }
    // A chain along posts must see all of them in one go, else tiles keep the scratch small.
    const bool whole = has_sum(At::Uniform) || has_scan(At::Post);
    Value* tile = whole ? b_.CreateNSWSub(end, begin) : b_.getInt64(kScratchPosts);
    for (const Scan& scan : kernel_.scans)
      if (scan.along == At::Pre)
        scratch_[scan.as.value] = b_.CreateAlloca(real_, tile, program_[scan.as].name);
    emit_tiles(begin, end, tile, /*to_and_fro=*/false);
  }

  int registers() const { return options_.vector_bits == 512 ? 32 : 16; }

  void emit_by_columns(Value* begin, Value* end) {
    const unsigned lanes = options_.vector_bits / real_->getPrimitiveSizeInBits();
    const ColumnLoops loops{.program = program_, .kernel = kernel_, .stages = stages_, .builder = b_, .function = function_,
                            .aliases = aliases_, .real = real_, .lanes = lanes, .row = launch_.row,
                            .pre_begin = launch_.pre_begin, .pre_end = launch_.pre_end,
                            .element = [&](ColumnId column, uint32_t element) { return element_pointer({column, element}); },
                            .uniform = [&](ExprId id) { return shared_[id.value]; }};
    // Rows a large power of two apart meet in the cache.
    constexpr uint64_t kMeet = 512;
    Value* const bytes = b_.CreateNSWMul(launch_.row, b_.getInt64(real_->getPrimitiveSizeInBits() / 8));
    Value* const meet = b_.CreateIsNull(b_.CreateAnd(bytes, kMeet - 1));
    Value* const vectors = b_.CreateAnd(b_.CreateNSWSub(end, begin), ~uint64_t{lanes - 1});
    Value* const middle = b_.CreateSelect(meet, begin, b_.CreateNSWAdd(begin, vectors));
    emit_columns(loops, begin, middle);
    emit_rows(middle, end);
  }

  /// A matrix of a few times the second-level cache is walked in tiles of posts, in turns from the left
  /// and from the right: half of it is still there from the step before. Others in one tile.
  Value* cache_tile(Value* begin, Value* end) {
    Value* const posts = b_.CreateNSWSub(end, begin);
    Value* const rows = b_.CreateNSWSub(launch_.pre_end, launch_.pre_begin);
    Value* const bytes = b_.CreateNSWMul(
        b_.CreateNSWMul(posts, rows), b_.getInt64(dense_places() * real_->getPrimitiveSizeInBits() / 8));
    Value* const fits = b_.CreateAnd(b_.CreateICmpSGE(bytes, b_.getInt64(kCacheTileFrom)),
                                     b_.CreateICmpSLE(bytes, b_.getInt64(kCacheTileTo)));
    return b_.CreateSelect(fits, b_.getInt64(kCacheTilePosts), posts, "tile");
  }

  int64_t matrix_bytes() const {
    const Space& domain = program_[kernel_.domain];
    return program_[domain.pre].size * program_[domain.post].size * dense_places() *
           static_cast<int64_t>(real_->getPrimitiveSizeInBits() / 8);
  }

  int64_t dense_places() const {
    std::map<Place, bool> places;
    for (const Store& effect : kernel_.stores) places[{effect.into, effect.element}];
    for (const Place& place : self_loads()) places[place];
    return static_cast<int64_t>(places.size());
  }

  void emit_tiles(Value* begin, Value* end, Value* tile, bool to_and_fro) {
    Value* const posts = b_.CreateNSWSub(end, begin);
    Value* const at_least_one = b_.CreateSelect(b_.CreateICmpSGT(tile, b_.getInt64(1)), tile, b_.getInt64(1));
    Value* const round_up = b_.CreateNSWSub(at_least_one, b_.getInt64(1));
    Value* const count = b_.CreateSDiv(b_.CreateNSWAdd(posts, round_up), at_least_one);
    Value* const last = b_.CreateNSWSub(count, b_.getInt64(1));
    Value* const odd = b_.CreateTrunc(launch_.step, b_.getInt1Ty());
    loop("tile", b_.getInt64(0), count, b_.getInt64(1), [&](Value* index) {
      if (to_and_fro) index = b_.CreateSelect(odd, b_.CreateNSWSub(last, index), index);
      Value* const tile_begin = b_.CreateNSWAdd(begin, b_.CreateNSWMul(index, at_least_one));
      Value* const past = b_.CreateNSWAdd(tile_begin, at_least_one);
      Value* const tile_end = b_.CreateSelect(b_.CreateICmpSLT(past, end), past, end);
      clear_scratch(tile_begin, tile_end);
      emit_rows(tile_begin, tile_end);
    });
  }

  void clear_scratch(Value* begin, Value* end) {
    if (scratch_.empty()) return;
    tile_begin_ = begin;
    loop("clear", begin, end, b_.getInt64(1), [&](Value* post) {
      for (const Scan& scan : kernel_.scans)
        if (scan.along == At::Pre)
          store(llvm::ConstantFP::get(real_, 0.0), scratch_pointer(scan, post), scan.as);
    });
  }

  Value* scratch_pointer(const Scan& scan, Value* post) {
    return offset(scratch_.at(scan.as.value), b_.CreateNSWSub(post, tile_begin_));
  }

  /// Presynaptic rows, several together, then the few that are left.
  void emit_rows(Value* post_begin, Value* post_end) {
    const int together = layout_.rows_together;
    Value* middle = launch_.pre_begin;
    if (together > 1) {
      Value* count = b_.CreateNSWSub(launch_.pre_end, launch_.pre_begin);
      Value* blocks = b_.CreateAnd(count, ~static_cast<uint64_t>(together - 1));
      middle = b_.CreateNSWAdd(launch_.pre_begin, blocks, "pre_middle");
      loop("pre", launch_.pre_begin, middle, b_.getInt64(together),
           [&](Value* pre) { emit_pre(pre, together, post_begin, post_end); });
    }
    loop("pre.rest", middle, launch_.pre_end, b_.getInt64(1),
         [&](Value* pre) { emit_pre(pre, 1, post_begin, post_end); });
  }

  void emit_pre(Value* pre, int count, Value* post_begin, Value* post_end) {
    std::vector<RowValues> rows(count);
    for (int lane = 0; lane < count; ++lane) {
      RowValues& row = rows[lane];
      row.nodes.resize(program_.pool.size());
      row.index = lane == 0 ? pre : b_.CreateNSWAdd(pre, b_.getInt64(lane));
      find_rows(row);
      for (const uint32_t id : stages_.pre) compute(id, nullptr, row, lane);
      for (const Accumulate& sum : kernel_.accumulates)
        if (sum.at == At::Pre) open_running(sum, lane, offset(element_pointer(place(sum)), row.index));
      for (const Scan& scan : kernel_.scans) {
        if (scan.along != At::Post) continue;
        Value*& slot = running(scan.as, 0, lane);
        if (slot == nullptr) slot = variable(program_[scan.as].name + ".sum");
        b_.CreateStore(llvm::ConstantFP::get(real_, 0.0), slot);
      }
    }
    emit_post_loop(rows, count, post_begin, post_end);
    for (int lane = 0; lane < count; ++lane)
      for (const Accumulate& sum : kernel_.accumulates)
        if (sum.at == At::Pre)
          close_running(sum, lane, offset(element_pointer(place(sum)), rows[lane].index));
  }

  // --- synapses of sparse spaces ---

  Value* index_at(Value* array, Value* at, unsigned bits, const char* name) {
    llvm::Type* type = b_.getIntNTy(bits);
    llvm::LoadInst* load = b_.CreateLoad(type, b_.CreateInBoundsGEP(type, array, at), name);
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
    note_parallel(load);
    return bits == 64 ? load : b_.CreateZExt(load, b_.getInt64Ty(), name);
  }

  unsigned index_bits(SpaceId neurons) const {
    return static_cast<unsigned>(8 * index_bytes(program_[neurons].size));
  }

  /// No two synapses of one neuron share another: those of a neuron may be computed together where the
  /// machine can gather and scatter, unless something is summed over them.
  llvm::MDNode* synapse_hints() {
    if (options_.vector_bits < 512 || has_sum(At::Pre) || has_sum(At::Uniform)) return nullptr;
    const bool is_long = synapse_work(program_, kernel_, stages_) >= kLongSynapse;
    if (expected_row() < (is_long ? kShortLongRow : kShortRow)) return nullptr;
    parallel_ = llvm::MDNode::getDistinct(context_, {});
    return vector_hints(is_long);
  }

  /// Synapses of a neuron of the side whose synapses are looked at, roughly.
  double expected_row() const {
    const Space& domain = program_[kernel_.domain];
    const auto pres = static_cast<double>(program_[domain.pre].size), posts = static_cast<double>(program_[domain.post].size);
    const Connect& how = domain.connect;
    double count = 0;
    switch (how.wiring) {
      case Wiring::All: count = pres * posts; break;
      case Wiring::OneToOne: count = pres; break;
      case Wiring::Random: count = how.p * pres * posts; break;
      case Wiring::FixedIndegree: count = static_cast<double>(how.degree) * posts; break;
      case Wiring::FixedOutdegree: count = static_cast<double>(how.degree) * pres; break;
      case Wiring::Distance: {  // posts in the disc, or under the bell
        const double disc = how.within > 0 ? 3.14 * how.within * how.within : posts;
        const double bell = how.sigma > 0 ? 6.28 * how.sigma * how.sigma : disc;
        count = pres * std::min(posts, how.p * std::min(disc, bell));
        break;
      }
      case Wiring::List: count = how.edges ? static_cast<double>(how.edges->size()) : 0; break;
    }
    return count / (kernel_.rows == Rows::OfPost ? posts : pres);
  }

  void emit_sparse() {
    if (kernel_.rows == Rows::All)
      return loop("pre", launch_.pre_begin, launch_.pre_end, b_.getInt64(1),
                  [&](Value* pre) { emit_synapses_of_pre(pre); });
    const bool ahead = kernel_.rows == Rows::OfPre;
    if (ahead)
      for (int64_t k = 0; k < kRowsAhead; ++k) fetch_row(b_.CreateNSWAdd(launch_.list_begin, b_.getInt64(k)));
    loop("list", launch_.list_begin, launch_.list_end, b_.getInt64(1), [&](Value* at) {
      Value* neuron = index_at(launch_.list, at, 32, "neuron");
      if (ahead) fetch_row(b_.CreateNSWAdd(at, b_.getInt64(kRowsAhead)));
      ahead ? emit_synapses_of_pre(neuron) : emit_synapses_of_post(neuron);
    });
  }

  /// The rows of spiking neurons lie anywhere in memory: they are asked for before their turn.
  void fetch_row(Value* at) {
    llvm::BasicBlock* const fetch = llvm::BasicBlock::Create(context_, "fetch", function_);
    llvm::BasicBlock* const after = llvm::BasicBlock::Create(context_, "fetched", function_);
    b_.CreateCondBr(b_.CreateICmpSLT(at, launch_.list_end), fetch, after);
    b_.SetInsertPoint(fetch);
    Value* const neuron = index_at(launch_.list, at, 32, "next");
    Value* const begin = index_at(launch_.row_begin, neuron, 64, "next_begin");
    Value* const end = index_at(launch_.row_end, neuron, 64, "next_end");
    std::map<Place, bool> written;
    for (const Place& place : self_loads()) written[place];
    for (const Store& effect : kernel_.stores) written[{effect.into, effect.element}] = true;
    constexpr unsigned kLine = 64, kMostLines = 8;  // of a column: the machine sees what a long row goes on with
    const auto lines = [&](Value* array, unsigned element_bytes, bool write) {
      Value* const per_line = b_.getInt64(kLine / element_bytes);
      Value* const most = b_.CreateNSWAdd(begin, b_.getInt64(kMostLines * kLine / element_bytes));
      loop("line", begin, b_.CreateSelect(b_.CreateICmpSLT(most, end), most, end), per_line, [&](Value* synapse) {
        Value* const where = b_.CreateInBoundsGEP(b_.getInt8Ty(), array, b_.CreateNSWMul(synapse, b_.getInt64(element_bytes)));
        b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                           {where, b_.getInt32(write ? 1 : 0), b_.getInt32(3), b_.getInt32(1)});
      });
    };
    lines(launch_.post_index, index_bits(program_[kernel_.domain].post) / 8, false);
    for (const auto& [place, write] : written) lines(element_pointer(place), real_->getPrimitiveSizeInBits() / 8, write);
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  void emit_synapses_of_pre(Value* pre) {
    RowValues row;
    row.nodes.resize(program_.pool.size());
    row.index = pre;
    for (const uint32_t id : stages_.pre) compute(id, nullptr, row, 0);
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Pre) open_running(sum, 0, offset(element_pointer(place(sum)), pre));
    Value* begin = index_at(launch_.row_begin, pre, 64, "row_begin");
    Value* end = index_at(launch_.row_end, pre, 64, "row_end");
    if (rare_.selects.empty()) {
      emit_synapses(begin, end, row);
    } else {
      loop("chunk", begin, end, b_.getInt64(kSynapseChunk), [&](Value* from) {
        Value* const past = b_.CreateNSWAdd(from, b_.getInt64(kSynapseChunk));
        Value* const to = b_.CreateSelect(b_.CreateICmpSLT(past, end), past, end);
        emit_either(b_.CreateIsNull(emit_spikes(from, to)), [&](bool nobody) {
          nobody_spikes_ = nobody;
          emit_synapses(from, to, row);
        });
        nobody_spikes_ = false;
      });
    }
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Pre) close_running(sum, 0, offset(element_pointer(place(sum)), pre));
  }

  void emit_synapses(Value* begin, Value* end, RowValues& row) {
    const unsigned bits = index_bits(program_[kernel_.domain].post);
    llvm::MDNode* const hints = synapse_hints();
    loop("synapse", begin, end, b_.getInt64(1), [&](Value* synapse) {
      row.synapse = synapse;
      emit_row_block(index_at(launch_.post_index, synapse, bits, "post"), {row}, 1);
    }, hints);
    parallel_ = nullptr;
  }

  /// Not 0 when a post neuron of these synapses spikes, so that one of the rare arms is needed.
  Value* emit_spikes(Value* begin, Value* end) {
    Value* const some = flag();
    const unsigned bits = index_bits(program_[kernel_.domain].post);
    parallel_ = llvm::MDNode::getDistinct(context_, {});
    loop("spikes", begin, end, b_.getInt64(1), [&](Value* synapse) {
      Value* const post = index_at(launch_.post_index, synapse, bits, "post");
      Value* any = b_.CreateLoad(b_.getInt32Ty(), some);
      for (const Place& place : rare_conditions()) {
        Value* const spike = load(offset(element_pointer(place), post), place.column);
        any = b_.CreateOr(any, b_.CreateZExt(b_.CreateFCmpUNE(spike, llvm::ConstantFP::get(real_, 0.0)), b_.getInt32Ty()));
      }
      b_.CreateStore(any, some);
    }, options_.vector_bits < 512 ? nullptr : vector_hints());
    parallel_ = nullptr;
    return b_.CreateLoad(b_.getInt32Ty(), some);
  }

  std::vector<Place> rare_conditions() const {
    std::map<Place, bool> places;
    for (const uint32_t id : rare_.selects) {
      const ExprNode condition = program_.pool[program_.pool[ExprId{id}].operands[0]];
      places[{ColumnId{condition.leaf.index}, condition.leaf.element}];
    }
    std::vector<Place> out;
    for (const auto& [place, known] : places) out.push_back(place);
    return out;
  }

  void emit_synapses_of_post(Value* post) {
    Value* begin = index_at(launch_.column_begin, post, 64, "column_begin");
    Value* end = index_at(launch_.column_begin, b_.CreateNSWAdd(post, b_.getInt64(1)), 64, "column_end");
    const unsigned bits = index_bits(program_[kernel_.domain].pre);
    llvm::MDNode* const hints = synapse_hints();
    loop("synapse", begin, end, b_.getInt64(1), [&](Value* at) {
      RowValues row;
      row.nodes.resize(program_.pool.size());
      row.index = index_at(launch_.pre_index, at, bits, "pre");
      row.synapse = index_at(launch_.synapse, at, 32, "synapse");
      for (const uint32_t id : stages_.pre) compute(id, nullptr, row, 0);
      emit_row_block(post, {row}, 1);
    }, hints);
    parallel_ = nullptr;
  }

  std::vector<Place> self_loads() const {
    std::vector<Place> places;
    for (const std::vector<uint32_t>& ids : stages_.rows)
      for (const uint32_t id : ids) {
        const ExprNode node = program_.pool[ExprId{id}];
        if (node.op == Op::Load && node.leaf.at == At::Self)
          places.push_back({ColumnId{node.leaf.index}, node.leaf.element});
      }
    return places;
  }

  /// Where this row of each dense column that the kernel touches begins.
  void find_rows(RowValues& row) {
    const auto find = [&](Place place) {
      if (row.pointers.contains(place)) return;
      Value* distance = b_.CreateNSWMul(row.index, launch_.row);
      row.pointers[place] = b_.CreateInBoundsGEP(real_, element_pointer(place), distance);
    };
    for (const Place& place : self_loads()) find(place);
    for (const Store& effect : kernel_.stores) find({effect.into, effect.element});
  }

  const Program& program_;
  const Kernel& kernel_;
  const EmitOptions& options_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> b_;
  AliasScopes aliases_;
  const Stages stages_;
  const RareArms rare_;
  const DenseLayout layout_;
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
  bool nobody_spikes_ = false;                             // no post neuron of the synapses being emitted
  Value* flag_ = nullptr;                                  // stack slot
  llvm::MDNode* parallel_ = nullptr;                       // access group of the loop being emitted
};

}  // namespace

std::unique_ptr<llvm::Module> emit_llvm(const Program& program, const EmitOptions& options,
                                        llvm::LLVMContext& context) {
  auto module = std::make_unique<llvm::Module>(program.name, context);
  for (uint32_t k = 0; k < program.kernels.size(); ++k)
    if (options.emits(k)) KernelEmitter(program, KernelId{k}, options, *module).emit();
  return module;
}

std::string kernel_symbol(const Program& program, KernelId kernel) {
  std::string name = cat("hebb_", kernel.value, "_", program[kernel].name);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

}  // namespace hebb
