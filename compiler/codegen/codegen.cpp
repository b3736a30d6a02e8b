#include "compiler/codegen/codegen.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <algorithm>

#include "compiler/codegen/emit_lanes.h"
#include "compiler/codegen/jit.h"
#include "compiler/codegen/math.h"
#include "compiler/codegen/optimize.h"
#include "compiler/codegen/target.h"
#include "compiler/program/interpret.h"
#include "compiler/support/promise.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

/// A module ready for its target, and what it was made with. Destroyed in reverse order.
struct Compiled {
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
};

void assert_valid(const llvm::Module& module) {
  std::string faults;
  llvm::raw_string_ostream stream(faults);
  if (llvm::verifyModule(module, &stream)) {
    throw BrokenPromise(cat("emitted code is not valid LLVM: ", stream.str()));
  }
}

/// Kernels that run once and for one row: compiling one takes a thousand times as long as interpreting it, with
/// the same bits. Networks with sparse projections have dozens, and are the ones that must start fast.
std::vector<bool> run_once(const Program& program) {
  std::vector<bool> once(program.kernels.size());
  const bool sparse = std::any_of(program.spaces.begin(), program.spaces.end(), [](const Space& space) { return space.kind == SpaceKind::Sparse; });
  if (!sparse) return once;
  for (const Launch& launch : program.plan.init)
    once[launch.kernel.value] = program[program[launch.kernel].domain].kind == SpaceKind::Uniform;
  for (const auto* launches : {&program.plan.begin, &program.plan.step})
    for (const Launch& launch : *launches) once[launch.kernel.value] = false;
  for (const Deferred& deferred : program.plan.deferred) {
    once[deferred.now.value] = false;
    for (const KernelId kernel : deferred.settle) once[kernel.value] = false;
  }
  return once;
}

Result<Compiled> compile_module(const Program& program, const CodegenOptions& options, const std::vector<bool>& leave_out = {}) {
  auto machine = target_machine(options);
  if (!machine) return machine.failure();
  Compiled result{.machine = *std::move(machine), .context = std::make_unique<llvm::LLVMContext>()};
  const EmitOptions emit{.precision = options.precision, .math = options.math, .vector_bits = vector_bits(*result.machine),
                         .whole = options.whole, .leave_out = leave_out};
  result.module = options.lanes ? emit_lanes(program, emit, *result.context) : emit_llvm(program, emit, *result.context);
  result.module->setTargetTriple(result.machine->getTargetTriple());
  result.module->setDataLayout(result.machine->createDataLayout());
  link_math(*result.module, vector_bits(*result.machine) == 512);
  assert_valid(*result.module);
  optimize(*result.module, *result.machine, options.level, options.lanes);
  assert_valid(*result.module);
  return result;
}

}  // namespace

Result<Kernels> jit(const Program& program, const CodegenOptions& options) {
  const bool exact = options.math == MathMode::Exact;
  const bool partly = !options.wanted.empty();
  std::vector<bool> left_out = exact && !partly ? run_once(program) : std::vector<bool>(program.kernels.size());
  if (partly)
    for (size_t k = 0; k < left_out.size(); ++k) left_out[k] = !options.wanted[k];
  auto compiled = compile_module(program, options, left_out);
  if (!compiled) return compiled.failure();
  std::vector<std::string> symbols;
  for (uint32_t k = 0; k < program.kernels.size(); ++k)
    if (!left_out[k]) symbols.push_back(kernel_symbol(program, KernelId{k}));
  auto loaded = load_module(std::move(compiled->context), std::move(compiled->module), std::move(compiled->machine), symbols);
  if (!loaded || symbols.size() == program.kernels.size()) return loaded;
  // The compiled ones take their places among the others.
  Kernels all;
  if (partly) all.run.resize(program.kernels.size());
  else all = interpret(std::make_shared<const Program>(program), options.precision);
  auto next = loaded->run.begin();
  for (uint32_t k = 0; k < program.kernels.size(); ++k)
    if (!left_out[k]) all.run[k] = std::move(*next++);
  using Both = std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>;
  all.keep_alive = std::make_shared<const Both>(std::move(all.keep_alive), std::move(loaded->keep_alive));
  return all;
}

Result<std::string> llvm_ir(const Program& program, const CodegenOptions& options) {
  const auto compiled = compile_module(program, options);
  if (!compiled) return compiled.failure();
  std::string text;
  llvm::raw_string_ostream stream(text);
  compiled->module->print(stream, nullptr);
  return text;
}

Result<std::string> assembly(const Program& program, const CodegenOptions& options) {
  const auto compiled = compile_module(program, options);
  if (!compiled) return compiled.failure();
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (compiled->machine->addPassesToEmitFile(passes, stream, nullptr,
                                             llvm::CodeGenFileType::AssemblyFile))
    return Failure{"LLVM cannot print assembly for this machine"};
  passes.run(*compiled->module);
  return text.str().str();
}

void throw_when_llvm_gives_up() {
  [[maybe_unused]] static const bool once = [] {
    llvm::remove_fatal_error_handler();  // a host with the same LLVM may have set one
    llvm::install_fatal_error_handler(
        [](void*, const char* reason, bool) { throw BrokenPromise(cat("LLVM gave up: ", reason)); });
    return true;
  }();
}

}  // namespace hebb
