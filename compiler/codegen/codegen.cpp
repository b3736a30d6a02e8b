#include "compiler/codegen/codegen.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <algorithm>
#include <mutex>

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

/// How kernels of a network with sparse projections get their code; they are dozens, and must start fast.
struct Ways {
  std::vector<bool> interpreted;   // run once, for few rows: compiling takes a thousand times as long, with the same bits
  std::vector<bool> late;          // compiled when they are first called: a run may end before
};

Ways ways(const Program& program) {
  constexpr int64_t kFew = 100'000;  // nodes of all rows
  Ways out{std::vector<bool>(program.kernels.size()), std::vector<bool>(program.kernels.size())};
  const bool sparse = std::any_of(program.spaces.begin(), program.spaces.end(), [](const Space& space) { return space.kind == SpaceKind::Sparse; });
  if (!sparse) return out;
  for (const Launch& launch : program.plan.init) {
    const Kernel& kernel = program[launch.kernel];
    const auto nodes = static_cast<int64_t>(nodes_below(program.pool, roots(kernel)).size());
    out.interpreted[launch.kernel.value] = !is_synaptic(program[kernel.domain].kind) && program[kernel.domain].size * nodes <= kFew;
  }
  for (const Deferred& deferred : program.plan.deferred) {
    out.late[deferred.now.value] = true;
    for (const KernelId kernel : deferred.settle) out.late[kernel.value] = !out.interpreted[kernel.value];
  }
  for (const auto* launches : {&program.plan.begin, &program.plan.step})
    for (const Launch& launch : *launches) out.interpreted[launch.kernel.value] = out.late[launch.kernel.value] = false;
  return out;
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

/// Compiles a kernel when it is first called, by whichever thread; should that fail, interprets it.
std::function<void(const hebb_launch*)> compiled_late(std::shared_ptr<const Program> program, uint32_t kernel, CodegenOptions options,
                                                      std::function<void(const hebb_launch*)> interpreted) {
  struct Late {
    std::once_flag once;
    Kernels code;
  };
  options.wanted.assign(program->kernels.size(), false);
  options.wanted[kernel] = true;
  return [program = std::move(program), kernel, options = std::move(options), interpreted = std::move(interpreted),
          late = std::make_shared<Late>()](const hebb_launch* launch) {
    std::call_once(late->once, [&] {
      if (Result<Kernels> code = jit(*program, options)) late->code = *std::move(code);
    });
    late->code.run.empty() ? interpreted(launch) : late->code.run[kernel](launch);
  };
}

}  // namespace

Result<Kernels> jit(const Program& program, const CodegenOptions& options) {
  const bool exact = options.math == MathMode::Exact;
  const bool partly = !options.wanted.empty();
  std::vector<bool> left_out(program.kernels.size()), late(program.kernels.size());
  if (exact && !partly) {
    const Ways how = ways(program);
    late = how.late;
    for (size_t k = 0; k < left_out.size(); ++k) left_out[k] = how.interpreted[k] || late[k];
  }
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
  const auto shared = partly ? nullptr : std::make_shared<const Program>(program);
  if (partly) all.run.resize(program.kernels.size());
  else all = interpret(shared, options.precision);
  for (uint32_t k = 0; k < program.kernels.size(); ++k)
    if (late[k]) all.run[k] = compiled_late(shared, k, options, std::move(all.run[k]));
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
