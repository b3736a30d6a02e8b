#include "compiler/embed/gradient.h"

#include <algorithm>

#include "compiler/adjoint/adjoint.h"
#include "compiler/support/text.h"
#include "runtime/embed/block.h"

namespace hebb {
namespace {

/// The moment as the quiet flavour and the step as the eventful one: one set of columns for both. Without start
/// values, which are no part of a step.
Program two_flavours(const EmbedUnit& unit) {
  Program program = *unit.program;
  program.plan.init.clear();
  program.plan.step.clear();
  for (const KernelId id : unit.object.lists[HEBB_INSTANT]) program.plan.step.push_back({id, When::Quiet});
  for (const KernelId id : unit.object.lists[HEBB_STEP]) program.plan.step.push_back({id, When::Eventful});
  return program;
}

std::string why_not(const AdjointRefusal& refusal) {
  std::string path;
  for (const std::string& name : refusal.path) path += cat(path.empty() ? "" : " -> ", name);
  const bool times = refusal.why == AdjointRefusal::Why::SpikeTimes;
  return cat("the rule has no derivative", times ? " through the time of an event" : "", path.empty() ? "" : cat(" (", path, ")"));
}

std::vector<KernelId> joined(std::vector<KernelId> first, const std::vector<KernelId>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace

bool is_carried(EmbedField::Kind kind) {
  return kind == EmbedField::Kind::Weight || kind == EmbedField::Kind::State;
}

bool has_derivative(EmbedField::Kind kind) {
  using Kind = EmbedField::Kind;
  return is_carried(kind) || kind == Kind::Param || kind == Kind::Signal || kind == Kind::PreValue || kind == Kind::PostValue;
}

Result<ObjectGradient> embed_gradient(const EmbedUnit& unit) {
  const Program program = two_flavours(unit);
  std::vector<ColumnId> targets, outputs;
  for (const EmbedField& field : unit.fields) {
    if (has_derivative(field.kind)) targets.push_back(field.column);
    if (is_carried(field.kind)) outputs.push_back(field.column);
  }
  // What nothing depends on has the derivative 0.
  AdjointResult made = adjoint(program, targets, outputs);
  while (made.refusal && made.refusal->why == AdjointRefusal::Why::NoPath && !targets.empty()) {
    std::erase_if(targets, [&](ColumnId id) { return program[id].name == made.refusal->path.at(0); });
    made = adjoint(program, targets, outputs);
  }
  if (made.refusal) return Failure{why_not(*made.refusal)};

  Adjoint& adjoint = *made.adjoint;
  ObjectGradient gradient;
  const StepAdjoint& step = adjoint.has_eventful ? adjoint.eventful : adjoint.quiet;
  // One call is a whole run of one step: what belongs before the first and after the last is part of it.
  const StepAdjoint& once = adjoint.once;
  gradient.lists = {joined(once.forward, adjoint.quiet.forward), joined(adjoint.quiet.reverse, once.reverse),
                    joined(once.forward, step.forward), joined(step.reverse, once.reverse)};
  for (const EmbedField& field : unit.fields) {
    if (!has_derivative(field.kind)) continue;
    ObjectGradient::Bar bar{.now = {}, .next = {}, .field = field.column, .carried = is_carried(field.kind)};
    if (field.column.value < adjoint.adjoint_of.size()) bar.now = adjoint.adjoint_of[field.column.value];
    for (const Adjoint::Carried& carried : adjoint.carried)
      if (bar.carried && carried.now == field.column) bar.now = carried.now_adjoint, bar.next = carried.next_adjoint;
    gradient.bars.push_back(bar);
  }
  for (uint32_t k = 0; k < unit.program->columns.size(); ++k) {
    const Role role = unit.program->columns[k].role;
    gradient.shared.push_back((role == Role::State || role == Role::Param) && ColumnId{k} != unit.program->dt);
  }
  gradient.program = std::make_shared<const Program>(std::move(adjoint.program));
  return gradient;
}

}  // namespace hebb
