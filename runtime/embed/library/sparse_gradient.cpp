#include "runtime/embed/library/sparse_gradient.h"

#include "compiler/codegen/codegen.h"
#include "compiler/embed/gradient.h"

namespace hebb {

Result<Program> on_edges(Program program, int64_t n_pre, int64_t n_post, std::shared_ptr<const std::vector<Edge>> edges) {
  program.plan = {.clocks = program.plan.clocks};
  for (const Kernel& kernel : program.kernels)
    if (!kernel.scans.empty()) return Failure{"a rule with running sums over synapses needs every pair of neurons"};
  for (Space& space : program.spaces) {
    if (space.kind == SpaceKind::Neurons) space.size = space.name == "pre" ? n_pre : n_post;
    if (space.kind != SpaceKind::Dense) continue;
    space.kind = SpaceKind::Sparse;
    space.connect = {.wiring = Wiring::List, .edges = edges};
  }
  return program;
}

Result<std::unique_ptr<SparseGradient>> SparseGradient::create(const EmbedUnit& unit, int64_t n_pre, int64_t n_post,
                                                               std::shared_ptr<const std::vector<Edge>> edges, uint64_t key) {
  auto gradient = embed_gradient(unit);
  if (!gradient) return gradient.failure();
  auto program = on_edges(*gradient->program, n_pre, n_post, std::move(edges));
  if (!program) return program.failure();
  auto kernels = jit(*program, {.precision = unit.precision});
  if (!kernels) return kernels.failure();
  auto columns = Columns::create(*program, unit.precision, key);
  if (!columns) return columns.failure();
  std::unique_ptr<SparseGradient> made(new SparseGradient(*std::move(gradient), *std::move(kernels), *std::move(columns)));
  made->own_ = unit.program->columns.size();
  made->dt_ = unit.program->dt;
  // Sums begin where they are reset by hand: those of the reverse go on from what is owed.
  for (const Kernel& kernel : program->kernels)
    for (const Accumulate& sum : kernel.accumulates)
      if ((*program)[sum.into].role == Role::Value) program->columns[sum.into.value].role = Role::State;
  for (size_t list = 0; list < made->programs_.size(); ++list) {
    made->programs_[list] = std::make_unique<Program>(*program);
    for (const KernelId id : made->gradient_.lists[list]) made->programs_[list]->plan.step.push_back({id, When::Always});
    made->runners_[list] = std::make_unique<PlanRunner>(*made->programs_[list], made->kernels_, made->columns_, key, 1, INT64_MAX);
  }
  return made;
}

const ObjectGradient::Bar* SparseGradient::bar_of(ColumnId field) const {
  for (const ObjectGradient::Bar& bar : gradient_.bars)
    if (bar.field == field) return &bar;
  return nullptr;
}

void SparseGradient::run(const Columns& now, const std::function<void(Columns&)>& happen, int64_t step, double dt_ms,
                         std::vector<Wanted>& bars) {
  const Program& program = *programs_[0];
  std::vector<double> values;
  for (uint32_t k = 0; k < program.columns.size(); ++k) {
    if (k >= own_ || program.columns[k].role == Role::Indicator) {
      columns_.fill({k}, 0);
      continue;
    }
    values.resize(static_cast<size_t>(now.layout({k}).size()));
    now.read({k}, values);
    columns_.write({k}, values);
  }
  const std::vector<bool> summed = summed_columns(program);
  for (uint32_t k = 0; k < summed.size(); ++k)
    if (summed[k]) columns_.fill({k}, program.columns[k].reset);
  happen(columns_);
  if (dt_.valid()) columns_.fill(dt_, dt_ms);

  const size_t first = dt_ms > 0 ? 2 : 0;
  runners_[first]->run_step(step, true);
  for (const Wanted& wanted : bars)
    if (wanted.bar->carried && wanted.bar->next.valid()) columns_.write(wanted.bar->next, wanted.values);
  runners_[first + 1]->run_step(step, true);
  for (Wanted& wanted : bars) {
    if (wanted.bar->now.valid()) columns_.read(wanted.bar->now, wanted.values);
    else std::fill(wanted.values.begin(), wanted.values.end(), 0);
  }
}

}  // namespace hebb
