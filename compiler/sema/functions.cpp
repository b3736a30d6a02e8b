// Functions that nothing calls: written out nowhere, so their names are looked at here. Shapes and
// dimensions come with a call; a function may also serve experiments, which have functions of their own.

#include "compiler/sema/lints.h"

namespace hebb::sema {
namespace {

using Names = std::set<std::string>;

void check_names(Frame& frame, const ast::ExprPtr& start, const Names& known_names) {
  std::vector<std::pair<const ast::Expr*, Names>> stack;
  const auto push = [&](const ast::ExprPtr& expr, const Names& names) {
    if (expr != nullptr) stack.emplace_back(expr.get(), names);
  };
  push(start, known_names);
  while (!stack.empty()) {
    const auto [expr, names] = std::move(stack.back());
    stack.pop_back();
    if (const auto* name = std::get_if<ast::NameRef>(&expr->node)) {
      if (!names.contains(name->name) && find_symbol(frame, name->name) == nullptr)
        read_name(frame, name->name, expr->span);
    }
    if (const auto* node = std::get_if<ast::Paren>(&expr->node)) push(node->inner, names);
    if (const auto* node = std::get_if<ast::Unary>(&expr->node)) push(node->operand, names);
    if (const auto* node = std::get_if<ast::Binary>(&expr->node))
      push(node->left, names), push(node->right, names);
    if (const auto* node = std::get_if<ast::IfThenElse>(&expr->node)) {
      push(node->condition, names), push(node->then_value, names), push(node->else_value, names);
    }
    if (const auto* node = std::get_if<ast::VectorLiteral>(&expr->node)) {
      for (const ast::ExprPtr& element : node->elements) push(element, names);
    }
    if (const auto* node = std::get_if<ast::Subscript>(&expr->node)) {
      push(node->object, names);
      for (const ast::IndexItem& index : node->indices) push(index.first, names), push(index.last, names);
    }
    if (const auto* node = std::get_if<ast::Call>(&expr->node)) {
      for (const ast::Argument& argument : node->arguments) {
        Names inner = names;
        for (const ast::Range& range : argument.ranges) inner.insert(range.name.text);
        push(argument.value, inner);
      }
    }
  }
}

}  // namespace

void check_uncalled_functions(Session& session, FileTable& table) {
  for (const auto& [name, global] : table.functions) {
    const ast::FunctionDecl* function = std::get<const ast::FunctionDecl*>(global.what);
    if (global.imported || session.called.contains(function)) continue;
    DimensionSystem dimensions;
    std::map<uint32_t, DimensionTerm> none;
    Scope scope;
    Frame frame{.session = session,
                .file = &table,
                .scope = &scope,
                .dimensions = &dimensions,
                .variable_dimensions = &none};
    Names names = {"nan"};   // of experiments: a missing value
    for (const ast::Name& parameter : function->parameters) names.insert(parameter.text);
    for (const auto& [local, value] : function->where) names.insert(local.text);
    check_names(frame, function->body, names);
    for (const auto& [local, value] : function->where) check_names(frame, value, names);
  }
}

}  // namespace hebb::sema
