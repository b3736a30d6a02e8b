#include "compiler/codegen/nvptx_row.h"

#include <llvm/IR/IntrinsicsNVPTX.h>
#include <llvm/IR/Module.h>

namespace hebb {

using llvm::Value;
using Kind = DeviceParameter::Kind;

namespace {

constexpr unsigned kGlobalMemory = 1;  // address space of NVPTX
constexpr uint64_t kAlignment = 64;    // of planes and arrays, as in hebb_abi.h
/// Reads after which a new stretch of the row begins: what it needs it reads again.
constexpr size_t kRead = 8;
/// Stretches after which what fades is made again.
constexpr size_t kFade = 1;

}  // namespace

ThreadRow::ThreadRow(const DeviceProgram& device, KernelId id, Precision precision, ThreadTarget target, llvm::Module& module)
    : program_(device.program), kernel_(program_[id]), device_(device.kernels[id.value]), target_(target),
      context_(module.getContext()), b_(context_), stages_(stages(program_, kernel_)), plan_(plan_row(device, id, stages_)),
      device_program_(device), id_(id), domain_(program_[kernel_.domain].kind) {
  real_ = precision == Precision::Float32 ? b_.getFloatTy() : b_.getDoubleTy();
  pointer_ = llvm::PointerType::get(context_, target == ThreadTarget::Gpu ? kGlobalMemory : 0);
  nodes_.resize(program_.pool.size());
  values_.resize(device_.parameters.size());
  target == ThreadTarget::Gpu ? open_gpu(module) : open_host(module);
}

// --- functions and their parameters ---

llvm::Type* ThreadRow::type_of(Kind kind) {
  switch (kind) {
    case Kind::Pres: case Kind::Posts: case Kind::Row: return b_.getInt32Ty();
    case Kind::LaneStride: return b_.getInt64Ty();
    case Kind::Column: case Kind::Run: case Kind::RowBegin: case Kind::PostIndex: case Kind::ColumnBegin:
    case Kind::Synapse: case Kind::PreIndex: return pointer_;
  }
  return pointer_;
}

void ThreadRow::open_gpu(llvm::Module& module) {
  std::vector<llvm::Type*> types;
  for (const DeviceParameter& each : device_.parameters) types.push_back(type_of(each.kind));
  function_ = llvm::Function::Create(llvm::FunctionType::get(b_.getVoidTy(), types, false), llvm::Function::ExternalLinkage,
                                     device_.symbol, module);
  function_->setCallingConv(llvm::CallingConv::PTX_Kernel);
  function_->addFnAttr(llvm::Attribute::NoUnwind);
  b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function_));
  for (unsigned k = 0; k < types.size(); ++k) {
    llvm::Argument* argument = function_->getArg(k);
    values_[k] = argument;
    if (!types[k]->isPointerTy()) continue;
    // Arrays do not overlap; elements of one column are planes apart.
    argument->addAttr(llvm::Attribute::NoAlias);
    argument->addAttr(llvm::Attribute::getWithAlignment(context_, llvm::Align(kAlignment)));
    if (!device_.parameters[k].written) argument->addAttr(llvm::Attribute::ReadOnly);
  }
  const auto special = [&](llvm::Intrinsic::ID id) { return b_.CreateIntrinsic(id, llvm::ArrayRef<llvm::Type*>(), llvm::ArrayRef<Value*>()); };
  block_x_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
  block_y_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_y);
  block_z_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_z);
  blocks_y_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_nctaid_y);
  thread_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_tid_x);
  threads_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_ntid_x);
}

void ThreadRow::open_host(llvm::Module& module) {
  function_ = llvm::Function::Create(llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy(), b_.getPtrTy()}, false),
                                     llvm::Function::ExternalLinkage, device_.symbol, module);
  b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function_));
  for (unsigned k = 0; k < values_.size(); ++k) {
    Value* at = b_.CreateLoad(b_.getPtrTy(), b_.CreateConstInBoundsGEP1_32(b_.getPtrTy(), function_->getArg(0), k));
    values_[k] = b_.CreateLoad(type_of(device_.parameters[k].kind), at);
  }
  const auto number = [&](unsigned k) {
    return b_.CreateLoad(b_.getInt32Ty(), b_.CreateConstInBoundsGEP1_32(b_.getInt32Ty(), function_->getArg(1), k));
  };
  block_x_ = number(0);
  block_y_ = number(1);
  block_z_ = number(2);
  blocks_y_ = number(3);
  thread_ = number(4);
  threads_ = number(5);
}

size_t ThreadRow::find(const std::function<bool(const DeviceParameter&)>& is) const {
  const auto& all = device_.parameters;
  const auto found = std::find_if(all.begin(), all.end(), is);
  return static_cast<size_t>(found - all.begin());
}

bool ThreadRow::has(Kind kind) const {
  return find([&](const DeviceParameter& p) { return p.kind == kind; }) < values_.size();
}

Value* ThreadRow::parameter(Kind kind) const {
  const size_t k = find([&](const DeviceParameter& p) { return p.kind == kind; });
  assert(k < values_.size() && "a kernel is passed what it needs");
  return values_[k];
}

bool ThreadRow::is_uniform(ColumnId column) const { return program_[program_[column].space].kind == SpaceKind::Uniform; }

Value* ThreadRow::address(ColumnId column, uint32_t element, Value* row) {
  const uint32_t plane = is_uniform(column) ? 0 : element;
  const size_t k = find([&](const DeviceParameter& p) { return p.kind == Kind::Column && p.column == column && p.element == plane; });
  assert(k < values_.size() && "a kernel is passed every column it touches");
  Value* index = lane_;
  if (row != nullptr) index = b_.CreateAdd(lane_, row);
  // Or, because of a sum the compiler would make a pointer for each column that goes along.
  if (row_zero_ != nullptr) index = b_.CreateOr(index, row_zero_);
  Value* at = b_.CreateInBoundsGEP(real_, values_[k], index);
  return is_uniform(column) && element != 0 ? b_.CreateConstInBoundsGEP1_32(real_, at, element) : at;
}

// --- nodes ---

Value* ThreadRow::wide(Value* index) { return b_.CreateZExt(index, b_.getInt64Ty()); }

Value* ThreadRow::self() {
  switch (domain_) {
    case SpaceKind::Uniform: return nullptr;
    case SpaceKind::Neurons: return wide(post_);
    case SpaceKind::Sparse: return synapse_;
    case SpaceKind::Dense: break;
  }
  Value* row = b_.CreateMul(wide(pre_), wide(parameter(Kind::Row)), "", true, true);
  return b_.CreateAdd(row, wide(post_), "", true, true);
}

NodeValue ThreadRow::leaf(const ExprNode& node) {
  if (node.op == Op::Const) return emit_constant(real_, node.value);
  if (node.op == Op::Draw) return draw(node.leaf);
  assert(node.op == Op::Load && "a Program has no variables");
  const ColumnId column{node.leaf.index};
  const auto read = [&](uint32_t element, Value* row) {
    return NodeValue{.number = b_.CreateLoad(real_, address(column, element, row), program_[column].name)};
  };
  const uint32_t element = node.leaf.element;
  switch (node.leaf.at) {
    case At::Uniform: return read(element, nullptr);
    case At::Fixed: {
      const auto width = static_cast<uint32_t>(program_[column].width);
      return read(element % width, b_.getInt64(element / width));
    }
    case At::Pre: return read(element, wide(pre_));
    case At::Post: return read(element, wide(post_));
    case At::Self: break;
  }
  return read(element, self());
}

NodeValue ThreadRow::draw(const Leaf& leaf) {
  Value* element = b_.getInt64(0);
  if (domain_ == SpaceKind::Neurons) element = wide(post_);
  if (is_synaptic(domain_)) element = b_.CreateAdd(b_.CreateMul(wide(pre_), wide(parameter(Kind::Posts))), wide(post_));
  Value* const run = parameter(Kind::Run);
  llvm::Type* const number = b_.getInt64Ty();
  Value* step = b_.CreateLoad(number, run, "step");
  Value* first = b_.CreateConstInBoundsGEP1_64(number, run, 1);
  Value* key = b_.CreateLoad(number, b_.CreateInBoundsGEP(number, first, wide(block_z_)), "key");
  return emit_draw(b_, {.key = key, .step = step, .element = element, .site = leaf.index, .slot = leaf.element}, real_);
}

void ThreadRow::compute(const std::vector<uint32_t>& ids) {
  for (const uint32_t id : ids) {
    const ExprNode node = program_.pool[ExprId{id}];
    if (in_row_ && plan_.again[id]) continue;
    nodes_[id] = info(node.op).is_leaf ? leaf(node) : operation(node);
  }
}

NodeValue ThreadRow::operation(const ExprNode& node) {
  NodeValue operands[3];
  for (int k = 0; k < node.count; ++k) operands[k] = value_of(node.operands[k]);
  return emit_operation(b_, node.op, {operands, size_t{node.count}}, real_);
}

// --- registers ---

bool ThreadRow::comes_too_early(const Store& store) const {
  for (uint32_t id = 0; id < stages_.live.size(); ++id) {
    const ExprNode node = program_.pool[ExprId{id}];
    if (!stages_.live[id] || node.op != Op::Load || node.leaf.index != store.into.value) continue;
    const bool other = node.leaf.at != At::Fixed && node.leaf.element != store.element;
    if (!other && plan_.again[id] && !row_reads_.contains(id)) return true;
  }
  return false;
}

NodeValue ThreadRow::value_of(ExprId id) {
  if (!in_row_ || !plan_.again[id.value]) {
    if (in_row_ && plan_.fades[id.value] && made_in_[id.value] + kFade < stretch_) make(id.value);
    return nodes_[id.value];
  }
  const auto known = row_reads_.find(id.value);
  if (known != row_reads_.end()) return known->second;
  const ExprNode node = program_.pool[id];
  const NodeValue value = info(node.op).is_leaf ? leaf(node) : operation(node);
  reads_ += node.op == Op::Load;
  if (node.op == Op::Load) again_ += !first_reads_.insert(id.value).second || (row_loop_ && stays(device_program_, id_, stages_.level[id.value]));
  return row_reads_[id.value] = value;
}

void ThreadRow::make(uint32_t id) {
  made_in_[id] = stretch_;
  nodes_[id] = operation(program_.pool[ExprId{id}]);
}

void ThreadRow::begin_stretch(const NodeValue& made) {
  if (made.number == nullptr) return;
  if (row_zero_ == nullptr || reads_ <= kRead) return;
  reads_ = 0;
  std::erase_if(row_reads_, [&](const auto& read) { return !plan_.once[read.first]; });
  ++stretch_;
  row_zero_ = b_.CreateAnd(first_zero_, bits_of(made.number));
}

void ThreadRow::round(Value* index, const std::function<void()>& body) {
  if (!plan_.crowded) return body();
  in_row_ = true;
  Value* const outer = std::exchange(row_zero_, b_.CreateZExt(b_.CreateLShr(index, index->getType()->getIntegerBitWidth() - 1), b_.getInt64Ty()));
  row_reads_.clear();
  row_loop_ = true;
  body();
  row_zero_ = outer;
  row_reads_.clear();
  in_row_ = outer != nullptr;
}

// --- sums ---

Value* ThreadRow::variable(const std::string& name) {
  const llvm::IRBuilderBase::InsertPointGuard guard(b_);
  llvm::BasicBlock& entry = function_->getEntryBlock();
  b_.SetInsertPoint(&entry, entry.begin());
  return b_.CreateAlloca(real_, nullptr, name);
}

Value* ThreadRow::owner(const Accumulate& sum) { return sum.at == At::Pre ? wide(pre_) : sum.at == At::Post ? wide(post_) : nullptr; }

void ThreadRow::open(const Accumulate& sum, Value* row) {
  const auto k = static_cast<size_t>(&sum - kernel_.accumulates.data());
  sums_[&sum] = variable("sum");
  Value* start = device_.fresh[k] ? emit_constant(real_, program_[sum.into].reset).number
                                  : b_.CreateLoad(real_, address(sum.into, sum.element, row));
  b_.CreateStore(start, sums_[&sum]);
}

void ThreadRow::close(const Accumulate& sum, Value* row) {
  Value* const total = b_.CreateLoad(real_, sums_[&sum]);
  if (row != nullptr) row = b_.CreateOr(row, b_.CreateAnd(b_.CreateLShr(row, 31), bits_of(total)));
  b_.CreateStore(total, address(sum.into, sum.element, row));
}

Value* ThreadRow::bits_of(Value* number) {
  return b_.CreateZExt(b_.CreateBitCast(number, b_.getIntNTy(real_->getPrimitiveSizeInBits())), b_.getInt64Ty());
}

void ThreadRow::open_all(At at) {
  for (const Accumulate& sum : kernel_.accumulates)
    if (sum.at == at) open(sum, owner(sum));
  for (const Scan& scan : kernel_.scans) {
    running_[scan.as.value] = variable("scan");
    b_.CreateStore(llvm::ConstantFP::get(real_, 0.0), running_[scan.as.value]);
  }
}

void ThreadRow::close_all(At at) {
  for (const Accumulate& sum : kernel_.accumulates)
    if (sum.at == at) close(sum, owner(sum));
}

Value* ThreadRow::combine(const Accumulate& sum, Value* so_far) {
  const ExprNode node = program_.pool[sum.value];
  const NodeValue value = value_of(sum.value);
  if (sum.combine != Combine::Sum) {
    const NodeValue operands[2] = {{.number = so_far}, value};
    return emit_operation(b_, sum.combine == Combine::Min ? Op::Min : Op::Max, operands, real_).number;
  }
  if (node.op != Op::Mul) return b_.CreateFAdd(so_far, value.number);
  return b_.CreateIntrinsic(llvm::Intrinsic::fma, {real_},
                            {value_of(node.operands[0]).number, value_of(node.operands[1]).number, so_far});
}

// --- rows ---

void ThreadRow::row() {
  for (size_t s = 0; s < kernel_.scans.size(); ++s) {
    compute(stages_.rows[s]);
    Value* const slot = running_[kernel_.scans[s].as.value];
    Value* const total = b_.CreateFAdd(b_.CreateLoad(real_, slot), value_of(kernel_.scans[s].value).number);
    b_.CreateStore(total, slot);
    for (const uint32_t id : stages_.scan_reads[s]) nodes_[id] = {.number = total};
  }
  if (!plan_.order.empty()) return row_in_order();
  compute(stages_.rows.back());
  for (const Store& store : kernel_.stores) put(store, value_of(store.value));
  for (const Accumulate& sum : kernel_.accumulates) add(sum);
}

void ThreadRow::put(const Store& store, const NodeValue& value) {
  b_.CreateStore(value.number, address(store.into, store.element, self_of(store)));
}

void ThreadRow::add(const Accumulate& sum) { b_.CreateStore(combine(sum, b_.CreateLoad(real_, sums_[&sum])), sums_[&sum]); }

void ThreadRow::row_in_order() {
  const auto nodes = static_cast<uint32_t>(program_.pool.size()), stores = static_cast<uint32_t>(kernel_.stores.size());
  const bool inside = std::exchange(in_row_, true);
  // Of a thread with one row: addresses have fewer bits.
  Value* const outer = row_zero_;
  if (row_zero_ == nullptr) row_zero_ = b_.CreateLShr(b_.CreatePtrToInt(any_column(), b_.getInt64Ty()), 63);
  first_zero_ = row_zero_;
  reads_ = stretch_ = 0;
  made_in_.assign(nodes, 0);
  std::vector<const Store*> last;
  for (const uint32_t step : plan_.order) {
    if (step < nodes) {
      make(step);
      begin_stretch(nodes_[step]);
    } else if (step - nodes >= stores) {
      add(kernel_.accumulates[step - nodes - stores]);
    } else {
      const Store& store = kernel_.stores[step - nodes];
      const NodeValue value = value_of(store.value);   // is read now: another store may change it
      if (comes_too_early(store)) {
        held_[&store] = value;
        last.push_back(&store);
      } else {
        put(store, value);
      }
      begin_stretch(value);
    }
  }
  for (const Store* store : last) put(*store, held_[store]);
  row_zero_ = outer;
  in_row_ = inside;
}

Value* ThreadRow::any_column() const { return values_[find([](const DeviceParameter& each) { return each.kind == Kind::Column; })]; }

Value* ThreadRow::self_of(const Store& store) { return is_uniform(store.into) ? nullptr : self(); }

void ThreadRow::at_pre(Value* pre) {
  pre_ = pre;
  compute(stages_.pre);
}

void ThreadRow::at_post(Value* post) {
  post_ = post;
  compute(stages_.post);
}

}  // namespace hebb
