// Random draws, expanded over Draw leaves. One site per draw that is written (or unrolled); the
// engines make u = Draw(site, slot) uniform in (0, 1).

#include <algorithm>
#include <iterator>
#include <numbers>

#include "compiler/sema/frame.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

struct Distribution {
  std::string_view name;
  size_t arguments;
  bool plain;  // wants and gives plain numbers; otherwise one dimension for all
  ExprId (*draw)(ExprPool& pool, uint32_t site, ExprId a, ExprId b);
};

ExprId draw_normal(ExprPool& pool, uint32_t site, ExprId mean, ExprId sd) {
  const ExprId log_u = pool.make(Op::Log, pool.draw(site, 0));
  const ExprId radius = pool.make(Op::Sqrt, pool.mul(pool.constant(-2), log_u));
  const ExprId angle = pool.mul(pool.constant(2 * std::numbers::pi), pool.draw(site, 1));
  return pool.add(mean, pool.mul(sd, pool.mul(radius, pool.make(Op::Cos, angle))));
}

constexpr Distribution kDistributions[] = {
    {"normal", 2, false, draw_normal},
    {"lognormal", 2, true,
     [](ExprPool& pool, uint32_t site, ExprId mean, ExprId sd) {
       return pool.make(Op::Exp, draw_normal(pool, site, mean, sd));
     }},
    {"uniform", 2, false,
     [](ExprPool& pool, uint32_t site, ExprId low, ExprId high) {
       return pool.add(low, pool.mul(pool.sub(high, low), pool.draw(site, 0)));
     }},
    {"bernoulli", 1, true,
     [](ExprPool& pool, uint32_t site, ExprId p, ExprId) {
       return pool.make(Op::Less, pool.draw(site, 0), p);
     }},
    {"integer", 2, true,
     [](ExprPool& pool, uint32_t site, ExprId low, ExprId high) {
       const ExprId count = pool.add(pool.sub(high, low), pool.constant(1));
       // The product may round up to `count` for the largest u: the result stays within the bounds.
       const ExprId value = pool.make(Op::Floor, pool.add(low, pool.mul(count, pool.draw(site, 0))));
       return pool.make(Op::Min, value, high);
     }},
    {"exponential", 1, false,
     [](ExprPool& pool, uint32_t site, ExprId mean, ExprId) {
       return pool.mul(pool.neg(mean), pool.make(Op::Log, pool.draw(site, 0)));
     }},
};

const Distribution* find_distribution(const std::string& name) {
  const auto found = std::ranges::find(kDistributions, name, &Distribution::name);
  return found == std::end(kDistributions) ? nullptr : found;
}

}  // namespace

bool is_draw(const std::string& name) { return find_distribution(name) != nullptr; }

Value evaluate_draw(Frame& frame, const ast::Expr& expr, const ast::Call& call, const std::string& name) {
  const Distribution& distribution = *find_distribution(name);
  const size_t given = call.arguments.size();
  const size_t least = distribution.arguments;
  const bool positional = std::ranges::none_of(
      call.arguments, [](const ast::Argument& a) { return a.name || !a.ranges.empty(); });
  if (given < least || given > least + 1 || !positional) {
    report(frame, DiagKind::WrongArguments, expr.span,
           cat(quoted(name), " takes ", plural(least, "argument"), ", and perhaps a count of draws, got ",
               given));
    return poison();
  }
  if (!frame.draws_allowed) {
    report(frame, DiagKind::MisplacedDraw, expr.span, cat("a draw from ", quoted(name), " has no place here"))
        .help = "draws stand after '~', in a 'let', or inside 'on'";
    return poison();
  }
  std::vector<Value> values;
  Shape shape;
  for (size_t i = 0; i < least; ++i) {
    const ast::Expr& argument = *call.arguments[i].value;
    values.push_back(evaluate(frame, argument));
    const Value& value = values.back();
    if (value.poisoned || reject_trains(frame, value, argument.span, quoted(name))) return poison();
    if (distribution.plain && !expect_plain(frame, value, argument, name)) return poison();
    const Expectation same{values.front().dimension, "", call.arguments.front().value->span};
    if (!distribution.plain && i > 0 && !expect_dimension(frame, value, argument, same)) return poison();
    if (value.scalar()) continue;
    if (!shape.scalar() && shape != value.shape) {
      report(frame, DiagKind::ShapeMismatch, expr.span,
             cat("the arguments of ", quoted(name), " have different shapes"));
      return poison();
    }
    shape = value.shape;
  }
  if (given == least + 1) {
    const auto count = read_shape(frame, {call.arguments[least].value});
    if (!count) return poison();
    if (!shape.scalar() && shape != *count) {
      report(frame, DiagKind::ShapeMismatch, expr.span,
             cat("the arguments of ", quoted(name), " have shape ", to_text(shape), ", but ", to_text(*count),
                 " draws are asked for"));
      return poison();
    }
    shape = *count;
  }
  Value out{
      .shape = shape, .dimension = distribution.plain ? plain() : values.front().dimension, .drawn = true};
  for (const Value& value : values) out.after |= value.after;
  const auto at = [](const Value& value, size_t i) {
    return value.elements.size() == 1 ? value.only() : value.elements[i];
  };
  for (int64_t i = 0; i < shape.size(); ++i) {
    const size_t k = static_cast<size_t>(i);
    const ExprId a = at(values[0], k), b = values.size() > 1 ? at(values[1], k) : ExprId{};
    out.elements.push_back(distribution.draw(frame.pool(), frame.session.model.draw_sites++, a, b));
  }
  return out;
}

}  // namespace hebb::sema
