#include "runtime/embed/live_rule.h"

#include "compiler/codegen/codegen.h"
#include "compiler/embed/gradient.h"

namespace hebb {
namespace {

int32_t space_code(const Program& program, SpaceId id) {
  const Space& space = program[id];
  if (space.kind == SpaceKind::Uniform) return HEBB_SPACE_UNIFORM;
  if (space.kind != SpaceKind::Neurons) return HEBB_SPACE_SYNAPSE;
  return space.name == "pre" ? HEBB_SPACE_PRE : HEBB_SPACE_POST;
}

int32_t number(ColumnId id) { return id.valid() ? static_cast<int32_t>(id.value) : -1; }

}  // namespace

Result<std::unique_ptr<LiveBlock>> LiveBlock::create(const EmbedUnit& unit, const Program& program, const Lists& lists, bool touched) {
  // Sizes are only known by an instance; code is laid out for large matrices, as in objects.
  Program large = program;
  for (Space& space : large.spaces)
    if (space.kind == SpaceKind::Neurons) space.size += 1024;
  auto kernels = jit(large, {.precision = unit.precision});
  if (!kernels) return kernels.failure();
  std::unique_ptr<LiveBlock> made(new LiveBlock(*std::move(kernels)));
  made->describe(unit, program, lists, touched);
  return made;
}

void LiveBlock::describe(const EmbedUnit& unit, const Program& program, const Lists& lists, bool touched) {
  const ObjectUnit& object = unit.object;
  for (const auto& kernel : code_.run) {
    const hebb_kernel* address = kernel.target<hebb_kernel>();
    assert(address != nullptr && "compiled kernels are plain functions");
    kernels_.push_back(*address);
  }
  const std::vector<bool> summed = summed_columns(program);
  for (uint32_t k = 0; k < program.columns.size(); ++k) {
    const Column& column = program.columns[k];
    columns_.push_back({.space = space_code(program, column.space), .width = static_cast<int32_t>(column.width),
                        .summed = summed[k], .indicator = column.role == Role::Indicator, .reset = column.reset});
  }
  const InputLayout layout = input_layout(object.inputs);
  for (size_t k = 0; k < object.inputs.size(); ++k)
    inputs_.push_back({.kind = static_cast<int32_t>(object.inputs[k].kind), .column = number(object.inputs[k].column),
                       .offset = layout.offsets[k], .unused = 0});
  for (const Clock& clock : unit.program->plan.clocks)
    clocks_.push_back({.indicator = number(clock.indicator), .period = number(clock.period)});
  for (size_t list = 0; list < lists.size(); ++list) {
    for (const KernelId id : lists[list])
      launches_[list].push_back({.kernel = static_cast<int32_t>(id.value),
                                 .space = space_code(program, program[id].domain),
                                 .touched_only = touched && touched_only(program, program[id]), .unused = 0});
    rule_.lists[list] = {.launches = launches_[list].data(), .count = static_cast<int64_t>(launches_[list].size())};
  }
  rule_.block_size = static_cast<uint32_t>(sizeof(hebb_block) + sizeof(void*) * (unit.program->columns.size() + 1));
  rule_.inputs_size = static_cast<uint32_t>(layout.bytes);
  rule_.real_bytes = unit.precision == Precision::Float32 ? 4 : 8;
  rule_.column_count = static_cast<int32_t>(columns_.size());
  rule_.input_count = static_cast<int32_t>(inputs_.size());
  rule_.clock_count = static_cast<int32_t>(clocks_.size());
  rule_.pre_count = number(object.pre_count);
  rule_.post_count = number(object.post_count);
  rule_.dt = number(unit.program->dt);
  rule_.step_by_spikes = object.step_by_spikes;
  rule_.variant_count = 1;
  rule_.columns = columns_.data();
  rule_.inputs = inputs_.data();
  rule_.clocks = clocks_.data();
  rule_.variants[0] = kernels_.data();
}

LiveRule::LiveRule(EmbedUnit unit, std::unique_ptr<LiveBlock> block)
    : unit_(std::move(unit)), layout_(input_layout(unit_.object.inputs)), block_(std::move(block)) {}

Result<std::unique_ptr<LiveRule>> LiveRule::create(EmbedUnit unit) {
  const LiveBlock::Lists lists(unit.object.lists.begin(), unit.object.lists.end());
  auto block = LiveBlock::create(unit, *unit.program, lists, /*touched=*/true);
  if (!block) return block.failure();
  return std::unique_ptr<LiveRule>(new LiveRule(std::move(unit), *std::move(block)));
}

Result<const hebb_block_gradient*> LiveRule::gradient() {
  const std::lock_guard lock(gradient_mutex_);
  if (reverse_) return &gradient_;
  const auto made = embed_gradient(unit_);
  if (!made) return made.failure();
  auto block = LiveBlock::create(unit_, *made->program, {made->lists.begin(), made->lists.end()}, /*touched=*/false);
  if (!block) return block.failure();
  for (const ObjectGradient::Bar& bar : made->bars)
    bars_.push_back({.now = number(bar.now), .next = number(bar.next), .carried = bar.carried, .field = number(bar.field)});
  shared_.assign(made->shared.begin(), made->shared.end());
  reverse_ = *std::move(block);
  gradient_ = {.rule = &reverse_->rule(), .bars = bars_.data(), .shared = shared_.data(),
               .bar_count = static_cast<int32_t>(bars_.size()),
               .gradients_size = static_cast<uint32_t>(gradients_bytes(*made, sizeof(void*)))};
  return &gradient_;
}

}  // namespace hebb
