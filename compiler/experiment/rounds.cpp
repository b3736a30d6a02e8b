// for NAME in VALUES, … { actions }: the actions once for every combination. Rounds know nothing of each
// other: what a round fits ends with it, so that their order cannot matter.

#include <cmath>
#include <set>

#include "compiler/experiment/actions.h"
#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/fit.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/wanted.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr int64_t kMostRounds = 1'000'000;

/// What the name of a loop is in each round.
std::optional<std::vector<Value>> values_of(Evaluation& e, const ast::Loop& loop) {
  std::vector<Value> out;
  if (loop.last) {
    const auto first = evaluate_number(e, *loop.first), last = evaluate_number(e, *loop.last);
    if (!first || !last) return std::nullopt;
    if (*first != std::floor(*first) || *last - *first >= static_cast<double>(kMostRounds)) {
      report_argument(e, loop.span, "rounds are counted from one whole number to another", "for k in 0..9 { … }");
      return std::nullopt;
    }
    if (*last < *first) {
      report_argument(e, loop.span, cat("from ", *first, " to ", *last, " there is no round"));
      return std::nullopt;
    }
    for (double k = *first; k <= *last; ++k) out.push_back(value_of(scalar(k, k == 0 ? MaybeDimension{} : Dimension{})));
    return out;
  }
  const auto list = evaluate_tensor(e, *loop.first);
  if (!list) return std::nullopt;
  if (list->scalar()) {
    report_argument(e, loop.first->span, "rounds go over a list, this is a number", cat("for ", loop.name.text, " in [0.1, 0.2] { … }"));
    return std::nullopt;
  }
  for (int64_t k = 0; k < list->shape[0]; ++k) {
    Tensor row = slice(*list, std::vector<AxisRange>{{k, k, false}});
    row.dimension = list->dimension;
    out.push_back(value_of(std::move(row)));
  }
  return out;
}

void add_names(std::set<std::string>& out, const ast::Expr& expr) {
  if (const auto* name = std::get_if<ast::NameRef>(&expr.node)) out.insert(name->name);
  for (const ast::Expr* child : children(expr)) add_names(out, *child);
}

/// Names that something outside of the block mentions.
void names_outside(std::set<std::string>& out, const std::vector<ast::Action>& actions, const ast::For& block) {
  for (const ast::Action& action : actions) {
    const auto* other = std::get_if<ast::For>(&action);
    if (other && other->body == block.body) continue;
    for (const ast::Expr* expr : expressions(action)) add_names(out, *expr);
    if (other) names_outside(out, other->body->actions, block);
  }
}

/// A let of the block that is read after it, and its value in each round; none: the round failed.
struct Gathered {
  Definition let;
  std::vector<std::optional<Tensor>> rounds;
};

/// One array of all rounds; nan where a round failed.
std::optional<Value> together(Evaluation& e, const Gathered& gathered, const Extents& lengths) {
  const Tensor* first = nullptr;
  for (const auto& one : gathered.rounds)
    if (one && !first) first = &*one;
  if (!first) return std::nullopt;
  std::vector<Tensor> parts;
  for (const auto& one : gathered.rounds) {
    if (one && one->shape != first->shape) {
      e.diags.report(DiagKind::ShapesDiffer, gathered.let.name.span,
                     cat(quoted(gathered.let.name.text), " is ", shape_text(first->shape), " in one round and ", shape_text(one->shape),
                         " in another: it cannot be one array after the block"));
      return std::nullopt;
    }
    parts.push_back(one ? *one : *first);
    if (!one) std::fill(parts.back().values.begin(), parts.back().values.end(), std::nan(""));
  }
  Tensor out = stack(parts);
  out.shape.erase(out.shape.begin());
  out.shape.insert(out.shape.begin(), lengths.begin(), lengths.end());
  out.dimension = first->dimension;
  return value_of(std::move(out));
}

/// An error was reported since `first`: one that the next round would repeat, or any, a divergence too.
bool told(const Diagnostics& diags, size_t first, bool any) {
  for (size_t k = first; k < diags.size(); ++k)
    if (info(diags.all()[k].kind).severity == Severity::Error && (any || diags.all()[k].kind != DiagKind::Diverged)) return true;
  return false;
}

/// Lets that were evaluated with names of a round.
void forget_readers(Evaluation& e, const std::set<std::string>& names) {
  std::set<std::string> changed = names;
  for (bool more = true; more;) {
    more = false;
    for (auto& [name, let] : e.lets) {
      if (let.fixed || !let.definition || changed.contains(name)) continue;
      std::set<std::string> read;
      add_names(read, *let.definition);
      for (const std::string& one : read) {
        if (!changed.contains(one)) continue;
        changed.insert(name);
        let.progress = Let::Progress::Waiting;
        let.value.reset();
        more = true;
        break;
      }
    }
  }
}

}  // namespace

void perform_rounds(Evaluation& e, const ast::For& block) {
  std::vector<std::vector<Value>> values;
  Extents lengths;
  int64_t rounds = 1;
  for (const ast::Loop& loop : block.loops) {
    auto one = values_of(e, loop);
    if (!one) return;
    lengths.push_back(static_cast<int64_t>(one->size()));
    rounds *= lengths.back();
    values.push_back(std::move(*one));
    if (rounds > kMostRounds) return report_argument(e, loop.span, cat("these are more than ", kMostRounds, " rounds"));
  }
  std::set<std::string> outside, own;
  names_outside(outside, *e.actions, block);
  std::vector<Gathered> gathered;
  ast::for_each_action(block.body->actions, [&](const ast::Action& action) {
    const auto let = definition_of(action);
    if (!let) return;
    own.insert(let->name.text);
    if (outside.contains(let->name.text)) gathered.push_back({*let, {}});
  });
  const auto fitted = e.fitted;
  const size_t fits = e.fits.size(), before = e.diags.size();
  for (int64_t round = 0; round < rounds && !e.interrupted; ++round) {
    if (e.options.interrupted && *e.options.interrupted) break;
    int64_t place = round;
    for (size_t k = block.loops.size(); k-- > 0; place /= lengths[k])
      e.lets[block.loops[k].name.text] = {.definition = block.loops[k].first.get(), .span = block.loops[k].name.span,
                                          .progress = Let::Progress::Done, .value = values[k][place % lengths[k]], .fixed = true};
    for (const ast::Action& action : block.body->actions)
      if (const auto let = definition_of(action))
        e.lets[let->name.text] = {.definition = let->value, .span = let->name.span, .value = {}};
    const size_t begun = e.diags.size();
    bool failed = false;   // what follows would be computed from what a failed fit or run left
    for (const ast::Action& action : block.body->actions) {
      if (e.interrupted || failed) break;
      perform(e, action);
      failed = told(e.diags, begun, true);
    }
    for (Gathered& one : gathered) {
      const ast::Expr name{.span = one.let.name.span, .node = ast::NameRef{one.let.name.text}};
      one.rounds.push_back(e.interrupted || failed ? std::nullopt : evaluate_tensor(e, name));
    }
    std::set<std::string> paths;
    for (size_t k = fits; k < e.fits.size(); ++k)
      for (const ast::Path& path : e.fits[k]->paths) paths.insert(setting_path(path));
    e.fits.resize(fits);
    e.fitted = fitted;
    if (!paths.empty()) forget_lets(e, paths);
    forget_readers(e, own);
    for (const std::string& name : own) e.lets.erase(name);
    if (told(e.diags, before, false)) break;
  }
  for (const ast::Loop& loop : block.loops) e.lets.erase(loop.name.text);
  for (Gathered& one : gathered) {
    one.rounds.resize(static_cast<size_t>(rounds));
    auto value = together(e, one, lengths);
    e.lets[one.let.name.text] = {.definition = one.let.value, .span = one.let.name.span,
                                  .progress = Let::Progress::Done, .value = std::move(value), .fixed = true};
  }
}

}  // namespace hebb
