// Closed forms and steppers against a fine Runge-Kutta integration of the same equations.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "compiler/expr/transform.h"
#include "compiler/transform/transform.h"

namespace hebb {
namespace {

/// One rule built by hand; values by name.
struct Lab {
  Model model;
  Rule rule;
  std::map<std::string, VarId> ids;
  std::map<std::string, double> values;

  ExprPool& pool() { return model.pool; }
  ExprId num(double value) { return model.pool.constant(value); }

  ExprId add(VarKind kind, const std::string& name, double value, Bounds bounds = {}) {
    Variable variable;
    variable.name = name;
    variable.kind = kind;
    variable.bounds = bounds;
    const VarId id = model.add(std::move(variable));
    ids[name] = id;
    values[name] = value;
    rule.variables.push_back(id);
    if (kind == VarKind::Weight) rule.weight = id;
    return model.pool.variable(id);
  }
  ExprId param(const std::string& name, double value) { return add(VarKind::Param, name, value); }
  ExprId state(const std::string& name, double value) { return add(VarKind::State, name, value); }
  void flow(const std::string& name, ExprId rate) { rule.flows.push_back({.variable = ids[name], .rate = rate}); }
  /// name' = -name / tau
  ExprId trace(const std::string& name, double value, ExprId tau) {
    const ExprId x = state(name, value);
    flow(name, pool().neg(pool().div(x, tau)));
    return x;
  }

  void solve_it() {
    model.rules = {rule};
    model = solve(std::move(model));
    rule = model.rules[0];
  }
  const Solution& solution(const std::string& name) const {
    for (const Solution& solution : rule.solutions) {
      if (solution.variable == ids.at(name)) return solution;
    }
    ADD_FAILURE() << "no solution for " << name;
    return rule.solutions.front();
  }

  double value_of(ExprId root, const std::map<std::string, double>& at, double dt) const {
    return evaluate(model.pool, root, [&](const ExprNode& leaf) {
      return leaf.op == Op::Dt ? dt : at.at(model[VarId{leaf.leaf.index}].name);
    });
  }
  std::map<std::string, double> stepped(const std::map<std::string, double>& at, double dt) const {
    std::map<std::string, double> next = at;
    for (const Solution& solution : rule.solutions) {
      next[model[solution.variable].name] = value_of(solution.next, at, dt);
    }
    return next;
  }
  std::map<std::string, double> run(double duration, int steps) const {
    std::map<std::string, double> at = values;
    for (int k = 0; k < steps; ++k) at = stepped(at, duration / steps);
    return at;
  }
  /// The equations themselves, integrated in small steps.
  std::map<std::string, double> reference(double duration, int steps) const {
    using Point = std::map<std::string, double>;
    Point at = values;
    const double h = duration / steps;
    const auto slope = [&](const Point& point) {
      Point result;
      for (const Flow& flow : rule.flows) result[model[flow.variable].name] = value_of(flow.rate, point, 0);
      return result;
    };
    const auto moved = [](Point point, const Point& by, double scale) {
      for (const auto& [name, value] : by) point[name] += scale * value;
      return point;
    };
    for (int k = 0; k < steps; ++k) {
      const Point k1 = slope(at), k2 = slope(moved(at, k1, h / 2)), k3 = slope(moved(at, k2, h / 2)),
                  k4 = slope(moved(at, k3, h));
      for (const auto& [name, value] : k1) {
        at[name] += h / 6 * (value + 2 * k2.at(name) + 2 * k3.at(name) + k4.at(name));
      }
    }
    return at;
  }

  void expect_exact(double duration, double tolerance = 1e-10) {
    solve_it();
    for (const Solution& solution : rule.solutions) {
      EXPECT_EQ(solution.solver, Solver::Exact) << model[solution.variable].name << ": " << solution.reason;
    }
    const auto fine = reference(duration, 4000), one = run(duration, 1), three = run(duration, 3);
    for (const Flow& flow : rule.flows) {
      const std::string& name = model[flow.variable].name;
      EXPECT_NEAR(one.at(name), fine.at(name), tolerance * (1 + std::fabs(fine.at(name)))) << name;
      EXPECT_NEAR(three.at(name), fine.at(name), tolerance * (1 + std::fabs(fine.at(name)))) << name;
    }
  }
};

TEST(exact, single_trace) {
  Lab lab;
  lab.trace("x", 2, lab.param("tau", 20));
  lab.expect_exact(35);
  EXPECT_EQ(lab.solution("x").reason, "linear decay with rate 1 / tau");
  EXPECT_DOUBLE_EQ(lab.run(10, 1).at("x"), 2 * std::exp(-0.5));
}

TEST(exact, trace_that_relaxes_to_a_held_value) {
  Lab lab;
  const ExprId tau = lab.param("tau", 20), u = lab.add(VarKind::PostValue, "u", -55), m = lab.state("m", -70);
  lab.flow("m", lab.pool().div(lab.pool().sub(u, m), tau));
  lab.expect_exact(35);
  EXPECT_EQ(lab.solution("m").reason, "linear decay with rate 1 / tau towards a value held over the step");
}

TEST(exact, ramp_and_rest) {
  Lab lab;
  const ExprId rate = lab.param("rate", 0.25);
  lab.state("t", 1);
  lab.flow("t", rate);
  lab.state("still", 4);
  lab.flow("still", lab.num(0));
  lab.expect_exact(10);
  EXPECT_EQ(lab.run(10, 1).at("t"), 3.5);
  EXPECT_EQ(lab.run(10, 1).at("still"), 4);
  EXPECT_EQ(lab.solution("t").reason, "changes at a constant rate");
}

TEST(exact, alpha_function_with_equal_time_constants) {
  Lab lab;
  const ExprId tau = lab.param("tau", 5);
  const ExprId x = lab.trace("x", 1, tau), y = lab.state("y", 0);
  lab.flow("y", lab.pool().div(lab.pool().sub(x, y), tau));
  lab.expect_exact(7);
  EXPECT_DOUBLE_EQ(lab.run(7, 1).at("y"), 7.0 / 5 * std::exp(-7.0 / 5));
}

TEST(exact, time_constants_that_are_equal_nearly_equal_and_far) {
  for (const double other : {20.0, 20.0000001, 20.1, 25.0, 1000.0, 0.01}) {
    Lab lab;
    const ExprId a = lab.param("a", 20), b = lab.param("b", other);
    const ExprId x = lab.trace("x", 1.5, a), y = lab.state("y", 0.25);
    lab.flow("y", lab.pool().sub(x, lab.pool().div(y, b)));
    lab.solve_it();
    const double t = 12, l = 1 / 20.0, m = 1 / other;
    const long double d = (1.0L / other - 1.0L / 20) * t;
    const long double ratio = d == 0 ? 1 : -std::expm1(-d) / d;
    const double expected = static_cast<double>(0.25L * std::exp(-1.0L * m * t) + 1.5L * t * std::exp(-1.0L * l * t) * ratio);
    EXPECT_NEAR(lab.run(t, 1).at("y") / expected, 1, 4e-14) << other;
    EXPECT_NEAR(lab.run(t, 4).at("y") / expected, 1, 4e-14) << other;
  }
}

TEST(exact, integral_of_a_product_of_traces) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId x = lab.trace("x", 0.8, lab.param("tau_x", 20)), y = lab.trace("y", -0.6, lab.param("tau_y", 33));
  lab.state("w", 0.5);
  lab.flow("w", p.mul(lab.param("A", 0.02), p.mul(x, p.mul(y, y))));
  lab.expect_exact(50);
  EXPECT_EQ(lab.solution("w").reason, "driven by x * y^2, integrated in closed form");
}

TEST(exact, eligibility_times_decaying_modulator) {
  for (const double tau_m : {1000.0, 999.9999, 200.0}) {
    Lab lab;
    ExprPool& p = lab.pool();
    const ExprId tau_e = lab.param("tau_e", 1000), e = lab.trace("e", 0.3, tau_e);
    const ExprId x = lab.trace("x", 1, lab.param("tau_x", 20)), y = lab.trace("y", 1.2, lab.param("tau_y", 20));
    const ExprId m = lab.state("m", 0.4);
    lab.flow("m", p.div(p.sub(lab.add(VarKind::Signal, "R", 0.1), m), lab.param("tau_m", tau_m)));
    lab.state("w", 0.5);
    lab.flow("w", p.mul(m, e));
    // Eligibility itself driven by a product, and a weight that decays.
    const ExprId f = lab.state("f", 0.1), v = lab.state("v", 0.2);
    lab.flow("f", p.sub(p.mul(x, y), p.div(f, tau_e)));
    lab.flow("v", p.sub(p.mul(p.mul(m, f), e), p.div(v, lab.param("tau_v", 5000))));
    lab.expect_exact(150);
  }
}

TEST(exact, leaky_integrator_with_exponential_currents) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId exc = lab.trace("Ie", 300, lab.param("tau_e", 5)), inh = lab.trace("Ii", 120, lab.param("tau_i", 20));
  const ExprId v = lab.state("v", -62), tau = lab.param("tau_m", 20), rest = lab.param("E_L", -70);
  const ExprId drive = p.mul(lab.param("R_m", 0.1), p.sub(exc, inh));
  lab.flow("v", p.div(p.add(p.sub(rest, v), drive), tau));
  lab.expect_exact(30);
}

TEST(exact, oja_with_held_rates) {
  for (const double y : {0.7, 0.0}) {
    Lab lab;
    ExprPool& p = lab.pool();
    const ExprId eta = lab.param("eta", 1e-2), x = lab.add(VarKind::PreValue, "x", 0.4);
    const ExprId post = lab.add(VarKind::PostValue, "y", y), w = lab.add(VarKind::Weight, "w", -0.3);
    const ExprId decay = p.mul(p.make(Op::Pow, post, lab.num(2)), w);
    lab.flow("w", p.mul(eta, p.sub(p.mul(x, post), decay)));
    lab.expect_exact(40);
  }
}

TEST(exact, condition_on_held_values) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId e = lab.trace("e", 0.3, lab.param("tau", 50)), R = lab.add(VarKind::Signal, "R", 2);
  lab.state("w", 0.5);
  lab.flow("w", p.select(p.make(Op::Less, lab.num(1), R), p.mul(R, e), lab.num(0)));
  lab.expect_exact(40);
}

TEST(exact, growing_and_fast_variables_stay_finite) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId x = lab.trace("x", 1, lab.param("fast", 1e-3)), w = lab.state("w", 0);
  lab.flow("w", p.sub(x, p.div(w, lab.param("slow", 1e3))));
  const ExprId g = lab.state("g", 1);
  lab.flow("g", p.mul(lab.param("growth", 1e-3), g));
  lab.solve_it();
  const auto end = lab.run(1e4, 1);
  EXPECT_EQ(end.at("x"), 0);
  EXPECT_NEAR(end.at("w"), 1e-3 * std::exp(-10), 1e-9);
  EXPECT_NEAR(end.at("g"), std::exp(10), 1e-8);
}

TEST(exact, lets_of_moving_variables_are_followed) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId x = lab.trace("x", 0.7, lab.param("tau", 20));
  Variable let;
  let.name = "double_x";
  let.kind = VarKind::Let;
  let.value = {p.mul(lab.num(2), x)};
  const VarId id = lab.model.add(std::move(let));
  lab.rule.variables.push_back(id);
  lab.state("w", 0);
  lab.flow("w", p.variable(id));
  lab.solve_it();
  EXPECT_EQ(lab.solution("w").solver, Solver::Exact);
  EXPECT_NEAR(lab.run(10, 1).at("w"), 2 * 0.7 * 20 * -std::expm1(-0.5), 1e-13);
}

// --- outside the class -------------------------------------------------------------------------------

TEST(clocked, clopath_weight_names_the_term_that_is_to_blame) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId xbar = lab.trace("xbar", 0.5, lab.param("tau_x", 15));
  const ExprId u = lab.add(VarKind::PostValue, "u", -40), up = lab.state("up", -60);
  lab.flow("up", p.div(p.sub(u, up), lab.param("tau_p", 7)));
  const ExprId theta_p = lab.param("theta_p", -45), theta_m = lab.param("theta_m", -70);
  lab.add(VarKind::Weight, "w", 0.5);
  const auto pos = [&](ExprId z) { return p.make(Op::Max, z, lab.num(0)); };
  lab.flow("w", p.mul(p.mul(lab.param("A", 1e-4), xbar),
                      p.mul(pos(p.sub(u, theta_p)), pos(p.sub(up, theta_m)))));
  lab.solve_it();
  EXPECT_EQ(lab.solution("up").solver, Solver::Exact);
  EXPECT_EQ(lab.solution("w").solver, Solver::RungeKutta4);
  EXPECT_EQ(lab.solution("w").reason, "pos(up - theta_m) is not a decaying trace");
  EXPECT_NEAR(lab.run(10, 50).at("w"), lab.reference(10, 4000).at("w"), 1e-10);
}

/// Error at t = duration with n and 2n steps: their ratio is 2^order.
double observed_order(Lab& lab, const std::string& name, double duration, int steps) {
  const double truth = lab.reference(duration, 20'000).at(name);
  const double coarse = std::fabs(lab.run(duration, steps).at(name) - truth);
  const double fine = std::fabs(lab.run(duration, 2 * steps).at(name) - truth);
  return std::log2(coarse / fine);
}

TEST(clocked, runge_kutta_converges_with_order_four) {
  Lab lab;                                             // FitzHugh-Nagumo, driven by a decaying current
  ExprPool& p = lab.pool();
  const ExprId I = lab.trace("I", 0.8, lab.param("tau", 3)), v = lab.state("v", -1), r = lab.state("r", 0.3);
  const ExprId cubic = p.div(p.mul(v, p.mul(v, v)), lab.num(3));
  lab.flow("v", p.add(p.sub(p.sub(v, cubic), r), I));
  lab.flow("r", p.mul(lab.num(0.3), p.sub(p.add(v, lab.num(0.7)), p.mul(lab.num(0.8), r))));
  lab.solve_it();
  EXPECT_EQ(lab.solution("I").solver, Solver::Exact);
  EXPECT_EQ(lab.solution("v").solver, Solver::RungeKutta4);
  EXPECT_EQ(lab.solution("r").solver, Solver::RungeKutta4);
  EXPECT_EQ(lab.solution("v").reason, "not linear in v");
  EXPECT_NEAR(observed_order(lab, "v", 2, 10), 4, 0.3);
  EXPECT_NEAR(observed_order(lab, "r", 2, 10), 4, 0.3);
}

TEST(clocked, linear_coupling_both_ways_is_no_chain) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId x = lab.state("x", 1), y = lab.state("y", 0);
  lab.flow("x", p.neg(y));
  lab.flow("y", x);
  lab.solve_it();
  EXPECT_EQ(lab.solution("x").solver, Solver::RungeKutta4);
  EXPECT_EQ(lab.solution("x").reason, "coupled both ways with y");
  EXPECT_NEAR(lab.run(1, 100).at("x"), std::cos(1.0), 1e-9);
}

TEST(clocked, conductances_take_the_exponential_step) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId g = lab.trace("g", 0.4, lab.param("tau_g", 5)), v = lab.state("v", -70);
  const ExprId leak = p.sub(lab.num(-70), v), synaptic = p.mul(g, p.sub(lab.num(0), v));
  lab.flow("v", p.div(p.add(leak, synaptic), lab.param("tau", 20)));
  lab.solve_it();
  EXPECT_EQ(lab.solution("v").solver, Solver::ExponentialEuler);
  EXPECT_EQ(lab.solution("v").reason, "v is multiplied by a variable that moves");
  EXPECT_NEAR(observed_order(lab, "v", 10, 20), 2, 0.2);
  lab.values["g"] = 1e6;                               // stiff: must relax, not explode
  EXPECT_LT(std::fabs(lab.run(10, 10).at("v")), 70);
}

TEST(clocked, gates_and_voltage_step_by_their_own_exponentials) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId v = lab.state("v", -0.5), m = lab.state("m", 0.1);
  lab.flow("v", p.sub(lab.num(0.3), p.mul(p.mul(m, m), v)));
  const ExprId target = p.make(Op::Tanh, v);
  lab.flow("m", p.div(p.sub(p.mul(target, target), m), lab.num(2)));
  lab.solve_it();
  EXPECT_EQ(lab.solution("v").solver, Solver::ExponentialEuler);
  EXPECT_EQ(lab.solution("m").solver, Solver::ExponentialEuler);
  EXPECT_NEAR(observed_order(lab, "v", 3, 50), 1, 0.2);
}

TEST(clocked, a_trace_of_a_clocked_variable_follows_it) {
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId v = lab.state("v", 0.2), m = lab.state("m", 0);
  lab.flow("v", p.sub(v, p.mul(v, v)));
  lab.flow("m", p.div(p.sub(v, m), lab.param("tau", 3)));
  lab.state("w", 0);
  lab.flow("w", p.make(Op::Tanh, v));
  lab.solve_it();
  EXPECT_EQ(lab.solution("v").solver, Solver::RungeKutta4);
  EXPECT_EQ(lab.solution("m").solver, Solver::ExponentialEuler);
  EXPECT_EQ(lab.solution("m").reason, "depends on v, which has no closed form");
  EXPECT_EQ(lab.solution("w").solver, Solver::RungeKutta4);
  EXPECT_NEAR(observed_order(lab, "m", 2, 20), 2, 0.2);
  EXPECT_NEAR(observed_order(lab, "w", 2, 5), 4, 0.4);
}

TEST(clocked, closed_forms_that_grow_too_large_are_stepped) {
  Lab lab;
  ExprPool& p = lab.pool();
  ExprId all = lab.num(1);
  for (int k = 0; k < 5; ++k) {
    const std::string name = "x" + std::to_string(k);
    const ExprId x = lab.state(name, 0.5 + 0.1 * k);
    lab.flow(name, p.div(p.sub(lab.param("r" + name, 0.3), x), lab.param("tau" + name, 10 + k)));
    all = p.mul(all, p.mul(x, x));
  }
  lab.state("w", 0);
  lab.flow("w", all);
  lab.solve_it();
  EXPECT_EQ(lab.solution("x0").solver, Solver::Exact);
  EXPECT_EQ(lab.solution("w").solver, Solver::RungeKutta4);
  EXPECT_EQ(lab.solution("w").reason, "too many terms for a closed form");
  EXPECT_NEAR(lab.run(5, 100).at("w"), lab.reference(5, 2000).at("w"), 1e-10);
}

// --- bounds ------------------------------------------------------------------------------------------

TEST(bounds, a_rate_that_keeps_its_sign_needs_no_grid) {
  const Bounds unit = {.low = 0, .high = 1};
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId e = lab.trace("e", 0.3, lab.param("tau", 50)), R = lab.add(VarKind::Signal, "R", 2);
  lab.add(VarKind::Weight, "w", 0.5, unit);
  lab.flow("w", p.mul(R, e));
  const ExprId d = lab.add(VarKind::State, "d", 0.5, unit);
  lab.flow("d", p.div(p.sub(lab.param("goal", 2), d), lab.param("tau_d", 50)));
  lab.solve_it();
  EXPECT_FALSE(lab.solution("w").needs_grid);
  EXPECT_FALSE(lab.solution("d").needs_grid);
}

TEST(bounds, a_rate_that_may_turn_needs_the_grid) {
  const Bounds unit = {.low = 0, .high = 1};
  Lab lab;
  ExprPool& p = lab.pool();
  const ExprId e = lab.trace("e", 0.3, lab.param("tau", 50)), f = lab.trace("f", 0.3, lab.param("tau_f", 20));
  lab.add(VarKind::Weight, "w", 0.5, unit);
  lab.flow("w", p.sub(e, f));
  const ExprId v = lab.add(VarKind::State, "v", 0.5, unit);
  lab.flow("v", p.sub(e, p.div(v, lab.param("tau_v", 100))));
  lab.add(VarKind::State, "free", 0.5);
  lab.flow("free", p.sub(e, f));
  lab.add(VarKind::State, "reader", 0.5);
  lab.flow("reader", v);
  lab.solve_it();
  EXPECT_TRUE(lab.solution("w").needs_grid);
  EXPECT_TRUE(lab.solution("v").needs_grid);
  EXPECT_FALSE(lab.solution("free").needs_grid);
  EXPECT_TRUE(lab.solution("reader").needs_grid);
  EXPECT_EQ(lab.solution("w").solver, Solver::Exact);
}

TEST(solve, a_rule_without_flows_has_no_solutions) {
  Lab lab;
  lab.add(VarKind::Weight, "w", 1);
  lab.solve_it();
  EXPECT_TRUE(lab.rule.solutions.empty());
}

}  // namespace
}  // namespace hebb
