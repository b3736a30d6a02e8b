#include "runtime/connectivity.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "compiler/support/text.h"
#include "runtime/random.h"

namespace hebb {

namespace {

/// The draws of one neuron: the neuron's number stands where the step stands in other draws.
class NeuronDraws {
 public:
  NeuronDraws(uint64_t key, uint32_t site, int64_t neuron) : key_(key), site_(site), neuron_(neuron) {}
  double next() { return draw_uniform<double>(key_, site_, 0, count_++, neuron_); }
  /// 0 … n - 1
  int64_t below(int64_t n) {
    return std::min(static_cast<int64_t>(next() * static_cast<double>(n)), n - 1);
  }

 private:
  uint64_t key_;
  uint32_t site_;
  int64_t neuron_;
  uint64_t count_ = 0;
};

/// `count` different ones of 0 … n - 1, ascending: Floyd's method (Bentley and Floyd 1987, CACM 30, 754).
std::vector<uint32_t> choose(int64_t n, int64_t count, NeuronDraws draws) {
  std::vector<uint32_t> chosen;
  chosen.reserve(static_cast<size_t>(count));
  for (int64_t top = n - count; top < n; ++top) {
    const auto pick = static_cast<uint32_t>(draws.below(top + 1));
    const auto at = std::lower_bound(chosen.begin(), chosen.end(), pick);
    if (at == chosen.end() || *at != pick) chosen.insert(at, pick);
    else chosen.push_back(static_cast<uint32_t>(top));  // larger than all before
  }
  return chosen;
}

/// Numbers from 0 … n - 2 that skip `self`.
uint32_t without(uint32_t number, int64_t self) {
  return static_cast<int64_t>(number) >= self ? number + 1 : number;
}

class Connector {
 public:
  Connector(const Program& program, const Space& space, uint64_t key)
      : space_(space), how_(space.connect), key_(key), pres_(program[space.pre].size),
        posts_(program[space.post].size), skips_(!how_.self && space.pre == space.post) {
    out_.post = NeuronIndex(posts_);
    out_.pre = NeuronIndex(pres_);
    out_.row_begin.assign(1, 0);
  }

  Result<Connections> run() {
    switch (how_.wiring) {
      case Wiring::OneToOne: one_to_one(); break;
      case Wiring::Random: random(); break;
      case Wiring::FixedIndegree: fixed_indegree(); break;
      case Wiring::FixedOutdegree: fixed_outdegree(); break;
      case Wiring::List: listed_edges(); break;
    }
    if (out_.post.size() >= UINT32_MAX)
      return Failure{cat(quoted(space_.name), " would have ", out_.post.size(), " synapses, more than 2^32 - 2")};
    return std::move(out_);
  }

 private:
  void add(int64_t post) { out_.post.push_back(static_cast<uint32_t>(post)); }
  void end_row() { out_.row_begin.push_back(out_.count()); }

  void one_to_one() {
    assert(pres_ == posts_ && "one_to_one joins populations of one size");
    for (int64_t i = 0; i < pres_; ++i) add(i), end_row();
  }

  /// The gaps between synapses of a row are geometric.
  void random() {
    const double log_no = std::log1p(-how_.p);
    for (int64_t i = 0; i < pres_; ++i) {
      NeuronDraws draws(key_, how_.site, i);
      double post = -1;
      while (how_.p > 0) {
        post += 1 + (how_.p < 1 ? std::floor(std::log(draws.next()) / log_no) : 0);
        if (!(post < static_cast<double>(posts_))) break;
        if (skips_ && static_cast<int64_t>(post) == i) continue;
        add(static_cast<int64_t>(post));
      }
      end_row();
    }
  }

  void fixed_outdegree() {
    for (int64_t i = 0; i < pres_; ++i) {
      for (const uint32_t post : choose(posts_ - skips_, how_.degree, {key_, how_.site, i}))
        add(skips_ ? without(post, i) : post);
      end_row();
    }
  }

  void fixed_indegree() {
    std::vector<Edge> edges;
    edges.reserve(static_cast<size_t>(posts_ * how_.degree));
    for (int64_t j = 0; j < posts_; ++j)
      for (const uint32_t pre : choose(pres_ - skips_, how_.degree, {key_, how_.site, j}))
        edges.push_back({.pre = skips_ ? without(pre, j) : pre, .post = static_cast<uint32_t>(j)});
    by_pre(edges);
  }

  void listed_edges() { by_pre(*how_.edges); }

  /// Edges with ascending posts, or sorted.
  void by_pre(const std::vector<Edge>& edges) {
    out_.row_begin.assign(static_cast<size_t>(pres_) + 1, 0);
    for (const Edge& edge : edges) ++out_.row_begin[edge.pre + 1];
    for (int64_t i = 0; i < pres_; ++i) out_.row_begin[i + 1] += out_.row_begin[i];
    std::vector<int64_t> next(out_.row_begin.begin(), out_.row_begin.end() - 1);
    out_.post.resize(edges.size());
    for (const Edge& edge : edges) out_.post.set(static_cast<size_t>(next[edge.pre]++), edge.post);
  }

  const Space& space_;
  const Connect& how_;
  uint64_t key_;
  int64_t pres_, posts_;
  bool skips_;
  Connections out_;
};

}  // namespace

size_t Connections::bytes() const {
  return (row_begin.size() + column_begin.size()) * sizeof(int64_t) + post.bytes() + pre.bytes() +
         synapse.size() * sizeof(uint32_t);
}

double expected_synapses(const Program& program, const Space& space) {
  const auto pres = static_cast<double>(program[space.pre].size);
  const auto posts = static_cast<double>(program[space.post].size);
  const Connect& how = space.connect;
  switch (how.wiring) {
    case Wiring::OneToOne: return pres;
    case Wiring::Random: return how.p * pres * posts + 6 * std::sqrt(how.p * (1 - how.p) * pres * posts);
    case Wiring::FixedIndegree: return posts * static_cast<double>(how.degree);
    case Wiring::FixedOutdegree: return pres * static_cast<double>(how.degree);
    case Wiring::List: return how.edges ? static_cast<double>(how.edges->size()) : 0;
  }
  return 0;
}

Result<Connections> connect(const Program& program, const Space& space, uint64_t key) {
  return Connector(program, space, key).run();
}

void index_by_post(Connections& c, int64_t pres, int64_t posts) {
  const auto count = static_cast<size_t>(c.count());
  c.column_begin.assign(static_cast<size_t>(posts) + 1, 0);
  for (size_t s = 0; s < count; ++s) ++c.column_begin[c.post[s] + 1];
  for (int64_t j = 0; j < posts; ++j) c.column_begin[j + 1] += c.column_begin[j];
  std::vector<int64_t> next(c.column_begin.begin(), c.column_begin.end() - 1);
  c.synapse.resize(count);
  c.pre.resize(count);
  for (int64_t i = 0; i < pres; ++i)
    for (int64_t s = c.row_begin[i]; s < c.row_begin[i + 1]; ++s) {
      const auto at = static_cast<size_t>(next[c.post[static_cast<size_t>(s)]]++);
      c.synapse[at] = static_cast<uint32_t>(s);
      c.pre.set(at, static_cast<uint32_t>(i));
    }
}

Edge edge_of(const Connections& c, int64_t synapse) {
  const auto row = std::upper_bound(c.row_begin.begin(), c.row_begin.end(), synapse) - c.row_begin.begin() - 1;
  return {.pre = static_cast<uint32_t>(row), .post = c.post[static_cast<size_t>(synapse)]};
}

}  // namespace hebb
