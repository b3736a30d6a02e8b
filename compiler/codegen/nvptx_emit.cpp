#include "compiler/codegen/nvptx_emit.h"

#include <llvm/IR/Module.h>

#include "compiler/codegen/nvptx_row.h"

namespace hebb {
namespace {

/// Of a thread whose row is careful with them: with more, fewer than half of the warps fit.
constexpr int kRegisters = 64;

class ThreadEmitter : ThreadRow {
 public:
  ThreadEmitter(const DeviceProgram& device, KernelId id, Precision precision, ThreadTarget target, llvm::Module& module)
      : ThreadRow(device, id, precision, target, module) {}

  void emit() {
    exit_ = llvm::BasicBlock::Create(context_, "exit", function_);
    if (has(Kind::LaneStride))
      lane_ = b_.CreateMul(b_.CreateZExt(block_z_, b_.getInt64Ty()), parameter(Kind::LaneStride), "lane");
    if (plan_.order.empty() || domain_ != SpaceKind::Uniform) compute(stages_.uniform);
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Uniform) open(sum, nullptr);
    switch (device_.spread) {
      case Spread::One: one(); break;
      case Spread::Neurons: neurons(); break;
      case Spread::Pairs: pairs(); break;
      case Spread::ByPost: by_post(); break;
      case Spread::ByPre: by_pre(); break;
      case Spread::RowBlocks: row_blocks(); break;
      case Spread::ColumnBlocks: column_blocks(); break;
    }
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Uniform) close(sum, nullptr);
    b_.CreateBr(exit_);
    b_.SetInsertPoint(exit_);
    b_.CreateRetVoid();
    // What the assembler would take for shorter waits inside one thread, other warps give as well, where there are any.
    if (plan_.crowded && device_.spread != Spread::One && target_ == ThreadTarget::Gpu) function_->addFnAttr("nvvm.maxnreg", std::to_string(kRegisters));
    if (again_ > 0) function_->addFnAttr(kRereadAttribute, std::to_string(again_));
  }
 private:
  // --- loops and conditions ---

  /// for (index = begin; index < end; index += step) body(index); of 32 or 64 bits, unsigned.
  void loop(const char* name, Value* begin, Value* end, Value* step, const std::function<void(Value*)>& body) {
    llvm::BasicBlock* before = b_.GetInsertBlock();
    llvm::BasicBlock* inside = llvm::BasicBlock::Create(context_, name, function_);
    llvm::BasicBlock* after = llvm::BasicBlock::Create(context_, "after", function_);
    b_.CreateCondBr(b_.CreateICmpULT(begin, end), inside, after);
    b_.SetInsertPoint(inside);
    llvm::PHINode* index = b_.CreatePHI(begin->getType(), 2, name);
    index->addIncoming(begin, before);
    round(index, [&] { body(index); });
    Value* next = b_.CreateNUWAdd(index, step);
    index->addIncoming(next, b_.GetInsertBlock());
    b_.CreateCondBr(b_.CreateICmpULT(next, end), inside, after);
    b_.SetInsertPoint(after);
  }
  void count(const char* name, Value* end, const std::function<void(Value*)>& body) {
    loop(name, b_.getInt32(0), end, b_.getInt32(1), body);
  }

  /// The thread is done unless `condition` holds.
  void require(Value* condition) {
    llvm::BasicBlock* rest = llvm::BasicBlock::Create(context_, "rest", function_);
    b_.CreateCondBr(condition, rest, exit_);
    b_.SetInsertPoint(rest);
  }
  void when(Value* condition, const std::function<void()>& body) {
    if (condition == nullptr) return body();
    llvm::BasicBlock* then = llvm::BasicBlock::Create(context_, "then", function_);
    llvm::BasicBlock* after = llvm::BasicBlock::Create(context_, "after", function_);
    b_.CreateCondBr(condition, then, after);
    b_.SetInsertPoint(then);
    body();
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  /// Whether a neuron takes part; null: all do. Not a number is not 0.
  Value* spikes(Value* neuron) {
    if (kernel_.rows == Rows::All) return nullptr;
    Value* number = b_.CreateLoad(real_, address(kernel_.spikes, 0, wide(neuron)), "spikes");
    return b_.CreateFCmpUNE(number, llvm::ConstantFP::get(real_, 0.0));
  }
  void require_spike(Value* neuron) {
    if (Value* spike = spikes(neuron)) require(spike);
  }

  Value* global_index() { return b_.CreateAdd(b_.CreateMul(block_x_, threads_), thread_, "index"); }

  // --- which rows a thread has ---

  void one() {
    switch (domain_) {
      case SpaceKind::Uniform: return row();
      case SpaceKind::Neurons:
        return count("post", parameter(Kind::Posts), [&](Value* post) {
          when(spikes(post), [&] { at_post(post), row(); });
        });
      case SpaceKind::Dense:
        return count("pre", parameter(Kind::Pres), [&](Value* pre) {
          at_pre(pre);
          count("post", parameter(Kind::Posts), [&](Value* post) { at_post(post), row(); });
        });
      case SpaceKind::Sparse:
        return count("pre", parameter(Kind::Pres), [&](Value* pre) {
          when(spikes(pre), [&] {
            at_pre(pre);
            synapses_of_pre(b_.getInt64(0), b_.getInt64(1));
          });
        });
    }
  }

  void neurons() {
    Value* const index = global_index();
    require(b_.CreateICmpULT(index, parameter(Kind::Posts)));
    require_spike(index);
    at_post(index);
    row();
  }

  void pairs() {
    Value* const index = global_index();
    require(b_.CreateICmpULT(index, parameter(Kind::Posts)));
    at_post(index);
    loop("pre", block_y_, parameter(Kind::Pres), blocks_y_, [&](Value* pre) { at_pre(pre), row(); });
  }

  void by_post() {
    Value* const index = global_index();
    require(b_.CreateICmpULT(index, parameter(Kind::Posts)));
    at_post(index);
    open_all(At::Post);
    if (domain_ == SpaceKind::Dense) count("pre", parameter(Kind::Pres), [&](Value* pre) { at_pre(pre), row(); });
    else synapses_of_post(b_.getInt64(0), b_.getInt64(1));
    close_all(At::Post);
  }

  void by_pre() {
    Value* const index = global_index();
    require(b_.CreateICmpULT(index, parameter(Kind::Pres)));
    if (domain_ == SpaceKind::Sparse) require_spike_or_reset(index);
    at_pre(index);
    open_all(At::Pre);
    if (domain_ == SpaceKind::Dense) count("post", parameter(Kind::Posts), [&](Value* post) { at_post(post), row(); });
    else synapses_of_pre(b_.getInt64(0), b_.getInt64(1));
    close_all(At::Pre);
  }

  /// A neuron without a spike sums nothing, but what it would have summed still starts anew.
  void require_spike_or_reset(Value* neuron) {
    Value* const spike = spikes(neuron);
    if (spike == nullptr) return;
    llvm::BasicBlock* silent = llvm::BasicBlock::Create(context_, "silent", function_);
    llvm::BasicBlock* rest = llvm::BasicBlock::Create(context_, "rest", function_);
    b_.CreateCondBr(spike, rest, silent);
    b_.SetInsertPoint(silent);
    for (size_t k = 0; k < kernel_.accumulates.size(); ++k) {
      const Accumulate& sum = kernel_.accumulates[k];
      if (device_.fresh[k])
        b_.CreateStore(emit_constant(real_, program_[sum.into].reset).number, address(sum.into, sum.element, wide(neuron)));
    }
    b_.CreateBr(exit_);
    b_.SetInsertPoint(rest);
  }

  void row_blocks() {
    require_spike(block_x_);
    at_pre(block_x_);
    synapses_of_pre(wide(thread_), wide(threads_));
  }

  void column_blocks() {
    require_spike(block_x_);
    at_post(block_x_);
    synapses_of_post(wide(thread_), wide(threads_));
  }

  // --- synapses of sparse spaces ---

  Value* number_at(Kind array, Value* at, unsigned bits) {
    llvm::Type* type = b_.getIntNTy(bits);
    return b_.CreateLoad(type, b_.CreateInBoundsGEP(type, parameter(array), at));
  }
  unsigned index_bits(SpaceId neurons) const { return static_cast<unsigned>(8 * index_bytes(program_[neurons].size)); }
  Value* neuron_at(Kind array, Value* at, SpaceId of) {
    return b_.CreateZExt(number_at(array, at, index_bits(of)), b_.getInt32Ty());
  }

  /// Synapses of pre_, from the `first`-th, every `step`-th.
  void synapses_of_pre(Value* first, Value* step) {
    Value* begin = number_at(Kind::RowBegin, wide(pre_), 64);
    Value* end = number_at(Kind::RowBegin, b_.CreateAdd(wide(pre_), b_.getInt64(1)), 64);
    loop("synapse", b_.CreateAdd(begin, first), end, step, [&](Value* synapse) {
      synapse_ = synapse;
      at_post(neuron_at(Kind::PostIndex, synapse, program_[kernel_.domain].post));
      row();
    });
  }

  void synapses_of_post(Value* first, Value* step) {
    Value* begin = number_at(Kind::ColumnBegin, wide(post_), 64);
    Value* end = number_at(Kind::ColumnBegin, b_.CreateAdd(wide(post_), b_.getInt64(1)), 64);
    loop("entry", b_.CreateAdd(begin, first), end, step, [&](Value* entry) {
      Value* const pre = neuron_at(Kind::PreIndex, entry, program_[kernel_.domain].pre);
      when(kernel_.rows == Rows::OfPre ? spikes(pre) : nullptr, [&] {
        synapse_ = wide(number_at(Kind::Synapse, entry, 32));
        at_pre(pre);
        row();
      });
    });
  }
};

}  // namespace

int reread_values(const llvm::Function& kernel) {
  int values = 0;
  kernel.getFnAttribute(kRereadAttribute).getValueAsString().getAsInteger(10, values);
  return values;
}

std::unique_ptr<llvm::Module> emit_threads(const DeviceProgram& device, Precision precision, ThreadTarget target,
                                           llvm::LLVMContext& context) {
  auto module = std::make_unique<llvm::Module>(device.program.name, context);
  for (uint32_t k = 0; k < device.kernels.size(); ++k)
    ThreadEmitter(device, KernelId{k}, precision, target, *module).emit();
  return module;
}

}  // namespace hebb
