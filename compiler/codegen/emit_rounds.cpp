// Events that synapses have not seen, round by round for a few synapses together.

#include "compiler/codegen/kernel_emitter.h"

namespace hebb::emitting {
namespace {

/// Synapses beyond the end of a chunk that are computed too, up to a whole vector.
constexpr int64_t kPadded = 16;

}  // namespace

void KernelEmitter::emit_rounds(Value* begin, Value* end, RowValues& of_pre) {
  if (round_value_ == nullptr) {
    const auto array = [&](llvm::Type* type, const char* name) { return variable(name, llvm::ArrayType::get(type, static_cast<uint64_t>(kRoundChunk))); };
    round_value_ = array(real_, "round.value");
    round_count_ = array(b_.getInt32Ty(), "round.count");
    round_post_ = array(b_.getInt32Ty(), "round.post");
  }
  Value* const count = b_.CreateNSWSub(end, begin);
  Value* const padded = b_.CreateAnd(b_.CreateNSWAdd(count, b_.getInt64(kPadded - 1)), b_.getInt64(-kPadded));
  const auto place = [&](Value* array, llvm::Type* type, Value* at) { return b_.CreateInBoundsGEP(type, array, at); };
  // Beyond the end: of any neuron, with no event.
  b_.CreateMemSet(place(round_value_, real_, b_.CreateNSWSub(padded, b_.getInt64(kPadded))), b_.getInt8(0), static_cast<uint64_t>(kPadded) * real_->getPrimitiveSizeInBits() / 8, {});
  for (Value* const array : {round_count_, round_post_})
    b_.CreateMemSet(place(array, b_.getInt32Ty(), b_.CreateNSWSub(padded, b_.getInt64(kPadded))), b_.getInt8(0), static_cast<uint64_t>(kPadded) * 4, {});

  Value* const most = flag();
  parallel_ = llvm::MDNode::getDistinct(context_, {});
  const auto kept = [&](Value* number, Value* array, llvm::Type* type, Value* at) {
    llvm::StoreInst* const store = b_.CreateStore(number, place(array, type, at));
    note_parallel(store);
  };
  const auto read = [&](Value* array, llvm::Type* type, Value* at) {
    llvm::LoadInst* const load = b_.CreateLoad(type, place(array, type, at));
    note_parallel(load);
    return load;
  };
  loop("unseen", b_.getInt64(0), count, b_.getInt64(1), [&](Value* at) {
    RowValues row = of_pre;
    row.synapse = b_.CreateNSWAdd(begin, at);
    Value* const post = index_at(launch_.post_index, row.synapse, index_bits(program_[kernel_.domain].post), "post");
    for (const uint32_t id : rounds_.first) compute(id, post, row, 0);
    Value* const unseen = b_.CreateFPToSI(value(rounds_.count, row).number, b_.getInt32Ty());
    kept(value(rounds_.start, row).number, round_value_, real_, at);
    kept(unseen, round_count_, b_.getInt32Ty(), at);
    kept(b_.CreateTrunc(post, b_.getInt32Ty()), round_post_, b_.getInt32Ty(), at);
    Value* const so_far = b_.CreateLoad(b_.getInt32Ty(), most);
    b_.CreateStore(b_.CreateSelect(b_.CreateICmpSGT(unseen, so_far), unseen, so_far), most);
  }, vector_hints());
  parallel_ = nullptr;

  Value* const rounds = b_.CreateZExt(b_.CreateLoad(b_.getInt32Ty(), most), b_.getInt64Ty());
  loop("round", b_.getInt64(0), rounds, b_.getInt64(1), [&](Value* done) {
    Value* const k = b_.CreateNSWSub(b_.CreateNSWSub(rounds, done), b_.getInt64(1));
    std::map<uint32_t, Value*> elements;
    for (const uint32_t id : rounds_.turning) {
      const ColumnId column{program_.pool[ExprId{id}].leaf.index};
      elements[id] = offset(element_pointer({column, 0}), b_.CreateNSWMul(k, plane(column, program_[column].name)));
    }
    parallel_ = llvm::MDNode::getDistinct(context_, {});
    loop("again", b_.getInt64(0), padded, b_.getInt64(1), [&](Value* at) {
      RowValues row = of_pre;
      Value* const post = b_.CreateZExt(read(round_post_, b_.getInt32Ty(), at), b_.getInt64Ty());
      Value* const before = read(round_value_, real_, at);
      row.nodes[rounds_.before.value].number = before;
      for (const auto& [id, element] : elements) shared_[id].number = load(offset(element, post), ColumnId{program_.pool[ExprId{id}].leaf.index});
      for (const uint32_t id : rounds_.each) compute(id, post, row, 0);
      Value* const happens = b_.CreateICmpSLT(b_.CreateTrunc(k, b_.getInt32Ty()), read(round_count_, b_.getInt32Ty(), at));
      kept(b_.CreateSelect(happens, value(rounds_.next, row).number, before), round_value_, real_, at);
    }, vector_hints());
    parallel_ = nullptr;
  });
}

NodeValue KernelEmitter::after_rounds(const RowValues& row) {
  llvm::LoadInst* const load = b_.CreateLoad(real_, b_.CreateInBoundsGEP(real_, round_value_, b_.CreateNSWSub(row.synapse, rounds_begin_)));
  note_parallel(load);
  return {.number = load};
}

}  // namespace hebb::emitting
