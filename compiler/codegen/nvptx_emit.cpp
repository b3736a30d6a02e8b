#include "compiler/codegen/nvptx_emit.h"

#include <llvm/IR/IntrinsicsNVPTX.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <map>
#include <set>

#include "compiler/codegen/emit_expr.h"
#include "compiler/codegen/row_plan.h"
#include "compiler/codegen/stages.h"

namespace hebb {
namespace {

using llvm::Value;
using Kind = DeviceParameter::Kind;

constexpr const char* kRereadAttribute = "hebb-reread";
constexpr unsigned kGlobalMemory = 1;  // address space of NVPTX
constexpr uint64_t kAlignment = 64;    // of planes and arrays, as in hebb_abi.h
/// Reads after which a new stretch of the row begins: what it needs it reads again.
constexpr size_t kRead = 8;
/// Of a thread whose row is careful with them: with more, fewer than half of the warps fit.
constexpr int kRegisters = 64;
/// Stretches after which what fades is made again.
constexpr size_t kFade = 1;

class ThreadEmitter {
 public:
  ThreadEmitter(const DeviceProgram& device, KernelId id, Precision precision, ThreadTarget target, llvm::Module& module)
      : program_(device.program), kernel_(program_[id]), device_(device.kernels[id.value]), target_(target),
        context_(module.getContext()), b_(context_), stages_(stages(program_, kernel_)), plan_(plan_row(device, id, stages_)),
        device_program_(device), id_(id), domain_(program_[kernel_.domain].kind) {
    real_ = precision == Precision::Float32 ? b_.getFloatTy() : b_.getDoubleTy();
    pointer_ = llvm::PointerType::get(context_, target == ThreadTarget::Gpu ? kGlobalMemory : 0);
    nodes_.resize(program_.pool.size());
    values_.resize(device_.parameters.size());
    target == ThreadTarget::Gpu ? open_gpu(module) : open_host(module);
  }

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
  // --- functions and their parameters ---

  llvm::Type* type_of(Kind kind) {
    switch (kind) {
      case Kind::Pres: case Kind::Posts: case Kind::Row: return b_.getInt32Ty();
      case Kind::LaneStride: return b_.getInt64Ty();
      case Kind::Column: case Kind::Run: case Kind::RowBegin: case Kind::PostIndex: case Kind::ColumnBegin:
      case Kind::Synapse: case Kind::PreIndex: return pointer_;
    }
    return pointer_;
  }

  void open_gpu(llvm::Module& module) {
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

  void open_host(llvm::Module& module) {
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

  size_t find(const std::function<bool(const DeviceParameter&)>& is) const {
    const auto& all = device_.parameters;
    const auto found = std::find_if(all.begin(), all.end(), is);
    return static_cast<size_t>(found - all.begin());
  }
  bool has(Kind kind) const {
    return find([&](const DeviceParameter& p) { return p.kind == kind; }) < values_.size();
  }
  Value* parameter(Kind kind) const {
    const size_t k = find([&](const DeviceParameter& p) { return p.kind == kind; });
    assert(k < values_.size() && "a kernel is passed what it needs");
    return values_[k];
  }

  bool is_uniform(ColumnId column) const { return program_[program_[column].space].kind == SpaceKind::Uniform; }

  /// Where element `element` of `column` begins, of this lane, `row` elements on (null: none).
  Value* address(ColumnId column, uint32_t element, Value* row) {
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

  Value* wide(Value* index) { return b_.CreateZExt(index, b_.getInt64Ty()); }

  /// The row of the domain that is being computed, as an index into its columns; null: of one.
  Value* self() {
    switch (domain_) {
      case SpaceKind::Uniform: return nullptr;
      case SpaceKind::Neurons: return wide(post_);
      case SpaceKind::Sparse: return synapse_;
      case SpaceKind::Dense: break;
    }
    Value* row = b_.CreateMul(wide(pre_), wide(parameter(Kind::Row)), "", true, true);
    return b_.CreateAdd(row, wide(post_), "", true, true);
  }

  NodeValue leaf(const ExprNode& node) {
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

  NodeValue draw(const Leaf& leaf) {
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

  void compute(const std::vector<uint32_t>& ids) {
    for (const uint32_t id : ids) {
      const ExprNode node = program_.pool[ExprId{id}];
      if (in_row_ && plan_.again[id]) continue;
      nodes_[id] = info(node.op).is_leaf ? leaf(node) : operation(node);
    }
  }
  NodeValue operation(const ExprNode& node) {
    NodeValue operands[3];
    for (int k = 0; k < node.count; ++k) operands[k] = value_of(node.operands[k]);
    return emit_operation(b_, node.op, {operands, size_t{node.count}}, real_);
  }

  // --- registers ---

  /// Whether a store may change what the row is yet to read.
  bool comes_too_early(const Store& store) const {
    for (uint32_t id = 0; id < stages_.live.size(); ++id) {
      const ExprNode node = program_.pool[ExprId{id}];
      if (!stages_.live[id] || node.op != Op::Load || node.leaf.index != store.into.value) continue;
      const bool other = node.leaf.at != At::Fixed && node.leaf.element != store.element;
      if (!other && plan_.again[id] && !row_reads_.contains(id)) return true;
    }
    return false;
  }

  NodeValue value_of(ExprId id) {
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

  void make(uint32_t id) {
    made_in_[id] = stretch_;
    nodes_[id] = operation(program_.pool[ExprId{id}]);
  }

  /// Forgets what the row has read, once that is much. `made` was computed just now: addresses get a 0 made of its bits, so
  /// that nobody reads in advance or takes what was read before.
  void begin_stretch(const NodeValue& made) {
    if (made.number == nullptr) return;
    if (row_zero_ == nullptr || reads_ <= kRead) return;
    reads_ = 0;
    std::erase_if(row_reads_, [&](const auto& read) { return !plan_.once[read.first]; });
    ++stretch_;
    row_zero_ = b_.CreateAnd(first_zero_, bits_of(made.number));
  }

  /// One round of a loop. Where registers are few, every address in it gets a 0 made of the loop's index (which has 31 bits, or
  /// 63): nobody then moves reads out of the loop, or keeps a pointer for each column that goes along.
  void round(Value* index, const std::function<void()>& body) {
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

  Value* variable(const std::string& name) {
    const llvm::IRBuilderBase::InsertPointGuard guard(b_);
    llvm::BasicBlock& entry = function_->getEntryBlock();
    b_.SetInsertPoint(&entry, entry.begin());
    return b_.CreateAlloca(real_, nullptr, name);
  }

  Value* owner(const Accumulate& sum) { return sum.at == At::Pre ? wide(pre_) : sum.at == At::Post ? wide(post_) : nullptr; }

  void open(const Accumulate& sum, Value* row) {
    const auto k = static_cast<size_t>(&sum - kernel_.accumulates.data());
    sums_[&sum] = variable("sum");
    Value* start = device_.fresh[k] ? emit_constant(real_, program_[sum.into].reset).number
                                    : b_.CreateLoad(real_, address(sum.into, sum.element, row));
    b_.CreateStore(start, sums_[&sum]);
  }
  /// The address is made of the sum as well, by a 0, so that it comes into being now and not before the loop.
  void close(const Accumulate& sum, Value* row) {
    Value* const total = b_.CreateLoad(real_, sums_[&sum]);
    if (row != nullptr) row = b_.CreateOr(row, b_.CreateAnd(b_.CreateLShr(row, 31), bits_of(total)));
    b_.CreateStore(total, address(sum.into, sum.element, row));
  }
  Value* bits_of(Value* number) {
    return b_.CreateZExt(b_.CreateBitCast(number, b_.getIntNTy(real_->getPrimitiveSizeInBits())), b_.getInt64Ty());
  }
  void open_all(At at) {
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == at) open(sum, owner(sum));
    for (const Scan& scan : kernel_.scans) {
      running_[scan.as.value] = variable("scan");
      b_.CreateStore(llvm::ConstantFP::get(real_, 0.0), running_[scan.as.value]);
    }
  }
  void close_all(At at) {
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == at) close(sum, owner(sum));
  }

  Value* combine(const Accumulate& sum, Value* so_far) {
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

  /// The row at (pre_, post_, synapse_), whose neurons' nodes are there.
  void row() {
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
  void put(const Store& store, const NodeValue& value) {
    b_.CreateStore(value.number, address(store.into, store.element, self_of(store)));
  }
  void add(const Accumulate& sum) { b_.CreateStore(combine(sum, b_.CreateLoad(real_, sums_[&sum])), sums_[&sum]); }

  void row_in_order() {
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
  Value* any_column() const { return values_[find([](const DeviceParameter& each) { return each.kind == Kind::Column; })]; }
  Value* self_of(const Store& store) { return is_uniform(store.into) ? nullptr : self(); }

  void at_pre(Value* pre) {
    pre_ = pre;
    compute(stages_.pre);
  }
  void at_post(Value* post) {
    post_ = post;
    compute(stages_.post);
  }

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
