#include "runtime/embed/library/sparse_block.h"

#include <cmath>

#include "compiler/codegen/codegen.h"
#include "runtime/clock.h"
#include "runtime/random.h"

namespace hebb {

Result<std::unique_ptr<SparseBlock>> SparseBlock::create(const EmbedUnit& unit, int64_t n_pre, int64_t n_post,
                                                         std::vector<Edge> edges, uint64_t seed) {
  Program program = *unit.program;
  program.plan = {.clocks = program.plan.clocks};
  for (const Kernel& kernel : program.kernels)
    if (!kernel.scans.empty()) return Failure{"a rule with running sums over synapses needs every pair of neurons"};
  const auto list = std::make_shared<const std::vector<Edge>>(std::move(edges));
  for (Space& space : program.spaces) {
    if (space.kind == SpaceKind::Neurons) space.size = space.name == "pre" ? n_pre : n_post;
    if (space.kind != SpaceKind::Dense) continue;
    space.kind = SpaceKind::Sparse;
    space.connect = {.wiring = Wiring::List, .edges = list};
  }
  auto kernels = jit(program, {.precision = unit.precision});
  if (!kernels) return kernels.failure();
  const uint64_t key = random_key(seed, 0);
  auto columns = Columns::create(program, unit.precision, key);
  if (!columns) return columns.failure();
  std::unique_ptr<SparseBlock> made(new SparseBlock(*std::move(kernels), *std::move(columns)));
  const ObjectUnit& object = unit.object;
  for (const int plan : {HEBB_START, HEBB_INSTANT, HEBB_STEP, HEBB_QUIET, HEBB_BOUNDS})
    made->add_plan(program, object.lists[plan], key);
  if (object.pre_count.valid()) made->columns_.fill(object.pre_count, static_cast<double>(n_pre));
  if (object.post_count.valid()) made->columns_.fill(object.post_count, static_cast<double>(n_post));
  Program once = program;
  for (const KernelId id : object.lists[HEBB_PARAMS]) once.plan.init.push_back({id, When::Always});
  PlanRunner(once, made->kernels_, made->columns_, key, 1, INT64_MAX).run_init();
  made->start();
  return made;
}

void SparseBlock::add_plan(const Program& program, const std::vector<KernelId>& kernels, uint64_t key) {
  programs_.push_back(std::make_unique<Program>(program));
  for (const KernelId id : kernels) programs_.back()->plan.step.push_back({id, When::Always});
  runners_.push_back(std::make_unique<PlanRunner>(*programs_.back(), kernels_, columns_, key, 1, INT64_MAX));
  next_.assign(program.plan.clocks.size(), 1);
}

int SparseBlock::start() {
  steps_ = base_steps_ = 0;
  base_ms_ = base_dt_ = 0;
  next_.assign(next_.size(), 1);
  runners_[kStart]->run_step(-1, true);
  return HEBB_OK;
}

int SparseBlock::sync() {
  runners_[kBounds]->run_step(steps_, true);
  return HEBB_OK;
}

int SparseBlock::set_clock(int64_t steps, double time_ms) {
  steps_ = steps;
  base_ms_ = time_ms;
  base_steps_ = 0;
  base_dt_ = 0;
  for (size_t k = 0; k < next_.size(); ++k) {
    const double period = meant_value(columns_, programs_[0]->plan.clocks[k].period);
    if (!(period > 0)) return HEBB_PERIOD;
    next_[k] = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(time_ms / period - 1e-9)));
  }
  return HEBB_OK;
}

/// Sets the indicators of clocks whose time has come; how many, or a code.
int SparseBlock::tick() {
  int fired = 0;
  const double now = time_ms();
  for (size_t k = 0; k < next_.size(); ++k) {
    const Clock& clock = programs_[0]->plan.clocks[k];
    const double period = meant_value(columns_, clock.period);
    if (!(period > 0)) return HEBB_PERIOD;
    const double reached = now + 1e-9 * period + 1e-15 * now;
    if (static_cast<double>(next_[k]) * period > reached) continue;
    next_[k] = static_cast<int64_t>(reached / period) + 1;
    columns_.fill(clock.indicator, 1);
    ++fired;
  }
  return fired;
}

int SparseBlock::moment(const hebb_block_rule& rule, const LiveRule& live, const void* inputs, double dt_ms) {
  const int fired = tick();
  if (fired < 0) return fired;
  bool happens = fired > 0;
  std::vector<ColumnId> raised;
  for (const Clock& clock : programs_[0]->plan.clocks) raised.push_back(clock.indicator);
  for (int32_t k = 0; k < rule.input_count; ++k) {
    const hebb_block_input& input = rule.inputs[k];
    const ColumnId column{static_cast<uint32_t>(input.column)};
    const char* at = static_cast<const char*>(inputs) + live.inputs().offsets[k];
    if (input.kind == HEBB_INPUT_VALUES) continue;  // written when they were given
    raised.push_back(column);
    if (input.kind == HEBB_INPUT_EVENT) {
      if (*reinterpret_cast<const int64_t*>(at) == 0) continue;
      columns_.fill(column, 1);
      happens = true;
      continue;
    }
    struct Given { const int32_t* neurons; int64_t count; };
    const Given& given = *reinterpret_cast<const Given*>(at);
    for (int64_t i = 0; i < given.count; ++i) columns_.write_row(column, given.neurons[i], 1);
    happens |= given.count > 0;
  }
  if (dt_ms > 0) columns_.fill(programs_[0]->dt, dt_ms);
  const Plan plan = dt_ms == 0 ? kInstant : happens ? kStep : kQuiet;
  if (dt_ms > 0 || happens) runners_[plan]->run_step(steps_, true);
  for (const ColumnId id : raised) columns_.fill(id, 0);
  ++steps_;
  if (dt_ms == 0) return HEBB_OK;
  if (dt_ms != base_dt_) {
    base_ms_ = time_ms();
    base_steps_ = 0;
    base_dt_ = dt_ms;
  }
  ++base_steps_;
  return HEBB_OK;
}

}  // namespace hebb
