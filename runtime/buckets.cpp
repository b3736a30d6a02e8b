#include "runtime/buckets.h"

#include <algorithm>
#include <cstring>

#include "compiler/expr/transform.h"

namespace hebb {

Buckets::Buckets(const Program& program, const Bucketed& plan, Columns& columns, size_t first)
    : program_(program), plan_(plan), columns_(columns), first_(first), shown_(plan.late.size()) {
  for (const Bucketed::Late& late : plan.late) {
    int64_t most = 0;
    for (const Bucket& bucket : buckets()) most = std::max(most, delay(late, bucket));
    longest_.push_back(most);
  }
  int64_t most = 0;
  for (const Bucket& bucket : buckets()) most = std::max(most, bucket.dend);
  for (size_t k = 0; k < plan.sums.size(); ++k) longest_.push_back(most);
  bases_.resize(buckets().size());
}

void Buckets::show(ColumnId column, Shown& shown, const std::vector<uint32_t>& rows) const {
  const auto write = [&](const std::vector<uint32_t>& which, double value) {
    for (const uint32_t row : which) {
      if (columns_.precision() == Precision::Float32) reinterpret_cast<float*>(shown.memory.data())[row] = static_cast<float>(value);
      else reinterpret_cast<double*>(shown.memory.data())[row] = value;
    }
  };
  if (shown.memory.empty()) shown.memory.resize(columns_.bytes(column));
  write(shown.rows, 0);
  shown.rows = rows;
  write(shown.rows, 1);
}

std::vector<uint32_t> Buckets::at_the_start(const Bucketed::Late& late) const {
  return late.start.valid() ? columns_.row(late.start) : std::vector<uint32_t>(columns_.bytes(late.from) / sizeof(uint32_t), 0u);
}

void Buckets::deliver(std::vector<InFlight>& in_flight) {
  for (size_t k = 0; k < plan_.late.size(); ++k) {
    InFlight& flying = in_flight[first_ + k];
    while (static_cast<int64_t>(flying.size()) > longest_[k]) flying.pop_front();
    if (plan_.late[k].values) {
      if (flying.empty()) flying.assign(static_cast<size_t>(longest_[k]), at_the_start(plan_.late[k]));
      continue;
    }
    for (const Bucket& bucket : buckets()) shown_[k].try_emplace(delay(plan_.late[k], bucket));
    static const std::vector<uint32_t> none;
    const auto size = static_cast<int64_t>(flying.size());
    for (auto& [steps, shown] : shown_[k])
      show(plan_.late[k].into, shown, steps <= size ? flying[static_cast<size_t>(size - steps)] : none);
  }
  for (size_t k = 0; k < plan_.sums.size(); ++k) {
    const Bucketed::Sum& sum = plan_.sums[k];
    InFlight& flying = in_flight[first_ + plan_.late.size() + k];
    if (flying.empty()) {
      columns_.fill(sum.arrives, 0);
    } else {
      std::memcpy(columns_.base(sum.arrives), flying.front().data(), columns_.bytes(sum.arrives));
      flying.push_back(std::move(flying.front()));
      flying.pop_front();
      std::fill(flying.back().begin(), flying.back().end(), 0u);
    }
    while (static_cast<int64_t>(flying.size()) < longest_[plan_.late.size() + k])
      flying.emplace_back(columns_.bytes(sum.arrives) / sizeof(uint32_t), 0u);
  }
  for (size_t b = 0; b < buckets().size(); ++b) {
    const Bucket& bucket = buckets()[b];
    bases_[b].assign(columns_.bases(), columns_.bases() + columns_.count());
    for (size_t k = 0; k < plan_.late.size(); ++k) {
      const Bucketed::Late& late = plan_.late[k];
      InFlight& flying = in_flight[first_ + k];
      const int64_t steps = delay(late, bucket);
      void*& base = bases_[b][late.into.value];
      base = late.values ? static_cast<void*>(flying[flying.size() - static_cast<size_t>(steps)].data()) : shown_[k].at(steps).memory.data();
    }
    for (size_t k = 0; k < plan_.sums.size(); ++k)
      bases_[b][plan_.sums[k].sum.value] = in_flight[first_ + plan_.late.size() + k][static_cast<size_t>(bucket.dend - 1)].data();
  }
}

void Buckets::forget() { for (auto& of_late : shown_) of_late.clear(); }

bool Buckets::concerns(const Kernel& kernel) const {
  if (kernel.domain != plan_.space) return false;
  const auto late = [&](ColumnId id) {
    return std::any_of(plan_.late.begin(), plan_.late.end(), [&](const Bucketed::Late& one) { return one.into == id; });
  };
  if (kernel.rows != Rows::All && late(kernel.spikes)) return true;
  for (const Accumulate& accumulate : kernel.accumulates)
    for (const Bucketed::Sum& sum : plan_.sums)
      if (accumulate.into == sum.sum) return true;
  for (const ExprId id : nodes_below(program_.pool, roots(kernel)))
    if (program_.pool[id].op == Op::Load && late(ColumnId{program_.pool[id].leaf.index})) return true;
  return false;
}

bool Buckets::has_late(ColumnId into) const {
  return std::any_of(plan_.late.begin(), plan_.late.end(), [&](const Bucketed::Late& late) { return late.into == into && !late.values; });
}

const std::vector<uint32_t>* Buckets::rows(ColumnId into, size_t b) const {
  for (size_t k = 0; k < plan_.late.size(); ++k)
    if (plan_.late[k].into == into && !plan_.late[k].values) return &shown_[k].at(delay(plan_.late[k], buckets()[b])).rows;
  return nullptr;
}

}  // namespace hebb
