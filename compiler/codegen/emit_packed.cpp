// Long synapses where vectors can neither gather nor scatter: what differs from synapse to synapse is laid side by side for some of
// them, computed in whole vectors, and taken back one by one. What is computed between two loops lies side by side as well.

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/program/row_order.h"

namespace hebb::emitting {
namespace {

/// Synapses laid side by side; a multiple of every vector.
constexpr int64_t kPacked = 64;

/// Strands computed together: while one waits for a result, the others do not.
constexpr size_t kFewTogether = 8, kMostTogether = 10;

/// Numbers that are written as one: between hundreds of single ones LLVM looks for dependences for seconds.
constexpr size_t kStoredTogether = 8;

size_t padded_strands(const Strands& strands) { return (strands.count() + kStoredTogether - 1) / kStoredTogether * kStoredTogether; }

size_t together(size_t strands) {
  for (size_t each = kMostTogether; each > kFewTogether; --each)
    if (strands % each == 0) return each;
  return kFewTogether;
}

}  // namespace

bool KernelEmitter::varies(uint32_t id) const {
  const Level once = kernel_.rows == Rows::OfPost ? kPost : kPre;
  return stages_.level[id] != kUniform && stages_.level[id] != once;
}

std::vector<ExprId> KernelEmitter::packed_results() const {
  std::vector<ExprId> out;
  for (const Store& effect : kernel_.stores) out.push_back(effect.value);
  for (const Accumulate& sum : kernel_.accumulates)
    for (const ExprId id : taken_by(program_.pool, sum)) out.push_back(id);
  std::erase_if(out, [&](ExprId id) { return !varies(id.value); });
  return out;
}

void KernelEmitter::find_strands() {
  strands_ = hebb::find_strands(program_.pool, stages_.live, [&](uint32_t id) { return varies(id); }, packed_results());
  for (size_t k = 0; k < strands_.size(); ++k) {
    for (const Strands::Sum& sum : strands_[k].sums) strands_of_[sum.result] = k;
    numbers_.push_back(variable("numbers", llvm::ArrayType::get(real_, padded_strands(strands_[k]) * strands_[k].numbers[0].size())));
  }
  keep_numbers(/*of_row=*/false, {});
}

void KernelEmitter::keep_numbers(bool of_row, const RowValues& row) {
  for (size_t which = 0; which < strands_.size(); ++which) {
    const Strands& strands = strands_[which];
    for (size_t number = 0; number < strands.numbers[0].size(); ++number) {
      const auto of_strand = [&](size_t k) { return strands.numbers[k][number]; };
      bool is_of_row = false;
      for (size_t k = 0; k < strands.count(); ++k) is_of_row |= stages_.level[of_strand(k).value] != kUniform;
      if (is_of_row != of_row) continue;
      for (size_t first = 0; first < strands.count(); first += kStoredTogether) {
        Value* some = llvm::PoisonValue::get(llvm::FixedVectorType::get(real_, kStoredTogether));
        for (size_t k = first; k < std::min(first + kStoredTogether, strands.count()); ++k) some = b_.CreateInsertElement(some, value(of_strand(k), row).number, k - first);
        b_.CreateAlignedStore(some, offset(numbers_[which], b_.getInt64(number * padded_strands(strands) + first)), llvm::Align(real_->getPrimitiveSizeInBits() / 8));
      }
    }
  }
}

Value* KernelEmitter::side_by_side(uint32_t id) {
  Value*& array = side_by_side_[id];
  if (array == nullptr) array = variable("packed", llvm::ArrayType::get(real_, static_cast<uint64_t>(kPacked)));
  return array;
}

Value* KernelEmitter::read_packed(uint32_t id, Value* k) {
  llvm::LoadInst* const load = b_.CreateLoad(real_, offset(side_by_side(id), k));
  note_parallel(load);
  return load;
}

void KernelEmitter::write_packed(uint32_t id, Value* k, Value* value) {
  llvm::StoreInst* const store = b_.CreateStore(value, offset(side_by_side(id), k));
  note_parallel(store);
}

void KernelEmitter::want(uint32_t id, Wanted& wanted) const {
  if (!varies(id) || !wanted.nodes.insert(id).second) return;
  if (wanted.there->contains(id)) return;
  if (const auto found = strands_of_.find(id); found != strands_of_.end()) {
    wanted.strands.insert(found->second);
    const Strands& strands = strands_[found->second];
    for (const uint32_t shared : strands.shared) want(shared, wanted);
    for (const Strands::Sum& sum : strands.sums)
      if (sum.start.valid()) want(sum.start.value, wanted);
    return;
  }
  const ExprNode node = program_.pool[ExprId{id}];
  if (info(node.op).is_leaf) wanted.leaves.push_back(id);
  if (none_is_rare_ && rare_.selects.contains(id)) return want(node.operands[rare_.selects.at(id)].value, wanted);
  for (int k = 0; k < node.count; ++k) want(node.operands[k].value, wanted);
}

void KernelEmitter::packed_loop(const char* name, Value* padded, const std::function<void(Value*)>& body) {
  // There is at least one synapse. Compared with !=, the loop is seen to run in whole vectors.
  llvm::BasicBlock* const before = b_.GetInsertBlock();
  llvm::BasicBlock* const inside = llvm::BasicBlock::Create(context_, name, function_);
  llvm::BasicBlock* const after = llvm::BasicBlock::Create(context_, cat(name, ".end"), function_);
  b_.CreateBr(inside);
  b_.SetInsertPoint(inside);
  llvm::PHINode* const index = b_.CreatePHI(b_.getInt64Ty(), 2, name);
  index->addIncoming(b_.getInt64(0), before);
  parallel_ = llvm::MDNode::getDistinct(context_, {});
  body(index);
  Value* const next = b_.CreateAdd(index, b_.getInt64(1), "", /*HasNUW=*/true, /*HasNSW=*/true);
  index->addIncoming(next, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateICmpNE(next, padded), inside, after)->setMetadata(llvm::LLVMContext::MD_loop, vector_hints());
  parallel_ = nullptr;
  b_.SetInsertPoint(after);
}

void KernelEmitter::compute_packed(const std::vector<ExprId>& results, Value* padded, const RowValues& of_row, std::set<uint32_t>& there) {
  Wanted wanted{.there = &there};
  for (const ExprId id : results) want(id.value, wanted);
  std::set<uint32_t> fresh;
  for (const ExprId id : results)
    if (varies(id.value) && !there.contains(id.value)) fresh.insert(id.value);
  if (fresh.empty()) return;
  packed_loop("synapse", padded, [&](Value* k) {
    RowValues row = of_row;
    for (const uint32_t id : long_order_) {
      if (!wanted.nodes.contains(id)) continue;
      if (there.contains(id)) set_value(id, {.number = read_packed(id, k)}, row);
      else compute(id, nullptr, row, 0);
    }
    for (const uint32_t id : fresh) write_packed(id, k, value(ExprId{id}, row).number);
  });
  there.insert(fresh.begin(), fresh.end());
}

void KernelEmitter::emit_strands(size_t which, Value* padded, const RowValues& of_row) {
  const Strands& strands = strands_[which];
  const size_t width = strands.numbers[0].size();
  packed_loop("start", padded, [&](Value* k) {
    RowValues row = of_row;
    for (const Strands::Sum& sum : strands.sums) {
      Value* start = llvm::ConstantFP::getNegativeZero(real_);   // a product plus this is the product
      if (sum.start.valid()) start = varies(sum.start.value) ? read_packed(sum.start.value, k) : value(sum.start, row).number;
      write_packed(sum.result, k, start);
    }
  });
  const auto some = [&](Value* first, size_t many) {
    std::vector<NodeValue> numbers;   // by strand, then by number
    for (size_t each = 0; each < many; ++each)
      for (size_t k = 0; k < width; ++k) {
        Value* const at = b_.CreateNSWAdd(first, b_.getInt64(k * padded_strands(strands) + each));
        numbers.push_back({.number = b_.CreateLoad(real_, offset(numbers_[which], at))});
      }
    packed_loop("strand", padded, [&](Value* k) {
      RowValues row = of_row;
      for (const uint32_t id : strands.shared) set_value(id, {.number = read_packed(id, k)}, row);
      std::vector<std::vector<NodeValue>> done(many);
      for (const Strands::Step& step : strands.steps)
        for (size_t each = 0; each < many; ++each) {
          NodeValue operands[3];
          for (size_t o = 0; o < step.operands.size(); ++o) {
            const Strands::Operand from = step.operands[o];
            using Kind = Strands::Operand::Kind;
            operands[o] = from.kind == Kind::Step ? done[each][from.index] : from.kind == Kind::Number ? numbers[each * width + from.index] : value(ExprId{from.index}, row);
          }
          done[each].push_back(emit_operation(b_, step.op, {operands, step.operands.size()}, real_));
        }
      for (const Strands::Sum& sum : strands.sums) {
        NodeValue total{.number = read_packed(sum.result, k)};
        for (size_t each = 0; each < many; ++each)
          total = emit_operation(b_, Op::Fma, std::array{done[each].back(), numbers[each * width + sum.factor], total}, real_);
        write_packed(sum.result, k, total.number);
      }
    });
  };
  const size_t many = together(strands.count()), rest = strands.count() % many;
  Value* const whole = b_.getInt64(strands.count() - rest);
  loop("strands", b_.getInt64(0), whole, b_.getInt64(many), [&](Value* first) { some(first, many); });
  if (rest != 0) some(whole, rest);
}

void KernelEmitter::emit_packed(Value* begin, Value* end, Value* post, const RowValues& of_row) {
  const bool of_post = kernel_.rows == Rows::OfPost;
  const Space& domain = program_[kernel_.domain];
  // The synapse at a place of its row or column, and its post neuron.
  const auto find = [&](Value* at, RowValues& row) {
    row.synapse = of_post ? index_at(launch_.synapse, at, 32, "synapse") : at;
    Value* const other = index_at(of_post ? launch_.pre_index : launch_.post_index, at, index_bits(of_post ? domain.pre : domain.post), "other");
    if (of_post) row.index = other;
    return of_post ? post : other;
  };
  const int64_t width = options_.vector_bits / real_->getPrimitiveSizeInBits();
  Value* const count = b_.CreateNSWSub(end, begin);
  Value* const last = b_.CreateNSWSub(count, b_.getInt64(1));
  // At least one vector, as can be seen.
  Value* const padded = b_.CreateAdd(b_.CreateAnd(last, b_.getInt64(-width)), b_.getInt64(width), "padded", /*HasNUW=*/true, /*HasNSW=*/true);

  const std::vector<ExprId> results = packed_results();
  std::set<uint32_t> there;
  Wanted all{.there = &there};
  for (const ExprId id : results) want(id.value, all);
  // The last vector is filled with the last synapse.
  loop("pack", b_.getInt64(0), padded, b_.getInt64(1), [&](Value* k) {
    RowValues row = of_row;
    Value* const to = find(b_.CreateNSWAdd(begin, b_.CreateSelect(b_.CreateICmpSLT(k, last), k, last)), row);
    for (const uint32_t id : all.leaves) write_packed(id, k, leaf_value(program_.pool[ExprId{id}], to, row, 0).number);
  });
  there.insert(all.leaves.begin(), all.leaves.end());
  for (const size_t which : all.strands) {
    std::vector<ExprId> needed;
    for (const uint32_t id : strands_[which].shared) needed.push_back(ExprId{id});
    for (const Strands::Sum& sum : strands_[which].sums)
      if (sum.start.valid()) needed.push_back(sum.start);
    compute_packed(needed, padded, of_row, there);
    emit_strands(which, padded, of_row);
    for (const Strands::Sum& sum : strands_[which].sums) there.insert(sum.result);
  }
  compute_packed(results, padded, of_row, there);

  loop("unpack", b_.getInt64(0), count, b_.getInt64(1), [&](Value* k) {
    RowValues row = of_row;
    Value* const to = find(b_.CreateNSWAdd(begin, k), row);
    for (const ExprId id : results) set_value(id.value, {.number = read_packed(id.value, k)}, row);
    for (const Store& effect : kernel_.stores)
      store(value(effect.value, row).number, self_pointer({effect.into, effect.element}, to, row), effect.into);
    for (const Accumulate& sum : kernel_.accumulates) {
      Value* const total = offset(element_pointer(place(sum)), to);
      store(combine(sum, load(total, sum.into), row), total, sum.into);
    }
  });
}

void KernelEmitter::emit_in_packs(Value* begin, Value* end, Value* post, RowValues& of_row) {
  const bool of_post = kernel_.rows == Rows::OfPost;
  if (of_post) shared_nodes(stages_.post, post);
  keep_numbers(/*of_row=*/true, of_row);
  Value* const chunk = b_.getInt64(kPacked);
  const auto past = [&](Value* from) {
    Value* const to = b_.CreateNSWAdd(from, chunk);
    return b_.CreateSelect(b_.CreateICmpSLT(to, end), to, end);
  };
  // The synapses of a column lie apart.
  if (of_post) fetch_synapses(begin, past(begin));
  loop("chunk", begin, end, chunk, [&](Value* from) {
    Value* const to = past(from);
    if (of_post) fetch_synapses(to, past(to));
    if (rare_.selects.empty()) return emit_packed(from, to, post, of_row);
    emit_either(b_.CreateIsNull(emit_rare(from, to, of_row)), [&](bool none) {
      none_is_rare_ = none;
      emit_packed(from, to, post, of_row);
    });
    none_is_rare_ = false;
  });
}

}  // namespace hebb::emitting
