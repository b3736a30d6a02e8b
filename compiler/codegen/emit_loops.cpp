// The loops of a kernel, and kernels over neurons.

#include "compiler/codegen/kernel_emitter.h"

namespace hebb::emitting {
namespace {

/// Neurons for which it is decided together how to compute; a multiple of every vector.
constexpr int64_t kChunk = 512;

}  // namespace

bool KernelEmitter::has_sum(At at) const {
  for (const Accumulate& sum : kernel_.accumulates)
    if (sum.at == at) return true;
  return false;
}

bool KernelEmitter::has_scan(At along) const {
  for (const Scan& scan : kernel_.scans)
    if (scan.along == along) return true;
  return false;
}

void KernelEmitter::loop(const char* name, Value* begin, Value* end, Value* step,
                         const std::function<void(Value*)>& body, llvm::MDNode* hints) {
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

llvm::MDNode* KernelEmitter::vector_hints(bool masked) {
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

void KernelEmitter::emit_post_loop(const std::vector<RowValues>& rows, int count, Value* begin, Value* end) {
  llvm::MDNode* hints = nullptr;
  if (!is_chain()) {
    parallel_ = llvm::MDNode::getDistinct(context_, {});
    hints = vector_hints();
  }
  loop("post", begin, end, b_.getInt64(1),
       [&](Value* post) { emit_row_block(post, rows, count); }, hints);
  parallel_ = nullptr;
}

void KernelEmitter::emit_neurons() {
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

bool KernelEmitter::few_neurons() const {
  constexpr int64_t kFewest = 4, kMost = 64;
  const int64_t neurons = program_[kernel_.domain].size;
  return options_.whole && neurons >= kFewest && neurons <= kMost;
}

Value* KernelEmitter::neurons_end() {
  return few_neurons() && !is_chain() ? b_.getInt64(padded(program_[kernel_.domain].size)) : launch_.post_end;
}

void KernelEmitter::emit_few_neurons() {
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
  // As many sums at a time as stay in registers, with one for what is added.
  const std::span<const Accumulate> sums = kernel_.accumulates;
  const size_t together = options_.vector_bits == 512 ? 28 : 9;
  for (size_t first = 0; first < sums.size(); first += together) {
    const std::span<const Accumulate> some = sums.subspan(first, std::min(together, sums.size() - first));
    loop("sum", launch_.post_begin, launch_.post_end, b_.getInt64(1), [&](Value* post) {
      RowValues row;
      row.nodes.resize(program_.pool.size());
      for (const auto& [id, memory] : kept) row.nodes[id].number = b_.CreateLoad(real_, offset(memory, post));
      for (const Accumulate& sum : some) add_to_running(sum, 0, row);
    });
  }
}

void KernelEmitter::emit_either(Value* condition, const std::function<void(bool)>& body) {
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

Value* KernelEmitter::flag() {
  if (flag_ == nullptr) flag_ = variable("flag", b_.getInt32Ty());
  b_.CreateStore(b_.getInt32(0), flag_);
  return flag_;
}

Value* KernelEmitter::emit_far(const std::vector<ExprId>& arguments, Value* begin, Value* end) {
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

}  // namespace hebb::emitting
