#include "compiler/experiment/wanted.h"

#include "compiler/experiment/measures.h"
#include "compiler/support/overload.h"

namespace hebb {

namespace {

void append(std::vector<const ast::Expr*>& out, const ast::ExprPtr& expr) {
  if (expr) out.push_back(expr.get());
}

void append(std::vector<const ast::Expr*>& out, const std::vector<ast::ExprPtr>& exprs) {
  for (const ast::ExprPtr& expr : exprs) append(out, expr);
}

void append(std::vector<const ast::Expr*>& out, const std::vector<ast::Setting>& settings) {
  for (const ast::Setting& setting : settings) append(out, setting.value);
}

/// A recording of a run: "Y.r" of `run`; no run: not one.
struct Recording {
  const ast::Run* run = nullptr;
  std::string name;
};

class Mentions {
 public:
  explicit Mentions(const std::vector<ast::Action>& actions) : actions_(actions) {
    ast::for_each_action(actions, [&](const ast::Action& action) {
      if (const auto definition = definition_of(action)) lets_[definition->name.text] = definition->value;
    });
  }

  std::map<const ast::Run*, Wanted> result() {
    ast::for_each_action(actions_, [&](const ast::Action& action) {
      const bool is_let = std::holds_alternative<ast::Let>(action);
      for (const ast::Expr* expr : expressions(action)) {
        if (is_let && recording(*expr, 0).run) {
          alias(*expr);
          continue;
        }
        visit(*expr);
      }
    });
    return std::move(wanted_);
  }

 private:
  /// A let that only renames a recording keeps nothing, but the settings of its run are read.
  void alias(const ast::Expr& expr) {
    const auto* run = std::get_if<ast::Run>(&expr.node);
    if (run) wanted_[run];
    for (const ast::Expr* child : children(expr)) {
      if (run) {
        visit(*child);
        continue;
      }
      if (recording(*child, 0).run) alias(*child);
      else visit(*child);
    }
  }

  void visit(const ast::Expr& expr) {
    if (const auto* call = std::get_if<ast::Call>(&expr.node)) {
      const auto* name = std::get_if<ast::NameRef>(&call->callee->node);
      if (name && name->name == "final" && call->arguments.size() == 1) {
        const Recording found = recording(*call->arguments[0].value, 0);
        if (found.run && !found.name.empty()) {
          wanted_[found.run].final.emplace(found.name, call->arguments[0].value->span);
          return;
        }
      }
      if (name && find_measure(name->name) && !call->arguments.empty()) {
        const Recording found = recording(*call->arguments[0].value, 0);
        if (found.run && !found.name.empty()) {
          wanted_[found.run].measures.emplace_back(call, found.name);
          for (size_t k = 1; k < call->arguments.size(); ++k) visit(*call->arguments[k].value);
          return;
        }
      }
    }
    const Recording found = recording(expr, 0);
    if (!found.run) {
      for (const ast::Expr* child : children(expr)) visit(*child);
      return;
    }
    Wanted& wanted = wanted_[found.run];
    if (found.name.empty()) wanted.everything = true;
    else wanted.whole.emplace(found.name, expr.span);
    alias(expr);
  }

  Recording recording(const ast::Expr& expr, int depth) const {
    if (depth > 64) return {};  // lets that need each other: reported when they are evaluated
    if (const auto* paren = std::get_if<ast::Paren>(&expr.node)) return recording(*paren->inner, depth);
    if (const auto* run = std::get_if<ast::Run>(&expr.node)) return {run, ""};
    if (const auto* name = std::get_if<ast::NameRef>(&expr.node)) {
      const auto let = lets_.find(name->name);
      return let == lets_.end() ? Recording{} : recording(*let->second, depth + 1);
    }
    const auto* member = std::get_if<ast::Member>(&expr.node);
    if (!member) return {};
    Recording found = recording(*member->object, depth);
    if (!found.run) return {};
    found.name += (found.name.empty() ? "" : ".") + member->member.text;
    return found;
  }

  const std::vector<ast::Action>& actions_;
  std::map<std::string, const ast::Expr*> lets_;
  std::map<const ast::Run*, Wanted> wanted_;
};

}  // namespace

std::optional<Definition> definition_of(const ast::Action& action) {
  if (const auto* let = std::get_if<ast::Let>(&action)) return Definition{let->name, let->value.get()};
  if (const auto* measure = std::get_if<ast::Measure>(&action)) return Definition{measure->name, measure->value.get()};
  if (const auto* accept = std::get_if<ast::Accept>(&action)) return Definition{accept->name, accept->condition.get()};
  return std::nullopt;
}

std::map<const ast::Run*, Wanted> wanted_recordings(const std::vector<ast::Action>& actions) {
  return Mentions(actions).result();
}

std::vector<const ast::Expr*> children(const ast::Expr& expr) {
  std::vector<const ast::Expr*> out;
  std::visit(Overload{
                 [](const ast::Number&) {}, [](const ast::String&) {}, [](const ast::Boolean&) {},
                 [](const ast::Infinity&) {}, [](const ast::NameRef&) {},
                 [&](const ast::VectorLiteral& n) { append(out, n.elements); },
                 [&](const ast::Member& n) { append(out, n.object); },
                 [&](const ast::Call& n) {
                   append(out, n.callee);
                   for (const ast::Argument& argument : n.arguments) {
                     append(out, argument.value);
                     for (const ast::Range& range : argument.ranges) {
                       append(out, range.first);
                       append(out, range.last);
                     }
                   }
                 },
                 [&](const ast::Subscript& n) {
                   append(out, n.object);
                   for (const ast::IndexItem& item : n.indices) {
                     append(out, item.first);
                     append(out, item.last);
                   }
                 },
                 [&](const ast::Unary& n) { append(out, n.operand); },
                 [&](const ast::Binary&) {
                   // A long sum is one list of terms, not a tower of nodes.
                   const auto spine = ast::left_spine(expr);
                   append(out, std::get<ast::Binary>(spine.back()->node).left);
                   for (size_t k = spine.size(); k-- > 0;)
                     append(out, std::get<ast::Binary>(spine[k]->node).right);
                 },
                 [&](const ast::IfThenElse& n) {
                   append(out, n.condition);
                   append(out, n.then_value);
                   append(out, n.else_value);
                 },
                 [&](const ast::Run& n) {
                   append(out, n.duration);
                   append(out, n.settings);
                 },
                 [&](const ast::Paren& n) { append(out, n.inner); },
             },
             expr.node);
  return out;
}

std::vector<const ast::Expr*> expressions(const ast::Action& action) {
  std::vector<const ast::Expr*> out;
  std::visit(Overload{
                 [&](const ast::Let& a) { append(out, a.value); },
                 [&](const ast::Print& a) { append(out, a.values); },
                 [&](const ast::Plot& a) {
                   append(out, a.values);
                   append(out, a.settings);
                 },
                 [&](const ast::Save& a) { append(out, a.values); },
                 [&](const ast::Assert& a) { append(out, a.condition); },
                 [&](const ast::Fit& a) {
                   append(out, a.loss);
                   append(out, a.settings);
                 },
                 [&](const ast::Search& a) {
                   append(out, a.objective);
                   append(out, a.settings);
                 },
                 [&](const ast::Measure& a) { append(out, a.value); },
                 [&](const ast::Accept& a) { append(out, a.condition); },
                 [&](const ast::For& a) {
                   for (const ast::Loop& loop : a.loops) {
                     append(out, loop.first);
                     append(out, loop.last);
                   }
                 },
             },
             action);
  return out;
}

}  // namespace hebb
