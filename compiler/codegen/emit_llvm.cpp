#include "compiler/codegen/emit_llvm.h"

#include "compiler/codegen/kernel_emitter.h"

namespace hebb {
namespace emitting {

KernelEmitter::KernelEmitter(const Program& program, KernelId id, const EmitOptions& options, llvm::Module& module)
    : program_(program), kernel_(program[id]), options_(options), module_(module),
      context_(module.getContext()), b_(context_), aliases_(context_),
      rounds_(rounds(program, kernel_, stages(program, kernel_))),
      stages_(hebb::after_rounds(program, kernel_, stages(program, kernel_), rounds_)), rare_(rare_arms(program, kernel_, stages_)),
      layout_(dense_layout(program, kernel_, stages_, options.vector_bits == 512 ? 32 : 16, options.whole)),
      domain_(program[kernel_.domain].kind) {
  real_ = options.precision == Precision::Float32 ? b_.getFloatTy() : b_.getDoubleTy();
  shared_.resize(program.pool.size());
  if (options.math == MathMode::Fast) {
    llvm::FastMathFlags flags;
    flags.setAllowContract();
    b_.setFastMathFlags(flags);
  }
  function_ = llvm::Function::Create(
      llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy()}, false),
      llvm::Function::ExternalLinkage, kernel_symbol(program, id), module_);
  function_->addFnAttr(llvm::Attribute::NoUnwind);
  order_long_synapse();
  function_->addFnAttr("prefer-vector-width", std::to_string(options.vector_bits));
  function_->addParamAttr(0, llvm::Attribute::NoAlias);
  function_->addParamAttr(0, llvm::Attribute::ReadOnly);
  function_->getArg(0)->setName("launch");
  // Vectors that do not fit the registers lie on the stack, and there each in one line of the cache.
  if (options.pointer_bytes == 8) function_->addFnAttr(llvm::Attribute::getWithStackAlignment(context_, llvm::Align(options.vector_bits / 8)));
}

void KernelEmitter::emit() {
  b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function_));
  read_launch();
  shared_nodes(stages_.uniform);
  for (const Accumulate& sum : kernel_.accumulates)
    if (sum.at == At::Uniform) open_running(sum, 0, element_pointer(place(sum)));
  switch (domain_) {
    case SpaceKind::Uniform: emit_row_block(nullptr, {}, 1); break;
    case SpaceKind::Neurons: emit_neurons(); break;
    case SpaceKind::Dense: emit_dense(); break;
    case SpaceKind::Sparse: emit_sparse(); break;
  }
  for (const Accumulate& sum : kernel_.accumulates)
    if (sum.at == At::Uniform) close_running(sum, 0, element_pointer(place(sum)));
  b_.CreateRetVoid();
  aliases_.attach();
}

Value* KernelEmitter::field(llvm::Type* type, size_t offset, const char* name) {
  // Two pointers come first, then numbers of 64 bits; sparse kernels are made for this machine only.
  constexpr size_t kPointers = 2 * sizeof(void*);
  if (options_.pointer_bytes == 4) offset = offset < kPointers ? offset / 2 : offset - kPointers / 2;
  Value* pointer = b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), function_->getArg(0), offset);
  llvm::LoadInst* load = b_.CreateLoad(type, pointer, name);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
  return load;
}

void KernelEmitter::read_launch() {
  const auto whole = [&](size_t offset, const char* name) {
    return field(b_.getInt64Ty(), offset, name);
  };
  launch_.columns = field(b_.getPtrTy(), offsetof(hebb_launch, columns), "columns");
  launch_.planes = field(b_.getPtrTy(), offsetof(hebb_launch, planes), "planes");
  launch_.row = whole(offsetof(hebb_launch, row), "row");
  launch_.pre_begin = whole(offsetof(hebb_launch, pre_begin), "pre_begin");
  launch_.pre_end = whole(offsetof(hebb_launch, pre_end), "pre_end");
  launch_.post_begin = whole(offsetof(hebb_launch, post_begin), "post_begin");
  launch_.post_end = whole(offsetof(hebb_launch, post_end), "post_end");
  launch_.post_count = whole(offsetof(hebb_launch, post_count), "post_count");
  if (options_.whole && domain_ != SpaceKind::Sparse) know_sizes();
  launch_.key = whole(offsetof(hebb_launch, key), "key");
  launch_.step = whole(offsetof(hebb_launch, step), "step");
  if (domain_ != SpaceKind::Sparse && kernel_.rows == Rows::All) return;
  const auto array = [&](size_t offset, const char* name) {
    return field(b_.getPtrTy(), offset, name);
  };
  launch_.row_begin = array(offsetof(hebb_launch, row_begin), "row_begin");
  launch_.row_end = array(offsetof(hebb_launch, row_end), "row_end");
  launch_.post_index = array(offsetof(hebb_launch, post_index), "post_index");
  launch_.column_begin = array(offsetof(hebb_launch, column_begin), "column_begin");
  launch_.synapse = array(offsetof(hebb_launch, synapse), "synapse");
  launch_.pre_index = array(offsetof(hebb_launch, pre_index), "pre_index");
  launch_.list = array(offsetof(hebb_launch, list), "list");
  launch_.list_begin = whole(offsetof(hebb_launch, list_begin), "list_begin");
  launch_.list_end = whole(offsetof(hebb_launch, list_end), "list_end");
}

void KernelEmitter::know_sizes() {
  const Space& domain = program_[kernel_.domain];
  const bool dense = domain.kind == SpaceKind::Dense;
  const int64_t posts = dense ? program_[domain.post].size : domain.size;
  launch_.row = b_.getInt64(dense ? padded(posts) : 0);
  launch_.pre_begin = launch_.post_begin = b_.getInt64(0);
  launch_.pre_end = b_.getInt64(dense ? program_[domain.pre].size : 1);
  launch_.post_end = launch_.post_count = b_.getInt64(posts);
}

Value* KernelEmitter::plane(ColumnId column, const std::string& name) {
  const Space& space = program_[program_[column].space];
  if (options_.whole && space.kind == SpaceKind::Neurons) return b_.getInt64(padded(space.size));
  if (options_.whole && space.kind == SpaceKind::Dense)
    return b_.getInt64(program_[space.pre].size * padded(program_[space.post].size));
  return at_index(launch_.planes, b_.getInt64Ty(), column.value, name + ".plane");
}

Value* KernelEmitter::at_index(Value* array, llvm::Type* type, uint64_t index, const std::string& name) {
  Value* pointer = b_.CreateConstInBoundsGEP1_64(type, array, index);
  llvm::LoadInst* load = b_.CreateLoad(type, pointer, name);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
  return load;
}

Value* KernelEmitter::element_pointer(const Place& place) {
  if (const auto known = element_pointers_.find(place); known != element_pointers_.end())
    return known->second;
  const llvm::IRBuilderBase::InsertPointGuard guard(b_);
  if (llvm::Instruction* end = function_->getEntryBlock().getTerminator())
    b_.SetInsertPoint(end);
  const std::string& name = program_[place.column].name;
  Value* pointer = at_index(launch_.columns, b_.getPtrTy(), place.column.value, name);
  if (place.element != 0) {
    Value* offset = b_.getInt64(place.element);
    if (program_[program_[place.column].space].kind != SpaceKind::Uniform)
      offset = b_.CreateNSWMul(offset, plane(place.column, name));
    pointer = b_.CreateInBoundsGEP(real_, pointer, offset, name);
  }
  return element_pointers_[place] = pointer;
}

}  // namespace emitting

std::unique_ptr<llvm::Module> emit_llvm(const Program& program, const EmitOptions& options,
                                        llvm::LLVMContext& context) {
  auto module = std::make_unique<llvm::Module>(program.name, context);
  for (uint32_t k = 0; k < program.kernels.size(); ++k)
    if (options.emits(k)) emitting::KernelEmitter(program, KernelId{k}, options, *module).emit();
  return module;
}

std::string kernel_symbol(const Program& program, KernelId kernel) {
  std::string name = cat("hebb_", kernel.value, "_", program[kernel].name);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

}  // namespace hebb
