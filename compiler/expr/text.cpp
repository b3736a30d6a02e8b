// Expressions in the notation of the language, with no more parentheses than it needs. What is printed
// parses back to the same operations in the same order.

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

// The levels of the grammar, as in the operator table.
enum Level { kIf = 0, kOr, kAnd, kNot, kComparison, kSum, kProduct, kSign, kPower, kAtom };

// A shared expression can be exponentially longer as text; people stop reading long before.
constexpr size_t kLongest = 20'000;

struct Printer {
  const ExprPool& pool;
  const LeafName& name;
  std::string out;

  ExprNode at(ExprId id) const { return pool[id]; }

  static bool is_product(Op op) { return op == Op::Mul || op == Op::Div; }

  int level(const ExprNode& node) const {
    switch (node.op) {
      case Op::Const: return node.value < 0 || (node.value == 0 && 1 / node.value < 0) ? kSign : kAtom;
      case Op::Select: return kIf;
      case Op::Fma: return kSum;
      // -(a * b) is (-a) * b to the bit, and reads better.
      case Op::Neg: return is_product(at(node.operands[0]).op) ? kProduct : kSign;
      default: {
        const int precedence = info(node.op).precedence;
        return precedence == 0 ? kAtom : precedence;
      }
    }
  }

  void print(ExprId id, int at_least) {
    if (out.size() > kLongest) {
      out += "…";
      return;
    }
    const ExprNode node = at(id);
    const bool parentheses = level(node) < at_least;
    if (parentheses) out += '(';
    print_bare(id, node);
    if (parentheses) out += ')';
  }

  // Sums and products lean left, thousands deep at times: the left spine is walked, not recursed.
  void print_chain(ExprId id, int chain_level) {
    std::vector<ExprNode> spine;
    for (ExprNode node = at(id);; node = at(id)) {
      const bool continues = node.count == 2 && node.op != Op::Pow && level(node) == chain_level;
      if (!continues) break;
      spine.push_back(node);
      id = node.operands[0];
    }
    print(id, chain_level);
    for (size_t k = spine.size(); k-- > 0;) {
      out += cat(" ", info(spine[k].op).name, " ");
      print(spine[k].operands[1], chain_level + 1);
    }
  }

  void print_call(std::string_view function, const ExprNode& node, int arity) {
    out += function;
    out += '(';
    for (int k = 0; k < arity; ++k) {
      if (k > 0) out += ", ";
      print(node.operands[k], kIf);
    }
    out += ')';
  }

  void print_bare(ExprId id, const ExprNode& node) {
    switch (node.op) {
      case Op::Const: append(out, node.value); return;
      case Op::Var: case Op::Load: case Op::Draw: out += name(node); return;
      case Op::Dt: out += "dt"; return;
      case Op::Neg:
        out += '-';
        print(node.operands[0], is_product(at(node.operands[0]).op) ? kProduct : kSign);
        return;
      case Op::Not:
        out += "not ";
        print(node.operands[0], kNot);
        return;
      case Op::Add: case Op::Sub: return print_chain(id, kSum);
      case Op::Mul: case Op::Div: return print_chain(id, kProduct);
      case Op::And: return print_chain(id, kAnd);
      case Op::Or: return print_chain(id, kOr);
      case Op::Less: case Op::LessEqual: case Op::Equal: case Op::NotEqual:
        print(node.operands[0], kSum);
        out += cat(" ", info(node.op).name, " ");
        print(node.operands[1], kSum);
        return;
      case Op::Pow:
        print(node.operands[0], kAtom);
        out += '^';
        print(node.operands[1], kSign);
        return;
      case Op::Fma:
        print(node.operands[0], kProduct);
        out += " * ";
        print(node.operands[1], kSign);
        out += " + ";
        print(node.operands[2], kProduct);
        return;
      case Op::Select:
        out += "if ";
        print(node.operands[0], kOr);
        out += " then ";
        print(node.operands[1], kOr);
        out += " else ";
        print(node.operands[2], kIf);
        return;
      case Op::Max:
        if (pool.is_constant(node.operands[1], 0)) return print_call("pos", node, 1);
        break;
      default: break;
    }
    print_call(info(node.op).name, node, node.count);
  }
};

}  // namespace

std::string to_text(const ExprPool& pool, ExprId root, const LeafName& name) {
  Printer printer{.pool = pool, .name = name, .out = {}};
  printer.print(root, kIf);
  return std::move(printer.out);
}

}  // namespace hebb
