#include "compiler/experiment/actions.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <ostream>

#include "compiler/ast/print.h"
#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/fit.h"
#include "compiler/experiment/format.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/loss_trace.h"
#include "compiler/experiment/settings.h"
#include "compiler/support/hash.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"
#include "runtime/data/load.h"

namespace hebb {

namespace {

void print(Evaluation& e, const ast::Print& action) {
  std::string line;
  for (const ast::ExprPtr& expr : action.values) {
    const auto value = evaluate(e, *expr);
    if (!value) return;
    line += (line.empty() ? "" : " ") + format(*value);
  }
  e.out << line << '\n' << std::flush;
}

bool is_comparison(ast::BinaryOp op) {
  switch (op) {
    case ast::BinaryOp::Less:
    case ast::BinaryOp::LessEqual:
    case ast::BinaryOp::Greater:
    case ast::BinaryOp::GreaterEqual:
    case ast::BinaryOp::Equal:
    case ast::BinaryOp::NotEqual: return true;
    case ast::BinaryOp::Add:
    case ast::BinaryOp::Subtract:
    case ast::BinaryOp::Multiply:
    case ast::BinaryOp::Divide:
    case ast::BinaryOp::MatMul:
    case ast::BinaryOp::Power:
    case ast::BinaryOp::And:
    case ast::BinaryOp::Or: return false;
  }
  return false;
}

std::optional<int64_t> first_false(const Tensor& tensor) {
  for (size_t i = 0; i < tensor.values.size(); ++i)
    if (tensor.values[i] == 0) return static_cast<int64_t>(i);
  return std::nullopt;
}

/// One side of a comparison at the element where it fails.
std::string side_text(const Tensor& side, const Extents& shape, int64_t place) {
  const Tensor whole = expand(side, shape);
  return "is " + format_exactly(scalar(whole.values[place], side.dimension));
}

std::string index_text(const Extents& shape, int64_t place) {
  std::string out;
  for (size_t k = shape.size(); k-- > 0; place /= shape[k])
    out = cat(place % shape[k], out.empty() ? "" : ", ", out);
  return out;
}

void check_comparison(Evaluation& e, const ast::Expr& expr, const ast::Binary& node) {
  const auto left = evaluate_tensor(e, *node.left);
  if (!left) return;
  const auto right = evaluate_tensor(e, *node.right);
  if (!right) return;
  const auto result = apply(node, expr.span, *left, *right, e.diags);
  if (!result) return;
  if (result->values.empty()) {
    e.diags.report(DiagKind::AssertionFailed, expr.span, "this assert compares nothing: the arrays are empty");
    return;
  }
  const auto place = first_false(*result);
  if (!place) return;
  const std::string where = result->scalar() ? "" : cat(" at [", index_text(result->shape, *place), "]");
  Diagnostic& diag = e.diags.report(DiagKind::AssertionFailed, expr.span, cat("this assert does not hold", where));
  diag.labels.push_back({node.left->span, side_text(*left, result->shape, *place)});
  if (!std::holds_alternative<ast::Number>(without_parens(*node.right).node))
    diag.labels.push_back({node.right->span, side_text(*right, result->shape, *place)});
}

void check(Evaluation& e, const ast::Assert& action) {
  const ast::Expr& expr = without_parens(*action.condition);
  if (const auto* binary = std::get_if<ast::Binary>(&expr.node)) {
    if (is_comparison(binary->op)) return check_comparison(e, expr, *binary);
    if (binary->op == ast::BinaryOp::And) {   // each part with its own message
      check(e, ast::Assert{binary->left, binary->left->span});
      check(e, ast::Assert{binary->right, binary->right->span});
      return;
    }
  }
  const auto value = evaluate_tensor(e, expr);
  if (!value || (!value->values.empty() && !first_false(*value))) return;
  e.diags.report(DiagKind::AssertionFailed, expr.span, "this assert does not hold");
}

void save(Evaluation& e, const ast::Save& action) {
  Dataset data;
  for (const ast::ExprPtr& expr : action.values) {
    const auto value = evaluate(e, *expr);
    if (!value) return;
    const std::string name = value_name(*expr);
    if (const auto* tensor = std::get_if<Tensor>(&value->data)) {
      data.arrays.push_back({name, {tensor->shape, tensor->values}});
      continue;
    }
    const auto* table = std::get_if<std::shared_ptr<const Table>>(&value->data);
    if (!table) {
      e.diags.report(DiagKind::WrongKindOfValue, expr->span, "a text cannot be saved as numbers");
      return;
    }
    for (const std::string& column : (*table)->order) {
      const Tensor& tensor = (*table)->columns.at(column);
      data.arrays.push_back({column, {tensor.shape, tensor.values}});
    }
  }
  data.provenance = provenance(e, action.span);
  write_output(e, action.span, action.to, [&](const std::string& path) { return save_data(path, data); });
}

/// Says whether the run (or how many lanes) fall in the window.
void accept(Evaluation& e, const ast::Accept& action) {
  const auto value = evaluate_tensor(e, *action.condition);
  if (!value) return;
  const int64_t lanes = static_cast<int64_t>(value->values.size());
  const int64_t inside = std::count_if(value->values.begin(), value->values.end(), [](double x) { return x != 0; });
  e.out << action.name.text << ": ";
  if (value->scalar()) e.out << (inside == 1 ? "accepted" : "not accepted");
  else e.out << "accepted " << inside << " of " << lanes;
  e.out << '\n' << std::flush;
}

void not_yet(Evaluation& e, Span span, std::string_view what) {
  e.diags.report(DiagKind::NotSupportedYet, span, cat("not supported yet: ", what));
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += cat('\\', c);
    else if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + '"';
}

Span span_of(const ast::Action& action) {
  return std::visit([](const auto& a) { return a.span; }, action);
}

/// Whether an action needs numbers that a fit did not find. Definitions and blocks are looked at where they are used; a fit may
/// begin anew with its own paths.
bool needs_lost(Evaluation& e, const ast::Action& action) {
  if (e.lost.empty() || definition_of(action) || std::holds_alternative<ast::For>(action)) return false;
  TraceOptions lost{.paths = e.lost};
  if (const auto* fit = std::get_if<ast::Fit>(&action))
    for (const ast::Path& path : fit->paths) lost.paths.erase(setting_path(path));
  const auto needed = expressions(action);
  return std::ranges::any_of(needed, [&](const ast::Expr* expr) { return depends_on_paths(e, *expr, lost); });
}

}  // namespace

void note_skipped(const Evaluation& e) {
  if (e.skipped.empty() || e.options.notes == nullptr) return;
  *e.options.notes << "skipped " << plural(static_cast<int64_t>(e.skipped.size()), "line") << ": what was to be fitted is not known\n";
}

std::string value_name(const ast::Expr& expr) {
  const ast::Expr& inner = without_parens(expr);
  if (const auto* call = std::get_if<ast::Call>(&inner.node)) {
    const auto* callee = std::get_if<ast::NameRef>(&call->callee->node);
    if (callee && callee->name == "final" && call->arguments.size() == 1)
      return value_name(*call->arguments[0].value);
  }
  return ast::to_source(inner);
}

void write_output(Evaluation& e, Span span, const std::string& name,
                  const std::function<Status(const std::string& path)>& write) {
  std::string path = name;
  if (!std::filesystem::path(name).is_absolute() && !e.options.output_folder.empty()) {
    std::error_code ignored;  // a folder that cannot be made shows when the file is written
    std::filesystem::create_directories(e.options.output_folder, ignored);
    path = (std::filesystem::path(e.options.output_folder) / name).string();
  }
  if (const Status done = write(path); !done) {
    e.diags.report(DiagKind::FileProblem, span, done.error());
    return;
  }
  if (e.options.notes) *e.options.notes << "wrote " << path << '\n';
}

std::string provenance(const Evaluation& e, Span span, const RunOptions* run) {
  const SourceFile& source = e.sources[span.file];
  std::string seeds;
  if (run)
    for (const uint64_t seed : run->seeds) seeds += cat(seeds.empty() ? "" : ", ", seed);
  const bool several = run && run->seeds.size() > 1;
  const Precision precision = run ? run->precision : e.options.precision.value_or(Precision::Float32);
  return cat("{\"program\": ", json_string(e.options.program), ", \"command\": ", json_string(run ? e.options.command : e.options.recipe),
             ", \"source\": ", json_string(source.path), ", \"source_fnv1a64\": \"", fnv1a(source.text), "\", \"seed\": ",
             !run ? cat(e.options.seed) : several ? cat("[", seeds, "]") : seeds, ", \"precision\": \"",
             precision == Precision::Float32 ? "float" : "double", "\"", run ? cat(", \"threads\": ", run->threads) : "", "}");
}

void perform(Evaluation& e, const ast::Action& action) {
  if (needs_lost(e, action)) {
    const Span span = span_of(action);
    e.skipped.insert({span.file.value, span.begin});
    return;
  }
  std::visit(Overload{
                 [](const ast::Let&) {},  // a definition: evaluated when somebody asks
                 [&](const ast::Print& a) { print(e, a); },
                 [&](const ast::Plot& a) { perform_plot(e, a); },
                 [&](const ast::Save& a) { save(e, a); },
                 [&](const ast::Assert& a) { check(e, a); },
                 [&](const ast::Fit& a) { perform_fit(e, a); },
                 [&](const ast::For& a) { perform_rounds(e, a); },
                 [&](const ast::Search& a) { not_yet(e, a.span, "searching parameters ('search')"); },
                 [](const ast::Measure&) {},  // a definition as well
                 [&](const ast::Accept& a) { accept(e, a); },
             },
             action);
}

}  // namespace hebb
