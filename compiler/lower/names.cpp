#include "compiler/lower/names.h"

#include "compiler/support/overload.h"

namespace hebb {
namespace {

void collect(const ast::ExprPtr& expression, std::set<std::string>& names) {
  if (!expression) return;
  std::visit(
      Overload{
          [](const ast::Number&) {},
          [](const ast::String&) {},
          [](const ast::Boolean&) {},
          [](const ast::Infinity&) {},
          [&](const ast::VectorLiteral& vector) {
            for (const ast::ExprPtr& element : vector.elements) collect(element, names);
          },
          [&](const ast::NameRef& name) { names.insert(name.name); },
          [&](const ast::Member& member) {
            names.insert(member.member.text);
            collect(member.object, names);
          },
          [&](const ast::Call& call) {
            collect(call.callee, names);
            for (const ast::Argument& argument : call.arguments) collect(argument.value, names);
          },
          [&](const ast::Subscript& subscript) { collect(subscript.object, names); },
          [&](const ast::Unary& unary) { collect(unary.operand, names); },
          [&](const ast::Binary& binary) {
            collect(binary.left, names);
            collect(binary.right, names);
          },
          [&](const ast::IfThenElse& choice) {
            collect(choice.condition, names);
            collect(choice.then_value, names);
            collect(choice.else_value, names);
          },
          [](const ast::Run&) {},
          [&](const ast::Paren& paren) { collect(paren.inner, names); },
      },
      expression->node);
}

}  // namespace

std::set<std::string> mentioned_names(const ast::ExprPtr& expression) {
  std::set<std::string> names;
  collect(expression, names);
  return names;
}

}  // namespace hebb
