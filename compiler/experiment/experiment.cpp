#include "compiler/experiment/experiment.h"

#include <algorithm>

#include "compiler/experiment/actions.h"
#include "compiler/experiment/evaluate.h"

namespace hebb {

namespace {

Evaluation begin(const Model& model, const std::vector<ast::Action>& actions, const Sources& sources,
                 const ExperimentOptions& options, std::ostream& out, Diagnostics& diags) {
  Evaluation e{.model = model, .sources = sources, .options = options, .out = out, .diags = diags,
               .lets = {}, .constants = {}, .functions = {}, .wanted = wanted_recordings(actions), .synapses = {}, .compiled = {}};
  for (const auto& [name, function] : model.functions) e.functions[name] = &function;
  if (options.file) {
    for (const ast::Item& item : options.file->items) {
      if (const auto* constant = std::get_if<ast::Const>(&item); constant && !model.constants.contains(constant->name.text))
        e.constants[constant->name.text] = {.definition = constant->value.get(), .span = constant->name.span, .value = {}};
      if (const auto* function = std::get_if<ast::FunctionDecl>(&item)) e.functions[function->name.text] = function;
    }
  }
  for (const ast::Action& action : actions) {
    if (const auto definition = definition_of(action))
      e.lets[definition->name.text] = {.definition = definition->value, .span = definition->name.span, .value = {}};
  }
  e.actions = &actions;
  return e;
}

/// The worst of what was reported since `first`.
Outcome outcome_since(const Diagnostics& diags, size_t first) {
  Outcome worst = Outcome::Ok;
  for (size_t i = first; i < diags.size(); ++i) {
    const DiagInfo& kind = info(diags.all()[i].kind);
    if (kind.severity != Severity::Error) continue;
    const bool number = kind.kind == DiagKind::Diverged || kind.kind == DiagKind::AssertionFailed;
    const bool file = kind.code[0] == 'F';
    const Outcome here = number ? Outcome::NumericFailure : file ? Outcome::BadFileOrUsage : Outcome::BadFile;
    if (worst == Outcome::Ok || here == Outcome::BadFile) worst = here;
  }
  return worst;
}

}  // namespace

Outcome run_experiment(const Model& model, const ast::ExperimentDecl& experiment, const Sources& sources,
                       const ExperimentOptions& options, std::ostream& out, Diagnostics& diags) {
  const size_t before = diags.size();
  Evaluation e = begin(model, experiment.actions, sources, options, out, diags);
  for (const ast::Action& action : experiment.actions) {
    if (e.interrupted) break;
    perform(e, action);
  }
  return outcome_since(diags, before);
}

TestResult run_test(const Model& model, const ast::TestDecl& test, const Sources& sources,
                    const ExperimentOptions& options, std::ostream& out, Diagnostics& diags) {
  const size_t before = diags.errors();
  Evaluation e = begin(model, test.actions, sources, options, out, diags);
  for (const ast::Action& action : test.actions) perform(e, action);
  return {.title = test.title, .passed = diags.errors() == before && !e.interrupted};
}

}  // namespace hebb
