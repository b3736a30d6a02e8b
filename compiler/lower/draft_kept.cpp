// What the host may read of a network besides its states.

#include "compiler/lower/draft_parts.h"
#include "compiler/lower/names.h"
#include "compiler/lower/reader.h"

namespace hebb {
namespace {

/// A let is written out where it is read; one that the host reads has a column too.
void keep_lets(Draft& draft, Instance& projection, const std::set<std::string>& names) {
  for (const VarId id : projection.rule->variables) {
    const Variable& variable = (*draft.model)[id];
    if (variable.kind != VarKind::Let && variable.kind != VarKind::Draw) continue;
    const std::string name = projection.prefix + variable.name;
    const bool recorded = names.contains(projection.name) && names.contains(variable.name);
    if (!recorded && !names.contains(name)) continue;
    const auto own = projection.columns.find(id);
    const ColumnId column = own != projection.columns.end()
                                ? own->second
                                : add_column(draft, name, space_of(draft, projection, frame_of(variable.locus)), Role::Value, &variable);
    if (own == projection.columns.end()) projection.let_columns[id] = column;
    draft.visible.insert(column.value);
  }
}

}  // namespace

void keep_recorded(Draft& draft, const LowerOptions& options) {
  const Model& model = *draft.model;
  std::set<std::string> names(options.keep.begin(), options.keep.end());
  for (const RecordDef& record : draft.network->records) names.merge(mentioned_names(record.what));
  for (const Instance& projection : draft.projections)
    for (const auto& [id, reduction] : projection.reductions)
      if (names.contains(model[id].name) || names.contains(projection.prefix + model[id].name))
        draft.visible.insert(projection.columns.at(id).value);
  for (Instance& projection : draft.projections) keep_lets(draft, projection, names);
  for (const Instance& population : draft.populations)
    for (const auto& [id, column] : population.columns) {
      const bool recorded = names.contains(population.name) && names.contains(model[id].name);
      const bool asked = recorded || names.contains(population.prefix + model[id].name);
      if (model[id].kind == VarKind::Receive && asked) draft.visible.insert(column.value);
      if (model[id].kind == VarKind::Draw && !asked) draft.drawn.insert(column.value);
    }
}

}  // namespace hebb
