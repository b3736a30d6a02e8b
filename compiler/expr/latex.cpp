#include <array>
#include <cmath>

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr std::array<std::string_view, 24> kGreek = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda",
    "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Theta"};

std::string symbol(std::string_view word) {
  for (const std::string_view letter : kGreek) {
    if (word == letter) return cat("\\", word);
  }
  if (word.size() <= 1) return std::string(word);
  // x1, tau2: a letter or a Greek name, then digits, as an index.
  const size_t digits = word.find_first_of("0123456789");
  if (digits != std::string_view::npos && digits > 0 &&
      word.find_first_not_of("0123456789", digits) == std::string_view::npos) {
    return cat(symbol(word.substr(0, digits)), "_{", word.substr(digits), "}");
  }
  std::string escaped;
  for (const char c : word) {
    if (c == '_' || c == '%' || c == '#' || c == '&' || c == '$') escaped += '\\';
    escaped += c;
  }
  return cat("\\mathrm{", escaped, "}");
}

// "pre.r" is r with the index pre; "tau_plus" is tau with the index plus; "x[2]" keeps its index.
std::string latex_name(const std::string& text) {
  std::string word = text, index;
  const auto add_index = [&](std::string_view more) { index += cat(index.empty() ? "" : ",\\,", more); };
  const size_t bracket = word.find('[');
  const std::string element = bracket == std::string::npos ? "" : word.substr(bracket + 1);
  if (bracket != std::string::npos) word.resize(bracket);
  const size_t dot = word.rfind('.');
  const std::string place = dot == std::string::npos ? "" : word.substr(0, dot);
  if (dot != std::string::npos) word.erase(0, dot + 1);
  const size_t underscore = word.find('_');
  if (underscore != std::string::npos && underscore > 0 && underscore + 1 < word.size()) {
    add_index(symbol(word.substr(underscore + 1)));
    word.resize(underscore);
  }
  if (!place.empty()) add_index(symbol(place));
  if (!element.empty()) add_index(element.substr(0, element.find(']')));
  const std::string base = symbol(word);
  if (index.empty()) return base;
  return base.find('_') == std::string::npos ? cat(base, "_{", index, "}")
                                             : cat("{", base, "}_{", index, "}");
}

std::string latex_number(double value) {
  if (std::isinf(value)) return value < 0 ? "-\\infty" : "\\infty";
  if (std::isnan(value)) return "\\mathrm{NaN}";
  const std::string text = shortest(value);
  const size_t e = text.find('e');
  if (e == std::string::npos) return text;
  const std::string mantissa = text.substr(0, e);
  std::string exponent = text.substr(e + 1);
  if (exponent[0] == '+') exponent.erase(0, 1);
  const std::string power = cat("10^{", std::stoi(exponent), "}");
  if (mantissa == "1") return power;
  return mantissa == "-1" ? cat("-", power) : cat(mantissa, " \\cdot ", power);
}

enum Level { kAny = 0, kLogic, kComparison, kSum, kProduct, kSign, kPower, kAtom };
constexpr size_t kLongest = 50'000;

struct Latex {
  const ExprPool& pool;
  const LeafName& name;
  size_t written = 0;

  struct Piece { std::string text; int level; };

  std::string bracketed(const std::string& text) { return cat("\\left(", text, "\\right)"); }
  std::string at_level(ExprId id, int least) {
    if (written > kLongest) return "\\ldots";
    const Piece piece = print(id);
    written += piece.text.size();
    return piece.level < least ? bracketed(piece.text) : piece.text;
  }
  std::string call(std::string_view function, const ExprNode& node) {
    std::vector<std::string> arguments;
    for (int k = 0; k < node.count; ++k) arguments.push_back(at_level(node.operands[k], kAny));
    return cat(function, bracketed(joined(arguments, ", ")));
  }
  Piece infix(const ExprNode& node, std::string_view sign, int level, int left, int right) {
    return {cat(at_level(node.operands[0], left), sign, at_level(node.operands[1], right)), level};
  }
  // A name may carry an index below and an exponent above.
  std::string base_of_power(ExprId id) {
    const Op op = pool[id].op;
    const bool is_name = op == Op::Var || op == Op::Load || op == Op::Draw;
    return at_level(id, is_name ? kPower : kAtom);
  }
  // Thousands of summands lean left: the spine is walked, not recursed.
  Piece sum(ExprId id) {
    std::vector<ExprNode> spine;
    ExprNode node = pool[id];
    for (; node.op == Op::Add || node.op == Op::Sub; node = pool[id]) {
      spine.push_back(node);
      id = node.operands[0];
    }
    std::string text = at_level(id, kSum);
    for (size_t k = spine.size(); k-- > 0;) {
      text += spine[k].op == Op::Add ? " + " : " - ";
      text += at_level(spine[k].operands[1], kProduct);
    }
    return {std::move(text), kSum};
  }

  Piece print(ExprId id) {
    const ExprNode node = pool[id];
    const ExprId a = node.operands[0], b = node.operands[1];
    switch (node.op) {
      case Op::Const: {
        std::string text = latex_number(node.value);
        const bool plain = text.find("10^") == std::string::npos;
        return {std::move(text), node.value < 0 ? kSign : plain ? kAtom : kProduct};
      }
      case Op::Var: case Op::Load: case Op::Draw: return {latex_name(name(node)), kPower};
      case Op::Dt: return {"\\Delta t", kProduct};
      case Op::Neg: return {cat("-", at_level(a, kProduct)), kSum};
      case Op::Add: case Op::Sub: return sum(id);
      case Op::Mul:
        if (a == b) return {cat(base_of_power(a), "^{2}"), kPower};
        return infix(node, pool.is_constant(b) ? " \\cdot " : "\\, ", kProduct, kProduct, kProduct);
      case Op::Div:
        return {cat("\\frac{", at_level(a, kAny), "}{", at_level(b, kAny), "}"), kProduct};
      case Op::Fma:
        return {cat(at_level(a, kProduct), "\\, ", at_level(b, kProduct), " + ",
                    at_level(node.operands[2], kProduct)), kSum};
      case Op::Pow: return {cat(base_of_power(a), "^{", at_level(b, kAny), "}"), kPower};
      case Op::Sqrt: return {cat("\\sqrt{", at_level(a, kAny), "}"), kAtom};
      case Op::Abs: return {cat("\\left|", at_level(a, kAny), "\\right|"), kAtom};
      case Op::Floor: return {cat("\\left\\lfloor ", at_level(a, kAny), "\\right\\rfloor"), kAtom};
      case Op::Ceil: return {cat("\\left\\lceil ", at_level(a, kAny), "\\right\\rceil"), kAtom};
      case Op::Max:
        if (pool.is_constant(b, 0)) return {cat("\\left[", at_level(a, kAny), "\\right]_{+}"), kPower};
        return {call("\\max", node), kAtom};
      case Op::Mod: return infix(node, " \\bmod ", kSum, kProduct, kProduct);
      case Op::Less: return infix(node, " < ", kComparison, kSum, kSum);
      case Op::LessEqual: return infix(node, " \\le ", kComparison, kSum, kSum);
      case Op::Equal: return infix(node, " = ", kComparison, kSum, kSum);
      case Op::NotEqual: return infix(node, " \\ne ", kComparison, kSum, kSum);
      case Op::And: return infix(node, " \\wedge ", kLogic, kComparison, kComparison);
      case Op::Or: return infix(node, " \\vee ", kLogic, kComparison, kComparison);
      case Op::Not: return {cat("\\neg ", at_level(a, kPower)), kLogic};
      case Op::Select:
        return {cat("\\begin{cases} ", at_level(b, kAny), " & \\text{if } ", at_level(a, kAny), " \\\\ ",
                    at_level(node.operands[2], kAny), " & \\text{otherwise} \\end{cases}"), kAtom};
      case Op::Exp: return {cat("e^{", at_level(a, kAny), "}"), kPower};
      case Op::Expm1: return {cat("e^{", at_level(a, kAny), "} - 1"), kSum};
      case Op::Exprel: return {cat("\\frac{e^{", at_level(a, kAny), "} - 1}{", at_level(a, kAny), "}"), kAtom};
      case Op::Log1p: return {cat("\\log", bracketed(cat("1 + ", at_level(a, kProduct)))), kAtom};
      case Op::Log: case Op::Sin: case Op::Cos: case Op::Tan: case Op::Tanh: case Op::Sinh:
      case Op::Cosh: case Op::Min:
        return {call(cat("\\", info(node.op).name), node), kAtom};
      case Op::Asin: return {call("\\arcsin", node), kAtom};
      case Op::Acos: return {call("\\arccos", node), kAtom};
      case Op::Atan: return {call("\\arctan", node), kAtom};
      case Op::Round: case Op::Sign: case Op::Sigmoid: case Op::Atan2: case Op::Erf:
        return {call(cat("\\operatorname{", info(node.op).name, "}"), node), kAtom};
      case Op::IsFinite: return {call("\\operatorname{finite}", node), kAtom};
    }
    assert(false && "every operation has a spelling");
    return {};
  }
};

}  // namespace

std::string to_latex(const ExprPool& pool, ExprId root, const LeafName& name) {
  return Latex{.pool = pool, .name = name}.at_level(root, kAny);
}

}  // namespace hebb
