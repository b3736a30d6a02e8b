// Nodes, memory and running sums of a kernel.

#include "compiler/codegen/kernel_emitter.h"

namespace hebb::emitting {

Value* KernelEmitter::load(Value* pointer, ColumnId column, int row) {
  llvm::LoadInst* load = b_.CreateLoad(real_, pointer, program_[column].name);
  aliases_.note(load, column, row);
  note_parallel(load);
  return load;
}

void KernelEmitter::store(Value* value, Value* pointer, ColumnId column, int row) {
  llvm::StoreInst* store = b_.CreateStore(value, pointer);
  aliases_.note(store, column, row);
  note_parallel(store);
}

void KernelEmitter::note_parallel(llvm::Instruction* access) {
  if (parallel_ != nullptr) access->setMetadata(llvm::LLVMContext::MD_access_group, parallel_);
}

Value* KernelEmitter::offset(Value* pointer, Value* index) {
  return index == nullptr ? pointer : b_.CreateInBoundsGEP(real_, pointer, index);
}

Value* KernelEmitter::self_pointer(const Place& place, Value* post, RowValues& row) {
  if (domain_ == SpaceKind::Sparse) return offset(element_pointer(place), row.synapse);
  if (domain_ != SpaceKind::Dense) return offset(element_pointer(place), post);
  return offset(row.pointers.at(place), post);
}

const NodeValue& KernelEmitter::value(ExprId id, const RowValues& row) const {
  const bool is_shared = (stages_.level[id.value] & kPre) == 0;
  return is_shared ? shared_[id.value] : row.nodes[id.value];
}

void KernelEmitter::set_value(uint32_t id, NodeValue value, RowValues& row) {
  ((stages_.level[id] & kPre) == 0 ? shared_ : row.nodes)[id] = value;
}

NodeValue KernelEmitter::leaf_value(const ExprNode& node, Value* post, RowValues& row, int lane) {
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

NodeValue KernelEmitter::draw(const Leaf& leaf, Value* post, const RowValues& row) {
  Value* element = b_.getInt64(0);
  if (domain_ == SpaceKind::Neurons) element = post;
  if (is_synaptic(domain_))
    element = b_.CreateNSWAdd(b_.CreateNSWMul(row.index, launch_.post_count), post);
  return emit_draw(b_, {.key = launch_.key, .step = launch_.step, .element = element,
                        .site = leaf.index, .slot = leaf.element}, real_);
}

void KernelEmitter::compute(uint32_t id, Value* post, RowValues& row, int lane) {
  if (none_is_rare_ && !rare_.live_without[id]) return;
  const ExprNode node = program_.pool[ExprId{id}];
  NodeValue result;
  if (rounds_.most > 0 && id == rounds_.result.value) {
    result = after_rounds(row);
  } else if (none_is_rare_ && rare_.selects.contains(id)) {
    result = value(node.operands[rare_.selects.at(id)], row);
  } else if (info(node.op).is_leaf) {
    result = leaf_value(node, post, row, lane);
  } else {
    NodeValue operands[3];
    for (int k = 0; k < node.count; ++k) operands[k] = value(node.operands[k], row);
    if (near_ && node.op == Op::Exprel) result.number = emit_exprel_near(b_, operands[0].number);
    else result = emit_operation(b_, node.op, {operands, size_t{node.count}}, real_);
  }
  set_value(id, result, row);
}

void KernelEmitter::shared_nodes(const std::vector<uint32_t>& ids, Value* post) {
  RowValues none;
  for (const uint32_t id : ids) compute(id, post, none, 0);
}

Value* KernelEmitter::combine(const Accumulate& sum, Value* so_far, const RowValues& row) {
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

Value* KernelEmitter::variable(const std::string& name, llvm::Type* type) {
  const llvm::IRBuilderBase::InsertPointGuard guard(b_);
  llvm::BasicBlock& entry = function_->getEntryBlock();
  b_.SetInsertPoint(&entry, entry.begin());
  llvm::AllocaInst* const slot = b_.CreateAlloca(type ? type : real_, nullptr, name);
  // Arrays are read and written as vectors.
  if (slot->getAllocatedType()->isArrayTy()) slot->setAlignment(llvm::Align(options_.vector_bits / 8));
  return slot;
}

Value*& KernelEmitter::running(ColumnId column, uint32_t element, int lane) {
  return running_[{Place{column, element}, lane}];
}

void KernelEmitter::open_running(const Accumulate& sum, int lane, Value* pointer) {
  Value*& slot = running(sum.into, sum.element, lane);
  if (slot == nullptr) slot = variable(program_[sum.into].name + ".sum");
  b_.CreateStore(load(pointer, sum.into), slot);
}

void KernelEmitter::close_running(const Accumulate& sum, int lane, Value* pointer) {
  store(b_.CreateLoad(real_, running(sum.into, sum.element, lane)), pointer, sum.into);
}

void KernelEmitter::add_to_running(const Accumulate& sum, int lane, const RowValues& row) {
  Value* slot = running(sum.into, sum.element, lane);
  b_.CreateStore(combine(sum, b_.CreateLoad(real_, slot), row), slot);
}

void KernelEmitter::emit_row_block(Value* post, std::vector<RowValues> rows, int count) {
  rows.resize(count);
  if (!is_synaptic(domain_)) rows[0].nodes.resize(program_.pool.size());
  if (long_order_.empty()) shared_nodes(stages_.post, post);
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
    for (const uint32_t id : long_order_.empty() ? stages_.rows.back() : long_order_) compute(id, post, row, lane);
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

Value* KernelEmitter::advance(const Scan& scan, int lane, const RowValues& row, std::map<Place, Value*>& per_post) {
  const ReductionFlags flags(*this);
  Value* const addend = value(scan.value, row).number;
  if (scan.along == At::Pre) return per_post[{scan.as}] = b_.CreateFAdd(per_post[{scan.as}], addend);
  Value* slot = running(scan.as, 0, lane);
  Value* total = b_.CreateFAdd(b_.CreateLoad(real_, slot), addend);
  b_.CreateStore(total, slot);
  return total;
}

}  // namespace hebb::emitting
