#include "compiler/experiment/keep.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

struct Reduction {
  std::string_view name;
  RecordReduce reduce;
};
constexpr Reduction kReductions[] = {{"mean", RecordReduce::Mean}, {"sum", RecordReduce::Sum},
                                     {"min", RecordReduce::Min}, {"max", RecordReduce::Max},
                                     {"histogram", RecordReduce::Histogram}};

std::string path_text(const ast::Expr& expr) {
  const Chain chain = chain_of(expr);
  const auto* root = std::get_if<ast::NameRef>(&chain.root->node);
  if (!root) return "";
  return chain.members.empty() ? root->name : cat(root->name, ".", chain.text());
}

void report_no_value(Evaluation& e, Span span, const Network& network, const Program& program,
                     const std::string& name) {
  Diagnostic& diag = e.diags.report(DiagKind::UnknownName, span,
                                    cat("a run of ", quoted(network.name), " has no value ", quoted(name)));
  std::vector<std::string> names;
  for (const RecordDef& record : network.records) names.push_back(record.name);
  for (const Column& column : program.columns)
    if (find_variable(e.model, network, column.name)) names.push_back(column.name);
  for (const PopulationDef& population : network.populations)
    for (const Emission& emission : e.model.neurons[population.neuron].emissions)
      names.push_back(cat(population.name, ".", emission.event));
  std::vector<std::string> own;   // of a population or a projection
  for (const std::string& one : names)
    if (one.starts_with(name + ".") && std::find(own.begin(), own.end(), one) == own.end()) own.push_back(one);
  if (!own.empty()) diag.help = cat("it has ", listed(own));
  else if (const auto near = did_you_mean(name, names)) diag.help = cat("did you mean ", *near, "?");
}

std::optional<Kept> keep_column(Evaluation& e, Span span, const Network& network, const Program& program,
                                const std::string& column, const std::string& name) {
  const ColumnId id = program.find_column(column);
  if (!id.valid()) {
    report_no_value(e, span, network, program, column);
    return std::nullopt;
  }
  Kept out;
  out.recording.name = name;
  out.recording.column = id;
  if (const Variable* variable = find_variable(e.model, network, column)) out.dimension = variable->dimension;
  return out;
}

/// [0..9, :] of a record. How many synapses there are shows when they have been drawn; all else is checked here.
bool read_ranges(Evaluation& e, const ast::Subscript& subscript, const Program& program, Recording& out) {
  const Space& space = program[program[out.column].space];
  Extents shape = column_shape(program, out.column);
  const bool sparse = space.kind == SpaceKind::Sparse && !is_matrix(space);
  const bool by_neuron = sparse && subscript.indices.size() > 1;
  constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();
  if (sparse && by_neuron) shape.insert(shape.begin(), {program[space.pre].size, program[space.post].size});
  else if (sparse) shape.insert(shape.begin(), kUnknown);
  if (subscript.indices.size() > shape.size()) {
    e.diags.report(DiagKind::ShapesDiffer, subscript.object->span,
                   cat(subscript.indices.size(), " indices for a sample of ", shape_text(shape)));
    return false;
  }
  for (size_t k = 0; k < subscript.indices.size(); ++k) {
    const ast::IndexItem& item = subscript.indices[k];
    if (!item.first) {
      out.ranges.push_back({});
      continue;
    }
    const auto first = evaluate_number(e, *item.first);
    const auto last = item.last ? evaluate_number(e, *item.last) : first;
    if (!first || !last) return false;
    const bool inside = *first >= 0 && *first <= *last && *last < static_cast<double>(shape[k]) &&
                        *first == std::floor(*first) && *last == std::floor(*last);
    if (!inside) {
      report_argument(e, item.first->span, cat("the index ", *first, item.last ? cat("..", *last) : "",
                                               shape[k] == kUnknown ? std::string(" is no number of synapses") : cat(" is outside 0..", shape[k] - 1)));
      return false;
    }
    out.ranges.push_back({static_cast<int64_t>(*first), static_cast<int64_t>(*last), item.last != nullptr});
  }
  return true;
}

/// Bins between the bounds of the variable where the record does not say low and high.
bool read_bins(Evaluation& e, const Network& network, const RecordDef& record, const std::string& column, Recording& out) {
  const Variable* variable = find_variable(e.model, network, column);
  const bool constant = variable && !variable->low.valid() && !variable->high.valid();
  out.bins = record.bins;
  out.low = record.low.value_or(constant ? variable->bounds.low : NAN);
  out.high = record.high.value_or(constant ? variable->bounds.high : NAN);
  if (std::isfinite(out.low) && std::isfinite(out.high) && out.low < out.high) return true;
  if (out.low >= out.high)
    report_argument(e, record.span, cat("'low' is below 'high', got ", out.low, " and ", out.high));
  else
    report_argument(e, record.span, cat("a histogram of ", quoted(column), " needs 'low' and 'high': the variable has no fixed bounds"),
                    "for example  bins = 50, low = 0, high = 1");
  return false;
}

/// A sample at every event: of the neuron that has it where the value is one of the same neurons.
bool read_trigger(Evaluation& e, const Program& program, const RecordDef& record, Recording& out) {
  if (record.on.empty()) return true;
  out.on = program.find_column(record.on);
  if (!out.on.valid()) {
    e.diags.report(DiagKind::UnknownName, record.span, cat("a run of ", quoted(program.name), " has no event ", quoted(record.on)));
    return false;
  }
  const Space& space = program[program[out.on].space];
  const auto owner = [](const std::string& name) { return name.substr(0, name.find('.')); };
  out.of_row = out.reduce == RecordReduce::None && out.ranges.empty() && space.kind == SpaceKind::Neurons &&
               program[program[out.column].space].kind == SpaceKind::Neurons && owner(record.on) == owner(program[out.column].name);
  return true;
}

/// "E.spike" of "E.spike.times" and "E.spike.neurons".
std::optional<std::string> stem_of_events(const std::string& name) {
  for (const std::string_view ending : {".times", ".neurons"})
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return std::nullopt;
}

std::optional<Kept> keep_record(Evaluation& e, const Network& network, const Program& program,
                                const RecordDef& record, const RunOptions& options) {
  const ast::Expr* what = &without_parens(*record.what);
  RecordReduce reduce = RecordReduce::None;
  if (const auto* call = std::get_if<ast::Call>(&what->node)) {
    const std::string name = path_text(*call->callee);
    const auto* found = std::find_if(std::begin(kReductions), std::end(kReductions),
                                     [&](const Reduction& reduction) { return reduction.name == name; });
    if (found == std::end(kReductions) || call->arguments.empty()) {
      e.diags.report(DiagKind::NotSupportedYet, record.span,
                     "not supported yet: a record of anything but a value or its mean, sum, min, max or histogram");
      return std::nullopt;
    }
    reduce = found->reduce;
    what = &without_parens(*call->arguments[0].value);
  }
  const auto* subscript = std::get_if<ast::Subscript>(&what->node);
  const std::string column = path_text(subscript ? *subscript->object : *what);
  if (column.empty()) {
    e.diags.report(DiagKind::NotSupportedYet, record.span,
                   "not supported yet: a record of anything but a value, a part of it, or its mean, sum, min, max or histogram");
    return std::nullopt;
  }
  auto kept = keep_column(e, record.span, network, program, column, record.name);
  if (!kept) return std::nullopt;
  kept->recording.reduce = reduce;
  if (reduce == RecordReduce::Histogram) {
    kept->dimension = Dimension{};
    if (!read_bins(e, network, record, column, kept->recording)) return std::nullopt;
  }
  if (subscript && !read_ranges(e, *subscript, program, kept->recording)) return std::nullopt;
  if (!read_trigger(e, program, record, kept->recording)) return std::nullopt;
  if (record.every.valid()) {
    if (!e.model.pool.is_constant(record.every)) {
      e.diags.report(DiagKind::NotSupportedYet, record.span, "not supported yet: a record at a varying interval");
      return std::nullopt;
    }
    const double every_ms = e.model.pool[record.every].value;
    kept->recording.every_steps = std::max<int64_t>(1, std::llround(every_ms / options.dt_ms));
  }
  return kept;
}

}  // namespace

std::optional<std::vector<Kept>> recordings_to_keep(Evaluation& e, const ast::Run& run, const Network& network,
                                                    const Program& program, const RunOptions& options) {
  std::vector<Kept> out;
  const auto found = e.wanted.find(&run);
  if (found == e.wanted.end()) return out;
  const Wanted& wanted = found->second;
  std::set<std::string> done;
  const auto keep_events = [&](Kept kept) {
    kept.recording.events = true;
    done.insert(kept.recording.name + ".times");
    done.insert(kept.recording.name + ".neurons");
    out.push_back(std::move(kept));
  };
  for (const RecordDef& record : network.records) {
    const bool mentioned = wanted.whole.contains(record.name) || wanted.final.contains(record.name);
    const bool listed = wanted.whole.contains(record.name + ".times") || wanted.whole.contains(record.name + ".neurons");
    if (!mentioned && !listed && !wanted.everything) continue;
    auto kept = keep_record(e, network, program, record, options);
    if (!kept) return std::nullopt;
    // Which neuron when is less than whether each of them at every step: that, only who asks for it gets.
    const bool event = is_event(e.model, network, program, kept->recording.column) && kept->recording.reduce == RecordReduce::None &&
                       kept->recording.every_steps == 1 && kept->recording.ranges.empty() && record.on.empty();
    if (!record.on.empty()) done.insert({record.name + ".times", record.name + ".neurons"});
    if (event && !mentioned) keep_events(std::move(*kept));
    else out.push_back(std::move(*kept)), done.insert(record.name);
  }
  const auto keep = [&](const std::string& name, Span span, bool final_only) {
    if (done.contains(name)) return true;
    const auto stem = stem_of_events(name);
    const ColumnId events = stem ? program.find_column(*stem) : ColumnId();
    if (events.valid() && is_event(e.model, network, program, events)) {
      auto kept = keep_column(e, span, network, program, *stem, *stem);
      if (kept) keep_events(std::move(*kept));
      return kept.has_value();
    }
    done.insert(name);
    auto kept = keep_column(e, span, network, program, name, name);
    if (!kept) return false;
    kept->recording.final_only = final_only;
    out.push_back(std::move(*kept));
    return true;
  };
  for (const auto& [name, span] : wanted.whole)
    if (!(name == "aborted" && !find_variable(e.model, network, name)) && !keep(name, span, false)) return std::nullopt;
  for (const auto& [name, span] : wanted.final)
    if (!keep(name, span, true)) return std::nullopt;
  if (options.record_to.empty()) return out;
  if (network.records.empty()) {
    report_argument(e, options.record_span, cat("the network ", quoted(network.name), " has no 'record' lines"),
                    "for example  record E.spike;");
    return std::nullopt;
  }
  for (const RecordDef& record : network.records) {
    auto kept = keep_record(e, network, program, record, options);
    if (!kept) return std::nullopt;
    const Recording& what = kept->recording;
    kept->recording.events = is_event(e.model, network, program, what.column) && what.reduce == RecordReduce::None &&
                             what.every_steps == 1 && what.ranges.empty() && record.on.empty();
    kept->recording.streamed = true;
    kept->unit = program[what.column].unit;
    out.push_back(std::move(*kept));
  }
  return out;
}

}  // namespace hebb
