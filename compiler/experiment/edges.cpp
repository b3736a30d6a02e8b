#include "compiler/experiment/edges.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"
#include "runtime/data/load.h"

namespace hebb {

namespace {

class EdgeFile {
 public:
  EdgeFile(Evaluation& e, const Network& network, const ProjectionDef& projection)
      : e_(e), projection_(projection), pre_(network.populations[static_cast<size_t>(projection.pre)]),
        post_(network.populations[static_cast<size_t>(projection.post)]) {}

  std::optional<std::vector<Edge>> run() {
    const auto loaded = load_data(data_path(e_, projection_.file, projection_.file_span));
    if (!loaded) {
      e_.diags.report(DiagKind::FileProblem, projection_.file_span, loaded.error());
      return std::nullopt;
    }
    data_ = *loaded;
    const bool listed = has("pre") || has("post") ? pairs() : rows();
    if (!listed || !check()) return std::nullopt;
    std::vector<Edge> edges;
    for (const size_t k : order_) edges.push_back({static_cast<uint32_t>(from_[k]), static_cast<uint32_t>(to_[k])});
    return edges;
  }

  std::optional<std::vector<double>> column(const std::string& name, Span span) {
    const Array* found = data_.find(name);
    if (!found || found->values.size() != from_.size()) {
      Diagnostic& diag = e_.diags.report(found ? DiagKind::DataShape : DiagKind::MissingColumn, span,
                                         found ? cat(quoted(name), " of ", quoted(projection_.file), " has ", found->values.size(), " numbers for ", plural(from_.size(), "synapse"))
                                               : cat(quoted(projection_.file), " has no column ", quoted(name)));
      std::vector<std::string> names;
      for (const NamedArray& named : data_.arrays) names.push_back(named.name);
      diag.help = cat("it has ", listed(names));
      return std::nullopt;
    }
    std::vector<double> out;
    for (const size_t k : order_) {
      out.push_back(found->values[k]);
      if (std::isfinite(out.back())) continue;
      e_.diags.report(DiagKind::DataContent, span, cat(quoted(name), " of ", quoted(projection_.file), " holds ", out.back(), " for synapse ", k));
      return std::nullopt;
    }
    return out;
  }

  /// Start values stay in the bounds of their variable, as far as those are numbers.
  bool within(const Variable& variable, const InitDef& init, const std::vector<double>& values) {
    const bool known = !variable.low.valid() && !variable.high.valid();
    for (size_t k = 0; known && k < values.size(); ++k) {
      if (values[k] >= variable.bounds.low && values[k] <= variable.bounds.high) continue;
      e_.diags.report(DiagKind::DataContent, init.span,
                      cat(quoted(init.file_column), " of ", quoted(projection_.file), " holds ", shortest(values[k]), " for synapse ", order_[k], ", and ",
                          variable.name, " is in [", shortest(variable.bounds.low), ", ", shortest(variable.bounds.high), "]"));
      return false;
    }
    return true;
  }

  /// Delays are whole steps.
  std::optional<std::vector<double>> delays(const std::string& name, Span span, double dt_ms) {
    auto values = column(name, span);
    if (!values) return std::nullopt;
    for (size_t k = 0; k < values->size(); ++k) {
      const double steps = (*values)[k] / dt_ms;
      if (steps >= 0.5 && std::abs(steps - std::round(steps)) <= 1e-6 * steps) continue;
      e_.diags.report(DiagKind::BadConnectivity, span,
                      cat(quoted(name), " of ", quoted(projection_.file), " holds the delay ", shortest((*values)[k]), " ms for synapse ", order_[k],
                          steps < 1 - 1e-6 ? ", which is shorter than one step of " : ", which is not a whole number of steps of ", shortest(dt_ms), " ms"));
      return std::nullopt;
    }
    return values;
  }

 private:
  bool refuse(DiagKind kind, std::string message, std::string help = {}) {
    e_.diags.report(kind, projection_.file_span, std::move(message)).help = std::move(help);
    return false;
  }

  bool has(std::string_view name) const {
    return data_.find(name) || std::ranges::any_of(data_.unread, [&](const Unread& unread) { return unread.name == name; });
  }

  /// An array of the file; reports one that is there and holds no numbers.
  const Array* numbers(std::string_view name, bool& good) {
    for (const Unread& unread : data_.unread)
      if (unread.name == name) good = refuse(DiagKind::DataContent, cat(quoted(name), " of ", quoted(projection_.file), " cannot be read: ", unread.reason));
    return data_.find(name);
  }

  bool pairs() {
    bool good = true;
    const Array* pre = numbers("pre", good);
    const Array* post = numbers("post", good);
    if (!good) return false;
    if (!pre || !post)
      return refuse(DiagKind::MissingColumn, cat(quoted(projection_.file), " has a column ", pre ? "pre and no column post" : "post and no column pre"));
    from_ = pre->values;
    to_ = post->values;
    if (from_.size() == to_.size()) return true;
    return refuse(DiagKind::DataShape, cat("pre and post of ", quoted(projection_.file), " have ", from_.size(), " and ", to_.size(), " numbers"));
  }

  /// Compressed sparse rows, as SciPy saves them: the columns of row i are indices[indptr[i] … indptr[i + 1] - 1]. Or
  /// compressed columns: the same with the sides exchanged.
  bool rows() {
    bool good = true;
    const Array* begin = numbers("indptr", good);
    const Array* index = numbers("indices", good);
    if (!good) return false;
    std::string format = "csr";
    for (const Unread& unread : data_.unread)
      if (unread.name == "format" && !unread.text.empty()) format = unread.text;
    if (format != "csr" && format != "csc")
      return refuse(DiagKind::DataContent, cat(quoted(projection_.file), " holds a sparse matrix as ", quoted(format), ", expected 'csr' or 'csc'"),
                    "in Python:  scipy.sparse.save_npz(file, matrix.tocsr())");
    if (!begin || !index) {
      std::vector<std::string> names;
      for (const NamedArray& named : data_.arrays) names.push_back(named.name);
      return refuse(DiagKind::MissingColumn, cat(quoted(projection_.file), " lists no synapses"),
                    cat("it needs the columns pre and post, or the arrays indptr and indices", names.empty() ? "" : cat("; it has ", listed(names))));
    }
    const bool by_column = format == "csc";
    const PopulationDef& owner = by_column ? post_ : pre_;
    std::vector<double>& owners = by_column ? to_ : from_;
    const std::vector<double>& at = begin->values;
    if (static_cast<int64_t>(at.size()) != owner.size + 1)
      return refuse(DiagKind::DataShape, cat("indptr of ", quoted(projection_.file), " has ", at.size(), " numbers, and ", owner.name, " has ", plural(static_cast<size_t>(owner.size), "neuron")),
                    cat("there is one more than neurons: ", owner.size + 1));
    const auto count = static_cast<double>(index->values.size());
    if (at.front() != 0 || at.back() != count || !std::is_sorted(at.begin(), at.end()))
      return refuse(DiagKind::DataContent, cat("indptr of ", quoted(projection_.file), " does not rise from 0 to the number of indices, ", count));
    for (int64_t i = 0; i < owner.size; ++i)
      for (double k = at[static_cast<size_t>(i)]; k < at[static_cast<size_t>(i) + 1]; ++k) owners.push_back(static_cast<double>(i));
    (by_column ? from_ : to_) = index->values;
    if (from_.size() == to_.size()) return true;
    return refuse(DiagKind::DataContent, cat("indptr of ", quoted(projection_.file), " holds numbers that are not whole"));
  }

  bool check() {
    for (size_t k = 0; k < from_.size(); ++k)
      for (const auto& [value, population, side] : {std::tuple(from_[k], &pre_, "pre"), std::tuple(to_[k], &post_, "post")}) {
        if (value >= 0 && value < static_cast<double>(population->size) && value == std::floor(value)) continue;
        return refuse(DiagKind::BadConnectivity,
                      cat(side, " of synapse ", k, " in ", quoted(projection_.file), " is ", value, ", and ", population->name, " has the neurons 0 to ", population->size - 1));
      }
    order_.resize(from_.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) { return std::pair(from_[a], to_[a]) < std::pair(from_[b], to_[b]); });
    for (size_t k = 1; k < order_.size(); ++k) {
      const size_t a = order_[k - 1], b = order_[k];
      if (from_[a] != from_[b] || to_[a] != to_[b]) continue;
      return refuse(DiagKind::BadConnectivity,
                    cat("synapses ", a, " and ", b, " in ", quoted(projection_.file), " both join ", from_[a], " and ", to_[a]),
                    "two neurons have one synapse in a projection; a second projection can hold others");
    }
    return true;
  }

  Evaluation& e_;
  const ProjectionDef& projection_;
  const PopulationDef& pre_;
  const PopulationDef& post_;
  Dataset data_;
  std::vector<double> from_, to_;
  std::vector<size_t> order_;
};

}  // namespace

std::optional<std::vector<EdgeValues>> read_edges(Evaluation& e, const Network& network, LowerOptions& options) {
  std::vector<EdgeValues> out;
  for (const ProjectionDef& projection : network.projections) {
    if (projection.connect != ConnectKind::File) continue;
    EdgeFile file(e, network, projection);
    auto edges = file.run();
    if (!edges) return std::nullopt;
    options.edges[projection.name] = std::make_shared<const std::vector<Edge>>(std::move(*edges));
    for (const auto& [name, delay] : {std::pair("axon", &projection.axon), {"dend", &projection.dend}, {"bap", &projection.bap}}) {
      if (delay->file_column.empty()) continue;
      auto values = file.delays(delay->file_column, delay->span, options.dt_ms);
      if (!values) return std::nullopt;
      options.delays[cat(projection.name, ".", name)] = std::make_shared<const std::vector<double>>(std::move(*values));
    }
    for (const InitDef& init : projection.inits) {
      if (init.file_column.empty()) continue;
      auto values = file.column(init.file_column, init.span);
      if (!values || !file.within(e.model[init.variable], init, *values)) return std::nullopt;
      out.push_back({cat(projection.name, ".", e.model[init.variable].name), std::move(*values), init.span});
    }
  }
  return out;
}

}  // namespace hebb
