#include <algorithm>
#include <unordered_map>

#include "compiler/lower/step.h"

namespace hebb {
namespace {

class Sorter {
 public:
  Sorter(const Program& program, std::vector<Definition> definitions)
      : program_(program), definitions_(std::move(definitions)), marks_(definitions_.size()) {
    for (size_t i = 0; i < definitions_.size(); ++i) defines_[definitions_[i].column.value] = i;
  }

  Ordered run() {
    for (size_t i = 0; i < definitions_.size() && ordered_.cycle.empty(); ++i) visit(i);
    return std::move(ordered_);
  }

 private:
  enum class Mark { New, Open, Done };

  void visit(size_t i) {
    if (marks_[i] == Mark::Done || !ordered_.cycle.empty()) return;
    if (marks_[i] == Mark::Open) return close_cycle(i);
    marks_[i] = Mark::Open;
    path_.push_back(i);
    for (const size_t needed : needs(definitions_[i])) visit(needed);
    path_.pop_back();
    marks_[i] = Mark::Done;
    for (Kernel& kernel : definitions_[i].kernels) ordered_.kernels.push_back(std::move(kernel));
  }

  void close_cycle(size_t i) {
    for (auto at = std::find(path_.begin(), path_.end(), i); at != path_.end(); ++at)
      ordered_.cycle.push_back(program_[definitions_[*at].column].name);
  }

  std::vector<size_t> needs(const Definition& definition) const {
    std::vector<size_t> needed;
    const auto reads = [&](uint32_t column) {
      if (const auto found = defines_.find(column); found != defines_.end()) needed.push_back(found->second);
    };
    for (const Kernel& kernel : definition.kernels) {
      if (kernel.spikes.valid()) reads(kernel.spikes.value);
      for (const ExprId id : nodes_below(program_.pool, roots(kernel))) {
        const ExprNode node = program_.pool[id];
        if (node.op == Op::Load) reads(node.leaf.index);
      }
    }
    std::sort(needed.begin(), needed.end());
    needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
    return needed;
  }

  const Program& program_;
  std::vector<Definition> definitions_;
  std::unordered_map<uint32_t, size_t> defines_;
  std::vector<Mark> marks_;
  std::vector<size_t> path_;
  Ordered ordered_;
};

}  // namespace

Ordered in_order(const Program& program, std::vector<Definition> definitions) {
  return Sorter(program, std::move(definitions)).run();
}

}  // namespace hebb
