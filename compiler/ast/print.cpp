// The tree: one line per declaration or statement, expressions as (operator operand operand).

#include "compiler/ast/print.h"

#include "compiler/ast/spelling.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb::ast {
namespace {

std::string tree(const Expr& expr);
std::string tree(const ExprPtr& expr) { return expr ? tree(*expr) : "-"; }

template <class List, class Each>
std::string spaced(const List& list, Each each) {
  std::string out;
  for (const auto& element : list) out += cat(' ', each(element));
  return out;
}
std::string trees(const std::vector<ExprPtr>& list) {
  return spaced(list, [](const ExprPtr& e) { return tree(e); });
}

std::string binary_tree(const Expr& expr) {
  const std::vector<const Expr*> spine = left_spine(expr);
  std::string out;
  for (const Expr* node : spine) out += cat('(', spelling(std::get<Binary>(node->node).op), ' ');
  out += tree(std::get<Binary>(spine.back()->node).left);
  for (auto it = spine.rbegin(); it != spine.rend(); ++it) {
    out += cat(' ', tree(std::get<Binary>((*it)->node).right), ')');
  }
  return out;
}

std::string argument_tree(const Argument& argument) {
  const std::string name = argument.name ? argument.name->text + "=" : "";
  return cat(name, tree(argument.value), spaced(argument.ranges, [](const Range& range) {
               return cat("(for ", range.name.text, ' ', tree(range.first), ' ', tree(range.last), ')');
             }));
}

std::string index_tree(const IndexItem& index) {
  if (!index.first) return ":";
  return index.last ? cat(tree(index.first), "..", tree(index.last)) : tree(index.first);
}

std::string setting_tree(const Setting& setting) {
  return cat(spelling(setting.path), setting.drawn ? "~" : "=", tree(setting.value));
}
std::string settings_tree(const std::vector<Setting>& settings) {
  return spaced(settings, setting_tree);
}

std::string tree(const Expr& expr) {
  return std::visit(
      Overload{
          [](const Number& number) {
            return number.unit ? cat(shortest(number.value), '[', spelling(*number.unit), ']')
                               : shortest(number.value);
          },
          [](const String& string) { return text_literal(string.value); },
          [](const Boolean& boolean) { return std::string(boolean.value ? "true" : "false"); },
          [](const Infinity&) { return std::string("inf"); },
          [](const VectorLiteral& vector) { return cat("(vector", trees(vector.elements), ')'); },
          [](const NameRef& ref) { return ref.name; },
          [](const Member& member) { return cat(tree(member.object), '.', member.member.text); },
          [](const Call& call) {
            return cat("(call ", tree(call.callee), spaced(call.arguments, argument_tree), ')');
          },
          [](const Subscript& subscript) {
            return cat("(at ", tree(subscript.object), spaced(subscript.indices, index_tree), ')');
          },
          [](const Unary& unary) {
            const std::string_view op = unary.op == UnaryOp::Not ? "not" : spelling(unary.op);
            return cat('(', op, ' ', tree(unary.operand), ')');
          },
          [&](const Binary&) { return binary_tree(expr); },
          [](const IfThenElse& choice) {
            return cat("(if ", tree(choice.condition), ' ', tree(choice.then_value), ' ',
                       tree(choice.else_value), ')');
          },
          [](const Run& run) {
            return cat("(run ", spelling(run.network), ' ', tree(run.duration),
                       settings_tree(run.settings), ')');
          },
          [](const Paren& paren) { return tree(paren.inner); },
      },
      expr.node);
}

// --- declarations and statements -----------------------------------------------------------------

std::string line(int depth, const std::string& text) {
  return cat(std::string(static_cast<size_t>(depth) * 2, ' '), text, '\n');
}
std::string_view sign(bool drawn) { return drawn ? " ~ " : " = "; }

std::string shape_tree(const std::vector<ExprPtr>& shape) {
  return shape.empty() ? "" : cat("[", trees(shape).substr(1), "]");
}
std::string unit_tree(const std::optional<Unit>& unit) {
  return unit ? cat(" : ", spelling(*unit)) : "";
}
std::string value_tree(bool drawn, const ExprPtr& value) {
  return value ? cat(sign(drawn), tree(value)) : "";
}
std::string interval_tree(const Interval& interval) {
  return cat(interval.low_open ? '(' : '[', tree(interval.low), ' ', tree(interval.high),
             interval.high_open ? ')' : ']');
}
std::string declaration_tree(const Declaration& decl) {
  return cat(decl.name.text, shape_tree(decl.shape), unit_tree(decl.unit),
             decl.bounds ? cat(" in ", interval_tree(*decl.bounds)) : "",
             value_tree(decl.drawn, decl.value));
}
std::string instance_tree(const Instance& instance) {
  return cat('(', spelling(instance.type), settings_tree(instance.settings), ')');
}
std::string rule_sum_tree(const RuleExpr& sum) { return spaced(sum, instance_tree); }

template <class Item>
std::string items_tree(int depth, const std::vector<Item>& items);
template <class Paths>
std::string paths_tree(const Paths& paths) {
  return spaced(paths, [](const Path& path) { return spelling(path); });
}

std::string event_tree(const EventExpr& event) {
  return event.period ? cat(" every ", tree(event.period)) : paths_tree(event.events);
}

// One overload per form; items_tree visits whichever variant they stand in.
struct ItemTree {
  int depth;

  std::string operator()(const Const& c) const {
    return line(depth, cat("const ", c.name.text, " = ", tree(c.value)));
  }
  std::string operator()(const Param& p) const { return declarations("param ", p.declarations); }
  std::string operator()(const State& s) const { return declarations("state ", s.declarations); }
  std::string operator()(const Weight& w) const {
    return line(depth, cat("weight ", declaration_tree(w.declaration)));
  }
  std::string operator()(const Signal& s) const {
    return line(depth, cat("signal ", s.name.text, shape_tree(s.shape), unit_tree(s.unit),
                           value_tree(s.drawn, s.value)));
  }
  std::string operator()(const EventPort& e) const { return line(depth, cat("event ", e.name.text)); }
  std::string operator()(const Port& p) const {
    const std::string_view kind = p.kind == PortKind::Receive ? "receive " : "input ";
    return line(depth, cat(kind, p.name.text, unit_tree(p.unit)));
  }
  std::string operator()(const Let& l) const {
    return line(depth, cat("let ", l.name.text, sign(l.drawn), tree(l.value)));
  }
  std::string operator()(const Reduce& r) const {
    return line(depth, cat("reduce ", r.name.text, " = (", r.function.text, ' ', tree(r.argument),
                           ") per ", spelling(r.per)));
  }
  std::string operator()(const Stat& s) const {
    return line(depth, cat("stat ", s.name.text, " = (", s.function.text, trees(s.arguments),
                           ") over ", tree(s.window)));
  }
  std::string operator()(const Ode& o) const {
    return line(depth, cat("ode ", o.name.text, " = ", tree(o.rate)));
  }
  std::string operator()(const On& o) const {
    return line(depth, cat("on", event_tree(o.event))) + items_tree(depth + 1, o.items);
  }
  std::string operator()(const Emit& e) const {
    return line(depth, cat("emit ", e.event.text, " when ", tree(e.condition))) +
           items_tree(depth + 1, e.items);
  }
  std::string operator()(const Refractory& r) const {
    return line(depth, cat("refractory ", tree(r.duration), " holds",
                           spaced(r.held, [](const Name& name) { return name.text; })));
  }
  std::string operator()(const JumpStatement& j) const {
    const std::string at = j.indices.empty() ? "" : cat("[", spaced(j.indices, index_tree).substr(1), "]");
    return line(depth, cat("jump ", spelling(j.target), at, ' ', spelling(j.op), ' ', tree(j.value)));
  }
  std::string operator()(const PruneStatement& p) const {
    return line(depth, cat("prune when ", tree(p.condition)));
  }
  std::string operator()(const GrowStatement& g) const {
    return line(depth, cat("grow when ", tree(g.condition)));
  }
  std::string operator()(const Population& p) const {
    return line(depth, cat("pop ", p.name.text, shape_tree(p.shape), " : ", instance_tree(p.type)));
  }
  std::string operator()(const Projection& p) const {
    const std::string via = p.rule.empty() ? "" : cat(" via", rule_sum_tree(p.rule));
    return line(depth, cat("project ", p.pre.text, " -> ", p.post.text, " as ", p.name.text, via)) +
           items_tree(depth + 1, p.items);
  }
  std::string operator()(const Connect& c) const { return line(depth, cat("connect ", tree(c.how))); }
  std::string operator()(const Init& i) const {
    return line(depth, cat("init ", i.name.text, sign(i.drawn), tree(i.value)));
  }
  std::string operator()(const Delay& d) const {
    return line(depth, cat("delay ", d.name.text, sign(d.drawn), tree(d.value)));
  }
  std::string operator()(const Drive& d) const {
    return line(depth, cat("drive ", d.port.text, " += ", tree(d.value)));
  }
  std::string operator()(const Bind& b) const {
    return line(depth, cat("bind ", spelling(b.target), " = ", tree(b.value)));
  }
  std::string operator()(const Record& r) const {
    return line(depth, cat("record ", tree(r.what), r.every ? cat(" every ", tree(r.every)) : "",
                           r.on ? cat(" on ", tree(r.on)) : "",
                           r.as ? cat(" as ", r.as->text) : ""));
  }
  std::string operator()(const AbortWhen& a) const {
    return line(depth, cat("abort when ", tree(a.condition)));
  }
  std::string operator()(const Freeze& f) const { return line(depth, cat("freeze ", spelling(f.what))); }
  std::string operator()(const Print& p) const { return line(depth, cat("print", trees(p.values))); }
  std::string operator()(const Plot& p) const {
    return line(depth, cat("plot", trees(p.values), with(p.settings),
                           p.to ? cat(" to ", text_literal(*p.to)) : ""));
  }
  std::string operator()(const Save& s) const {
    return line(depth, cat("save", trees(s.values), " to ", text_literal(s.to)));
  }
  std::string operator()(const Assert& a) const { return line(depth, cat("assert ", tree(a.condition))); }
  std::string operator()(const Fit& f) const {
    return line(depth, cat("fit", paths_tree(f.paths), " minimize ", tree(f.loss), with(f.settings)));
  }
  std::string operator()(const Search& s) const {
    return line(depth,
                cat("search", paths_tree(s.paths), " minimize ", tree(s.objective), with(s.settings)));
  }
  std::string operator()(const Measure& m) const {
    return line(depth, cat("measure ", m.name.text, " = ", tree(m.value)));
  }
  std::string operator()(const For& f) const {
    std::string loops;
    for (const Loop& l : f.loops)
      loops += cat(" ", l.name.text, " in ", tree(l.first), l.last ? cat(" .. ", tree(l.last)) : "");
    return line(depth, cat("for", loops)) + items_tree(depth + 1, f.body->actions);
  }
  std::string operator()(const Accept& a) const {
    return line(depth, cat("accept ", a.name.text, " when ", tree(a.condition)));
  }
  std::string operator()(const Import& i) const {
    return line(depth, cat("import ", i.file ? text_literal(*i.file) : spelling(i.path),
                           i.as ? cat(" as ", i.as->text) : ""));
  }
  std::string operator()(const FunctionDecl& f) const {
    std::string out = doc(f.doc) +
                      line(depth, cat("fun ", f.name.text,
                                      spaced(f.parameters, [](const Name& n) { return n.text; }), " = ",
                                      tree(f.body)));
    for (const auto& [name, value] : f.where) {
      out += line(depth + 1, cat("where ", name.text, " = ", tree(value)));
    }
    return out;
  }
  std::string operator()(const RuleDecl& r) const {
    const std::string contract = r.contract ? cat(" : ", r.contract->text) : "";
    const std::string sum = r.is_sum ? cat(" =", rule_sum_tree(r.sum)) : "";
    return doc(r.doc) + line(depth, cat("rule ", r.name.text, contract, sum)) +
           items_tree(depth + 1, r.items);
  }
  std::string operator()(const NeuronDecl& n) const {
    return doc(n.doc) + line(depth, cat("neuron ", n.name.text)) + items_tree(depth + 1, n.items);
  }
  std::string operator()(const NetworkDecl& n) const {
    return doc(n.doc) + line(depth, cat("network ", n.name.text)) + items_tree(depth + 1, n.items);
  }
  std::string operator()(const ExperimentDecl& e) const {
    return doc(e.doc) + line(depth, cat("experiment ", e.name.text)) + items_tree(depth + 1, e.actions);
  }
  std::string operator()(const TestDecl& t) const {
    return doc(t.doc) + line(depth, cat("test ", text_literal(t.title))) + items_tree(depth + 1, t.actions);
  }

 private:
  std::string declarations(std::string_view word, const std::vector<Declaration>& list) const {
    std::string out;
    for (const Declaration& decl : list) out += line(depth, cat(word, declaration_tree(decl)));
    return out;
  }
  std::string with(const std::vector<Setting>& settings) const {
    return settings.empty() ? "" : cat(" with", settings_tree(settings));
  }
  std::string doc(const std::string& text) const {
    return text.empty() ? "" : line(depth, cat("doc ", text_literal(text)));
  }
};

template <class Item>
std::string items_tree(int depth, const std::vector<Item>& items) {
  std::string out;
  for (const Item& item : items) out += std::visit(ItemTree{depth}, item);
  return out;
}

}  // namespace

std::string print(const File& file) { return items_tree(0, file.items); }

}  // namespace hebb::ast
