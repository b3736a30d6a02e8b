#include "compiler/codegen/emit_columns.h"

#include <llvm/IR/Module.h>

#include <map>
#include <set>

namespace hebb {
namespace {

using llvm::Value;

class ColumnEmitter {
 public:
  ColumnEmitter(const ColumnLoops& l)
      : l_(l), b_(l.builder), vector_(llvm::FixedVectorType::get(l.real, l.lanes)), scalars_(l.program.pool.size()), values_(l.program.pool.size()) {}

  void emit(Value* begin, Value* end) {
    find_prepared();
    if (prepared_.empty()) return emit_block(begin, end, l_.pre_begin, l_.pre_end);
    // Rows one after another: sums are left in memory between two blocks of rows and keep their order.
    Value* const none = b_.CreateICmpSGE(begin, end);
    loop("rows", b_.CreateSelect(none, l_.pre_end, l_.pre_begin), l_.pre_end, kRowsPrepared, [&](Value* first) {
      Value* const past = b_.CreateNSWAdd(first, b_.getInt64(kRowsPrepared));
      Value* const last = b_.CreateSelect(b_.CreateICmpSLT(past, l_.pre_end), past, l_.pre_end);
      first_row_ = first;
      loop("prepare", first, last, 1, [&](Value* pre) {
        for (const uint32_t id : l_.stages.pre) scalars_[id] = computed(id, pre, nullptr);
        for (const auto& [id, memory] : prepared_) b_.CreateStore(scalars_[id].number, of_row(memory, pre));
      });
      emit_block(begin, end, first, last);
    });
  }

 private:
  static constexpr int64_t kRowsPrepared = 512;

  void emit_block(Value* begin, Value* end, Value* pre_begin, Value* pre_end) {
    loop("post", begin, end, l_.lanes, [&](Value* post) {
      fetch_next_posts(post);
      for (const uint32_t id : l_.stages.post) values_[id] = computed(id, nullptr, post);
      for (const Accumulate& sum : l_.kernel.accumulates) b_.CreateStore(load(sum.into, at_post(sum.into, sum.element, post), vector_), running(sum));
      loop("pre", pre_begin, pre_end, 1, [&](Value* pre) { emit_row(pre, post); });
      for (const Accumulate& sum : l_.kernel.accumulates)
        note(b_.CreateAlignedStore(b_.CreateLoad(vector_, running(sum)), at_post(sum.into, sum.element, post), alignment()), sum.into);
    });
  }

  /// What is computed from a row's numbers alone and read by its synapses: once for all posts, so that a vector of them
  /// is read as one number for all lanes, as a number of the row itself is.
  void find_prepared() {
    for (const uint32_t id : l_.stages.rows.back()) {
      const ExprNode node = l_.program.pool[ExprId{id}];
      for (int k = 0; k < node.count; ++k) prepare(node.operands[k]);
    }
    for (const Store& effect : l_.kernel.stores) prepare(effect.value);
    for (const Accumulate& sum : l_.kernel.accumulates) {
      const ExprNode node = l_.program.pool[sum.value];
      prepare(sum.value);
      for (int k = 0; node.op == Op::Mul && k < node.count; ++k) prepare(node.operands[k]);
    }
  }
  void prepare(ExprId id) {
    const ExprNode node = l_.program.pool[id];
    const bool sum_or_product = node.op == Op::Mul || node.op == Op::Add || node.op == Op::Sub || node.op == Op::Fma;
    if (l_.stages.level[id.value] != kPre || !sum_or_product || prepared_.contains(id.value)) return;
    const llvm::IRBuilderBase::InsertPointGuard guard(b_);
    llvm::BasicBlock& entry = l_.function->getEntryBlock();
    b_.SetInsertPoint(&entry, entry.begin());
    prepared_[id.value] = b_.CreateAlloca(l_.real, b_.getInt64(kRowsPrepared), "prepared");
  }
  Value* of_row(Value* memory, Value* pre) { return b_.CreateInBoundsGEP(l_.real, memory, b_.CreateNSWSub(pre, first_row_)); }

  llvm::Align alignment() const { return llvm::Align(l_.real->getPrimitiveSizeInBits() / 8); }

  template <class Access>
  Access* note(Access* access, ColumnId column) {
    l_.aliases.note(access, column, 0);
    return access;
  }
  Value* load(ColumnId column, Value* pointer, llvm::Type* type) {
    return note(b_.CreateAlignedLoad(type, pointer, alignment(), l_.program[column].name), column);
  }
  Value* at_post(ColumnId column, uint32_t element, Value* post) { return b_.CreateInBoundsGEP(l_.real, l_.element(column, element), post); }
  Value* at_synapse(ColumnId column, uint32_t element, Value* pre, Value* post) {
    Value* const place = b_.CreateNSWAdd(b_.CreateNSWMul(pre, l_.row), post);
    return b_.CreateInBoundsGEP(l_.real, l_.element(column, element), place);
  }

  Value* running(const Accumulate& sum) {
    Value*& slot = running_[{sum.into.value, sum.element}];
    if (slot != nullptr) return slot;
    const llvm::IRBuilderBase::InsertPointGuard guard(b_);
    llvm::BasicBlock& entry = l_.function->getEntryBlock();
    b_.SetInsertPoint(&entry, entry.begin());
    return slot = b_.CreateAlloca(vector_, nullptr, "sum");
  }

  /// What is the same for all posts is computed as one number.
  bool is_single(uint32_t id) const { return (l_.stages.level[id] & kPost) == 0; }

  NodeValue single(uint32_t id) { return l_.stages.level[id] == kUniform ? l_.uniform(ExprId{id}) : scalars_[id]; }

  Value* wide(ExprId id) {
    if (!is_single(id.value)) return values_[id.value].number;
    const NodeValue one = single(id.value);
    return b_.CreateVectorSplat(l_.lanes, one.number);
  }

  NodeValue operand(ExprId id) {
    if (!is_single(id.value)) return values_[id.value];
    const NodeValue one = single(id.value);
    NodeValue out{.number = b_.CreateVectorSplat(l_.lanes, one.number)};
    if (one.truth != nullptr) out.truth = b_.CreateVectorSplat(l_.lanes, one.truth);
    return out;
  }

  NodeValue computed(uint32_t id, Value* pre, Value* post) {
    const ExprNode node = l_.program.pool[ExprId{id}];
    const ColumnId column{node.leaf.index};
    if (node.op == Op::Load) {
      if (node.leaf.at == At::Pre) return {.number = load(column, at_post(column, node.leaf.element, pre), l_.real)};
      if (node.leaf.at == At::Post) return {.number = load(column, at_post(column, node.leaf.element, post), vector_)};
      return {.number = load(column, at_synapse(column, node.leaf.element, pre, post), vector_)};
    }
    NodeValue operands[3];
    const bool one = is_single(id);
    for (int k = 0; k < node.count; ++k) operands[k] = one ? single(node.operands[k].value) : operand(node.operands[k]);
    return emit_operation(b_, node.op, {operands, size_t{node.count}}, one ? l_.real : vector_);
  }

  /// Nothing can begin before the values and sums of a vector of posts are there; the machine sees too many streams here
  /// to fetch them ahead.
  void fetch_next_posts(Value* post) {
    std::set<std::pair<uint32_t, uint32_t>> places;
    for (const uint32_t id : l_.stages.post) {
      const ExprNode node = l_.program.pool[ExprId{id}];
      if (node.op == Op::Load) places.insert({node.leaf.index, node.leaf.element});
    }
    for (const Accumulate& sum : l_.kernel.accumulates) places.insert({sum.into.value, sum.element});
    Value* const ahead = b_.CreateNSWAdd(post, b_.getInt64(l_.lanes));
    for (const auto& [column, element] : places) fetch(at_post(ColumnId{column}, element, ahead), /*written=*/false);
  }

  void fetch(Value* pointer, bool written) {
    b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()}, {pointer, b_.getInt32(written ? 1 : 0), b_.getInt32(3), b_.getInt32(1)});
  }

  /// Rows that lie far apart are not fetched ahead by the machine: one asks for the next vector of each.
  void fetch_next(Value* pre, Value* post) {
    std::map<std::pair<uint32_t, uint32_t>, bool> places;   // written?
    for (const uint32_t id : l_.stages.rows.back()) {
      const ExprNode node = l_.program.pool[ExprId{id}];
      if (node.op == Op::Load && node.leaf.at == At::Self) places[{node.leaf.index, node.leaf.element}];
    }
    for (const Store& effect : l_.kernel.stores) places[{effect.into.value, effect.element}] = true;
    Value* const ahead = b_.CreateNSWAdd(post, b_.getInt64(l_.lanes));
    for (const auto& [place, written] : places)
      fetch(at_synapse(ColumnId{place.first}, place.second, pre, ahead), written);
  }

  void emit_row(Value* pre, Value* post) {
    fetch_next(pre, post);
    for (const uint32_t id : l_.stages.pre) {
      const auto found = prepared_.find(id);
      if (found == prepared_.end()) scalars_[id] = computed(id, pre, nullptr);
      else scalars_[id] = {.number = b_.CreateLoad(l_.real, of_row(found->second, pre))};
    }
    for (const uint32_t id : l_.stages.rows.back()) values_[id] = computed(id, pre, post);
    for (const Store& effect : l_.kernel.stores)
      note(b_.CreateAlignedStore(wide(effect.value), at_synapse(effect.into, effect.element, pre, post), alignment()), effect.into);
    for (const Accumulate& sum : l_.kernel.accumulates) {
      Value* const so_far = b_.CreateLoad(vector_, running(sum));
      const ExprNode node = l_.program.pool[sum.value];
      Value* total = nullptr;
      if (node.op != Op::Mul) total = b_.CreateFAdd(so_far, wide(sum.value));
      else total = b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_}, {wide(node.operands[0]), wide(node.operands[1]), so_far});
      b_.CreateStore(total, running(sum));
    }
  }

  void loop(const char* name, Value* begin, Value* end, int64_t step, const std::function<void(Value*)>& body) {
    llvm::LLVMContext& context = b_.getContext();
    llvm::BasicBlock* const before = b_.GetInsertBlock();
    llvm::BasicBlock* const inside = llvm::BasicBlock::Create(context, name, l_.function);
    llvm::BasicBlock* const after = llvm::BasicBlock::Create(context, std::string(name) + ".end", l_.function);
    b_.CreateCondBr(b_.CreateICmpSLT(begin, end), inside, after);
    b_.SetInsertPoint(inside);
    llvm::PHINode* const index = b_.CreatePHI(b_.getInt64Ty(), 2, name);
    index->addIncoming(begin, before);
    body(index);
    Value* const next = b_.CreateNSWAdd(index, b_.getInt64(static_cast<uint64_t>(step)));
    index->addIncoming(next, b_.GetInsertBlock());
    b_.CreateCondBr(b_.CreateICmpSLT(next, end), inside, after);
    b_.SetInsertPoint(after);
  }

  const ColumnLoops& l_;
  llvm::IRBuilder<>& b_;
  llvm::FixedVectorType* vector_;
  std::vector<NodeValue> scalars_, values_;                  // by ExprId: of a row, of a vector of posts
  std::map<uint32_t, Value*> prepared_;                      // by ExprId: memory for some rows,
  Value* first_row_ = nullptr;                               // of which this one comes first
  std::map<std::pair<uint32_t, uint32_t>, Value*> running_;  // by column and element
};

}  // namespace

bool goes_by_columns(const Program& program, const Kernel& kernel, const Stages& stages, int registers) {
  constexpr size_t kManyPerPost = 8;     // fewer are read again for each few rows at little cost
  constexpr int kSpare = 8, kSpareOfFew = 7;   // registers for the arithmetic of a synapse
  constexpr size_t kFewPerRow = 8;       // numbers per row, which are computed anew for each vector
  constexpr int64_t kSmall = 4096;
  const Space& domain = program[kernel.domain];
  if (domain.kind != SpaceKind::Dense || kernel.rows != Rows::All || !kernel.scans.empty() || kernel.accumulates.empty()) return false;
  if (program[domain.pre].size * program[domain.post].size <= kSmall) return false;
  for (const Accumulate& sum : kernel.accumulates)
    if (sum.at != At::Post || sum.combine != Combine::Sum) return false;
  std::set<uint32_t> per_post;
  for (const std::vector<uint32_t>* ids : {&stages.post, &stages.rows.back()}) {
    for (const uint32_t id : *ids) {
      const ExprNode node = program.pool[ExprId{id}];
      if (node.op == Op::Draw || info(node.op).is_transcendental) return false;
      for (int k = 0; ids != &stages.post && k < node.count; ++k)
        if (stages.level[node.operands[k].value] == kPost) per_post.insert(node.operands[k].value);
    }
  }
  for (const uint32_t id : stages.pre) {
    const Op op = program.pool[ExprId{id}].op;
    if (op == Op::Draw || op == Op::Div || op == Op::Sqrt || info(op).is_transcendental) return false;
  }
  const size_t held = per_post.size() + kernel.accumulates.size();
  // Where registers are few, values per post are read from memory by the operation that needs them, and sums stay.
  const bool few = registers < 32;
  const int needed = few ? static_cast<int>(kernel.accumulates.size()) + kSpareOfFew : static_cast<int>(held) + kSpare;
  return stages.pre.size() <= kFewPerRow && held >= kManyPerPost && needed <= registers;
}

void emit_columns(const ColumnLoops& loops, llvm::Value* begin, llvm::Value* end) { ColumnEmitter(loops).emit(begin, end); }

}  // namespace hebb
