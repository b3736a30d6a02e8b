#include "compiler/pipeline.h"

#include <array>

#include "compiler/adjoint/adjoint.h"
#include "compiler/ast/print.h"
#include "compiler/codegen/nvptx.h"
#include "compiler/lower/lower.h"
#include "compiler/parse/parse.h"
#include "compiler/support/text.h"
#include "compiler/transform/transform.h"

namespace hebb {

namespace {

struct EmitName {
  std::string_view name;
  Emit stage;
};
constexpr std::array kEmitNames = {
    EmitName{"tokens", Emit::Tokens}, EmitName{"ast", Emit::Ast},        EmitName{"model", Emit::Model},
    EmitName{"program", Emit::Program}, EmitName{"llvm-ir", Emit::LlvmIr}, EmitName{"asm", Emit::Asm},
    EmitName{"ptx", Emit::Ptx},         EmitName{"ptx-gradient", Emit::PtxGradient},
};

std::string token_text(const Sources& sources, FileId file, Diagnostics& diags) {
  std::string out;
  for (const Token& token : tokenize(sources, file, diags)) {
    const LineColumn at = sources.position(file, token.span.begin);
    out += cat(at.line, ":", at.column, " ", token.kind, " ", sources.text(token.span), "\n");
  }
  return out;
}

/// The network called `name`; with no name the only one, else the only rule as one synapse. `defer`: as a CPU runs it.
Result<Program> choose_program(const Model& model, const std::string& name, bool defer) {
  LowerOptions how;
  how.defer = defer;
  if (!name.empty()) {
    if (const Network* network = model.find_network(name)) return lower(model, *network, how);
    if (const Rule* rule = model.find_rule(name)) return lower_synapse(model, *rule, {});
    return Failure{cat("there is no network or rule called ", quoted(name))};
  }
  if (model.networks.size() == 1) return lower(model, model.networks[0], how);
  if (model.networks.empty() && model.rules.size() == 1) return lower_synapse(model, model.rules[0], {});
  std::vector<std::string> names;
  for (const Network& network : model.networks) names.push_back(network.name);
  for (const Rule& rule : model.rules) names.push_back(rule.name);
  if (names.empty()) return Failure{"the file has no network and no rule to build"};
  return Failure{cat("say which one to build: ", listed(names))};
}

/// The step and its reverse: derivatives of every state with respect to every parameter and earlier state.
Result<Program> gradient_program(const Program& program) {
  std::vector<ColumnId> targets, outputs;
  for (uint32_t k = 0; k < program.columns.size(); ++k) {
    const Role role = program.columns[k].role;
    if (role == Role::State) outputs.push_back({k});
    if (role == Role::State || (role == Role::Param && ColumnId{k} != program.dt)) targets.push_back({k});
  }
  AdjointResult made = adjoint(program, targets, outputs);
  if (made.adjoint) return std::move(made.adjoint->program);
  std::string path;
  for (const std::string& name : made.refusal->path) path += cat(path.empty() ? ": " : " -> ", name);
  return Failure{cat(quoted(program.name), " has no derivative here", path)};
}

}  // namespace

std::optional<Emit> parse_emit(std::string_view name) {
  for (const EmitName& known : kEmitNames)
    if (known.name == name) return known.stage;
  return std::nullopt;
}

Compilation compile(Sources& sources, FileId file, const CheckOptions& options, Diagnostics& diags) {
  Compilation out;
  out.file = parse(sources, file, diags);
  if (diags.has_errors()) return out;
  out.model = check(out.file, sources, options, diags);
  if (diags.has_errors()) return out;
  out.model = locate(std::move(out.model));
  out.model = solve(std::move(out.model));
  if (options.lints) lint_solved_steps(out.model, out.file, diags);
  report_cycles(out.model, diags);
  return out;
}

Result<std::string> emit(Sources& sources, FileId file, Emit stage, const PipelineOptions& options,
                         Diagnostics& diags) {
  if (stage == Emit::Tokens) return token_text(sources, file, diags);
  if (stage == Emit::Ast) return ast::print(parse(sources, file, diags));
  const Compilation compilation = compile(sources, file, options.check, diags);
  if (diags.has_errors()) return std::string();
  if (stage == Emit::Model) return print(compilation.model);
  const auto program = choose_program(compilation.model, options.network, stage != Emit::Ptx && stage != Emit::PtxGradient);
  if (!program) return program.failure();
  assert(verify(*program).empty() && "lowering keeps the promises of a program");
  if (stage == Emit::Program) return print(*program);
  const PtxOptions how{.precision = options.codegen.precision, .sm = options.sm};
  if (stage == Emit::Ptx) return ptx(for_device(*program), how);
  if (stage == Emit::PtxGradient) {
    const auto gradient = gradient_program(*program);
    if (!gradient) return gradient.failure();
    return ptx(for_device(*gradient, Resets::ByHost), how);
  }
  if (stage == Emit::LlvmIr) return llvm_ir(*program, options.codegen);
  return assembly(*program, options.codegen);
}

}  // namespace hebb
