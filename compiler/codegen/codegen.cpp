#include "compiler/codegen/codegen.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <mutex>
#include <system_error>

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
  std::vector<bool> interpreted;   // at first: run once or seldom, for few rows; compiling takes many times as long, with the same bits
  std::vector<bool> for_good;      // of these: the work is so little that it never pays
  std::vector<bool> late;          // compiled when they are first called: a run may end before
};

/// Such as exp(-dt / tau): the same until the host sets a parameter, and not computed again before.
bool is_of_parameters(const Program& program, const Kernel& kernel) {
  if (program[kernel.domain].kind != SpaceKind::Uniform || !kernel.accumulates.empty()) return false;
  for (const ExprId id : nodes_below(program.pool, roots(kernel))) {
    const ExprNode& node = program.pool[id];
    const bool parameter = node.op == Op::Load && node.leaf.at == At::Uniform && program[ColumnId{node.leaf.index}].role == Role::Param;
    if (!parameter && node.op != Op::Const && info(node.op).is_leaf) return false;
  }
  return true;
}

Ways ways(const Program& program) {
  constexpr int64_t kFew = 100'000;     // nodes of all rows
  constexpr int64_t kFewRows = 40'000;  // a node of so many rows takes an interpreter 0.1 ms, and LLVM more
  const std::vector<bool> none(program.kernels.size());
  Ways out{none, none, none};
  for (const Seldom& seldom : program.plan.seldom) out.late[seldom.all.value] = true;
  const bool sparse = std::any_of(program.spaces.begin(), program.spaces.end(), [](const Space& space) { return space.kind == SpaceKind::Sparse; });
  if (!sparse) return out;
  for (const Launch& launch : program.plan.init) {
    const Kernel& kernel = program[launch.kernel];
    if (is_synaptic(program[kernel.domain].kind)) continue;
    const int64_t rows = program[kernel.domain].size;
    const bool little = rows * static_cast<int64_t>(nodes_below(program.pool, roots(kernel)).size()) <= kFew;
    out.for_good[launch.kernel.value] = little;
    out.interpreted[launch.kernel.value] = little || rows <= kFewRows;
  }
  for (const Deferred& deferred : program.plan.deferred) {
    out.late[deferred.now.value] = true;
    for (const KernelId kernel : deferred.settle) out.late[kernel.value] = !out.interpreted[kernel.value];
  }
  for (const auto* launches : {&program.plan.begin, &program.plan.step})
    for (const Launch& launch : *launches) {
      const uint32_t k = launch.kernel.value;
      out.interpreted[k] = is_of_parameters(program, program.kernels[k]);
      out.for_good[k] = out.late[k] = false;
    }
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

/// Interprets the first `patience` calls of a kernel, then compiles it, by whichever thread; should that fail, goes on interpreting.
std::function<void(const hebb_launch*)> compiled_late(std::shared_ptr<const Program> program, uint32_t kernel, CodegenOptions options,
                                                      std::function<void(const hebb_launch*)> interpreted, int patience) {
  struct Late {
    std::once_flag once;
    std::atomic<int> calls{0};
    Kernels code;
  };
  options.wanted.assign(program->kernels.size(), false);
  options.wanted[kernel] = true;
  options.seldom.clear();
  options.threads = 1;
  return [program = std::move(program), kernel, options = std::move(options), interpreted = std::move(interpreted), patience,
          late = std::make_shared<Late>()](const hebb_launch* launch) {
    if (late->calls < patience && late->calls++ < patience) return interpreted(launch);
    std::call_once(late->once, [&] {
      if (Result<Kernels> code = jit(*program, options)) late->code = *std::move(code);
    });
    late->code.run.empty() ? interpreted(launch) : late->code.run[kernel](launch);
  };
}

/// What compiling a kernel takes, roughly, in simple operations.
int64_t compile_cost(const Program& program, const Kernel& kernel) {
  constexpr int64_t kKernel = 30, kFunction = 20, kDraw = 60;
  int64_t cost = kKernel;
  for (const ExprId id : nodes_below(program.pool, roots(kernel))) {
    const Op op = program.pool[id].op;
    cost += op == Op::Draw ? kDraw : info(op).is_transcendental ? kFunction : 1;
  }
  return cost;
}

double compiling_seconds(const Program& program, const Kernel& kernel) {
  constexpr double kSimple = 1e-4;   // a simple operation
  return kSimple * static_cast<double>(compile_cost(program, kernel));
}

/// Calls of a kernel that, interpreted, take as long as compiling it.
int patience(const Program& program, uint32_t kernel) {
  constexpr double kMost = 1e6;
  const double calls = compiling_seconds(program, program.kernels[kernel]) / interpreting_seconds(program, KernelId{kernel});
  return static_cast<int>(std::min(calls, kMost));
}

using Part = std::vector<uint32_t>;  // numbers of kernels

/// Kernels for so many threads as pay, each with about the same to do.
std::vector<Part> divide(const Program& program, const Part& kernels, int threads) {
  constexpr int64_t kEnough = 250;  // operations; below, a module of its own costs more than it saves
  std::vector<std::pair<int64_t, uint32_t>> costs;
  int64_t whole = 0;
  for (const uint32_t k : kernels) whole += costs.emplace_back(compile_cost(program, program.kernels[k]), k).first;
  const int64_t parts = std::clamp<int64_t>(whole / kEnough, 1, threads);
  // The dearest first, each to whom has least.
  std::sort(costs.begin(), costs.end(), [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  std::vector<Part> out(static_cast<size_t>(parts));
  std::vector<int64_t> loads(out.size());
  for (const auto& [cost, k] : costs) {
    const auto least = static_cast<size_t>(std::min_element(loads.begin(), loads.end()) - loads.begin());
    loads[least] += cost;
    out[least].push_back(k);
  }
  for (Part& part : out) std::sort(part.begin(), part.end());
  return out;
}

/// Code of the kernels of a part, in its order.
Result<Kernels> compile_part(const Program& program, const CodegenOptions& options, const Part& part) {
  std::vector<bool> leave_out(program.kernels.size(), true);
  std::vector<std::string> symbols;
  for (const uint32_t k : part) {
    leave_out[k] = false;
    symbols.push_back(kernel_symbol(program, KernelId{k}));
  }
  auto compiled = compile_module(program, options, leave_out);
  if (!compiled) return compiled.failure();
  return load_module(std::move(compiled->context), std::move(compiled->module), std::move(compiled->machine), symbols);
}

/// Each part on a thread of its own, the first on the caller's; on it alone where the system gives no more.
std::vector<Result<Kernels>> compile_parts(const Program& program, const CodegenOptions& options, const std::vector<Part>& parts) {
  std::vector<std::future<Result<Kernels>>> others;
  for (size_t k = 1; k < parts.size(); ++k) {
    const auto compile = [&program, &options, &part = parts[k]] { return compile_part(program, options, part); };
    try {
      others.push_back(std::async(std::launch::async, compile));
    } catch (const std::system_error&) {
      others.push_back(std::async(std::launch::deferred, compile));
    }
  }
  std::vector<Result<Kernels>> out{compile_part(program, options, parts[0])};
  for (auto& other : others) out.push_back(other.get());
  return out;
}

}  // namespace

double compiling_seconds(const Program& program) {
  double seconds = 0;
  for (const Kernel& kernel : program.kernels) seconds += compiling_seconds(program, kernel);
  return seconds;
}

Result<Kernels> jit(const Program& program, const CodegenOptions& options) {
  constexpr int kPatience = 16;  // calls; about what compiling costs
  const bool exact = options.math == MathMode::Exact;
  const bool partly = !options.wanted.empty();
  const std::vector<bool> none(program.kernels.size());
  Ways how = exact && !partly ? ways(program) : Ways{none, none, none};
  if (exact && !options.lanes && !options.seldom.empty())
    for (uint32_t k = 0; k < program.kernels.size(); ++k) how.interpreted[k] = options.seldom[k] && patience(program, k) >= kPatience;
  const auto wanted = [&](uint32_t k) { return !partly || options.wanted[k]; };
  Part compiled;
  for (uint32_t k = 0; k < program.kernels.size(); ++k)
    if (wanted(k) && !how.interpreted[k] && !how.late[k]) compiled.push_back(k);
  const std::vector<Part> parts = divide(program, compiled, options.threads);
  std::vector<Result<Kernels>> made = compile_parts(program, options, parts);
  for (const Result<Kernels>& part : made)
    if (!part) return part.failure();
  if (parts.size() == 1 && compiled.size() == program.kernels.size()) return std::move(made[0]);
  // The compiled ones take their places among the others.
  Kernels all;
  const bool some = std::any_of(how.interpreted.begin(), how.interpreted.end(), std::identity()) ||
                    std::any_of(how.late.begin(), how.late.end(), std::identity());
  const auto shared = some ? std::make_shared<const Program>(program) : nullptr;
  if (some) all = interpret(shared, options.precision);
  all.run.resize(program.kernels.size());
  for (uint32_t k = 0; k < program.kernels.size(); ++k) {
    if (!wanted(k)) all.run[k] = nullptr;
    else if (how.late[k] || (how.interpreted[k] && !how.for_good[k]))
      all.run[k] = compiled_late(shared, k, options, std::move(all.run[k]),
                                 how.late[k] ? 0 : options.seldom.empty() ? kPatience : patience(program, k));
  }
  auto keep_alive = std::make_shared<std::vector<std::shared_ptr<const void>>>();
  keep_alive->push_back(std::move(all.keep_alive));
  for (size_t part = 0; part < parts.size(); ++part) {
    for (size_t k = 0; k < parts[part].size(); ++k) all.run[parts[part][k]] = std::move(made[part]->run[k]);
    keep_alive->push_back(std::move(made[part]->keep_alive));
  }
  all.keep_alive = std::move(keep_alive);
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
