#include "runtime/connectivity.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <utility>

#include "compiler/support/text.h"
#include "runtime/geometric.h"
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

/// `count` different ones of 0 … n - 1, ascending: Floyd's method (Bentley and Floyd 1987, CACM 30, 754). A set bit is one
/// that is chosen; of few among many a sorted list is shorter.
class Choice {
 public:
  explicit Choice(int64_t n, int64_t count) : n_(n), count_(count), words_(static_cast<size_t>(n + 63) / 64) {
    constexpr int64_t kWordsPerPick = 4;
    if (static_cast<int64_t>(words_) <= kWordsPerPick * count) bits_.assign(words_, 0);
    chosen_.reserve(static_cast<size_t>(count));
  }

  const std::vector<uint32_t>& operator()(NeuronDraws draws) {
    chosen_.clear();
    if (bits_.empty()) by_list(draws);
    else by_bits(draws);
    return chosen_;
  }

 private:
  void by_list(NeuronDraws& draws) {
    for (int64_t top = n_ - count_; top < n_; ++top) {
      const auto pick = static_cast<uint32_t>(draws.below(top + 1));
      const auto at = std::lower_bound(chosen_.begin(), chosen_.end(), pick);
      if (at == chosen_.end() || *at != pick) chosen_.insert(at, pick);
      else chosen_.push_back(static_cast<uint32_t>(top));  // larger than all before
    }
  }

  void by_bits(NeuronDraws& draws) {
    for (int64_t top = n_ - count_; top < n_; ++top) {
      const auto pick = static_cast<uint64_t>(draws.below(top + 1));
      const uint64_t seen = bits_[pick / 64] >> (pick % 64) & 1;
      const uint64_t set = seen ? static_cast<uint64_t>(top) : pick;
      bits_[set / 64] |= uint64_t{1} << (set % 64);
    }
    for (size_t word = 0; word < words_; ++word)
      for (uint64_t left = std::exchange(bits_[word], 0); left != 0; left &= left - 1)
        chosen_.push_back(static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(left))));
  }

  int64_t n_, count_;
  size_t words_;
  std::vector<uint64_t> bits_;     // all 0 between two calls; empty: a list
  std::vector<uint32_t> chosen_;
};

/// Numbers from 0 … n - 2 that skip `self`.
uint32_t without(uint32_t number, int64_t self) {
  return static_cast<int64_t>(number) >= self ? number + 1 : number;
}

/// Places of neurons on grids; see Connect.
class GridDistance {
 public:
  explicit GridDistance(const Connect& how) : how_(how) {}

  /// f(post, p) for every post neuron that pre neuron i may be joined with, ascending.
  template <class F>
  void near(int64_t i, F f) const {
    const size_t axes = how_.post_grid.size();
    std::vector<double> place(axes);
    for (size_t k = axes; k-- > 0; i /= how_.pre_grid[k])
      // Centres of cells: equal grids lie on each other.
      place[k] = (static_cast<double>(i % how_.pre_grid[k]) + 0.5) * static_cast<double>(how_.post_grid[k]) /
                     static_cast<double>(how_.pre_grid[k]) - 0.5;
    along(place, 0, 0, 0, f);
  }

 private:
  static constexpr double kNowhere = 6;  // sigmas; beyond, p is below 2e-8 of its largest

  double reach() const { return how_.sigma > 0 ? std::min(how_.within, kNowhere * how_.sigma) : how_.within; }

  template <class F>
  void along(const std::vector<double>& place, size_t axis, double square, int64_t number, F& f) const {
    if (axis == place.size()) {
      // At its own place nothing is divided: the square of a very small sigma is 0.
      const double p = how_.sigma > 0 && square > 0 ? how_.p * std::exp(-square / (2 * how_.sigma * how_.sigma)) : how_.p;
      if (square <= reach() * reach() && p > 0) f(number, p);
      return;
    }
    const int64_t size = how_.post_grid[axis];
    int64_t first = 0, last = size - 1;
    if (!how_.wrap && std::isfinite(reach())) {
      // Bounded before they become whole: a reach may be longer than any whole number.
      first = static_cast<int64_t>(std::max(0.0, std::ceil(place[axis] - reach())));
      last = static_cast<int64_t>(std::min(static_cast<double>(size - 1), std::floor(place[axis] + reach())));
    }
    for (int64_t at = first; at <= last; ++at) {
      double off = std::fabs(static_cast<double>(at) - place[axis]);
      if (how_.wrap) off = std::min(off, static_cast<double>(size) - off);
      if (off > reach()) continue;
      along(place, axis + 1, square + off * off, number * size + at, f);
    }
  }

  const Connect& how_;
};

class Connector {
 public:
  Connector(const Program& program, const Space& space, uint64_t key)
      : space_(space), how_(space.connect), key_(key), pres_(program[space.pre].size),
        posts_(program[space.post].size), skips_(!how_.self && space.pre == space.post) {
    out_.post = NeuronIndex(posts_);
    out_.pre = NeuronIndex(pres_);
    out_.row_begin.assign(1, 0);
  }

  Result<Connections> run(double expected) {
    out_.row_begin.reserve(static_cast<size_t>(pres_) + 1);
    out_.post.reserve(static_cast<size_t>(std::ceil(expected)));
    switch (how_.wiring) {
      case Wiring::All: all(); break;
      case Wiring::OneToOne: one_to_one(); break;
      case Wiring::Random: random(); break;
      case Wiring::FixedIndegree: fixed_indegree(); break;
      case Wiring::FixedOutdegree: fixed_outdegree(); break;
      case Wiring::Distance: by_distance(); break;
      case Wiring::List: listed_edges(); break;
    }
    if (out_.post.size() >= UINT32_MAX)
      return Failure{cat(quoted(space_.name), " would have ", out_.post.size(), " synapses, more than 2^32 - 2")};
    return std::move(out_);
  }

 private:
  void add(int64_t post) { out_.post.push_back(static_cast<uint32_t>(post)); }
  void end_row() { out_.row_begin.push_back(out_.count()); }

  void all() {
    for (int64_t i = 0; i < pres_; ++i) {
      for (int64_t j = 0; j < posts_; ++j)
        if (!skips_ || i != j) add(j);
      end_row();
    }
  }

  void one_to_one() {
    assert(pres_ == posts_ && "one_to_one joins populations of one size");
    for (int64_t i = 0; i < pres_; ++i) add(i), end_row();
  }

  /// The gaps between synapses of a row are geometric.
  void random() {
    if (how_.p >= kLeastGapDensity && how_.p <= kMostGapDensity) return out_.post.narrow() ? random_rows<uint16_t>() : random_rows<uint32_t>();
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

  template <class Index>
  void random_rows() {
    std::vector<Index> row(static_cast<size_t>(posts_) + 16);
    for (int64_t i = 0; i < pres_; ++i) {
      int64_t count = draw_row(key_, how_.site, i, how_.p, posts_, row.data());
      if (skips_) count = std::remove(row.begin(), row.begin() + count, static_cast<Index>(i)) - row.begin();
      out_.post.append(row, static_cast<size_t>(count));
      end_row();
    }
  }

  void fixed_outdegree() {
    Choice choose(posts_ - skips_, how_.degree);
    for (int64_t i = 0; i < pres_; ++i) {
      for (const uint32_t post : choose({key_, how_.site, i}))
        add(skips_ ? without(post, i) : post);
      end_row();
    }
  }

  void fixed_indegree() {
    std::vector<Edge> edges;
    edges.reserve(static_cast<size_t>(posts_ * how_.degree));
    Choice choose(pres_ - skips_, how_.degree);
    for (int64_t j = 0; j < posts_; ++j)
      for (const uint32_t pre : choose({key_, how_.site, j}))
        edges.push_back({.pre = skips_ ? without(pre, j) : pre, .post = static_cast<uint32_t>(j)});
    by_pre(edges);
  }

  /// All pairs that can be joined, row by row: the draws of a pair are its own.
  void by_distance() {
    const GridDistance distance(how_);
    for (int64_t i = 0; i < pres_; ++i) {
      distance.near(i, [&](int64_t j, double p) {
        if (skips_ && i == j) return;
        if (p >= 1 || draw_uniform<double>(key_, how_.site, 0, static_cast<uint64_t>(j), i) < p) add(j);
      });
      end_row();
    }
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
  size_t of_blocks = 0;
  for (const std::vector<int64_t>& block : blocks) of_blocks += block.size();
  return (row_begin.size() + column_begin.size() + of_blocks) * sizeof(int64_t) + post.bytes() + pre.bytes() +
         synapse.size() * sizeof(uint32_t);
}

double expected_synapses(const Program& program, const Space& space) {
  const auto pres = static_cast<double>(program[space.pre].size);
  const auto posts = static_cast<double>(program[space.post].size);
  const Connect& how = space.connect;
  switch (how.wiring) {
    case Wiring::All: return pres * posts;
    case Wiring::OneToOne: return pres;
    case Wiring::Random: return how.p * pres * posts + 6 * std::sqrt(how.p * (1 - how.p) * pres * posts);
    case Wiring::FixedIndegree: return posts * static_cast<double>(how.degree);
    case Wiring::FixedOutdegree: return pres * static_cast<double>(how.degree);
    case Wiring::Distance: {
      // A neuron in the middle has the most.
      double most = 0;
      GridDistance(how).near(program[space.pre].size / 2, [&](int64_t, double p) { most += p; });
      for (const int64_t i : {int64_t{0}, program[space.pre].size - 1}) {
        double here = 0;
        GridDistance(how).near(i, [&](int64_t, double p) { here += p; });
        most = std::max(most, here);
      }
      return std::min(pres * posts, 1.1 * pres * most + 6 * std::sqrt(pres * most));
    }
    case Wiring::List: return how.edges ? static_cast<double>(how.edges->size()) : 0;
  }
  return 0;
}

Result<Connections> connect(const Program& program, const Space& space, uint64_t key) {
  return Connector(program, space, key).run(expected_synapses(program, space));
}

void index_by_post(Connections& c, int64_t pres, int64_t posts) {
  const auto count = static_cast<size_t>(c.count());
  c.column_begin.assign(static_cast<size_t>(posts) + 1, 0);
  for (size_t s = 0; s < count; ++s) ++c.column_begin[c.post[s] + 1];
  for (int64_t j = 0; j < posts; ++j) c.column_begin[j + 1] += c.column_begin[j];
  std::vector<int64_t> next(c.column_begin.begin(), c.column_begin.end() - 1);
  c.synapse.resize(count);
  c.pre.resize(count);
  const auto row = [&](int64_t i, int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const auto at = static_cast<size_t>(next[c.post[static_cast<size_t>(s)]]++);
      c.synapse[at] = static_cast<uint32_t>(s);
      c.pre.set(at, static_cast<uint32_t>(i));
    }
  };
  for (int64_t i = 0; i < pres; ++i) {
    if (c.blocks.empty()) row(i, c.row_begin[i], c.row_begin[i + 1]);
    for (const std::vector<int64_t>& block : c.blocks) row(i, block[i], block[i + 1]);
  }
}

int64_t block_begin(int64_t neurons, int threads, int thread) {
  constexpr int64_t kGrain = 16;
  const int64_t grains = (neurons + kGrain - 1) / kGrain;
  return std::min(grains * thread / threads * kGrain, neurons);
}

void lay_in_blocks(Connections& c, int64_t pres, int64_t posts, int threads) {
  NeuronIndex post(posts);
  post.resize(static_cast<size_t>(c.count()));
  std::vector<int64_t> begin(c.row_begin.begin(), c.row_begin.begin() + pres);  // of what is left of each row
  int64_t place = 0;
  for (int thread = 0; thread < threads; ++thread) {
    const int64_t past = block_begin(posts, threads, thread + 1);
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < pres; ++i) {
      rows.push_back(place);
      for (int64_t& s = begin[i]; s < c.row_begin[i + 1] && c.post[static_cast<size_t>(s)] < past; ++s)
        post.set(static_cast<size_t>(place++), c.post[static_cast<size_t>(s)]);
    }
    rows.push_back(place);
    c.blocks.push_back(std::move(rows));
  }
  c.post = std::move(post);
}

int64_t place_of(const Connections& c, int64_t pre, int64_t synapse) {
  if (!c.place.empty()) return c.place[static_cast<size_t>(synapse)];
  int64_t left = synapse - c.row_begin[pre];
  for (const std::vector<int64_t>& block : c.blocks) {
    const int64_t here = block[pre + 1] - block[pre];
    if (left < here) return block[pre] + left;
    left -= here;
  }
  return synapse;
}

Edge edge_of(const Connections& c, int64_t synapse) {
  const std::vector<int64_t>* rows = &c.row_begin;
  for (const std::vector<int64_t>& block : c.blocks)
    if (synapse >= block.front()) rows = &block;
  const auto row = std::upper_bound(rows->begin(), rows->end(), synapse) - rows->begin() - 1;
  return {.pre = static_cast<uint32_t>(row), .post = c.post[static_cast<size_t>(synapse)]};
}

}  // namespace hebb
