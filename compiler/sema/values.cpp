// Arithmetic on values: element by element, linear in spike trains.

#include <algorithm>

#include "compiler/sema/frame.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

/// Sums and products with what is not there. An invalid id is an exact 0 (see Value).
ExprId sum_of(ExprPool& pool, ExprId a, ExprId b, bool subtract) {
  if (!b.valid()) return a;
  if (!a.valid()) return subtract ? pool.neg(b) : b;
  return subtract ? pool.sub(a, b) : pool.add(a, b);
}

ExprId product_of(ExprPool& pool, ExprId a, ExprId b) {
  if (!a.valid() || !b.valid()) return {};
  // x*1 is x for every x, NaN and -0 included.
  if (pool.is_constant(a, 1)) return b;
  if (pool.is_constant(b, 1)) return a;
  return pool.mul(a, b);
}

ExprId quotient_of(ExprPool& pool, ExprId a, ExprId b) {
  if (!a.valid() || pool.is_constant(b, 1)) return a;
  return pool.div(a, b);
}

const ExprId& pick(const std::vector<ExprId>& elements, size_t i) {
  return elements.size() == 1 ? elements[0] : elements[i];
}

/// The common shape of two operands; a report and nothing when there is none.
std::optional<Shape> common_shape(Frame& frame, const Value& a, const Value& b, Span span) {
  if (a.shape == b.shape || b.scalar()) return a.shape;
  if (a.scalar()) return b.shape;
  report(frame, DiagKind::ShapeMismatch, span,
         cat("shapes ", to_text(a.shape), " and ", to_text(b.shape), " do not fit"))
      .help =
      "element-wise operations take equal shapes, or a number and an array; '@' is the matrix product";
  return {};
}

void inherit(Value& out, const Value& from) {
  out.drawn |= from.drawn;
  out.after |= from.after;
}

template <class Combine>
std::vector<ExprId> zip(const std::vector<ExprId>& a, const std::vector<ExprId>& b, size_t size,
                        const Combine& combine) {
  std::vector<ExprId> out(size);
  for (size_t i = 0; i < size; ++i) out[i] = combine(pick(a, i), pick(b, i));
  return out;
}

Train* find_train(Value& value, EventId event) {
  for (Train& train : value.trains) {
    if (train.event == event) return &train;
  }
  return nullptr;
}

}  // namespace

Value number(Frame& frame, double value) {
  Value out;
  out.elements = {frame.pool().constant(value)};
  return out;
}

Value variable_value(Frame& frame, VarId id, const DimensionTerm& dimension) {
  Value out{.shape = frame.session.model[id].shape, .dimension = dimension};
  const int64_t size = out.shape.size();
  for (int64_t i = 0; i < size; ++i) {
    out.elements.push_back(frame.pool().variable(id, static_cast<uint32_t>(i)));
  }
  return out;
}

std::string train_name(const Frame& frame, EventId event) {
  assert(frame.dynamics != nullptr);
  const Event& what = frame.dynamics->events[event.value];
  if (what.kind == EventKind::PreEvent) return cat("pre.", what.name);
  if (what.kind == EventKind::PostEvent) return cat("post.", what.name);
  return what.name;
}

bool reject_trains(Frame& frame, const Value& value, Span span, std::string_view what) {
  if (value.trains.empty()) return false;
  const std::string name = train_name(frame, value.trains[0].event);
  report(frame, DiagKind::NonlinearInSpikeTrain, span,
         cat(what, " of the spike train ", quoted(name), " has no value"))
      .help =
      cat("an equation may only add spike trains and multiply them by values, as in  x' = -x / tau + ", name,
          ";");
  return true;
}

bool reject_value_of_train(Frame& frame, const Value& value, Span span) {
  if (value.trains.empty()) return false;
  const std::string name = train_name(frame, value.trains[0].event);
  report(frame, DiagKind::TrainOutsideEquation, span,
         cat("the spike train ", quoted(name), " has no value here"))
      .help = cat("use it in an equation,  x' = -x / tau + ", name, ";  or act on it,  on ", name, " { … }");
  return true;
}

Value apply(Frame& frame, Op op, std::vector<Value> operands, DimensionTerm dimension, Span span) {
  Value out{.dimension = std::move(dimension)};
  for (const Value& operand : operands) {
    if (operand.poisoned || reject_trains(frame, operand, span, quoted(info(op).name))) return poison();
    const auto shape = common_shape(frame, out, operand, span);
    if (!shape) return poison();
    out.shape = *shape;
    inherit(out, operand);
  }
  ExprPool& pool = frame.pool();
  const size_t size = static_cast<size_t>(out.shape.size());
  for (size_t i = 0; i < size; ++i) {
    const ExprId a = pick(operands[0].elements, i);
    if (operands.size() == 1) out.elements.push_back(pool.make(op, a));
    if (operands.size() == 2) out.elements.push_back(pool.make(op, a, pick(operands[1].elements, i)));
    if (operands.size() == 3) {
      out.elements.push_back(pool.make(op, a, pick(operands[1].elements, i), pick(operands[2].elements, i)));
    }
  }
  return out;
}

Value add(Frame& frame, const Value& a, const Value& b, bool subtract, Span span) {
  if (a.poisoned || b.poisoned) return poison();
  const auto shape = common_shape(frame, a, b, span);
  if (!shape) return poison();
  ExprPool& pool = frame.pool();
  const size_t size = static_cast<size_t>(shape->size());
  const auto combine = [&](ExprId x, ExprId y) { return sum_of(pool, x, y, subtract); };
  Value out{.shape = *shape,
            .elements = zip(a.elements, b.elements, size, combine),
            .dimension = a.dimension,
            .trains = a.trains};
  for (Train& train : out.trains) {
    train.factor = zip(train.factor, {ExprId{}}, size, [](ExprId x, ExprId) { return x; });
  }
  for (const Train& train : b.trains) {
    Train* mine = find_train(out, train.event);
    if (mine == nullptr) {
      out.trains.push_back({train.event, {ExprId{}}});
      mine = &out.trains.back();
    }
    mine->factor = zip(mine->factor, train.factor, size, combine);
  }
  inherit(out, a);
  inherit(out, b);
  return out;
}

Value multiply(Frame& frame, const Value& a, const Value& b, Span span) {
  if (a.poisoned || b.poisoned) return poison();
  if (!a.trains.empty() && !b.trains.empty()) {
    const std::string left = train_name(frame, a.trains[0].event);
    const std::string right = train_name(frame, b.trains[0].event);
    report(frame, DiagKind::ProductOfSpikeTrains, span,
           cat(left, " * ", right, ": a product of two spike trains has no value"))
        .help = cat("to act when both happen at the same instant, use a trace:  A * x * ",
                    left == right ? left : right);
    return poison();
  }
  const auto shape = common_shape(frame, a, b, span);
  if (!shape) return poison();
  ExprPool& pool = frame.pool();
  const size_t size = static_cast<size_t>(shape->size());
  const auto combine = [&](ExprId x, ExprId y) { return product_of(pool, x, y); };
  Value out{.shape = *shape,
            .elements = zip(a.elements, b.elements, size, combine),
            .dimension = a.dimension * b.dimension};
  for (const Train& train : a.trains)
    out.trains.push_back({train.event, zip(train.factor, b.elements, size, combine)});
  for (const Train& train : b.trains)
    out.trains.push_back({train.event, zip(a.elements, train.factor, size, combine)});
  inherit(out, a);
  inherit(out, b);
  return out;
}

Value divide(Frame& frame, const Value& a, const Value& b, Span b_span, Span span) {
  if (a.poisoned || b.poisoned || reject_trains(frame, b, b_span, "a quotient")) return poison();
  const auto shape = common_shape(frame, a, b, span);
  if (!shape) return poison();
  ExprPool& pool = frame.pool();
  const size_t size = static_cast<size_t>(shape->size());
  const auto combine = [&](ExprId x, ExprId y) { return quotient_of(pool, x, y); };
  Value out{.shape = *shape,
            .elements = zip(a.elements, b.elements, size, combine),
            .dimension = a.dimension / b.dimension};
  for (const Train& train : a.trains)
    out.trains.push_back({train.event, zip(train.factor, b.elements, size, combine)});
  inherit(out, a);
  inherit(out, b);
  return out;
}

Value negate(Frame& frame, const Value& a) {
  if (a.poisoned) return a;
  ExprPool& pool = frame.pool();
  const auto flip = [&](ExprId& id) {
    if (id.valid()) id = pool.neg(id);
  };
  Value out = a;
  std::ranges::for_each(out.elements, flip);
  for (Train& train : out.trains) std::ranges::for_each(train.factor, flip);
  return out;
}

Value choose(Frame& frame, const Value& condition, const Value& yes, const Value& no, Span span) {
  if (condition.poisoned || yes.poisoned || no.poisoned) return poison();
  if (reject_trains(frame, condition, span, "a condition")) return poison();
  auto shape = common_shape(frame, yes, no, span);
  if (shape && !condition.scalar()) shape = common_shape(frame, Value{.shape = *shape}, condition, span);
  if (!shape) return poison();
  ExprPool& pool = frame.pool();
  const size_t size = static_cast<size_t>(shape->size());
  const auto select = [&](const std::vector<ExprId>& a, const std::vector<ExprId>& b) {
    std::vector<ExprId> out(size);
    for (size_t i = 0; i < size; ++i) {
      const ExprId left = pick(a, i), right = pick(b, i);
      if (!left.valid() && !right.valid()) continue;
      const ExprId zero = pool.constant(0);
      out[i] =
          pool.select(pick(condition.elements, i), left.valid() ? left : zero, right.valid() ? right : zero);
    }
    return out;
  };
  Value out{.shape = *shape, .elements = select(yes.elements, no.elements), .dimension = yes.dimension};
  const std::vector<ExprId> nothing = {ExprId{}};
  for (const Train& train : yes.trains) {
    const auto other = std::ranges::find(no.trains, train.event, &Train::event);
    out.trains.push_back(
        {train.event, select(train.factor, other == no.trains.end() ? nothing : other->factor)});
  }
  for (const Train& train : no.trains) {
    if (std::ranges::find(yes.trains, train.event, &Train::event) != yes.trains.end()) continue;
    out.trains.push_back({train.event, select(nothing, train.factor)});
  }
  inherit(out, condition);
  inherit(out, yes);
  inherit(out, no);
  return out;
}

Value element_of(const Value& array, size_t index) {
  Value out = array;
  out.shape = {};
  out.elements = {pick(array.elements, index)};
  for (Train& train : out.trains) train.factor = {pick(train.factor, index)};
  return out;
}

std::optional<double> constant_of(const Frame& frame, ExprId id) {
  if (!id.valid() || !frame.pool().is_constant(id)) return {};
  return frame.pool()[id].value;
}

}  // namespace hebb::sema
