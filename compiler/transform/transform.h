#pragma once
// Model → Model, each a total function: after sema nothing can go wrong here but a bug of ours.

#include "compiler/model/model.h"

namespace hebb {

/// Parts of one rule as one rule on one weight: variables of all, flows and jumps summed per variable.
/// `parts` are copies with variables of their own; the weight of the first is the weight of all, and
/// its bounds are the intersection.
Rule compose(Model& model, std::string name, std::vector<Rule> parts);

/// A copy of a rule (or neuron) with fresh variables and draws, for one projection (or one population).
Rule instantiate(Model& model, const Rule& rule);
Neuron instantiate(Model& model, const Neuron& neuron);

/// The least place that covers what each variable's equations mention. Weights, and what is drawn
/// once per synapse, live at the synapse whatever their equations mention.
Model locate(Model model);

/// Fills `solutions` of every rule, neuron and projection: exact for the exp-polynomial class (linear
/// chains and products of such variables, equal time constants included) with neuron variables held
/// over the step; exponential Euler (coefficients at the middle of the step) where a variable is linear
/// in itself with coefficients that move; fourth-order Runge-Kutta for the rest.
Model solve(Model model);

/// What `hebb explain` prints for one rule or neuron: for each variable its dimension, where it lives,
/// how it is solved and why; then what happens at each event and its cost.
std::string explain(const Model& model, const Rule& rule);
std::string explain(const Model& model, const Neuron& neuron);

}  // namespace hebb
