#include "compiler/program/interpret.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <type_traits>

#include "runtime/random.h"

namespace hebb {
namespace {

template <class Real>
using Function = Real (*)(Real, Real, Real);

template <class Real>
Function<Real> function_of(Op op) {
  if constexpr (std::is_same_v<Real, double>) return info(op).value;
  else return info(op).value_float;
}

/// One operation of a row. Its result goes to the slot of its own position.
template <class Real>
struct Step {
  enum class Kind { Apply, Constant, Load, Draw, Scan } kind = Kind::Apply;
  Function<Real> function = nullptr;
  uint32_t operands[3] = {0, 0, 0};  // Apply: slots. Scan: slot of its value
  Real constant = 0;
  Leaf leaf;
  uint32_t scan = 0;
};

struct Effect {
  ColumnId into;
  uint32_t element = 0;
  At at = At::Self;
  Combine combine = Combine::Sum;
  uint32_t slot = 0;
  bool product = false;           // the value is factors[0] * factors[1], summed with one rounding
  uint32_t factors[2] = {0, 0};
};

/// A kernel in the order of its evaluation: what each scan needs, the scan, then the rest.
template <class Real>
struct Tape {
  SpaceKind domain = SpaceKind::Uniform;
  Rows rows = Rows::All;
  int pre_bytes = 2, post_bytes = 2;        // sparse: of a neuron's number
  std::vector<Step<Real>> steps;
  std::vector<Effect> stores, accumulates;
  std::vector<At> scans;                    // the axis of each
};

template <class Real>
class TapeWriter {
 public:
  TapeWriter(const Program& program, const Kernel& kernel)
      : pool_(program.pool), kernel_(kernel), slots_(pool_.size(), kNone) {
    const Space& space = program[kernel.domain];
    tape_.domain = space.kind;
    tape_.rows = kernel.rows;
    if (space.kind != SpaceKind::Sparse) return;
    tape_.pre_bytes = index_bytes(program[space.pre].size);
    tape_.post_bytes = index_bytes(program[space.post].size);
  }

  Tape<Real> write() {
    for (const Scan& scan : kernel_.scans) write_scan(scan);
    for (const Store& store : kernel_.stores)
      tape_.stores.push_back({.into = store.into, .element = store.element, .slot = slot(store.value)});
    for (const Accumulate& accumulate : kernel_.accumulates) write_accumulate(accumulate);
    return std::move(tape_);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t push(Step<Real> step) {
    tape_.steps.push_back(step);
    return static_cast<uint32_t>(tape_.steps.size() - 1);
  }

  void write_scan(const Scan& scan) {
    const uint32_t value = slot(scan.value);
    const auto index = static_cast<uint32_t>(tape_.scans.size());
    tape_.scans.push_back(scan.along);
    scan_slots_.emplace_back(
        scan.as, push({.kind = Step<Real>::Kind::Scan, .operands = {value}, .scan = index}));
  }

  void write_accumulate(const Accumulate& accumulate) {
    Effect effect{.into = accumulate.into, .element = accumulate.element, .at = accumulate.at,
                  .combine = accumulate.combine};
    const ExprNode node = pool_[accumulate.value];
    effect.product = accumulate.combine == Combine::Sum && node.op == Op::Mul;
    if (effect.product) {
      effect.factors[0] = slot(node.operands[0]);
      effect.factors[1] = slot(node.operands[1]);
    } else {
      effect.slot = slot(accumulate.value);
    }
    tape_.accumulates.push_back(effect);
  }

  /// The slot that holds `root`; writes the steps that are still missing, operands first.
  uint32_t slot(ExprId root) {
    if (slots_[root.value] != kNone) return slots_[root.value];
    const std::vector<bool> live = live_nodes(pool_, {root});
    for (uint32_t i = 0; i < live.size(); ++i)
      if (live[i] && slots_[i] == kNone) slots_[i] = write_node(pool_[ExprId{i}]);
    return slots_[root.value];
  }

  uint32_t write_node(const ExprNode& node) {
    using Kind = typename Step<Real>::Kind;
    switch (node.op) {
      case Op::Const: return push({.kind = Kind::Constant, .constant = static_cast<Real>(node.value)});
      case Op::Draw: return push({.kind = Kind::Draw, .leaf = node.leaf});
      case Op::Load:
        for (const auto& [column, slot] : scan_slots_)
          if (column.value == node.leaf.index) return slot;
        return push({.kind = Kind::Load, .leaf = node.leaf});
      default: break;
    }
    Step<Real> step{.function = function_of<Real>(node.op)};
    assert(step.function && "only leaves of a Program have no value function");
    for (int k = 0; k < node.count; ++k) step.operands[k] = slots_[node.operands[k].value];
    return push(step);
  }

  const ExprPool& pool_;
  const Kernel& kernel_;
  std::vector<uint32_t> slots_;                           // of each node of the pool
  std::vector<std::pair<ColumnId, uint32_t>> scan_slots_;
  Tape<Real> tape_;
};

/// Which row is being computed.
struct Row {
  int64_t pre = 0, post = 0;  // neurons: post; uniform: both 0
  int64_t synapse = 0;        // sparse
};

int64_t index_at(const void* index, int bytes, int64_t at) {
  return bytes == 2 ? static_cast<const uint16_t*>(index)[at] : static_cast<const uint32_t*>(index)[at];
}

template <class Real>
class Machine {
 public:
  Machine(const Program& program, const Tape<Real>& tape, const hebb_launch& launch)
      : program_(program), tape_(tape), launch_(launch), slots_(tape.steps.size()) {
    const auto posts = static_cast<size_t>(std::max<int64_t>(launch.post_end - launch.post_begin, 0));
    for (At along : tape.scans) running_.emplace_back(along == At::Pre ? posts : 1, Real(0));
  }

  void run() {
    if (tape_.domain == SpaceKind::Uniform) return row({});
    if (tape_.domain == SpaceKind::Sparse) return sparse();
    if (tape_.rows == Rows::OfSpikes) {
      for (int64_t k = launch_.list_begin; k < launch_.list_end; ++k) row({.post = launch_.list[k]});
      return;
    }
    const bool dense = tape_.domain == SpaceKind::Dense;
    const int64_t pre_begin = dense ? launch_.pre_begin : 0, pre_end = dense ? launch_.pre_end : 1;
    for (int64_t i = pre_begin; i < pre_end; ++i) {
      for (size_t k = 0; k < running_.size(); ++k)
        if (tape_.scans[k] == At::Post) running_[k][0] = 0;
      for (int64_t j = launch_.post_begin; j < launch_.post_end; ++j) row({i, j});
    }
  }

 private:
  void sparse() {
    if (tape_.rows == Rows::All)
      for (int64_t i = launch_.pre_begin; i < launch_.pre_end; ++i) synapses_of_pre(i);
    for (int64_t k = launch_.list_begin; tape_.rows != Rows::All && k < launch_.list_end; ++k)
      tape_.rows == Rows::OfPre ? synapses_of_pre(launch_.list[k]) : synapses_of_post(launch_.list[k]);
  }

  void synapses_of_pre(int64_t i) {
    for (int64_t s = launch_.row_begin[i]; s < launch_.row_end[i]; ++s)
      row({.pre = i, .post = index_at(launch_.post_index, tape_.post_bytes, s), .synapse = s});
  }

  void synapses_of_post(int64_t j) {
    for (int64_t q = launch_.column_begin[j]; q < launch_.column_begin[j + 1]; ++q)
      row({.pre = index_at(launch_.pre_index, tape_.pre_bytes, q), .post = j, .synapse = launch_.synapse[q]});
  }

  Real* base(uint32_t column) const { return static_cast<Real*>(launch_.columns[column]); }

  Real& place(uint32_t column, uint32_t element, At at, Row row) const {
    Real* const plane = base(column) + element * launch_.planes[column];
    switch (at) {
      case At::Uniform: return base(column)[element];
      case At::Fixed: {
        const auto width = static_cast<uint32_t>(program_[ColumnId{column}].width);
        return base(column)[element % width * launch_.planes[column] + element / width];
      }
      case At::Pre: return plane[row.pre];
      case At::Post: return plane[row.post];
      case At::Self: break;
    }
    if (tape_.domain == SpaceKind::Uniform) return base(column)[element];
    if (tape_.domain == SpaceKind::Neurons) return plane[row.post];
    if (tape_.domain == SpaceKind::Sparse) return plane[row.synapse];
    return plane[row.pre * launch_.row + row.post];
  }

  Real scan(const Step<Real>& step, Row row) {
    const size_t lane = tape_.scans[step.scan] == At::Pre ? row.post - launch_.post_begin : 0;
    return running_[step.scan][lane] += slots_[step.operands[0]];
  }

  Real draw(const Leaf& leaf, Row row) const {
    const int64_t element = row.pre * launch_.post_count + row.post;
    return draw_uniform<Real>(launch_.key, leaf.index, leaf.element, element, launch_.step);
  }

  Real evaluate(const Step<Real>& step, Row row) {
    using Kind = typename Step<Real>::Kind;
    switch (step.kind) {
      case Kind::Apply:
        return step.function(slots_[step.operands[0]], slots_[step.operands[1]],
                             slots_[step.operands[2]]);
      case Kind::Constant: return step.constant;
      case Kind::Load: return place(step.leaf.index, step.leaf.element, step.leaf.at, row);
      case Kind::Draw: return draw(step.leaf, row);
      case Kind::Scan: return scan(step, row);
    }
    return 0;
  }

  Real combined(const Effect& effect, Real sum) const {
    switch (effect.combine) {
      case Combine::Sum: break;
      case Combine::Min: return function_of<Real>(Op::Min)(sum, slots_[effect.slot], 0);
      case Combine::Max: return function_of<Real>(Op::Max)(sum, slots_[effect.slot], 0);
    }
    if (effect.product) return std::fma(slots_[effect.factors[0]], slots_[effect.factors[1]], sum);
    return sum + slots_[effect.slot];
  }

  void row(Row row) {
    for (size_t k = 0; k < slots_.size(); ++k) slots_[k] = evaluate(tape_.steps[k], row);
    for (const Effect& store : tape_.stores)
      place(store.into.value, store.element, At::Self, row) = slots_[store.slot];
    for (const Effect& effect : tape_.accumulates) {
      Real& sum = place(effect.into.value, effect.element, effect.at, row);
      sum = combined(effect, sum);
    }
  }

  const Program& program_;
  const Tape<Real>& tape_;
  const hebb_launch& launch_;
  std::vector<Real> slots_;
  std::vector<std::vector<Real>> running_;  // of each scan: per post along Pre, else one
};

template <class Real>
Kernels interpret_as(std::shared_ptr<const Program> program) {
  Kernels kernels;
  for (const Kernel& kernel : program->kernels) {
    auto tape = std::make_shared<const Tape<Real>>(TapeWriter<Real>(*program, kernel).write());
    kernels.run.push_back([&program = *program, tape](const hebb_launch* launch) {
      Machine<Real>(program, *tape, *launch).run();
    });
  }
  kernels.keep_alive = std::move(program);
  return kernels;
}

}  // namespace

double interpreting_seconds(const Program& program, KernelId id) {
  constexpr double kOperation = 5e-9, kFunction = 1e-7, kLaunch = 1e-7;
  const Kernel& kernel = program[id];
  const Space& domain = program[kernel.domain];
  double rows = static_cast<double>(domain.size), row = 0;
  if (is_synaptic(domain.kind)) rows = static_cast<double>(program[domain.pre].size) * static_cast<double>(program[domain.post].size);
  for (const ExprId node : nodes_below(program.pool, roots(kernel))) {
    const Op op = program.pool[node].op;
    row += op == Op::Draw || info(op).is_transcendental ? kFunction : kOperation;
  }
  return kLaunch + row * rows;
}

Kernels interpret(std::shared_ptr<const Program> program, Precision precision) {
  if (precision == Precision::Float32) return interpret_as<float>(std::move(program));
  return interpret_as<double>(std::move(program));
}

}  // namespace hebb
