#include "compiler/codegen/nvptx_emit.h"

#include <llvm/IR/IntrinsicsNVPTX.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <map>

#include "compiler/codegen/emit_expr.h"
#include "compiler/program/row_order.h"
#include "compiler/codegen/stages.h"

namespace hebb {
namespace {

using llvm::Value;
using Kind = DeviceParameter::Kind;

constexpr const char* kRereadAttribute = "hebb-reread";
constexpr unsigned kGlobalMemory = 1;  // address space of NVPTX
constexpr uint64_t kAlignment = 64;    // of planes and arrays, as in hebb_abi.h
/// Values from outside the loop over rows that a thread keeps in registers. With more, fewer warps would fit: those that
/// lie in memory are read in every row instead, where they come out of the first-level cache.
constexpr size_t kHeld = 20;
/// Columns that get a pointer of their own which moves from row to row.
constexpr std::ptrdiff_t kColumns = 12;
/// Values of a row that exist at once; with more, stores and sums take theirs as soon as they are there.
constexpr size_t kLive = 20;

class ThreadEmitter {
 public:
  ThreadEmitter(const DeviceProgram& device, KernelId id, Precision precision, ThreadTarget target, llvm::Module& module)
      : program_(device.program), kernel_(program_[id]), device_(device.kernels[id.value]), target_(target),
        context_(module.getContext()), b_(context_), stages_(stages(program_, kernel_)), domain_(program_[kernel_.domain].kind) {
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
    plan_row();
    if (order_.empty() || domain_ != SpaceKind::Uniform) compute(stages_.uniform);
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
    if (row_zero_ != nullptr) index = b_.CreateAdd(index, row_zero_);
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
      if (!info(node.op).is_leaf) compute_one(id);
      else if (!in_row_ || !reread_[id]) nodes_[id] = leaf(node);
    }
  }
  void compute_one(uint32_t id) {
    const ExprNode node = program_.pool[ExprId{id}];
    NodeValue operands[3];
    for (int k = 0; k < node.count; ++k) operands[k] = value_of(node.operands[k]);
    nodes_[id] = emit_operation(b_, node.op, {operands, size_t{node.count}}, real_);
  }

  // --- registers ---

  /// Whether a value stays the same in the loop over rows.
  bool stays(Level level) const {
    if (level == kUniform) return domain_ != SpaceKind::Uniform;
    switch (device_.spread) {
      case Spread::Pairs: case Spread::ByPost: case Spread::ColumnBlocks: return level == kPost;
      case Spread::One: case Spread::ByPre: case Spread::RowBlocks: return level == kPre;
      case Spread::Neurons: break;
    }
    return false;
  }
  /// Of the present row alone: computed there, or read there when it is first needed.
  bool of_row(uint32_t id) const {
    return domain_ == SpaceKind::Uniform || stages_.level[id] == kRow;
  }

  /// Whether a store may change what the row is yet to read.
  bool comes_too_early(const Store& store) const {
    for (uint32_t id = 0; id < stages_.live.size(); ++id) {
      const ExprNode node = program_.pool[ExprId{id}];
      if (!stages_.live[id] || node.op != Op::Load || node.leaf.index != store.into.value) continue;
      const bool other = node.leaf.at != At::Fixed && node.leaf.element != store.element;
      if (!other && reread_[id] && !row_reads_.contains(id)) return true;
    }
    return false;
  }

  /// The order of a row, stores and sums included, and whether it has to be careful with registers.
  void plan_row() {
    const ExprPool& pool = program_.pool;
    reread_.resize(pool.size());
    std::vector<bool> inside(pool.size());
    std::vector<RowEffect> effects;
    for (uint32_t id = 0; id < pool.size(); ++id)
      inside[id] = stages_.live[id] && of_row(id) && !info(pool[ExprId{id}].op).is_leaf;
    for (const Store& store : kernel_.stores) effects.push_back({{store.value}});
    for (const Accumulate& sum : kernel_.accumulates) effects.push_back({taken_by(pool, sum)});
    const auto columns = std::count_if(device_.parameters.begin(), device_.parameters.end(),
                                       [](const DeviceParameter& each) { return each.kind == Kind::Column; });
    size_t held = 0;
    std::vector<bool> outside(pool.size());
    for (uint32_t id = 0; id < pool.size(); ++id) {
      if (!inside[id]) continue;
      const ExprNode node = pool[ExprId{id}];
      for (int k = 0; k < node.count; ++k) {
        const uint32_t from = node.operands[k].value;
        if (outside[from] || !stays(stages_.level[from]) || pool[node.operands[k]].op == Op::Const) continue;
        outside[from] = true;
        ++held;
      }
    }
    // Running sums are read in between: such rows keep their order.
    const RowOrder order = kernel_.scans.empty() ? order_of_row(pool, inside, effects) : RowOrder{};
    crowded_ = held > kHeld || columns > kColumns || order.live > kLive;
    if (!crowded_) return;
    order_ = order.order;
    for (uint32_t id = 0; id < pool.size(); ++id) {
      if (!stages_.live[id] || !info(pool[ExprId{id}].op).is_leaf) continue;
      reread_[id] = outside[id] ? held > kHeld : kernel_.scans.empty() && !stays(stages_.level[id]);
    }
  }

  NodeValue value_of(ExprId id) {
    if (!in_row_ || !reread_[id.value]) return nodes_[id.value];
    const auto known = row_reads_.find(id.value);
    return known != row_reads_.end() ? known->second : row_reads_[id.value] = leaf(program_.pool[id]);
  }

  /// One round of a loop. Where registers are few, every address in it gets a 0 made of the loop's index (which has 31 bits, or
  /// 63): nobody then moves reads out of the loop, or keeps a pointer for each column that goes along.
  void round(Value* index, const std::function<void()>& body) {
    if (!crowded_) return body();
    in_row_ = true;
    Value* const outer = std::exchange(row_zero_, b_.CreateZExt(b_.CreateLShr(index, index->getType()->getIntegerBitWidth() - 1), b_.getInt64Ty()));
    row_reads_.clear();
    body();
    int again = 0;
    for (const auto& [id, value] : row_reads_) again += stays(stages_.level[id]);
    if (again > 0) function_->addFnAttr(kRereadAttribute, std::to_string(again));
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
  void close(const Accumulate& sum, Value* row) {
    b_.CreateStore(b_.CreateLoad(real_, sums_[&sum]), address(sum.into, sum.element, row));
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
    if (!order_.empty()) return row_in_order();
    compute(stages_.rows.back());
    for (const Store& store : kernel_.stores) put(store);
    for (const Accumulate& sum : kernel_.accumulates) add(sum);
  }
  void put(const Store& store) {
    b_.CreateStore(value_of(store.value).number, address(store.into, store.element, self_of(store)));
  }
  void add(const Accumulate& sum) { b_.CreateStore(combine(sum, b_.CreateLoad(real_, sums_[&sum])), sums_[&sum]); }

  void row_in_order() {
    const auto nodes = static_cast<uint32_t>(program_.pool.size()), stores = static_cast<uint32_t>(kernel_.stores.size());
    const bool inside = std::exchange(in_row_, true);
    std::vector<const Store*> last;
    for (const uint32_t step : order_) {
      if (step < nodes) {
        compute_one(step);
      } else if (step - nodes >= stores) {
        add(kernel_.accumulates[step - nodes - stores]);
      } else {
        const Store& store = kernel_.stores[step - nodes];
        value_of(store.value);   // is read now: another store may change it
        comes_too_early(store) ? last.push_back(&store) : put(store);
      }
    }
    for (const Store* store : last) put(*store);
    in_row_ = inside;
  }
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
  std::vector<bool> reread_;                // by ExprId
  std::map<uint32_t, NodeValue> row_reads_; // of these, what the present row has read
  std::vector<uint32_t> order_;             // of a crowded row: RowOrder
  bool crowded_ = false, in_row_ = false;
  Value* row_zero_ = nullptr;               // in a round of a crowded loop
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
