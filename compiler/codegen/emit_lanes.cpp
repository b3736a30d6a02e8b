#include "compiler/codegen/emit_lanes.h"

#include <llvm/IR/Module.h>

#include <functional>
#include <map>

#include "compiler/codegen/alias_scopes.h"
#include "compiler/codegen/emit_expr.h"
#include "compiler/codegen/stages.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

using llvm::Value;

constexpr int64_t kLanes = kLanesTogether;

class LaneEmitter {
 public:
  LaneEmitter(const Program& program, KernelId id, const EmitOptions& options, llvm::Module& module)
      : program_(program), kernel_(program[id]), options_(options), context_(module.getContext()), b_(context_),
        aliases_(context_), stages_(stages(program, kernel_)), domain_(program[kernel_.domain]), values_(program.pool.size()) {
    real_ = options.precision == Precision::Float32 ? b_.getFloatTy() : b_.getDoubleTy();
    at_once_ = std::min<int64_t>(kLanes, options.vector_bits / real_->getPrimitiveSizeInBits());
    vector_ = llvm::FixedVectorType::get(real_, static_cast<unsigned>(at_once_));
    function_ = llvm::Function::Create(llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy()}, false),
                                       llvm::Function::ExternalLinkage, kernel_symbol(program, id), module);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr("prefer-vector-width", std::to_string(options.vector_bits));
    function_->addParamAttr(0, llvm::Attribute::NoAlias);
    function_->addParamAttr(0, llvm::Attribute::ReadOnly);
  }

  void emit() {
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function_));
    columns_ = field(b_.getPtrTy(), offsetof(hebb_launch, columns));
    keys_ = field(b_.getPtrTy(), offsetof(hebb_launch, keys));
    step_ = field(b_.getInt64Ty(), offsetof(hebb_launch, step));
    // As many runs at a time as one register holds: what is computed for two halves at once takes two.
    loop("part", kLanes / at_once_, 1, [&](Value* part) {
      first_lane_ = b_.CreateNSWMul(part, b_.getInt64(static_cast<uint64_t>(at_once_)));
      emit_part();
    });
    b_.CreateRetVoid();
    aliases_.attach();
  }

 private:
  void emit_part() {
    if (const std::vector<Effects> groups = stores_apart(); !groups.empty()) return emit_neurons_by_stores(groups);
    compute_all(stages_.uniform, {});
    if (sums_apart()) return emit_neurons_by_sums();
    open_running(At::Uniform, {});
    switch (domain_.kind) {
      case SpaceKind::Uniform: emit_row({}); break;
      case SpaceKind::Neurons:
        loop("post", domain_.size, [&](Value* post) { emit_row({.pre = nullptr, .post = post}); });
        break;
      case SpaceKind::Dense: by_post() ? emit_by_post() : emit_dense(); break;
      case SpaceKind::Sparse: assert(false && "runs of sparse networks are not packed"); break;
    }
    close_running(At::Uniform, {});
  }

  /// Which row is computed; null where the domain has no such index.
  struct Row {
    Value *pre = nullptr, *post = nullptr;
  };

  // --- memory ---

  Value* field(llvm::Type* type, size_t offset) {
    Value* pointer = b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), function_->getArg(0), offset);
    return invariant(b_.CreateLoad(type, pointer));
  }

  llvm::LoadInst* invariant(llvm::LoadInst* load) {
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
    return load;
  }

  Value* variable(const std::string& name, llvm::Type* type) {
    const llvm::IRBuilderBase::InsertPointGuard guard(b_);
    llvm::BasicBlock& entry = function_->getEntryBlock();
    b_.SetInsertPoint(&entry, entry.begin());
    llvm::AllocaInst* out = b_.CreateAlloca(type, nullptr, name);
    out->setAlignment(llvm::Align(64));
    return out;
  }

  Value* base(ColumnId column) {
    Value*& known = bases_[column.value];
    if (known != nullptr) return known;
    const llvm::IRBuilderBase::InsertPointGuard guard(b_);
    if (llvm::Instruction* end = function_->getEntryBlock().getTerminator()) b_.SetInsertPoint(end);
    Value* pointer = b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), columns_, column.value);
    return known = invariant(b_.CreateLoad(b_.getPtrTy(), pointer, program_[column].name));
  }

  /// Element `element` of row `row` of a column; no row: it is uniform.
  Value* pointer(ColumnId column, Value* row, uint32_t element) {
    Value* index = b_.getInt64(element);
    if (row != nullptr) index = b_.CreateNSWAdd(b_.CreateNSWMul(row, b_.getInt64(program_[column].width)), index);
    return b_.CreateInBoundsGEP(real_, base(column), b_.CreateNSWAdd(b_.CreateNSWMul(index, b_.getInt64(kLanes)), first_lane_));
  }

  llvm::Align alignment() const { return llvm::Align(static_cast<uint64_t>(at_once_) * (real_->getPrimitiveSizeInBits() / 8)); }

  Value* load(ColumnId column, Value* pointer) {
    llvm::LoadInst* load = b_.CreateAlignedLoad(vector_, pointer, alignment(), program_[column].name);
    aliases_.note(load, column, 0);
    return load;
  }

  void store(Value* value, ColumnId column, Value* pointer) {
    aliases_.note(b_.CreateAlignedStore(value, pointer, alignment()), column, 0);
  }

  Value* pair(const Row& row) {
    return b_.CreateNSWAdd(b_.CreateNSWMul(row.pre, b_.getInt64(program_[domain_.post].size)), row.post);
  }

  Value* own(const Row& row) {
    if (domain_.kind == SpaceKind::Uniform) return nullptr;
    return domain_.kind == SpaceKind::Dense ? pair(row) : row.post;
  }

  Value* index(At at, const Row& row) {
    switch (at) {
      case At::Uniform: case At::Fixed: return nullptr;   // of Fixed, the element says which row
      case At::Pre: return row.pre;
      case At::Post: return row.post;
      case At::Self: break;
    }
    return own(row);
  }

  // --- nodes ---

  NodeValue constant(double value) {
    return {.number = llvm::ConstantVector::getSplat(vector_->getElementCount(),
                                                     llvm::cast<llvm::Constant>(emit_constant(real_, value).number))};
  }

  /// A result for each run from one number of each operand: a loop that becomes vectors later.
  Value* by_lane(std::span<Value* const> operands, const std::function<Value*(Value* lane, std::span<Value* const>)>& f) {
    llvm::Type* const array = llvm::ArrayType::get(real_, static_cast<uint64_t>(at_once_));
    std::vector<Value*> in;
    for (Value* operand : operands) {
      in.push_back(variable("in", array));
      b_.CreateAlignedStore(operand, in.back(), llvm::Align(64));
    }
    Value* const out = variable("out", array);
    llvm::MDNode* const group = llvm::MDNode::getDistinct(context_, {});
    const auto parallel = [&](llvm::Instruction* access) { access->setMetadata(llvm::LLVMContext::MD_access_group, group); };
    loop("lane", at_once_, [&](Value* lane) {
      std::vector<Value*> numbers;
      for (Value* array : in) {
        llvm::LoadInst* number = b_.CreateLoad(real_, b_.CreateInBoundsGEP(real_, array, lane));
        parallel(number);
        numbers.push_back(number);
      }
      parallel(b_.CreateStore(f(lane, numbers), b_.CreateInBoundsGEP(real_, out, lane)));
    }, vector_hints(group));
    return b_.CreateAlignedLoad(vector_, out, llvm::Align(64));
  }

  llvm::MDNode* vector_hints(llvm::MDNode* group) {
    const auto hint = [&](const char* name, llvm::Constant* value) -> llvm::Metadata* {
      llvm::Metadata* parts[] = {llvm::MDString::get(context_, name), llvm::ConstantAsMetadata::get(value)};
      return llvm::MDNode::get(context_, parts);
    };
    llvm::Metadata* accesses[] = {llvm::MDString::get(context_, "llvm.loop.parallel_accesses"), group};
    llvm::Metadata* parts[] = {nullptr, llvm::MDNode::get(context_, accesses), hint("llvm.loop.vectorize.enable", b_.getTrue()),
                               hint("llvm.loop.vectorize.width", b_.getInt32(static_cast<uint32_t>(at_once_))),
                               hint("llvm.loop.interleave.count", b_.getInt32(1))};
    llvm::MDNode* node = llvm::MDNode::getDistinct(context_, parts);
    node->replaceOperandWith(0, node);
    return node;
  }

  Value* draw(const Leaf& leaf, const Row& row) {
    Value* const own_index = own(row);
    return by_lane({}, [&](Value* lane, std::span<Value* const>) {
      Value* const key = invariant(b_.CreateLoad(b_.getInt64Ty(), b_.CreateInBoundsGEP(b_.getInt64Ty(), keys_, b_.CreateNSWAdd(first_lane_, lane))));
      return emit_draw(b_, {.key = key, .step = step_, .element = own_index ? own_index : b_.getInt64(0),
                            .site = leaf.index, .slot = leaf.element}, real_).number;
    });
  }

  NodeValue computed(const ExprNode& node, const Row& row) {
    if (node.op == Op::Const) return constant(node.value);
    if (node.op == Op::Draw) return {.number = draw(node.leaf, row)};
    if (node.op == Op::Load) {
      const ColumnId column{node.leaf.index};
      return {.number = load(column, pointer(column, index(node.leaf.at, row), node.leaf.element))};
    }
    NodeValue operands[3];
    for (int k = 0; k < node.count; ++k) operands[k] = values_[node.operands[k].value];
    if (!info(node.op).is_transcendental) return emit_operation(b_, node.op, {operands, size_t{node.count}}, vector_);
    Value* numbers[3];
    for (int k = 0; k < node.count; ++k) numbers[k] = operands[k].number;
    return {.number = by_lane({numbers, size_t{node.count}}, [&](Value*, std::span<Value* const> of_lane) {
      NodeValue own[3];
      for (size_t k = 0; k < of_lane.size(); ++k) own[k].number = of_lane[k];
      return emit_operation(b_, node.op, {own, of_lane.size()}, real_).number;
    })};
  }

  void compute_all(const std::vector<uint32_t>& ids, const Row& row) {
    for (const uint32_t id : ids) values_[id] = computed(program_.pool[ExprId{id}], row);
  }

  // --- sums ---

  Value* combine(const Accumulate& sum, Value* so_far) {
    const ExprNode node = program_.pool[sum.value];
    const NodeValue added = values_[sum.value.value];
    if (sum.combine != Combine::Sum) {
      const NodeValue operands[2] = {{.number = so_far}, added};
      return emit_operation(b_, sum.combine == Combine::Min ? Op::Min : Op::Max, operands, vector_).number;
    }
    if (node.op != Op::Mul) return b_.CreateFAdd(so_far, added.number);
    return b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_},
                              {values_[node.operands[0].value].number, values_[node.operands[1].value].number, so_far});
  }

  Value*& running(const Accumulate& sum) {
    Value*& slot = running_[{sum.into.value, sum.element}];
    if (slot == nullptr) slot = variable("sum", vector_);
    return slot;
  }

  void open_running(At at, const Row& row) {
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == at) b_.CreateStore(load(sum.into, pointer(sum.into, index(at, row), sum.element)), running(sum));
  }
  void close_running(At at, const Row& row) {
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == at) store(b_.CreateLoad(vector_, running(sum)), sum.into, pointer(sum.into, index(at, row), sum.element));
  }

  void add(const Accumulate& sum, const Row& row) {
    if (sum.at != At::Post || sums_stay_) {
      b_.CreateStore(combine(sum, b_.CreateLoad(vector_, running(sum))), running(sum));
      return;
    }
    Value* const place = pointer(sum.into, row.post, sum.element);
    store(combine(sum, load(sum.into, place)), sum.into, place);
  }

  /// Where the running sum of a scan is kept.
  Value* scan_place(const Scan& scan, const Row& row) {
    return scan.along == At::Post ? scans_[scan.as.value] : b_.CreateInBoundsGEP(vector_, scans_[scan.as.value], row.post);
  }

  // --- loops ---

  void loop(const char* name, int64_t count, const std::function<void(Value*)>& body, llvm::MDNode* hints = nullptr) {
    loop(name, count, 2, body, hints);
  }
  /// Without a loop up to a count of `unrolled`.
  void loop(const char* name, int64_t count, int64_t unrolled, const std::function<void(Value*)>& body, llvm::MDNode* hints = nullptr) {
    if (count <= unrolled) {
      for (int64_t index = 0; index < count; ++index) body(b_.getInt64(static_cast<uint64_t>(index)));
      return;
    }
    llvm::BasicBlock* const before = b_.GetInsertBlock();
    llvm::BasicBlock* const inside = llvm::BasicBlock::Create(context_, name, function_);
    llvm::BasicBlock* const after = llvm::BasicBlock::Create(context_, cat(name, ".end"), function_);
    b_.CreateBr(inside);
    b_.SetInsertPoint(inside);
    llvm::PHINode* const index = b_.CreatePHI(b_.getInt64Ty(), 2, name);
    index->addIncoming(b_.getInt64(0), before);
    body(index);
    Value* const next = b_.CreateNSWAdd(index, b_.getInt64(1));
    index->addIncoming(next, b_.GetInsertBlock());
    llvm::Instruction* branch = b_.CreateCondBr(b_.CreateICmpSLT(next, b_.getInt64(count)), inside, after);
    if (hints != nullptr) branch->setMetadata(llvm::LLVMContext::MD_loop, hints);
    b_.SetInsertPoint(after);
  }

  /// Whether rows may go post by post: each sum then stays where it is added up, and what is per post is read once.
  /// Sums over presynaptic neurons keep their order.
  bool by_post() const {
    if (!kernel_.scans.empty()) return false;
    for (const uint32_t id : stages_.pre) {   // computed for each post then
      const Op op = program_.pool[ExprId{id}].op;
      if (op == Op::Draw || op == Op::Div || op == Op::Sqrt || info(op).is_transcendental) return false;
    }
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at != At::Post) return false;
    return true;
  }

  void emit_by_post() {
    sums_stay_ = true;
    loop("post", program_[domain_.post].size, [&](Value* post) {
      compute_all(stages_.post, {.pre = nullptr, .post = post});
      open_running(At::Post, {.pre = nullptr, .post = post});
      loop("pre", program_[domain_.pre].size, [&](Value* pre) {
        const Row row{.pre = pre, .post = post};
        compute_all(stages_.pre, row);
        emit_row(row);
      });
      close_running(At::Post, {.pre = nullptr, .post = post});
    });
  }

  size_t sums_in_registers() const { return options_.vector_bits == 512 ? 18 : 9; }

  /// Whether neurons are gone through once for every few sums over them, which then stay in registers.
  bool sums_apart() const {
    if (domain_.kind != SpaceKind::Neurons || kernel_.accumulates.size() <= sums_in_registers()) return false;
    std::vector<ExprId> values;
    for (const Accumulate& sum : kernel_.accumulates) values.push_back(sum.value);
    for (const ExprId id : nodes_below(program_.pool, values)) {
      const Op op = program_.pool[id].op;
      if (op == Op::Draw || op == Op::Div || op == Op::Sqrt || info(op).is_transcendental) return false;
    }
    return std::all_of(kernel_.accumulates.begin(), kernel_.accumulates.end(), [](const Accumulate& sum) { return sum.at == At::Uniform; });
  }

  /// Of `nodes`, in their order: those below `roots`.
  std::vector<uint32_t> needed(const std::vector<uint32_t>& nodes, const std::vector<ExprId>& roots) const {
    const std::vector<bool> live = live_nodes(program_.pool, roots);
    std::vector<uint32_t> out;
    for (const uint32_t id : nodes)
      if (live[id]) out.push_back(id);
    return out;
  }
  std::vector<uint32_t> of_row(const std::vector<ExprId>& roots) const { return needed(stages_.rows.back(), roots); }

  using Effects = std::vector<Store>;
  static std::vector<ExprId> values_of(const Effects& stores) {
    std::vector<ExprId> out;
    for (const Store& store : stores) out.push_back(store.value);
    return out;
  }

  /// Whether neurons are gone through once for every few stores, so that the uniform numbers that these need stay in registers: groups
  /// of stores then, which have nothing to compute in common. Else none.
  std::vector<Effects> stores_apart() const {
    const size_t most = options_.vector_bits == 512 ? 26 : 10;
    const bool only_stores = domain_.kind == SpaceKind::Neurons && domain_.size > 2 && kernel_.accumulates.empty() && kernel_.scans.empty();
    if (!only_stores || stages_.uniform.size() <= most) return {};
    std::vector<bool> written(program_.columns.size()), computed_before(program_.pool.size());
    for (const Store& store : kernel_.stores) written[store.into.value] = true;
    for (const ExprId id : nodes_below(program_.pool, roots(kernel_)))
      if (program_.pool[id].op == Op::Load && written[program_.pool[id].leaf.index]) return {};
    std::vector<Effects> groups;
    for (const Store& store : kernel_.stores) {
      Effects with = groups.empty() ? Effects{} : groups.back();
      with.push_back(store);
      if (groups.empty() || needed(stages_.uniform, values_of(with)).size() > most) groups.push_back({store});
      else groups.back() = std::move(with);
    }
    if (groups.size() < 2) return {};
    for (const Effects& group : groups) {
      for (const auto* nodes : {&stages_.uniform, &stages_.rows.back()}) {
        for (const uint32_t id : needed(*nodes, values_of(group))) {
          if (info(program_.pool[ExprId{id}].op).is_leaf && program_.pool[ExprId{id}].op != Op::Draw) continue;
          if (computed_before[id]) return {};
          computed_before[id] = true;
        }
      }
    }
    return groups;
  }

  void emit_neurons_by_stores(const std::vector<Effects>& groups) {
    for (const Effects& group : groups) {
      compute_all(needed(stages_.uniform, values_of(group)), {});
      const std::vector<uint32_t> nodes = of_row(values_of(group));
      loop("post", domain_.size, [&](Value* post) { store_all(group, nodes, post); });
    }
  }

  void store_all(const Effects& stores, const std::vector<uint32_t>& nodes, Value* post) {
    const Row row{.pre = nullptr, .post = post};
    compute_all(nodes, row);
    for (const Store& effect : stores)
      store(values_[effect.value.value].number, effect.into, pointer(effect.into, own(row), effect.element));
  }

  void emit_neurons_by_sums() {
    const std::span<const Accumulate> all = kernel_.accumulates;
    for (size_t first = 0; first < all.size(); first += sums_in_registers()) {
      const auto some = all.subspan(first, std::min(sums_in_registers(), all.size() - first));
      std::vector<ExprId> values;
      for (const Accumulate& sum : some) {
        values.push_back(sum.value);
        b_.CreateStore(load(sum.into, pointer(sum.into, nullptr, sum.element)), running(sum));
      }
      const std::vector<uint32_t> nodes = of_row(values);
      loop("post", domain_.size, [&](Value* post) {
        const Row row{.pre = nullptr, .post = post};
        compute_all(nodes, row);
        for (const Accumulate& sum : some) add(sum, row);
      });
      for (const Accumulate& sum : some) store(b_.CreateLoad(vector_, running(sum)), sum.into, pointer(sum.into, nullptr, sum.element));
    }
    if (kernel_.stores.empty()) return;   // last: sums may read what they replace
    const std::vector<uint32_t> nodes = of_row(values_of(kernel_.stores));
    loop("post", domain_.size, [&](Value* post) { store_all(kernel_.stores, nodes, post); });
  }

  void emit_dense() {
    const int64_t pres = program_[domain_.pre].size, posts = program_[domain_.post].size;
    Value* const zero = constant(0).number;
    for (const Scan& scan : kernel_.scans) {
      Value*& place = scans_[scan.as.value];
      place = variable("scan", scan.along == At::Post ? static_cast<llvm::Type*>(vector_)
                                                      : llvm::ArrayType::get(vector_, static_cast<uint64_t>(std::max<int64_t>(posts, 1))));
      if (scan.along == At::Pre)
        loop("clear", posts, [&](Value* post) { b_.CreateStore(zero, b_.CreateInBoundsGEP(vector_, place, post)); });
    }
    loop("pre", pres, [&](Value* pre) {
      const Row row{.pre = pre, .post = nullptr};
      compute_all(stages_.pre, row);
      open_running(At::Pre, row);
      for (const Scan& scan : kernel_.scans)
        if (scan.along == At::Post) b_.CreateStore(zero, scans_[scan.as.value]);
      loop("post", posts, [&](Value* post) { emit_row({.pre = pre, .post = post}); });
      close_running(At::Pre, row);
    });
  }

  void emit_row(const Row& row) {
    if (!sums_stay_) compute_all(stages_.post, row);
    for (size_t s = 0; s < kernel_.scans.size(); ++s) {
      const Scan& scan = kernel_.scans[s];
      compute_all(stages_.rows[s], row);
      Value* const place = scan_place(scan, row);
      Value* const total = b_.CreateFAdd(b_.CreateLoad(vector_, place), values_[scan.value.value].number);
      b_.CreateStore(total, place);
      for (const uint32_t id : stages_.scan_reads[s]) values_[id] = {.number = total};
    }
    compute_all(stages_.rows.back(), row);
    for (const Store& effect : kernel_.stores)
      store(values_[effect.value.value].number, effect.into, pointer(effect.into, own(row), effect.element));
    for (const Accumulate& sum : kernel_.accumulates) add(sum, row);
  }

  const Program& program_;
  const Kernel& kernel_;
  const EmitOptions& options_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> b_;
  AliasScopes aliases_;
  const Stages stages_;
  const Space& domain_;
  std::vector<NodeValue> values_;                            // by ExprId
  llvm::Type* real_ = nullptr;
  int64_t at_once_ = kLanes;                                 // runs of one vector
  Value* first_lane_ = nullptr;                              // of these
  llvm::FixedVectorType* vector_ = nullptr;                  // the same number of each of them
  llvm::Function* function_ = nullptr;
  bool sums_stay_ = false;                                   // those per post, in what `running` gives
  Value *columns_ = nullptr, *keys_ = nullptr, *step_ = nullptr;
  std::map<uint32_t, Value*> bases_, scans_;                 // by column
  std::map<std::pair<uint32_t, uint32_t>, Value*> running_;  // by column and element
};

}  // namespace

std::unique_ptr<llvm::Module> emit_lanes(const Program& program, const EmitOptions& options, llvm::LLVMContext& context) {
  auto module = std::make_unique<llvm::Module>(program.name, context);
  for (uint32_t k = 0; k < program.kernels.size(); ++k)
    if (options.emits(k)) LaneEmitter(program, KernelId{k}, options, *module).emit();
  return module;
}

}  // namespace hebb
