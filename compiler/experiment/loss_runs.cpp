#include "compiler/experiment/loss_runs.h"

#include <algorithm>
#include <set>

#include "compiler/experiment/fit.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/grad.h"
#include "compiler/experiment/loss_trace.h"
#include "compiler/experiment/prepared_run.h"
#include "compiler/program/overlap.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

std::string set_path(const ast::Run& run, const ast::Setting& setting) { return cat(run.network.parts.back().text, ".", setting_path(setting.path)); }

/// 'S.b = Net.S.b' in a run of Net.
bool says_itself(const Evaluation& e, const ast::Run& run, const ast::Setting& setting) {
  return setting.value && path_text(e, without_parens(*setting.value)) == set_path(run, setting);
}

bool is_fed(const Evaluation& e, const std::string& network, const std::string& name) {
  const Network* found = e.model.find_network(network);
  const Variable* variable = found ? find_variable(e.model, *found, name) : nullptr;
  return variable && (variable->kind == VarKind::Signal || variable->kind == VarKind::Input);
}

/// "S.b = 1" where that is what the network declares.
std::string suggestion(Evaluation& e, const Target& target) {
  const std::string name = target.path.substr(target.network.size() + 1);
  const auto value = path_value(e, target.path, target.span);
  if (!value || !value->scalar()) return cat(name, " = …");
  return cat(name, " = ", value->values[0]);
}

/// The recording changes with a target that its run takes: the teacher's input is the same whatever the rule is.
bool reaches(Evaluation& e, const ast::Run& run, const std::string& recording, std::span<const Target> targets) {
  std::vector<std::string> paths;
  for (const Target& target : targets) paths.push_back(target.path);
  const auto prepared = prepare_run(e, run, false);
  if (!prepared) return true;   // reported
  const auto kept = std::find_if(prepared->kept.begin(), prepared->kept.end(), [&](const Kept& one) { return one.recording.name == recording; });
  if (kept == prepared->kept.end()) return false;   // what is not computed by the network, as the time
  std::vector<ColumnId> taken;
  for (const Target& target : targets) {
    const ColumnId column = prepared->program->find_column(target.name);
    if (target.network == run.network.parts.back().text && takes(e, run, target.path, paths) && column.valid()) taken.push_back(column);
  }
  if (taken.empty()) return false;
  const AdjointResult made = adjoint(overlap(Program(*prepared->program), taken), taken, std::vector{kept->recording.column});
  return !made.refusal || made.refusal->why != AdjointRefusal::Why::NoPath;
}

}  // namespace

bool takes(const Evaluation& e, const ast::Run& run, const std::string& path, const std::vector<std::string>& all_paths) {
  std::vector<std::string> settings;
  for (const ast::Setting& setting : run.settings) {
    const std::string set = set_path(run, setting);
    if (says_itself(e, run, setting)) {
      if (set == path) return true;
    } else if (!is_fed(e, run.network.parts.back().text, setting_path(setting.path))) {
      settings.push_back(set);
    }
  }
  return takes_fitted(settings, path, all_paths);
}

bool check_run_of_loss(Evaluation& e, const ast::Run& run, std::span<const Target> targets) {
  std::vector<std::string> paths;
  for (const Target& target : targets) paths.push_back(target.path);
  const TraceOptions fitted{.paths = {paths.begin(), paths.end()}};
  for (const ast::Setting& setting : run.settings) {
    if (!setting.value || says_itself(e, run, setting)) continue;
    const std::vector<MovingPart> parts = moving_parts(e, *setting.value, fitted);
    if (std::none_of(parts.begin(), parts.end(), [&](const MovingPart& part) { return !part.run || reaches(e, *part.run, part.name, targets); })) continue;
    e.diags.report(DiagKind::NoDerivative, setting.value->span, cat("what a run is given has no derivative: ", quoted(setting_path(setting.path)), " depends on what is fitted"))
        .help = "a parameter of the network may be computed from it instead, or both networks be one";
    return false;
  }
  const Target *own = nullptr, *moving = nullptr;
  for (const Target& target : targets) {
    if (target.fed || target.network != run.network.parts.back().text) continue;
    const auto says = [&](const ast::Setting& setting) { return set_path(run, setting) == target.path && says_itself(e, run, setting); };
    if (std::any_of(run.settings.begin(), run.settings.end(), says)) continue;
    if (takes(e, run, target.path, paths)) moving = &target;
    else if (!target.initial) own = &target;   // a beginning of its own is a recording like others
  }
  if (!own || !moving) return true;
  Diagnostic& diag = e.diags.report(DiagKind::WrongArgument, run.network.span,
                                    cat("this run has a ", quoted(own->path), " of its own, and would move with ", quoted(moving->path), " during the fit"));
  diag.help = cat("for data that stay as they are set both (", suggestion(e, *moving), "); for a run of the model that is fitted say so: ",
                  moving->path.substr(moving->network.size() + 1), " = ", moving->path);
  return false;
}

void note_moving_data(Evaluation& e, const LossGraph& graph, std::span<const Target> targets) {
  const auto says = [&](const ast::Run& run) {
    return std::any_of(run.settings.begin(), run.settings.end(), [&](const ast::Setting& setting) { return says_itself(e, run, setting); });
  };
  std::vector<std::set<const ast::Run*>> runs(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const LossNode& node = graph.nodes[n];
    if (node.leaf >= 0) {
      const ast::Run* run = graph.leaves[static_cast<size_t>(node.leaf)].run;
      if (run && !says(*run)) runs[n].insert(run);
      continue;
    }
    for (const int operand : node.operands) runs[n].insert(runs[static_cast<size_t>(operand)].begin(), runs[static_cast<size_t>(operand)].end());
    if (node.likelihood == LossNode::Likelihood::None) continue;
    const auto &a = runs[static_cast<size_t>(node.operands[0])], &b = runs[static_cast<size_t>(node.operands[1])];
    const auto shared = [&](const ast::Run* run) { return b.contains(run); };
    if (a.empty() || b.empty() || std::any_of(a.begin(), a.end(), shared)) continue;
    const std::string name = targets[0].path.substr(targets[0].network.size() + 1);
    note_once(e, cat("the loss in line ", e.sources.position(node.span.file, node.span.begin).line, " compares two runs that both move with ", targets[0].path,
                     ": one that makes data sets it itself (", name, " = …)"));
  }
}

}  // namespace hebb
