#include "compiler/experiment/experiment.h"

#include <algorithm>

#include "compiler/experiment/actions.h"
#include "compiler/experiment/evaluate.h"
#include "compiler/support/text.h"

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
  if (options.fits_begun) e.fits_begun = *options.fits_begun;
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
  note_skipped(e);
  if (options.fits_begun) *options.fits_begun = e.fits_begun;
  return outcome_since(diags, before);
}

TestResult run_test(const Model& model, const ast::TestDecl& test, const Sources& sources,
                    const ExperimentOptions& options, std::ostream& out, Diagnostics& diags) {
  const size_t before = diags.errors();
  Evaluation e = begin(model, test.actions, sources, options, out, diags);
  for (const ast::Action& action : test.actions) perform(e, action);
  note_skipped(e);
  return {.title = test.title, .passed = diags.errors() == before && !e.interrupted};
}

std::vector<std::pair<std::string, Value>> evaluate_actions(const Model& model, const std::vector<ast::Action>& actions,
                                                            const std::map<std::string, Tensor>& given,
                                                            const std::vector<std::string>& results, const Sources& sources,
                                                            const ExperimentOptions& options, std::ostream& out,
                                                            Diagnostics& diags) {
  Evaluation e = begin(model, actions, sources, options, out, diags);
  const ast::Expr constant{.span = {}, .node = ast::Number{}};  // depends on nothing; the value is there already
  for (const auto& [name, tensor] : given)
    e.lets[name] = {.definition = &constant, .span = {}, .progress = Let::Progress::Done, .value = Value{tensor}};
  const size_t before = diags.errors();
  for (const ast::Action& action : actions)
    if (diags.errors() == before) perform(e, action);
  std::vector<std::pair<std::string, Value>> values;
  for (const std::string& name : results) {
    if (diags.errors() != before) break;
    const auto let = e.lets.find(name);
    if (let == e.lets.end()) {
      diags.report(DiagKind::UnknownName, {}, cat("there is no let called ", quoted(name)));
      break;
    }
    const ast::Expr reference{.span = let->second.span, .node = ast::NameRef{name}};
    if (auto value = evaluate(e, reference)) values.emplace_back(name, *std::move(value));
  }
  return values;
}

}  // namespace hebb
