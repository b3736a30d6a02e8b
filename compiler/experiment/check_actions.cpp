// What can be said about experiments and tests without running them: names, functions, networks, rules
// and their parameters, and what is not supported yet.

#include <algorithm>
#include <set>

#include "compiler/experiment/experiment.h"
#include "compiler/experiment/fit.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/measures.h"
#include "compiler/experiment/wanted.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

class Checker {
 public:
  Checker(const Model& model, const ast::File& file, Diagnostics& diags) : model_(model), diags_(diags) {
    for (const ast::Item& item : file.items) {
      if (const auto* constant = std::get_if<ast::Const>(&item)) known_.insert(constant->name.text);
      if (const auto* function = std::get_if<ast::FunctionDecl>(&item)) functions_.insert(function->name.text);
      if (const auto* import = std::get_if<ast::Import>(&item)) {
        if (import->as) known_.insert(import->as->text);
        else if (!import->path.parts.empty()) known_.insert(import->path.parts.back().text);
      }
    }
    for (const auto& [name, function] : model.functions) functions_.insert(name);
    for (const auto& [name, value] : model.constants) known_.insert(name);
    known_.insert("pi");
    known_.insert("nan");
  }

  /// Remembers that `name` was said at `span`; the second time is a mistake.
  void report_second(std::map<std::string, Span>& said, const std::string& name, Span span, std::string_view what) {
    const auto [first, fresh] = said.try_emplace(name, span);
    if (fresh) return;
    diags_.report(DiagKind::DuplicateName, span, cat(quoted(name), " ", what))
        .labels.push_back({first->second, "here first"});
  }

  void check(const std::vector<ast::Action>& actions) {
    lets_.clear();
    ast::for_each_action(actions, [&](const ast::Action& action) {
      if (const auto definition = definition_of(action)) define(definition->name, definition->value);
    });
    each(actions);
    cycles();
  }

 private:
  void each(const std::vector<ast::Action>& actions) {
    for (const ast::Action& action : actions) {
      unsupported(action);
      if (std::holds_alternative<ast::Fit>(action)) continue;
      if (const auto* block = std::get_if<ast::For>(&action)) {
        rounds(*block);
        continue;
      }
      for (const ast::Expr* expr : expressions(action)) visit(*expr);
    }
  }

  void rounds(const ast::For& block) {
    for (const ast::Loop& loop : block.loops) {
      visit(*loop.first);
      if (loop.last) visit(*loop.last);
      const bool twice = lets_.contains(loop.name.text) ||
                         std::find(locals_.begin(), locals_.end(), loop.name.text) != locals_.end();
      if (twice) diags_.report(DiagKind::DuplicateName, loop.name.span, cat(quoted(loop.name.text), " is defined twice"));
      locals_.push_back(loop.name.text);
    }
    each(block.body->actions);
    locals_.resize(locals_.size() - block.loops.size());
  }

  struct Known {
    Span span;
    const ast::Expr* value = nullptr;
  };

  void define(const ast::Name& name, const ast::Expr* value) {
    const auto [first, is_new] = lets_.emplace(name.text, Known{name.span, value});
    if (is_new) return;
    diags_.report(DiagKind::DuplicateName, name.span, cat(quoted(name.text), " is defined twice"))
        .labels.push_back({first->second.span, "first here"});
  }

  void unsupported(const ast::Action& action) {
    const auto report = [&](Span span, std::string_view what) {
      diags_.report(DiagKind::NotSupportedYet, span, cat("not supported yet: ", what));
    };
    std::visit(Overload{
                   [&](const ast::Let& a) {
                     if (a.drawn) report(a.span, "a drawn 'let' in an experiment; write  = normal(…)");
                   },
                   [](const ast::Print&) {}, [](const ast::Plot&) {}, [](const ast::Save&) {},
                   [](const ast::Assert&) {}, [](const ast::For&) {},
                   [&](const ast::Fit& a) { check_fit(a); },
                   [&](const ast::Search& a) { report(a.span, "searching parameters ('search')"); },
                   [](const ast::Measure&) {}, [](const ast::Accept&) {},
               },
               action);
  }

  void visit(const ast::Expr& expr) {
    if (const auto* name = std::get_if<ast::NameRef>(&expr.node)) return check_name(*name, expr.span);
    if (const auto* member = std::get_if<ast::Member>(&expr.node)) return visit(*member->object);
    if (const auto* run = std::get_if<ast::Run>(&expr.node)) return check_run(*run);
    if (const auto* call = std::get_if<ast::Call>(&expr.node)) return check_call(*call);
    for (const ast::Expr* child : children(expr)) visit(*child);
  }

  void check_name(const ast::NameRef& ref, Span span) {
    if (std::find(locals_.begin(), locals_.end(), ref.name) != locals_.end()) return;
    if (lets_.contains(ref.name) || known_.contains(ref.name)) return;
    if (model_.find_rule(ref.name) || model_.find_network(ref.name) || model_.find_neuron(ref.name)) return;
    if (find_function(ref.name) || functions_.contains(ref.name)) return;  // misuse shows when it is evaluated
    std::vector<std::string> names(known_.begin(), known_.end());
    for (const auto& [name, let] : lets_) names.push_back(name);
    names.insert(names.end(), locals_.begin(), locals_.end());
    for (const Network& network : model_.networks) names.push_back(network.name);
    Diagnostic& diag = diags_.report(DiagKind::UnknownName, span, cat("nothing is called ", quoted(ref.name), " here"));
    if (const auto near = did_you_mean(ref.name, names)) diag.help = cat("did you mean ", *near, "?");
    else if (find_unit(ref.name)) diag.help = cat("a unit follows a number:  1 ", ref.name);
  }

  /// A path that is wrong in several places is told at the first one.
  void check_path_once(const std::string& path, Span span) {
    if (!wrong_paths_.contains(path) && !check_path(model_, path, span, diags_)) wrong_paths_.insert(path);
  }

  void check_fit(const ast::Fit& fit) {
    for (const ast::Path& path : fit.paths) check_path_once(setting_path(path), path.span);
    visit(*fit.loss);
    const std::vector<std::string>& options = fit_option_names();
    std::map<std::string, Span> given;
    for (const ast::Setting& setting : fit.settings) {
      const std::string name = setting_path(setting.path);
      report_second(given, name, setting.path.span, "is given twice");
      const std::string first = setting.path.parts[0].text;
      const bool known = std::find(options.begin(), options.end(), first) != options.end();
      const bool word = !setting.value || std::holds_alternative<ast::NameRef>(without_parens(*setting.value).node);
      if (setting.value && !fit_option_is_word(name) && (known || !word)) visit(*setting.value);   // `metod = adam`: that is one mistake
      if (known) continue;
      Diagnostic& diag = diags_.report(DiagKind::UnknownSetting, setting.path.span,
                                       cat("'fit' has no option ", quoted(name)));
      if (const auto near = fit_option_meant(name)) diag.help = cat("did you mean ", *near, "?");
      else diag.help = cat("it has ", joined(options, ", "));
    }
  }

  void check_run(const ast::Run& run) {
    const std::string& name = run.network.parts.back().text;
    if (!model_.find_network(name)) {
      std::vector<std::string> names;
      for (const Network& network : model_.networks) names.push_back(network.name);
      Diagnostic& diag = diags_.report(DiagKind::UnknownName, run.network.span,
                                       cat("there is no network called ", quoted(name)));
      if (const auto near = did_you_mean(name, names)) diag.help = cat("did you mean ", *near, "?");
    }
    visit(*run.duration);
    for (const ast::Setting& setting : run.settings) {
      const bool word = setting.path.parts.size() == 1 && setting.path.parts[0].text == "precision";
      if (!word && setting.value) visit(*setting.value);
    }
  }

  void check_call(const ast::Call& call) {
    const auto* name = std::get_if<ast::NameRef>(&call.callee->node);
    if (name) check_function(*name, call);
    else visit(*call.callee);
    const bool protocol = name && name->name == "protocol", of_path = name && (name->name == "grad" || name->name == "report");
    for (const ast::Argument& argument : call.arguments) {
      const Chain chain = chain_of(*argument.value);
      const auto* root = std::get_if<ast::NameRef>(&chain.root->node);
      if (of_path && root && !chain.members.empty() && !lets_.contains(root->name) && model_.find_network(root->name))
        check_path_once(cat(root->name, ".", chain.text()), argument.value->span);
      if (protocol && &argument == call.arguments.data()) {
        check_rules(*argument.value);
        continue;
      }
      for (const ast::Range& range : argument.ranges) {
        visit(*range.first);
        visit(*range.last);
        locals_.push_back(range.name.text);
      }
      visit(*argument.value);
      locals_.resize(locals_.size() - argument.ranges.size());
    }
  }

  void check_function(const ast::NameRef& name, const ast::Call& call) {
    if (name.name == "protocol" || name.name == "grad" || name.name == "report" || name.name == "final" || find_measure(name.name) || find_function(name.name) || functions_.contains(name.name))
      return;
    if (known_.contains(name.name)) return;  // an imported function
    std::vector<std::string> names = function_names();
    names.insert(names.end(), functions_.begin(), functions_.end());
    Diagnostic& diag = diags_.report(DiagKind::UnknownFunction, call.callee->span,
                                     cat("there is no function called ", quoted(name.name)));
    if (const auto near = did_you_mean(name.name, names)) diag.help = cat("did you mean ", *near, "?");
    else if (model_.find_rule(name.name)) diag.help = cat("a rule is tried with  protocol(", name.name, "(…), …)");
  }

  /// 'Triplet(A3p = 5e-3) + Decay': rules exist and have these parameters.
  void check_rules(const ast::Expr& expr) {
    const ast::Expr& inner = without_parens(expr);
    if (const auto* sum = std::get_if<ast::Binary>(&inner.node)) {
      check_rules(*sum->left);
      check_rules(*sum->right);
      return;
    }
    const auto* call = std::get_if<ast::Call>(&inner.node);
    const ast::Expr& callee = call ? without_parens(*call->callee) : inner;
    const Chain chain = chain_of(callee);
    const auto* root = std::get_if<ast::NameRef>(&chain.root->node);
    if (!root) return;
    const std::string name = chain.members.empty() ? root->name : chain.members.back().text;
    const Rule* rule = model_.find_rule(name);
    if (!rule) {
      std::vector<std::string> names;
      for (const Rule& known : model_.rules) names.push_back(known.name);
      Diagnostic& diag = diags_.report(DiagKind::UnknownName, callee.span,
                                       cat("there is no rule called ", quoted(name)));
      if (const auto near = did_you_mean(name, names)) diag.help = cat("did you mean ", *near, "?");
      return;
    }
    if (!call) return;
    std::map<std::string, Span> given;
    for (const ast::Argument& argument : call->arguments) {
      visit(*argument.value);
      if (!argument.name) continue;
      check_parameter(*rule, *argument.name);
      report_second(given, argument.name->text, argument.name->span, "is given twice");
    }
  }

  void check_parameter(const Rule& rule, const ast::Name& name) {
    std::vector<std::string> names;
    for (const VarId id : rule.variables)
      if (model_[id].kind == VarKind::Param) names.push_back(model_[id].name);
    if (std::find(names.begin(), names.end(), name.text) != names.end()) return;
    Diagnostic& diag = diags_.report(DiagKind::UnknownSetting, name.span,
                                     cat(quoted(rule.name), " has no parameter called ", quoted(name.text)));
    if (const auto near = did_you_mean(name.text, names)) diag.help = cat("did you mean ", *near, "?");
    else if (!names.empty()) diag.help = cat("it has ", listed(names));
  }

  /// Each circle of lets is reported once, at its first let in alphabetical order.
  void cycles() {
    std::map<std::string, std::set<std::string>> needs;
    for (const auto& [name, let] : lets_) needs[name] = names_in(*let.value);
    std::set<std::string> reported;
    for (const auto& [name, let] : lets_) {
      std::set<std::string> reached;
      std::vector<std::string> open(needs[name].begin(), needs[name].end());
      while (!open.empty()) {
        const std::string next = open.back();
        open.pop_back();
        if (!reached.insert(next).second) continue;
        open.insert(open.end(), needs[next].begin(), needs[next].end());
      }
      if (!reached.contains(name) || reported.contains(name)) continue;
      reported.insert(name);
      Diagnostic& diag = diags_.report(DiagKind::CyclicDefinition, let.span,
                                       cat("the value of ", quoted(name), " needs itself"));
      for (const std::string& other : reached) {
        if (other == name || !names_reach(needs, other, name)) continue;
        reported.insert(other);
        diag.labels.push_back({lets_[other].span, cat("through ", quoted(other))});
      }
    }
  }

  static bool names_reach(std::map<std::string, std::set<std::string>>& needs, const std::string& from,
                          const std::string& to) {
    std::set<std::string> reached;
    std::vector<std::string> open = {from};
    while (!open.empty()) {
      const std::string next = open.back();
      open.pop_back();
      if (next == to && !reached.empty()) return true;
      if (!reached.insert(next).second) continue;
      open.insert(open.end(), needs[next].begin(), needs[next].end());
    }
    return false;
  }

  std::set<std::string> names_in(const ast::Expr& expr) const {
    std::set<std::string> out;
    std::vector<const ast::Expr*> open = {&expr};
    while (!open.empty()) {
      const ast::Expr* next = open.back();
      open.pop_back();
      const auto* name = std::get_if<ast::NameRef>(&next->node);
      if (name && lets_.contains(name->name)) out.insert(name->name);
      const auto below = children(*next);
      open.insert(open.end(), below.begin(), below.end());
    }
    return out;
  }

  const Model& model_;
  Diagnostics& diags_;
  std::set<std::string> known_, functions_;
  std::map<std::string, Known> lets_;
  std::vector<std::string> locals_;
  std::set<std::string> wrong_paths_;
};

}  // namespace

void check_actions(const Model& model, const ast::File& file, Diagnostics& diags) {
  Checker checker(model, file, diags);
  std::map<std::string, Span> experiments;
  for (const ast::Item& item : file.items) {
    if (const auto* experiment = std::get_if<ast::ExperimentDecl>(&item)) {
      checker.report_second(experiments, experiment->name.text, experiment->name.span, "is the name of two experiments");
      checker.check(experiment->actions);
    }
    if (const auto* test = std::get_if<ast::TestDecl>(&item)) checker.check(test->actions);
  }
}

}  // namespace hebb
