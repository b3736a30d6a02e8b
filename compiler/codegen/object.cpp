#include "compiler/codegen/object.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Linker/Linker.h>
#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Support/SHA256.h>
#include <llvm/Target/TargetMachine.h>

#include "compiler/codegen/emit_llvm.h"
#include "compiler/codegen/math.h"
#include "compiler/codegen/object_machine.h"
#include "compiler/codegen/optimize.h"
#include "compiler/support/promise.h"
#include "compiler/support/text.h"
#include "runtime/embed/block.h"

namespace hebb {
namespace {

constexpr int kPointerless = 8 + 5 * 8 + 3 * 8 + 8 + 8;
static_assert(sizeof(hebb_block) == kPointerless, "the head of a block has no pointers: equal on all machines");

class ObjectMaker {
 public:
  ObjectMaker(const ObjectUnit& unit, const ObjectOptions& options, ObjectMachine machine, llvm::TargetMachine& target)
      : unit_(unit), program_(*unit.program), options_(options), machine_(std::move(machine)), target_(target),
        module_(std::make_unique<llvm::Module>(unit.symbol, context_)), b_(context_) {
    module_->setTargetTriple(target.getTargetTriple());
    module_->setDataLayout(target.createDataLayout());
  }

  void make() {
    context_.setDiagnosticHandlerCallBack([](const llvm::DiagnosticInfo*, void*) {});  // remarks on vectors
    parts_.push_back(sort_kernels());
    if (unit_.gradient) parts_.push_back(sort_gradient(*unit_.gradient));
    link_block();
    entries();
    hide_everything();
    specialise(*module_, target_);
    for (const ObjectMachine::Variant& variant : machine_.variants) emit_kernels(variant);
    hide_everything();
    link_math(*module_);
    if (options_.target == Target::Wasm32) replace_fma();
    verify();
    optimize(*module_, target_, options_.level);
    verify();
  }

  std::string write(ObjectKind kind) {
    llvm::SmallString<0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    if (kind == ObjectKind::LlvmIr) module_->print(stream, nullptr);
    if (kind == ObjectKind::Bitcode) llvm::WriteBitcodeToFile(*module_, stream);
    if (kind == ObjectKind::LlvmIr || kind == ObjectKind::Bitcode) return bytes.str().str();
    llvm::legacy::PassManager passes;
    [[maybe_unused]] const bool refused = target_.addPassesToEmitFile(
        passes, stream, nullptr,
        kind == ObjectKind::Assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile);
    assert(!refused && "every target of ours writes objects");
    passes.run(*module_);
    return bytes.str().str();
  }

 private:
  void verify() const {
    std::string faults;
    llvm::raw_string_ostream stream(faults);
    if (llvm::verifyModule(*module_, &stream)) {
      throw BrokenPromise(cat("emitted code is not valid LLVM: ", stream.str()));
    }
  }

  // --- kernels ---

  /// One program of the object: that of the rule, or of its gradient.
  struct Part {
    const Program* program;
    std::string prefix;                        // of the names of its kernels
    std::vector<bool> cold, large, wanted;     // by kernel
  };

  static Part part_of(const Program& program, std::string prefix) {
    const size_t n = program.kernels.size();
    Part part{&program, std::move(prefix), std::vector<bool>(n, true), std::vector<bool>(n, false), std::vector<bool>(n, false)};
    return part;
  }

  /// Start values, bounds, what there is one of, and what moments alone do to traces of neurons: small code, one for all CPUs. Kernels of the grid are made for large matrices; those
  /// that mostly run over single rows and columns are not.
  Part sort_kernels() const {
    Part part = part_of(program_, "kernel_");
    for (const int list : {HEBB_INSTANT, HEBB_STEP, HEBB_QUIET})
      for (const KernelId id : unit_.lists[list]) part.cold[id.value] = false;
    for (uint32_t k = 0; k < program_.kernels.size(); ++k)
      if (program_[program_.kernels[k].domain].kind == SpaceKind::Uniform) part.cold[k] = true;
    for (const KernelId id : unit_.lists[HEBB_INSTANT]) {
      const auto& step = unit_.lists[HEBB_STEP];
      if (!unit_.step_by_spikes || std::find(step.begin(), step.end(), id) != step.end()) continue;
      if (program_[program_[id].domain].kind == SpaceKind::Neurons) part.cold[id.value] = true;
    }
    for (const int list : {HEBB_STEP, HEBB_QUIET}) {
      if (unit_.step_by_spikes) continue;
      for (const KernelId id : unit_.lists[list]) part.large[id.value] = !part.cold[id.value];
    }
    for (uint32_t k = 0; k < program_.kernels.size(); ++k)
      if (!touched_only(program_, program_.kernels[k]) && !part.cold[k]) part.large[k] = true;
    for (const auto& list : unit_.lists)
      for (const KernelId id : list) part.wanted[id.value] = true;
    return part;
  }

  static Part sort_gradient(const ObjectGradient& gradient) {
    const Program& program = *gradient.program;
    Part part = part_of(program, "gradient_");
    for (const auto& list : gradient.lists) {
      for (const KernelId id : list) {
        part.wanted[id.value] = true;
        part.cold[id.value] = program[program[id].domain].kind == SpaceKind::Uniform;
        part.large[id.value] = !part.cold[id.value];
      }
    }
    return part;
  }

  static std::string cold_suffix() { return "_cold"; }

  void emit_kernels(const ObjectMachine::Variant& variant) {
    const unsigned real_bits = options_.precision == Precision::Float32 ? 32 : 64;
    for (const Part& part : parts_) {
      if (&variant == &machine_.variants.front()) emit_some(part, variant, cold_suffix(), real_bits, /*cold=*/true, false);
      emit_some(part, variant, variant.suffix, variant.vector_bits, false, false);
      emit_some(part, variant, variant.suffix, variant.vector_bits, false, /*large=*/true);
    }
  }

  void emit_some(const Part& all, const ObjectMachine::Variant& variant, const std::string& suffix, unsigned vector_bits, bool cold, bool large) {
    Program part = *all.program;
    part.kernels.clear();
    std::vector<uint32_t> numbers;
    for (uint32_t k = 0; k < all.program->kernels.size(); ++k) {
      if (!all.wanted[k] || all.cold[k] != cold || all.large[k] != large) continue;
      part.kernels.push_back(all.program->kernels[k]);
      numbers.push_back(k);
    }
    if (numbers.empty()) return;
    for (Space& space : part.spaces)
      if (space.kind == SpaceKind::Neurons) space.size = large ? 1024 + space.size : space.size;
    auto module = emit_llvm(part, {.precision = options_.precision, .math = options_.math,
                                   .vector_bits = vector_bits, .pointer_bytes = machine_.pointer_bytes}, context_);
    module->setTargetTriple(module_->getTargetTriple());
    module->setDataLayout(module_->getDataLayout());
    for (uint32_t k = 0; k < numbers.size(); ++k) {
      llvm::Function* function = module->getFunction(kernel_symbol(part, KernelId{k}));
      function->setName(cat(all.prefix, numbers[k], suffix));
      if (!variant.cpu.empty()) function->addFnAttr("target-cpu", variant.cpu);
      if (!variant.features.empty()) function->addFnAttr("target-features", variant.features);
    }
    [[maybe_unused]] const bool failed = llvm::Linker::linkModules(*module_, std::move(module));
    assert(!failed && "kernels have names of their own");
  }

  // --- what all rules share ---

  void link_block() {
    auto block = llvm::parseBitcodeFile(llvm::MemoryBufferRef(machine_.block, "hebb_block"), context_);
    assert(block && "the embedded bitcode reads back");
    (*block)->setDataLayout(module_->getDataLayout());
    (*block)->setTargetTriple(module_->getTargetTriple());
    [[maybe_unused]] const bool failed = llvm::Linker::linkModules(*module_, std::move(*block));
    assert(!failed && "the block links");
    // Functions of one module for one machine may be inlined into each other.
    for (llvm::Function& function : *module_)
      for (const char* attribute : {"target-cpu", "target-features", "tune-cpu"}) function.removeFnAttr(attribute);
    if (llvm::NamedMDNode* ident = module_->getNamedMetadata("llvm.ident")) ident->eraseFromParent();
  }

  void hide_everything() {
    for (llvm::Function& function : *module_)
      if (!function.isDeclaration() && !is_entry(function.getName()))
        function.setLinkage(llvm::GlobalValue::InternalLinkage);
  }

  void replace_fma() {
    for (llvm::Function& function : *module_) {
      if (function.getIntrinsicID() != llvm::Intrinsic::fma) continue;
      llvm::Function* own = module_->getFunction(function.getReturnType()->isFloatTy() ? "hebb_fmaf" : "hebb_fma");
      own->removeFnAttr(llvm::Attribute::MinSize);
      own->removeFnAttr(llvm::Attribute::OptimizeForSize);
      own->removeFnAttr(llvm::Attribute::NoInline);
      own->addFnAttr(llvm::Attribute::AlwaysInline);
      function.replaceAllUsesWith(own);
    }
    for (const char* name : {"hebb_fma", "hebb_fmaf"})
      module_->getFunction(name)->setLinkage(llvm::GlobalValue::InternalLinkage);
  }

  // --- the description: constants laid out as runtime/embed/block.h says ---

  llvm::Constant* i32(int64_t value) { return b_.getInt32(static_cast<uint32_t>(value)); }
  llvm::Constant* i64(int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); }
  llvm::Constant* real(double value) { return llvm::ConstantFP::get(b_.getDoubleTy(), value); }

  llvm::Constant* row(std::vector<llvm::Constant*> members) {
    return llvm::ConstantStruct::getAnon(context_, members);
  }

  /// A private constant; null for an empty table.
  llvm::Constant* table(const std::string& name, const std::vector<llvm::Constant*>& rows) {
    if (rows.empty()) return llvm::ConstantPointerNull::get(b_.getPtrTy());
    return constant(name, llvm::ConstantArray::get(llvm::ArrayType::get(rows[0]->getType(), rows.size()), rows));
  }

  llvm::GlobalVariable* constant(const std::string& name, llvm::Constant* value) {
    auto* global = new llvm::GlobalVariable(*module_, value->getType(), /*isConstant=*/true,
                                            llvm::GlobalValue::PrivateLinkage, value, name);
    global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return global;
  }

  static int space_code(const Program& program, SpaceId id) {
    const Space& space = program[id];
    if (space.kind == SpaceKind::Uniform) return HEBB_SPACE_UNIFORM;
    if (space.kind == SpaceKind::Dense) return HEBB_SPACE_SYNAPSE;
    return space.name == "pre" ? HEBB_SPACE_PRE : HEBB_SPACE_POST;
  }

  llvm::Constant* columns(const Program& program) {
    const std::vector<bool> summed = summed_columns(program);
    std::vector<llvm::Constant*> rows;
    for (uint32_t k = 0; k < program.columns.size(); ++k) {
      const Column& column = program.columns[k];
      rows.push_back(row({i32(space_code(program, column.space)), i32(column.width), i32(summed[k]),
                          i32(column.role == Role::Indicator), real(column.reset)}));
    }
    return table("columns", rows);
  }

  llvm::Constant* list(const Program& program, const std::vector<KernelId>& kernels, bool touched) {
    std::vector<llvm::Constant*> rows;
    for (const KernelId id : kernels) {
      const Kernel& kernel = program[id];
      rows.push_back(row({i32(id.value), i32(space_code(program, kernel.domain)), i32(touched && touched_only(program, kernel)), i32(0)}));
    }
    llvm::Constant* launches = table("launches", rows);
    return row({launches, i64(static_cast<int64_t>(rows.size()))});
  }

  /// Defined later: what all rules share is made small first, apart from the kernels.
  llvm::Constant* declared(const std::string& name) {
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy()}, false);
    return llvm::cast<llvm::Constant>(module_->getOrInsertFunction(name, type).getCallee());
  }

  llvm::Constant* variant_table(const Part& part, const ObjectMachine::Variant& variant) {
    std::vector<llvm::Constant*> rows;
    for (uint32_t k = 0; k < part.program->kernels.size(); ++k) {
      llvm::Constant* address = llvm::ConstantPointerNull::get(b_.getPtrTy());
      if (part.wanted[k]) address = declared(cat(part.prefix, k, part.cold[k] ? cold_suffix() : variant.suffix));
      rows.push_back(address);
    }
    return table("kernels", rows);
  }

  static int64_t number(ColumnId id) { return id.valid() ? id.value : -1; }

  /// A hebb_block_rule. `lists` are six.
  llvm::Constant* description(const Part& part, const std::vector<llvm::Constant*>& lists) {
    const Program& program = *part.program;
    const InputLayout layout = input_layout(unit_.inputs);
    std::vector<llvm::Constant*> inputs, clocks;
    for (size_t k = 0; k < unit_.inputs.size(); ++k)
      inputs.push_back(row({i32(static_cast<int>(unit_.inputs[k].kind)), i32(unit_.inputs[k].column.value),
                            i32(layout.offsets[k]), i32(0)}));
    for (const Clock& clock : program_.plan.clocks)
      clocks.push_back(row({i32(clock.indicator.value), i32(clock.period.value)}));

    const auto pointers = static_cast<int64_t>(program_.columns.size() + 1) * machine_.pointer_bytes;
    const int64_t block_bytes = (kPointerless + pointers + 7) / 8 * 8;
    const auto& variants = machine_.variants;
    std::vector<llvm::Constant*> members = {
        i32(block_bytes), i32(layout.bytes), i32(options_.precision == Precision::Float32 ? 4 : 8),
        i32(static_cast<int64_t>(program.columns.size())), i32(static_cast<int64_t>(inputs.size())),
        i32(static_cast<int64_t>(clocks.size())), i32(number(unit_.pre_count)), i32(number(unit_.post_count)),
        i32(number(program_.dt)), i32(unit_.step_by_spikes), i32(static_cast<int64_t>(variants.size())),
        i32(variants[0].level), i32(variants.back().level), i32(0), columns(program), table("inputs", inputs),
        table("clocks", clocks), variant_table(part, variants[0]),
        variants.size() > 1 ? variant_table(part, variants[1]) : table("", {})};
    members.insert(members.end(), lists.begin(), lists.end());
    return constant("rule", row(members));
  }

  llvm::Constant* rule_description() {
    std::vector<llvm::Constant*> lists;
    for (const auto& kernels : unit_.lists) lists.push_back(list(program_, kernels, true));
    return description(parts_[0], lists);
  }

  /// A hebb_block_gradient.
  llvm::Constant* gradient_description(const ObjectGradient& gradient) {
    std::vector<llvm::Constant*> lists, bars, shared;
    for (size_t k = 0; k < HEBB_LISTS; ++k)
      lists.push_back(list(*gradient.program, k < gradient.lists.size() ? gradient.lists[k] : std::vector<KernelId>{}, false));
    for (const ObjectGradient::Bar& bar : gradient.bars)
      bars.push_back(row({i32(number(bar.now)), i32(number(bar.next)), i32(bar.carried), i32(number(bar.field))}));
    for (const bool one : gradient.shared) shared.push_back(i32(one));
    return constant("gradient", row({description(parts_[1], lists), table("bars", bars), table("shared", shared),
                                     i32(static_cast<int64_t>(bars.size())),
                                     i32(gradients_bytes(gradient, machine_.pointer_bytes))}));
  }

  // --- entry points ---

  static constexpr std::array kEntries = {"bytes", "init", "start", "instant", "step", "sync"};
  static constexpr std::array kGradientEntries = {"vjp_bytes", "vjp"};

  /// What stays visible outside its module.
  bool is_entry(llvm::StringRef name) const {
    if (name == "hebb_fma" || name == "hebb_fmaf") return true;  // until the kernels that want them are there
    if (!name.consume_front(unit_.symbol) || !name.consume_front("_")) return false;
    if (unit_.gradient && llvm::is_contained(kGradientEntries, name)) return true;
    return llvm::is_contained(kEntries, name) || name == "error_text" || name == "metadata" || name == "abi_version";
  }

  /// `constants` come before the arguments of the host.
  void entry(const char* name, std::vector<llvm::Value*> constants) {
    llvm::Function* shared = module_->getFunction(cat("hebb_block_", name));
    assert(shared && "block.c has every entry point");
    const llvm::ArrayRef<llvm::Type*> all = shared->getFunctionType()->params();
    auto* type = llvm::FunctionType::get(shared->getReturnType(), all.drop_front(constants.size()), false);
    llvm::Function* function = visible(type, name);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function));
    std::vector<llvm::Value*> arguments = std::move(constants);
    for (llvm::Argument& argument : function->args()) arguments.push_back(&argument);
    llvm::CallInst* call = b_.CreateCall(shared, arguments);
    call->setTailCall();
    b_.CreateRet(call);
  }

  llvm::Function* visible(llvm::FunctionType* type, const char* name) {
    llvm::Function* function =
        llvm::Function::Create(type, llvm::Function::ExternalLinkage, cat(unit_.symbol, "_", name), *module_);
    function->addFnAttr(llvm::Attribute::NoUnwind);
    return function;
  }

  void entries() {
    llvm::Constant* rule = rule_description();
    for (const char* name : kEntries) entry(name, {rule});
    entry("error_text", {});
    if (unit_.gradient) {
      llvm::Constant* gradient = gradient_description(*unit_.gradient);
      for (const char* name : kGradientEntries) entry(name, {rule, gradient});
    }
    llvm::Function* metadata = visible(llvm::FunctionType::get(b_.getPtrTy(), false), "metadata");
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", metadata));
    b_.CreateRet(constant("text", llvm::ConstantDataArray::getString(context_, unit_.metadata)));
    llvm::Function* version = visible(llvm::FunctionType::get(b_.getInt32Ty(), false), "abi_version");
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", version));
    b_.CreateRet(i32(HEBB_BLOCK_ABI));
  }

  const ObjectUnit& unit_;
  const Program& program_;
  const ObjectOptions& options_;
  const ObjectMachine machine_;
  llvm::TargetMachine& target_;
  llvm::LLVMContext context_;
  std::unique_ptr<llvm::Module> module_;
  llvm::IRBuilder<> b_;
  std::vector<Part> parts_;                  // the rule, then its gradient
};

}  // namespace

InputLayout input_layout(const std::vector<ObjectInput>& inputs) {
  InputLayout layout{.bytes = 8};
  for (const ObjectInput& input : inputs) {
    layout.offsets.push_back(layout.bytes);
    layout.bytes += input.kind == ObjectInput::Kind::Event ? 8 : 16;
  }
  return layout;
}

int32_t gradients_bytes(const ObjectGradient& gradient, int pointer_bytes) {
  return (8 + static_cast<int32_t>(gradient.bars.size()) * pointer_bytes + 7) / 8 * 8;
}

bool touched_only(const Program& program, const Kernel& kernel) {
  if (program[kernel.domain].kind != SpaceKind::Dense) return false;
  if (!kernel.scans.empty() || !kernel.accumulates.empty()) return false;
  for (const Store& store : kernel.stores)
    if (program[store.into].role != Role::State) return false;
  return true;
}

std::vector<bool> summed_columns(const Program& program) {
  std::vector<bool> summed(program.columns.size(), false);
  for (const Kernel& kernel : program.kernels)
    for (const Accumulate& sum : kernel.accumulates)
      if (program[sum.into].role == Role::Value) summed[sum.into.value] = true;
  return summed;
}

Result<std::string> object(const ObjectUnit& unit, const ObjectOptions& options, ObjectKind kind) {
  ObjectMachine machine = machine_of(options.target, unit.gradient.has_value());
  auto target = target_machine(machine, options.level);
  if (!target) return target.failure();
  ObjectMaker maker(unit, options, std::move(machine), **target);
  maker.make();
  return maker.write(kind);
}

Result<std::string> archive(const std::string& member, const std::string& object) {
  initialise_targets();
  std::vector<llvm::NewArchiveMember> members;
  members.emplace_back(llvm::MemoryBufferRef(object, member));
  auto written = llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NormalSymtab,
                                            llvm::object::Archive::K_GNU, /*Deterministic=*/true, /*Thin=*/false);
  if (!written) return Failure{cat("the static library cannot be made: ", llvm::toString(written.takeError()))};
  return (*written)->getBuffer().str();
}

std::string sha256(const std::string& text) {
  const auto digest = llvm::SHA256::hash({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  return llvm::toHex(llvm::ArrayRef<uint8_t>(digest.data(), digest.size()), /*LowerCase=*/true);
}

}  // namespace hebb
