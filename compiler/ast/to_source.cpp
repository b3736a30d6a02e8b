// An expression in source notation. Parentheses are nodes of the tree, so nothing has to be added.

#include "compiler/ast/print.h"
#include "compiler/ast/spelling.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb::ast {
namespace {

void write(std::string& out, const Expr& expr);

template <class List, class Write>
void write_list(std::string& out, const List& list, Write write_one) {
  bool first = true;
  for (const auto& element : list) {
    if (!first) out += ", ";
    first = false;
    write_one(element);
  }
}

void write_number(std::string& out, const Number& number) {
  out += shortest(number.value);
  if (!number.unit) return;
  out += is_plain(*number.unit) ? cat(' ', spelling(*number.unit))
                                : cat(" [", spelling(*number.unit), ']');
}

void write_binary(std::string& out, const Expr& expr) {
  const std::vector<const Expr*> spine = left_spine(expr);
  write(out, *std::get<Binary>(spine.back()->node).left);
  for (auto it = spine.rbegin(); it != spine.rend(); ++it) {
    const Binary& binary = std::get<Binary>((*it)->node);
    const bool tight = binary.op == BinaryOp::Power;
    out += tight ? "^" : cat(' ', spelling(binary.op), ' ');
    write(out, *binary.right);
  }
}

void write_argument(std::string& out, const Argument& argument) {
  if (argument.name) out += cat(argument.name->text, " = ");
  write(out, *argument.value);
  if (argument.ranges.empty()) return;
  out += " for ";
  write_list(out, argument.ranges, [&](const Range& range) {
    out += cat(range.name.text, " in ");
    write(out, *range.first);
    out += "..";
    write(out, *range.last);
  });
}

void write_index(std::string& out, const IndexItem& index) {
  if (!index.first) {
    out += ':';
    return;
  }
  write(out, *index.first);
  if (!index.last) return;
  out += "..";
  write(out, *index.last);
}

void write_setting(std::string& out, const Setting& setting) {
  out += cat(spelling(setting.path), setting.drawn ? " ~ " : " = ");
  write(out, *setting.value);
}

void write(std::string& out, const Expr& expr) {
  const auto write_one = [&](const ExprPtr& e) { write(out, *e); };
  std::visit(
      Overload{
          [&](const Number& number) { write_number(out, number); },
          [&](const String& string) { out += text_literal(string.value); },
          [&](const Boolean& boolean) { out += boolean.value ? "true" : "false"; },
          [&](const Infinity&) { out += "inf"; },
          [&](const VectorLiteral& vector) {
            out += '[';
            write_list(out, vector.elements, write_one);
            out += ']';
          },
          [&](const NameRef& ref) { out += ref.name; },
          [&](const Member& member) {
            write(out, *member.object);
            out += cat('.', member.member.text);
          },
          [&](const Call& call) {
            write(out, *call.callee);
            out += '(';
            write_list(out, call.arguments, [&](const Argument& a) { write_argument(out, a); });
            out += ')';
          },
          [&](const Subscript& subscript) {
            write(out, *subscript.object);
            out += '[';
            write_list(out, subscript.indices, [&](const IndexItem& i) { write_index(out, i); });
            out += ']';
          },
          [&](const Unary& unary) {
            out += spelling(unary.op);
            write(out, *unary.operand);
          },
          [&](const Binary&) { write_binary(out, expr); },
          [&](const IfThenElse& choice) {
            out += "if ";
            write(out, *choice.condition);
            out += " then ";
            write(out, *choice.then_value);
            out += " else ";
            write(out, *choice.else_value);
          },
          [&](const Run& run) {
            out += cat("run ", spelling(run.network), " for ");
            write(out, *run.duration);
            if (run.settings.empty()) return;
            out += " with (";
            write_list(out, run.settings, [&](const Setting& s) { write_setting(out, s); });
            out += ')';
          },
          [&](const Paren& paren) {
            out += '(';
            write(out, *paren.inner);
            out += ')';
          },
      },
      expr.node);
}

}  // namespace

std::string to_source(const Expr& expr) {
  std::string out;
  write(out, expr);
  return out;
}

}  // namespace hebb::ast
