#include "compiler/lower/forms.h"

#include <algorithm>

#include "compiler/lower/defer.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

bool changes_at(const Model& model, const Rule& rule, EventKind kind) {
  return std::any_of(rule.jumps.begin(), rule.jumps.end(), [&](const Jump& jump) {
    const Variable& variable = model[jump.variable];
    if (variable.kind != VarKind::Weight && variable.locus != Locus::Synapse) return false;
    return std::any_of(jump.events.begin(), jump.events.end(), [&](EventId id) { return rule.events[id.value].kind == kind; });
  });
}

/// What makes a step look at every synapse; empty: nothing.
std::string swept_by(const Model& model, const Rule& rule) {
  for (const Flow& flow : rule.flows) {
    const Variable& variable = model[flow.variable];
    if (variable.kind == VarKind::Weight || variable.locus == Locus::Synapse) return cat(variable.name, " changes between spikes");
  }
  if (changes_at(model, rule, EventKind::Step)) return "the rule says `on step`";
  if (!rule.reductions.empty()) return cat(model[rule.reductions[0].variable].name, " sums over synapses");
  return "";
}

int numbers_of_a_synapse(const Model& model, const Rule& rule) {
  int64_t numbers = 0;
  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    const bool own = variable.kind == VarKind::Weight || (variable.kind == VarKind::State && variable.locus == Locus::Synapse);
    if (own) numbers += std::max<int64_t>(variable.shape.size(), 1);
  }
  return static_cast<int>(numbers);
}

}  // namespace

std::string sparse_forms(const Model& model, const Rule& rule) {
  const bool pre = changes_at(model, rule, EventKind::PreEvent), post = changes_at(model, rule, EventKind::PostEvent);
  if (!rule.weight.valid() || (!pre && !post)) return "";
  Draft draft = draft_synapse(model, rule);
  const Deferral how = deferral(draft, draft.projections.back());
  const bool deferred = post && how.obstacle.empty();
  const std::string swept = swept_by(model, rule);
  const bool mixed = changes_at(model, rule, EventKind::Step) || changes_at(model, rule, EventKind::Every) ||
                     changes_at(model, rule, EventKind::Port);

  std::string out = "  on a sparse projection\n";
  const auto line = [&](const char* when, const std::string& what) {
    out += cat("    ", when, std::string(12 - std::string_view(when).size(), ' '), what, "\n");
  };
  if (mixed) {
    line("step", "every synapse, because it changes at other times than spikes");
  } else {
    line("pre spike", deferred ? "its row of synapses; first what waits is added, with 3 multiply-adds and a division per row"
                               : pre ? "its row of synapses" : "delivery only");
    if (deferred) line("post spike", "one number of the post neuron: what it does to a synapse waits for the next pre spike or reader");
    else if (post) line("post spike", cat("its column of synapses, because ", how.obstacle));
    line("step", swept.empty() ? "no synapse" : cat("every synapse, because ", swept));
  }
  const int own = 4 * numbers_of_a_synapse(model, rule);
  const bool by_column = post && !deferred && !mixed;
  line("memory", cat(2 + own + (deferred ? 4 : by_column ? 6 : 0), " bytes a synapse in float: ", own, " its own, 2 which neuron",
                     deferred ? ", 4 what it has seen" : by_column ? ", 6 to find it by its post neuron" : "", "; more above 65536 neurons"));
  return out;
}

}  // namespace hebb
