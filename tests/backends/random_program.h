#pragma once
// Programs made at random from a seed, well-typed by construction: every operator, space, kind of load,
// effect and scan. Values that are stored are kept small, so that later steps still have numbers to work
// on; sums are not.

#include <random>

#include "compiler/program/program.h"

namespace hebb {

class RandomProgram {
 public:
  explicit RandomProgram(uint64_t seed) : random_(seed) { program_.name = "random"; }

  Program make() {
    spaces();
    columns();
    const int count = pick(4, 8);
    for (int k = 0; k < count; ++k) kernel(k);
    return std::move(program_);
  }

 private:
  ExprPool& pool() { return program_.pool; }
  int pick(int low, int high) { return low + static_cast<int>(random_() % static_cast<uint64_t>(high - low + 1)); }
  template <class T>
  const T& one_of(const std::vector<T>& values) { return values[random_() % values.size()]; }

  void spaces() {
    static const std::vector<int64_t> sizes = {1, 2, 7, 16, 17, 33};
    one_ = program_.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
    const bool recurrent = pick(0, 3) == 0;
    pre_ = program_.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = one_of(sizes)});
    post_ = recurrent ? pre_
                      : program_.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = one_of(sizes)});
    dense_ = program_.add(Space{.kind = SpaceKind::Dense, .name = "S", .pre = pre_, .post = post_});
  }

  ColumnId add(const char* name, SpaceId space, Role role, int64_t width = 1) {
    return program_.add(Column{.name = name, .space = space, .role = role, .width = width});
  }

  void columns() {
    program_.dt = add("dt", one_, Role::Param);
    add("theta", one_, Role::Param, 4);
    add("u", one_, Role::State, 2);
    sums_[0] = add("sum_all", one_, Role::Value);
    add("x", pre_, Role::Fed);
    add("x2", pre_, Role::State, 3);
    sums_[1] = add("sum_pre", pre_, Role::Value);
    if (post_ != pre_) add("y", post_, Role::State);
    if (post_ != pre_) add("y2", post_, Role::State, 2);
    sums_[2] = add("sum_post", post_, Role::Value);
    add("w", dense_, Role::State);
    add("e", dense_, Role::State, 2);
    scans_[0] = add("run_post", dense_, Role::Value);
    scans_[1] = add("run_pre", dense_, Role::Value);
  }

  bool is_scan(uint32_t column) const { return column == scans_[0].value || column == scans_[1].value; }
  bool is_sum(uint32_t column) const {
    for (const ColumnId sum : sums_) if (sum.value == column) return true;
    return false;
  }

  /// Everything a row of `domain` may read, but for `hidden` columns.
  std::vector<ExprId> leaves(SpaceId domain, const std::vector<uint32_t>& hidden) {
    std::vector<ExprId> found;
    const bool dense = program_[domain].kind == SpaceKind::Dense;
    for (uint32_t c = 0; c < program_.columns.size(); ++c) {
      if (is_scan(c) || std::count(hidden.begin(), hidden.end(), c)) continue;
      const Column column = program_.columns[c];
      const Space space = program_[column.space];
      for (uint32_t element = 0; element < column.width; ++element) {
        if (space.kind == SpaceKind::Uniform) found.push_back(pool().load({c}, At::Uniform, element));
        else if (column.space == domain) found.push_back(pool().load({c}, At::Self, element));
        if (dense && column.space == pre_) found.push_back(pool().load({c}, At::Pre, element));
        if (dense && column.space == post_) found.push_back(pool().load({c}, At::Post, element));
      }
      if (space.kind == SpaceKind::Neurons && column.space != domain && column.role != Role::Value)
        found.push_back(pool().load(
            {c}, At::Fixed, static_cast<uint32_t>(pick(0, static_cast<int>(space.size * column.width) - 1))));
    }
    static const std::vector<double> constants = {0, 1, -1, 0.5, 2, -0.1, 3.25, 1e-3, 20};
    for (int k = 0; k < 3; ++k) found.push_back(pool().constant(one_of(constants)));
    for (int k = 0; k < 2; ++k) found.push_back(pool().draw(static_cast<uint32_t>(pick(0, 9)), static_cast<uint32_t>(pick(0, 1))));
    return found;
  }

  /// Appends `count` random operations; operands are mostly recent, so that expressions get deep.
  void grow(std::vector<ExprId>& known, int count) {
    for (int k = 0; k < count; ++k) {
      const Op op = static_cast<Op>(pick(static_cast<int>(Op::Neg), kOpCount - 1));
      const auto operand = [&] {
        const int n = static_cast<int>(known.size());
        return known[static_cast<size_t>(pick(pick(0, 1) ? std::max(0, n - 6) : 0, n - 1))];
      };
      switch (info(op).arity) {
        case 1: known.push_back(pool().make(op, operand())); break;
        case 2: known.push_back(pool().make(op, operand(), operand())); break;
        case 3: known.push_back(pool().make(op, operand(), operand(), operand())); break;
      }
    }
  }

  /// The value where it is a moderate number, else 0.5.
  ExprId moderate(ExprId value) {
    const ExprId small = pool().make(Op::Less, pool().make(Op::Abs, value), pool().constant(50));
    return pool().select(small, value, pool().constant(0.5));
  }

  void kernel(int number) {
    const std::vector<SpaceId> domains = {one_, pre_, post_, dense_, dense_, dense_};
    Kernel kernel{.name = "k" + std::to_string(number), .domain = one_of(domains)};
    const bool dense = kernel.domain == dense_;
    const bool sums = dense ? pick(0, 1) : kernel.domain != one_ && pick(0, 3) == 0;
    std::vector<uint32_t> hidden;
    if (sums) for (const ColumnId sum : sums_) hidden.push_back(sum.value);
    std::vector<ExprId> known = leaves(kernel.domain, hidden);
    if (dense && pick(0, 2) == 0) {
      grow(known, pick(0, 4));
      const int axis = pick(0, 1);
      kernel.scans.push_back({.as = scans_[axis], .along = axis == 0 ? At::Post : At::Pre,
                              .value = moderate(known.back())});
      known.push_back(pool().load(scans_[axis], At::Self));
    }
    grow(known, pick(3, 25));
    const auto result = [&] { return known[known.size() - 1 - static_cast<size_t>(pick(0, std::min<int>(5, static_cast<int>(known.size()) - 1)))]; };
    if (sums) accumulate(kernel, result);
    if (!sums || pick(0, 1)) store(kernel, result);
    if (kernel.stores.empty() && kernel.accumulates.empty()) return;
    program_.plan.step.push_back({program_.add(std::move(kernel))});
  }

  template <class Result>
  void accumulate(Kernel& kernel, const Result& result) {
    const At places[] = {At::Uniform, At::Pre, At::Post};
    static const std::vector<Combine> combines = {Combine::Sum, Combine::Sum, Combine::Min, Combine::Max};
    for (int k = 0; k < 3; ++k) {
      if (kernel.domain != dense_ ? k != 0 : pick(0, 1) == 0) continue;
      const Combine combine = one_of(combines);
      ExprId value = result();
      if (pick(0, 1)) value = pool().mul(moderate(value), result());  // summed with one rounding
      kernel.accumulates.push_back({.into = sums_[k], .at = places[k], .combine = combine, .value = value});
    }
  }

  template <class Result>
  void store(Kernel& kernel, const Result& result) {
    for (uint32_t c = 0; c < program_.columns.size(); ++c) {
      const Column& column = program_.columns[c];
      if (column.space != kernel.domain || column.role != Role::State) continue;
      for (uint32_t element = 0; element < column.width; ++element)
        if (pick(0, 1)) kernel.stores.push_back({.into = {c}, .element = element, .value = moderate(result())});
    }
  }

  std::mt19937_64 random_;
  Program program_;
  SpaceId one_, pre_, post_, dense_;
  ColumnId sums_[3], scans_[2];
};

}  // namespace hebb
