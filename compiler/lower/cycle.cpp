// Values that need each other within one step have no first: the user hears which.

#include <algorithm>

#include "compiler/lower/lower.h"
#include "compiler/lower/step.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// "X.r needs X.I, which needs Y.r, which needs …"
std::string chain(const std::vector<std::string>& cycle) {
  std::string text = cat(cycle[0], " needs ", cycle[1 % cycle.size()]);
  for (size_t k = 2; k <= cycle.size() && cycle.size() > 1; ++k)
    text += cat(", which needs ", cycle[k % cycle.size()]);
  return text;
}

/// The lines of the network that close the circle: drives into its ports, its signals.
std::vector<Label> places(const Model& model, const Network& network,
                          const std::vector<std::string>& cycle) {
  std::vector<Label> labels;
  for (const ProjectionDef& projection : network.projections)
    for (const DriveDef& drive : projection.drives) {
      const std::string port =
          cat(network.populations[projection.post].name, ".", model[drive.port].name);
      if (contains(cycle, port)) labels.push_back({drive.span, cat(port, " is summed here")});
    }
  for (const VarId id : network.signals)
    if (contains(cycle, model[id].name))
      labels.push_back({model[id].span, cat(model[id].name, " is defined here")});
  for (const PopulationDef& population : network.populations)
    for (const Assignment& setting : population.settings) {
      const std::string name = cat(population.name, ".", model[setting.variable].name);
      if (contains(cycle, name)) labels.push_back({setting.span, cat(name, " is set here")});
    }
  return labels;
}

}  // namespace

std::vector<std::string> stateless_cycle(const Model& model, const Network& network) {
  Draft draft = hebb::draft(model, network, {});
  return in_order(draft.program, value_definitions(draft)).cycle;
}

void report_cycles(const Model& model, Diagnostics& diags) {
  for (const Network& network : model.networks) {
    std::vector<std::string> cycle = stateless_cycle(model, network);
    if (cycle.empty()) continue;
    // An input that is set and driven is summed in a column of its own, which nobody named.
    const std::vector<std::string> named = cycle;
    std::erase_if(cycle, [&](std::string_view name) {
      constexpr std::string_view kSum = "_driven";
      return name.ends_with(kSum) && contains(named, std::string(name.substr(0, name.size() - kSum.size())));
    });
    std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
    std::vector<Label> labels = places(model, network, cycle);
    const Span span = labels.empty() ? network.span : labels[0].span;
    if (!labels.empty()) labels.erase(labels.begin());
    Diagnostic& diag = diags.report(DiagKind::StatelessCycle, span,
                                    cat("within one step ", chain(cycle), ": no value is first"));
    diag.labels = std::move(labels);
    diag.help = "give one of these neurons a state, as in  r' = (I - r) / tau;";
  }
}

}  // namespace hebb
