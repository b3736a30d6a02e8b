// The columns of synapses that are looked at now and then.

#include <algorithm>

#include "compiler/lower/defer.h"
#include "compiler/lower/reader.h"
#include "compiler/support/text.h"

namespace hebb {

bool can_be_relative(const ExprPool& pool, const Deferral& how) {
  // Rows hold their weights as they are from when they catch up until they jump: nothing else may catch up in between.
  if (!how.obstacle.empty() || how.products.empty() || how.replayed() || (how.remembers_signs() && !how.of_parameters)) return false;
  if (!how.post_obstacle.empty() || !how.others_obstacle.empty()) return false;
  return std::all_of(how.products.begin(), how.products.end(), [&](const Deferral::Product& product) {
    return product.kept < 0 && (pool.is_constant(product.carrier, 1) || !pool.is_constant(how.scales[product.scale].decay, 1));
  });
}

void defer_changes(Draft& draft) {
  for (Instance& projection : draft.projections) {
    if (!is_sparse(draft, projection)) continue;
    Deferral found = deferral(draft, projection);
    if (!found.obstacle.empty()) continue;
    const SpaceId post = draft.populations[projection.post].space;
    const auto add = [&](const std::string& name, SpaceId space, Role role = Role::State) {
      return draft.program.add(Column{.name = cat(projection.prefix, "waits ", name), .space = space, .role = role});
    };
    for (size_t k = 0; k < found.scales.size(); ++k)
      if (!draft.program.pool.is_constant(found.scales[k].decay, 1)) found.scales[k].column = add(cat("scale", k), draft.uniform);
    for (size_t k = 0; k < found.products.size(); ++k) {
      Deferral::Product& product = found.products[k];
      const SpaceId space = product.uniform ? draft.uniform : post;
      product.sum = add(cat("sum", k), space);
      const bool by_one = found.replayed() && !product.summed && !found.scales[product.scale].column.valid();
      if (product.at_instants.valid() && !by_one) product.next = add(cat("next", k), product.one_amount ? draft.uniform : space, Role::Value);
      if (found.replayed() && !by_one)
        product.past = draft.program.add(Column{.name = cat(projection.prefix, "waits past", k), .space = post, .role = Role::State, .width = Deferral::kMostPast});
      if (product.either_sign) product.reach = add(cat("reach", k), post);
      if (!found.relative) {
        product.seen = add(cat("seen", k), projection.space);
        continue;
      }
      if (draft.program.pool.is_constant(product.carrier, 1)) continue;
      const SpaceId pre = draft.populations[projection.pre].space;
      product.ratio = add(cat("ratio", k), pre);
      if (found.pre_spikes.valid()) product.next_ratio = add(cat("next_ratio", k), pre, Role::Value);
    }
    const auto add_past = [&](const std::string& name) {
      return draft.program.add(Column{.name = cat(projection.prefix, "waits past ", name), .space = post, .role = Role::State, .width = found.most_past()});
    };
    for (const Deferral::Faded& faded : found.faded) {
      Deferral::Scale& scale = found.scales[faded.scale];
      if (scale.column.valid() && !scale.past.valid()) scale.past = add_past(cat("scale", faded.scale));
    }
    for (size_t k = 0; k < found.remembered.size(); ++k) found.remembered[k].past = add_past(cat(k));
    if (found.replayed() && found.level < found.products.size() && found.products[found.level].summed)
      found.most = add("most", post), found.least = add("least", post);
    if (found.remembers_signs()) {
      const SpaceId space = found.signs_by_neuron() ? post : draft.uniform;
      found.ups = add("ups", space);
      found.downs = add("downs", space);
      found.turned = add("turned", space, Role::Value);
    }
    if (found.relative) {
      const auto [low, high] = Reader(draft, projection, Frame::Synapse).bounds(found.weight);
      if (low.valid() || high.valid()) found.rounding = add("rounding", draft.uniform);
    }
    if (!found.traces.empty()) found.below = add("below", draft.uniform);
    projection.deferral = std::make_shared<const Deferral>(std::move(found));
  }
}

std::vector<ColumnId> waiting_columns(const Deferral& how) {
  std::vector<ColumnId> out;
  const auto waiting = [&](ColumnId column) {
    if (column.valid()) out.push_back(column);
  };
  for (const Deferral::Product& product : how.products) waiting(product.sum), waiting(product.past), waiting(product.reach);
  for (const Deferral::Scale& scale : how.scales) waiting(scale.past);
  for (const Deferral::Remembered& remembered : how.remembered) waiting(remembered.past);
  waiting(how.most), waiting(how.least);
  return out;
}

std::array<ExprId, 2> rounding_values(ExprPool& pool, ColumnId rounding) {
  // A third is no number of few digits: what rounding took from it is left over.
  const ExprId here = pool.load(rounding, At::Uniform), one = pool.constant(1);
  const auto off_by = [&](double times, ExprId value) { return pool.sub(pool.mul(pool.constant(times), value), one); };
  return {pool.constant(1.0 / 3), pool.make(Op::Abs, off_by(3, off_by(4, here)))};
}

}  // namespace hebb
