#pragma once
// From the expression of a loss to its graph: what depends on a path becomes nodes, all else is evaluated
// once and becomes constants. Lets and functions are followed.

#include <set>

#include "compiler/experiment/loss_graph.h"

namespace hebb {

struct TraceOptions {
  std::set<std::string> paths;   // "Net.S.theta"
};

/// None: reported. A graph without leaves is a loss that depends on no path.
std::optional<LossGraph> trace_loss(Evaluation& e, const ast::Expr& loss, const TraceOptions& options);

/// Whether the value of an expression changes with the paths.
bool depends_on_paths(Evaluation& e, const ast::Expr& expr, const TraceOptions& options);

/// A recording of a run that uses what a fit gives a path, or, without a run, a path.
struct MovingPart {
  const ast::Run* run = nullptr;
  std::string name;                // "Y.r", "Net.S.theta"
};
/// Those that an expression reads.
std::vector<MovingPart> moving_parts(Evaluation& e, const ast::Expr& expr, const TraceOptions& options);

/// "Net.S.theta" when the expression is a name of something in a network.
std::optional<std::string> path_text(const Evaluation& e, const ast::Expr& expr);

}  // namespace hebb
