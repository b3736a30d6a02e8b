#include "runtime/embed/library/sparse_block.h"

#include <cmath>
#include <map>

#include "compiler/codegen/codegen.h"
#include "compiler/support/text.h"
#include "runtime/clock.h"
#include "runtime/random.h"

namespace hebb {

namespace {

bool takes_spikes(const EmbedUnit& unit, bool pre) {
  for (const ObjectInput& input : unit.object.inputs)
    if (input.kind == ObjectInput::Kind::Spikes && ((*unit.program)[(*unit.program)[input.column].space].name == "pre") == pre) return true;
  return false;
}

ColumnId add_any(Program& program, const char* side) {
  for (uint32_t k = 0; k < program.spaces.size(); ++k)
    if (program.spaces[k].kind == SpaceKind::Neurons && program.spaces[k].name == side)
      return program.add(Column{.name = cat(side, " (any spike)"), .space = {k}, .role = Role::Indicator});
  return {};
}

/// The same for the synapses of neurons that spike: rows, then columns, which leave the synapses of those rows as they are.
std::vector<KernelId> of_spikes(Program& program, KernelId id, ColumnId any_pre, ColumnId any_post) {
  std::vector<KernelId> out;
  Kernel kernel = program[id];
  if (any_pre.valid()) {
    kernel.name = cat(program[id].name, " of spiking rows");
    kernel.rows = Rows::OfPre;
    kernel.spikes = any_pre;
    out.push_back(program.add(kernel));
  }
  if (!any_post.valid()) return out;
  kernel.name = cat(program[id].name, " of spiking columns");
  kernel.rows = Rows::OfPost;
  kernel.spikes = any_post;
  for (Store& store : kernel.stores)
    if (any_pre.valid())
      store.value = program.pool.make(Op::Select, program.pool.load(any_pre, At::Pre),
                                      program.pool.load(store.into, At::Self, store.element), store.value);
  out.push_back(program.add(kernel));
  return out;
}

}  // namespace

Result<std::unique_ptr<SparseBlock>> SparseBlock::create(const EmbedUnit& unit, int64_t n_pre, int64_t n_post,
                                                         std::vector<Edge> edges, uint64_t seed) {
  const auto list = std::make_shared<const std::vector<Edge>>(std::move(edges));
  auto sparse = on_edges(*unit.program, n_pre, n_post, list);
  if (!sparse) return sparse.failure();
  Program& program = *sparse;
  const ObjectUnit& object = unit.object;
  const ColumnId any_pre = takes_spikes(unit, true) ? add_any(program, "pre") : ColumnId{};
  const ColumnId any_post = takes_spikes(unit, false) ? add_any(program, "post") : ColumnId{};
  std::map<uint32_t, std::vector<KernelId>> known;
  const auto by_spikes = [&](int from) {
    std::vector<KernelId> out;
    for (const KernelId id : object.lists[from]) {
      const auto [place, fresh] = known.try_emplace(id.value);
      if (fresh && touched_only(*unit.program, (*unit.program)[id])) place->second = of_spikes(program, id, any_pre, any_post);
      else if (fresh) place->second = {id};
      out.insert(out.end(), place->second.begin(), place->second.end());
    }
    return out;
  };
  const std::vector<KernelId> instant_by_spikes = by_spikes(HEBB_INSTANT), step_by_spikes = by_spikes(HEBB_STEP);
  auto kernels = jit(program, {.precision = unit.precision});
  if (!kernels) return kernels.failure();
  const uint64_t key = random_key(seed, 0);
  auto columns = Columns::create(program, unit.precision, key);
  if (!columns) return columns.failure();
  std::unique_ptr<SparseBlock> made(new SparseBlock(*std::move(kernels), *std::move(columns)));
  made->any_pre_ = any_pre;
  made->any_post_ = any_post;
  made->step_by_spikes_ = object.step_by_spikes;
  made->edges_ = list;
  made->n_pre_ = n_pre;
  made->n_post_ = n_post;
  made->key_ = key;
  for (const int plan : {HEBB_START, HEBB_INSTANT, HEBB_STEP, HEBB_QUIET, HEBB_BOUNDS})
    made->add_plan(program, object.lists[plan], key);
  made->add_plan(program, instant_by_spikes, key);
  made->add_plan(program, step_by_spikes, key);
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
int SparseBlock::tick(Columns& into, bool look_only) {
  int fired = 0;
  const double now = time_ms();
  for (size_t k = 0; k < next_.size(); ++k) {
    const Clock& clock = programs_[0]->plan.clocks[k];
    const double period = meant_value(columns_, clock.period);
    if (!(period > 0)) return HEBB_PERIOD;
    const double reached = now + 1e-9 * period + 1e-15 * now;
    if (static_cast<double>(next_[k]) * period > reached) continue;
    if (!look_only) next_[k] = static_cast<int64_t>(reached / period) + 1;
    into.fill(clock.indicator, 1);
    ++fired;
  }
  return fired;
}

namespace {

struct Given { const int32_t* neurons; int64_t count; };
const Given& given(const LiveRule& live, const void* inputs, int32_t k) {
  return *reinterpret_cast<const Given*>(static_cast<const char*>(inputs) + live.inputs().offsets[static_cast<size_t>(k)]);
}

}  // namespace

SparseBlock::Happened SparseBlock::take_inputs(const hebb_block_rule& rule, const LiveRule& live, const void* inputs, Columns& into,
                                               std::vector<ColumnId>& raised) const {
  Happened happened;
  for (int32_t k = 0; k < rule.input_count; ++k) {
    const hebb_block_input& input = rule.inputs[k];
    const ColumnId column{static_cast<uint32_t>(input.column)};
    if (input.kind == HEBB_INPUT_VALUES) continue;  // written when they were given
    if (input.kind == HEBB_INPUT_EVENT) {
      if (*reinterpret_cast<const int64_t*>(static_cast<const char*>(inputs) + live.inputs().offsets[static_cast<size_t>(k)]) == 0) continue;
      into.fill(column, 1);
      raised.push_back(column);
      happened.everywhere = true;
      continue;
    }
    const Given& spikes = given(live, inputs, k);
    if (spikes.count == 0) continue;
    for (int64_t i = 0; i < spikes.count; ++i) into.write_row(column, spikes.neurons[i], 1);
    raised.push_back(column);
    happened.spikes = true;
  }
  return happened;
}

/// Whether it pays to look for the synapses of the neurons that spike: one that is found by its column costs several.
bool SparseBlock::few(const hebb_block_rule& rule, const LiveRule& live, const void* inputs) const {
  constexpr double kColumn = 4;
  double share = 0;
  for (int32_t k = 0; k < rule.input_count; ++k) {
    if (rule.inputs[k].kind != HEBB_INPUT_SPIKES) continue;
    const bool pre = rule.columns[rule.inputs[k].column].space == HEBB_SPACE_PRE;
    const auto count = static_cast<double>(given(live, inputs, k).count);
    share += pre ? count / static_cast<double>(n_pre_) : kColumn * count / static_cast<double>(n_post_);
  }
  return share < 1;
}

int SparseBlock::moment(const hebb_block_rule& rule, const LiveRule& live, const void* inputs, double dt_ms) {
  const int fired = tick(columns_, /*look_only=*/false);
  if (fired < 0) return fired;
  std::vector<ColumnId> raised;
  if (fired > 0)
    for (const Clock& clock : programs_[0]->plan.clocks) raised.push_back(clock.indicator);
  const Happened happened = take_inputs(rule, live, inputs, columns_, raised);
  const bool everywhere = fired > 0 || happened.everywhere;
  const bool by_spikes = !everywhere && (dt_ms == 0 || step_by_spikes_) && few(rule, live, inputs);
  if (by_spikes && happened.spikes) {
    for (int32_t k = 0; k < rule.input_count; ++k) {
      if (rule.inputs[k].kind != HEBB_INPUT_SPIKES) continue;
      const ColumnId any = rule.columns[rule.inputs[k].column].space == HEBB_SPACE_PRE ? any_pre_ : any_post_;
      const Given& spikes = given(live, inputs, k);
      for (int64_t i = 0; i < spikes.count; ++i) columns_.write_row(any, spikes.neurons[i], 1);
      if (spikes.count > 0) raised.push_back(any);
    }
  }
  if (dt_ms > 0) columns_.fill(programs_[0]->dt, dt_ms);
  const bool happens = everywhere || happened.spikes;
  const Plan plan = dt_ms == 0 ? (by_spikes ? kInstantOfSpikes : kInstant) : by_spikes ? kStepOfSpikes : happens ? kStep : kQuiet;
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

Result<SparseGradient*> SparseBlock::gradient(const EmbedUnit& unit) {
  if (!gradient_) {
    auto made = SparseGradient::create(unit, n_pre_, n_post_, edges_, key_);
    if (!made) return made.failure();
    gradient_ = *std::move(made);
  }
  return gradient_.get();
}

int SparseBlock::run_gradient(const hebb_block_rule& rule, const LiveRule& live, const void* inputs, double dt_ms,
                              std::vector<SparseGradient::Wanted>& bars) {
  int code = HEBB_OK;
  gradient_->run(columns_, [&](Columns& into) {
    std::vector<ColumnId> raised;
    code = std::min(code, tick(into, /*look_only=*/true));
    take_inputs(rule, live, inputs, into, raised);
  }, steps_, dt_ms, bars);
  return code;
}

}  // namespace hebb
