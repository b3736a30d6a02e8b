#include "bench/rate_programs.h"

#include "compiler/support/text.h"

namespace hebb::bench {
namespace {

struct Builder {
  RateProgram p;
  SpaceId uniform, pre, post, dense;

  Builder(const char* name, int64_t n_pre, int64_t n_post) {
    Program& program = p.program;
    program.name = name;
    uniform = program.add(Space{.kind = SpaceKind::Uniform, .name = "all"});
    pre = program.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = n_pre});
    post = program.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = n_post});
    dense = program.add(Space{.kind = SpaceKind::Dense, .name = "W", .pre = pre, .post = post});
    program.dt = column("dt", uniform, Role::Param);
    p.eta = column("W.eta", uniform, Role::Param);
    p.x = column("X.r", pre, Role::Fed);
    p.x_next = column("X.r next", pre, Role::Fed);
    p.y = column("Y.r", post, Role::Fed);
    p.u = column("Y.u", post, Role::Value);
    p.w = column("W.w", dense, Role::State);
  }

  ColumnId column(std::string name, SpaceId space, Role role, int64_t width = 1) {
    return p.program.add(Column{.name = std::move(name), .space = space, .role = role, .width = width});
  }
  ExprPool& pool() { return p.program.pool; }
  ExprId load(ColumnId id, At at, uint32_t element = 0) { return pool().load(id, at, element); }
  ExprId fma(ExprId a, ExprId b, ExprId c) { return pool().make(Op::Fma, a, b, c); }
  /// c0 + v*(c1 + v*c2)
  ExprId horner(ExprId v, ExprId c0, ExprId c1, ExprId c2) { return fma(v, fma(v, c2, c1), c0); }

  void finish(Kernel per_post, ExprId next) {
    p.per_post = p.program.add(std::move(per_post));
    p.update = p.program.add(Kernel{
        .name = "update", .domain = dense, .scans = {}, .stores = {{.into = p.w, .value = next}},
        .accumulates = {{.into = p.u, .at = At::Post,
                         .value = pool().mul(load(p.x_next, At::Pre), next)}}});
  }
};

}  // namespace

RateProgram oja_program(int64_t n_pre, int64_t n_post) {
  Builder b("oja", n_pre, n_post);
  const ColumnId gain = b.column("gain", b.post, Role::Value), keep = b.column("keep", b.post, Role::Value);
  const ExprId y = b.load(b.p.y, At::Self);
  const ExprId ey = b.pool().mul(b.load(b.p.eta, At::Uniform), y);
  Kernel per_post{.name = "per_post", .domain = b.post, .scans = {}, .stores = {}, .accumulates = {}};
  per_post.stores = {{.into = gain, .value = ey},
                     {.into = keep, .value = b.fma(b.pool().neg(ey), y, b.pool().constant(1))}};
  const ExprId push = b.pool().mul(b.load(gain, At::Post), b.load(b.p.x, At::Pre));
  b.finish(per_post, b.fma(b.load(b.p.w, At::Self), b.load(keep, At::Post), push));
  return b.p;
}

RateProgram taylor_program(int64_t n_pre, int64_t n_post, Fold fold) {
  Builder b("taylor", n_pre, n_post);
  b.p.theta = b.column("W.theta", b.uniform, Role::Param, 27);
  const ExprId eta = b.load(b.p.eta, At::Uniform);
  // eta * theta, and 1 more for w itself: what is uniform is computed once per launch.
  const auto coefficient = [&](uint32_t a, uint32_t bb, uint32_t c) {
    const ExprId theta = b.load(b.p.theta, At::Uniform, 9 * a + 3 * bb + c);
    if (a == 0 && bb == 0 && c == 1) return b.fma(eta, theta, b.pool().constant(1));
    return b.pool().mul(eta, theta);
  };
  Kernel per_post{.name = "per_post", .domain = b.post, .scans = {}, .stores = {}, .accumulates = {}};
  ExprId of_w[3];
  for (uint32_t c = 0; c < 3; ++c) {
    ExprId inner[3];
    for (uint32_t k = 0; k < 3; ++k) {
      if (fold == Fold::Pre) {
        inner[k] = b.horner(b.load(b.p.x, At::Pre), coefficient(0, k, c), coefficient(1, k, c), coefficient(2, k, c));
        continue;
      }
      const ColumnId folded = b.column(cat("fold ", k, c), b.post, Role::Value);
      per_post.stores.push_back({.into = folded, .value = b.horner(b.load(b.p.y, At::Self), coefficient(k, 0, c),
                                                                   coefficient(k, 1, c), coefficient(k, 2, c))});
      inner[k] = b.load(folded, At::Post);
    }
    const ExprId rate = fold == Fold::Pre ? b.load(b.p.y, At::Post) : b.load(b.p.x, At::Pre);
    of_w[c] = b.horner(rate, inner[0], inner[1], inner[2]);
  }
  b.finish(per_post, b.horner(b.load(b.p.w, At::Self), of_w[0], of_w[1], of_w[2]));
  return b.p;
}

RateProgram mlp_program(int64_t n_pre, int64_t n_post) {
  Builder b("mlp", n_pre, n_post);
  b.p.theta = b.column("W.theta", b.uniform, Role::Param, 51);  // w1, b1, w2, b2
  const auto theta = [&](uint32_t k) { return b.load(b.p.theta, At::Uniform, k); };
  Kernel per_post{.name = "per_post", .domain = b.post, .scans = {}, .stores = {}, .accumulates = {}};
  const ColumnId part = b.column("part", b.post, Role::Value, 10);
  const ExprId w = b.load(b.p.w, At::Self), eta = b.load(b.p.eta, At::Uniform);
  ExprId out = theta(50);
  for (uint32_t k = 0; k < 10; ++k) {
    per_post.stores.push_back({.into = part, .element = k,
                               .value = b.pool().mul(theta(3 * k + 1), b.load(b.p.y, At::Self))});
    const ExprId from_pre = b.fma(theta(3 * k), b.load(b.p.x, At::Pre), theta(30 + k));
    const ExprId sum = b.fma(theta(3 * k + 2), w, b.pool().add(b.load(part, At::Post, k), from_pre));
    out = b.fma(theta(40 + k), b.pool().make(Op::Tanh, sum), out);
  }
  b.finish(per_post, b.fma(eta, out, w));
  return b.p;
}

}  // namespace hebb::bench
