#pragma once
// Reads an expression of the model in the place of one row of a program: variables become loads,
// lets are written out, events become indicators.

#include <span>
#include <unordered_map>

#include "compiler/lower/draft.h"

namespace hebb {

/// Whose rows compute: a uniform kernel, the neurons of a population, a rule's pre neurons, its post
/// neurons, its synapses.
enum class Frame { Shared, Neuron, Pre, Post, Synapse };

/// The frame in which variables of that locus are computed, and its space.
Frame frame_of(Locus locus);
SpaceId space_of(const Draft& draft, const Instance& instance, Frame frame);

class Reader {
 public:
  /// Start: before the first step, lets are written out. Instant: everything is a left limit. Moving:
  /// states are what their columns hold by now, values that depend on no state are held.
  enum class Phase { Start, Instant, Moving };
  Reader(Draft& draft, const Instance& instance, Frame frame, Phase phase = Phase::Instant);

  /// `root` of the model's pool in the program's pool, simplified.
  ExprId operator()(ExprId root);
  ExprId variable(VarId id, uint32_t element);
  /// 1 when any of the events happens in this instant, else 0.
  ExprId active(const std::vector<EventId>& events);
  /// The value just after this instant, within bounds.
  ExprId right_limit(VarId id, uint32_t element);
  /// What all `+=` of this instant add up to; invalid: nothing.
  ExprId increments(VarId id, uint32_t element);
  /// Of a weight or state; invalid where there is none.
  struct Bounds {
    ExprId low, high;
  };
  Bounds bounds(VarId id);
  /// `value` of a weight or state within its bounds; nan passes through.
  ExprId clamped(VarId id, ExprId value);
  /// `value` for a synapse that exists, else `otherwise`.
  ExprId if_connected(ExprId value, double otherwise);
  /// values[row of this neuron][element], one for each element of an array of `width`.
  std::vector<ExprId> per_neuron(std::span<const ExprId> values, size_t width);
  /// values[pre][post] of this synapse.
  ExprId per_synapse(std::span<const ExprId> values);
  /// 1 where the condition is not 0, else 0.
  ExprId truth(ExprId condition);
  ExprId load(ColumnId column, uint32_t element, Locus side = Locus::Synapse);
  ExprPool& pool() { return draft_.program.pool; }

 private:
  ExprId translate(ExprId root);
  ExprId chosen(ExprId row, std::span<const ExprId> values, size_t first = 0);
  ExprId leaf(const ExprNode& node);
  ExprId own(VarId id, uint32_t element);
  ColumnId held(ColumnId state);
  ExprId late_value(ColumnId from, uint32_t element, Locus side);
  ExprId requirement(VarId id, uint32_t element, int population, Locus side);
  ExprId member(const Instance& population, const std::string& name, uint32_t element, Locus side);
  ExprId signal(VarId id, uint32_t element);
  ExprId let(VarId id, uint32_t element);
  ExprId event(const Event& event, EventId id);
  ExprId port(ColumnId indicator);
  bool adds_what_arrives(const Jump& jump);
  ExprId passing(ColumnId indicator, Locus side = Locus::Synapse);

  Draft& draft_;
  const Instance& instance_;
  Frame frame_;
  Phase phase_;
  std::unordered_map<uint32_t, ExprId> done_;
};

/// The expression where an indicator is known to be `value`.
ExprId assuming(ExprPool& pool, ExprId root, ColumnId indicator, At at, double value);

/// A number that depends on what an expression computes, not on when it was built: sums whose terms
/// have no order of their own are taken in the order of this.
uint64_t fingerprint(const Program& program, ExprId root);

}  // namespace hebb
