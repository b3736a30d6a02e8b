#include <algorithm>
#include <functional>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"
#include "compiler/support/text.h"
#include "compiler/transform/moving.h"
#include "compiler/transform/spelling.h"
#include "compiler/transform/transform.h"

namespace hebb {

namespace {

/// Groups of movers that depend on each other, those that others depend on first (Tarjan 1972).
class Groups {
 public:
  Groups(const ExprPool& pool, const Moving& moving) {
    const size_t count = moving.movers.size();
    for (const Mover& mover : moving.movers) edges_.push_back(moving.mentioned(pool, mover.rate));
    number_.assign(count, 0);
    low_.assign(count, 0);
    open_.assign(count, false);
    for (size_t k = 0; k < count; ++k) {
      if (number_[k] == 0) visit(k);
    }
  }
  const std::vector<std::vector<size_t>>& in_order() const { return groups_; }

 private:
  void visit(size_t k) {
    number_[k] = low_[k] = ++counter_;
    stack_.push_back(k);
    open_[k] = true;
    for (const size_t other : edges_[k]) {
      if (number_[other] == 0) {
        visit(other);
        low_[k] = std::min(low_[k], low_[other]);
      } else if (open_[other]) {
        low_[k] = std::min(low_[k], number_[other]);
      }
    }
    if (low_[k] != number_[k]) return;
    std::vector<size_t> group;
    size_t member;
    do {
      member = stack_.back();
      stack_.pop_back();
      open_[member] = false;
      group.push_back(member);
    } while (member != k);
    std::sort(group.begin(), group.end());
    groups_.push_back(std::move(group));
  }

  std::vector<std::vector<size_t>> edges_, groups_;
  std::vector<size_t> number_, low_, stack_;
  std::vector<bool> open_;
  size_t counter_ = 0;
};

class StepSolver {
 public:
  StepSolver(Model& model, const Dynamics& dynamics)
      : model_(model), pool_(model.pool), moving_(moving_variables(model, dynamics)),
        exact_(model, moving_), solutions_(moving_.movers.size()), forms_(moving_.movers.size()) {}

  std::vector<Solution> solve();

 private:
  /// The values of one mover within the step. Invalid: not known in closed form there.
  struct Forms { ExprId middle, end; };
  using Values = std::function<ExprId(size_t mover)>;

  void solve_exact(size_t k);
  bool is_exponential(const std::vector<size_t>& group);
  void solve_exponential(const std::vector<size_t>& group);
  void solve_runge_kutta();
  bool settled(size_t k) const { return solutions_[k].next.valid(); }
  void finish(size_t k, Solver solver, ExprId next, std::string reason);

  ExprId at(ExprId expression, const Values& values);
  ExprId half_step(ExprId closed_form);
  std::string name(size_t k) const { return spelled(model_, moving_.movers[k].variable, moving_.movers[k].element); }
  std::string exact_reason(size_t k) const;
  bool is_bounded(size_t k) const;
  bool decays_only(size_t k) const;
  bool keeps_its_sign(size_t k) const;
  void note_bounds(size_t k);

  Model& model_;
  ExprPool& pool_;
  Moving moving_;
  ExactClass exact_;
  std::vector<Solution> solutions_;
  std::vector<Forms> forms_;
  std::vector<size_t> runge_kutta_;
};

ExprId StepSolver::at(ExprId expression, const Values& values) {
  Substitution substitution(pool_, pool_, [&](const ExprNode& leaf) -> ExprId {
    if (leaf.op != Op::Var) return {};
    const ExprId node = pool_.variable(VarId{leaf.leaf.index}, leaf.leaf.element);
    const auto found = moving_.index.find(node.value);
    return found == moving_.index.end() ? ExprId{} : values(found->second);
  });
  return simplify(pool_, substitution(expression));
}

ExprId StepSolver::half_step(ExprId closed_form) {
  const ExprId half = pool_.mul(pool_.constant(0.5), pool_.dt());
  Substitution substitution(pool_, pool_, [&](const ExprNode& leaf) { return leaf.op == Op::Dt ? half : ExprId{}; });
  return simplify(pool_, substitution(closed_form));
}

void StepSolver::finish(size_t k, Solver solver, ExprId next, std::string reason) {
  const Mover& mover = moving_.movers[k];
  solutions_[k] = {.variable = mover.variable, .element = mover.element, .solver = solver,
                   .next = simplify(pool_, next), .reason = std::move(reason)};
}

std::string StepSolver::exact_reason(size_t k) const {
  const LinearRate& rate = exact_.rate(k);
  const bool decays = !pool_.is_constant(rate.decay, 0);
  std::vector<std::string> drivers;
  bool constant = false;
  for (const PolynomialTerm& source : rate.sources) {
    if (source.powers.empty()) constant = true;
    std::string text;
    for (const auto& [generator, power] : source.powers) {
      text += cat(text.empty() ? "" : " * ", spelled(model_, generator), power > 1 ? cat("^", power) : "");
    }
    if (!text.empty()) drivers.push_back(std::move(text));
  }
  constexpr size_t kMostNamed = 3;
  if (drivers.size() > kMostNamed) drivers = {cat(drivers.size(), " products of decaying traces")};
  const std::string driven = drivers.empty() ? "" : cat("driven by ", listed(drivers));
  if (!decays && drivers.empty()) return "changes at a constant rate";
  if (!decays) return cat(driven, ", integrated in closed form");
  const std::string decay = cat("linear decay with rate ", spelled(model_, rate.decay));
  if (!drivers.empty()) return cat(decay, ", ", driven);
  return constant ? cat(decay, " towards a value held over the step") : decay;
}

/// z' = -a z and nothing else: never changes sign.
bool StepSolver::decays_only(size_t k) const { return exact_.contains(k) && exact_.rate(k).sources.empty(); }

/// The rate of an exact variable cannot change sign between events: then clamping its end value equals
/// clamping throughout. True when it relaxes to a held value (monotone), or when its rate is one product
/// of pure decays with a constant coefficient. Anything else may turn around.
bool StepSolver::keeps_its_sign(size_t k) const {
  const LinearRate& rate = exact_.rate(k);
  const bool moves = std::any_of(rate.sources.begin(), rate.sources.end(),
                                 [](const PolynomialTerm& source) { return !source.powers.empty(); });
  if (!moves) return true;
  if (!pool_.is_constant(rate.decay, 0) || rate.sources.size() != 1) return false;
  const Monomial& factors = rate.sources[0].powers;
  return std::all_of(factors.begin(), factors.end(), [&](const auto& factor) {
    return decays_only(moving_.index.at(factor.first.value));
  });
}

bool StepSolver::is_bounded(size_t k) const {
  const Variable& variable = model_[moving_.movers[k].variable];
  return variable.bounds.bounded() || variable.low.valid() || variable.high.valid();
}

void StepSolver::note_bounds(size_t k) {
  Solution& solution = solutions_[k];
  if (solution.solver != Solver::Exact) return;
  if (is_bounded(k) && !keeps_its_sign(k)) {
    solution.needs_grid = true;
    solution.reason += "; clamped on the grid, because its rate may change sign between events";
    return;
  }
  // A closed form through a variable that meets its bound in between would follow the unbounded one.
  for (const size_t other : moving_.mentioned(pool_, moving_.movers[k].rate)) {
    if (other == k || !(is_bounded(other) || solutions_[other].needs_grid)) continue;
    solution.needs_grid = true;
    solution.reason += cat("; on the grid, because ", name(other), " may meet its bound between events");
    return;
  }
}

void StepSolver::solve_exact(size_t k) {
  const ExprId next = exact_.next(k);
  if (!next.valid()) return;
  finish(k, Solver::Exact, next, exact_reason(k));
  forms_[k] = {.middle = half_step(next), .end = next};
}

bool StepSolver::is_exponential(const std::vector<size_t>& group) {
  bool factor_moves = false;
  for (const size_t k : group) {
    const std::optional<Affine> affine = affine_in(pool_, moving_.movers[k].rate, moving_.movers[k].node);
    if (!affine) return false;
    if (group.size() == 1 && pool_.is_constant(affine->factor, 0)) return false;
    factor_moves = factor_moves || moving_.moves(pool_, affine->factor);
  }
  // Variables coupled linearly both ways gain nothing from their own exponentials.
  return group.size() == 1 || factor_moves;
}

/// z' = A z + B with A, B at the middle of the step where that is known: second order there, first
/// order in variables of the same group, which are taken at t.
void StepSolver::solve_exponential(const std::vector<size_t>& group) {
  const Values middle = [&](size_t other) {
    return forms_[other].middle.valid() ? forms_[other].middle : moving_.movers[other].node;
  };
  const ExprId dt = pool_.dt();
  std::vector<ExprId> next;
  for (const size_t k : group) {
    const Mover& mover = moving_.movers[k];
    const Affine affine = *affine_in(pool_, mover.rate, mover.node);
    const ExprId exponent = over_time(pool_, at(affine.factor, middle), dt);
    const ExprId push = over_time(pool_, at(affine.rest, middle), dt);
    // z e^a + b (e^a - 1) / a, with one function: z + (a z + b) (e^a - 1) / a.
    const ExprId change = simple(pool_, Op::Add, simple(pool_, Op::Mul, exponent, mover.node), push);
    const ExprId relative = pool_.is_constant(exponent, 0) ? pool_.constant(1) : pool_.make(Op::Exprel, exponent);
    next.push_back(simple(pool_, Op::Add, mover.node, simple(pool_, Op::Mul, change, relative)));
  }
  for (size_t i = 0; i < group.size(); ++i) {
    const size_t k = group[i];
    std::string reason = exact_.obstacle(k).empty() ? "too many terms for a closed form" : exact_.obstacle(k);
    finish(k, Solver::ExponentialEuler, next[i], std::move(reason));
  }
  for (const size_t k : group) {
    const ExprId sum = pool_.add(moving_.movers[k].node, solutions_[k].next);
    forms_[k] = {.middle = pool_.mul(pool_.constant(0.5), sum), .end = solutions_[k].next};
  }
}

/// The classical fourth-order method on all variables that are left, together; the others enter the
/// stages by their own forms. A variable that enters no rate costs nothing there.
void StepSolver::solve_runge_kutta() {
  const ExprId dt = pool_.dt();
  const ExprId half = pool_.mul(pool_.constant(0.5), dt);
  std::vector<ExprId> slopes[4];
  for (int stage = 0; stage < 4; ++stage) {
    const auto value = [&](size_t other) -> ExprId {
      const ExprId start = moving_.movers[other].node;
      if (stage == 0) return start;
      const auto position = std::lower_bound(runge_kutta_.begin(), runge_kutta_.end(), other);
      if (position == runge_kutta_.end() || *position != other) {
        return stage == 3 ? forms_[other].end : forms_[other].middle;
      }
      const ExprId slope = slopes[stage - 1][static_cast<size_t>(position - runge_kutta_.begin())];
      return pool_.add(start, pool_.mul(stage == 3 ? dt : half, slope));
    };
    for (const size_t k : runge_kutta_) slopes[stage].push_back(at(moving_.movers[k].rate, value));
  }
  for (size_t i = 0; i < runge_kutta_.size(); ++i) {
    const size_t k = runge_kutta_[i];
    const ExprId ends = pool_.add(slopes[0][i], slopes[3][i]);
    const ExprId middles = slopes[1][i] == slopes[2][i]
                               ? pool_.mul(pool_.constant(4), slopes[1][i])
                               : pool_.mul(pool_.constant(2), pool_.add(slopes[1][i], slopes[2][i]));
    const ExprId sixth = pool_.div(dt, pool_.constant(6));
    const ExprId next = pool_.add(moving_.movers[k].node, pool_.mul(sixth, pool_.add(ends, middles)));
    std::string reason = exact_.obstacle(k).empty() ? "too many terms for a closed form" : exact_.obstacle(k);
    finish(k, Solver::RungeKutta4, next, std::move(reason));
  }
}

std::vector<Solution> StepSolver::solve() {
  const Groups groups(pool_, moving_);
  for (const std::vector<size_t>& group : groups.in_order()) {
    if (group.size() == 1 && exact_.contains(group[0])) solve_exact(group[0]);
  }
  // What Runge-Kutta variables there are has to be known before their stages are written.
  std::vector<const std::vector<size_t>*> later;
  for (const std::vector<size_t>& group : groups.in_order()) {
    if (settled(group[0])) continue;
    if (is_exponential(group)) {
      const bool after_runge_kutta = std::any_of(group.begin(), group.end(), [&](size_t k) {
        const std::vector<size_t> reads = moving_.mentioned(pool_, moving_.movers[k].rate);
        return std::any_of(reads.begin(), reads.end(), [&](size_t other) {
          return !settled(other) && !std::count(group.begin(), group.end(), other);
        });
      });
      if (after_runge_kutta) later.push_back(&group);
      else solve_exponential(group);
    } else {
      runge_kutta_.insert(runge_kutta_.end(), group.begin(), group.end());
    }
  }
  std::sort(runge_kutta_.begin(), runge_kutta_.end());
  // A Runge-Kutta variable may read an exponential one that reads a Runge-Kutta one: all of these together.
  const auto needed_in_stages = [&](const std::vector<size_t>& group) {
    return std::any_of(runge_kutta_.begin(), runge_kutta_.end(), [&](size_t k) {
      const std::vector<size_t> reads = moving_.mentioned(pool_, moving_.movers[k].rate);
      return std::any_of(group.begin(), group.end(), [&](size_t g) { return std::count(reads.begin(), reads.end(), g) > 0; });
    });
  };
  for (size_t i = later.size(); i-- > 0;) {
    if (!needed_in_stages(*later[i])) continue;
    runge_kutta_.insert(runge_kutta_.end(), later[i]->begin(), later[i]->end());
    std::sort(runge_kutta_.begin(), runge_kutta_.end());
    later.erase(later.begin() + static_cast<std::ptrdiff_t>(i));
  }
  solve_runge_kutta();
  for (const size_t k : runge_kutta_) {
    const ExprId sum = pool_.add(moving_.movers[k].node, solutions_[k].next);
    forms_[k] = {.middle = pool_.mul(pool_.constant(0.5), sum), .end = solutions_[k].next};
  }
  for (const std::vector<size_t>* group : later) solve_exponential(*group);
  for (const std::vector<size_t>& group : groups.in_order()) {
    for (const size_t k : group) note_bounds(k);
  }
  return std::move(solutions_);
}

}  // namespace

Model solve(Model model) {
  const auto solved = [&](Dynamics& dynamics) { dynamics.solutions = StepSolver(model, dynamics).solve(); };
  for (Rule& rule : model.rules) solved(rule);
  for (Neuron& neuron : model.neurons) solved(neuron);
  for (Network& network : model.networks) {
    for (ProjectionDef& projection : network.projections) solved(projection.rule);
  }
  return model;
}

}  // namespace hebb
