#include <algorithm>
#include <cmath>

#include "compiler/experiment/fit.h"
#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr double kMost = 1e12;

struct Word {
  const char* name;
  int value;
};

/// What others call the same.
std::optional<std::string> fit_word_meant(const std::string& given, const std::vector<std::string>& names) {
  static const std::map<std::string, std::string> elsewhere = {
      {"sgd", "gradient_descent"}, {"gd", "gradient_descent"}, {"bfgs", "lbfgs"}, {"l_bfgs", "lbfgs"}, {"LBFGS", "lbfgs"}, {"adamw", "adam"},
      {"newton", "gauss_newton"}, {"lm", "gauss_newton"}, {"levenberg_marquardt", "gauss_newton"}, {"cos", "cosine"}, {"single", "float"},
      {"float32", "float"}, {"float64", "double"}, {"backward", "reverse"}};
  const auto known = elsewhere.find(given);
  if (known != elsewhere.end() && std::find(names.begin(), names.end(), known->second) != names.end()) return known->second;
  if (given.empty()) return std::nullopt;
  return std::find(names.begin(), names.end(), given) != names.end() ? given : did_you_mean(given, names);
}

class Reader {
 public:
  Reader(Evaluation& e, std::span<const Target> targets) : e_(e), targets_(targets) {}

  bool read(const ast::Setting& setting, FitOptions& out) {
    const std::string name = setting_path(setting.path);
    if (name == "method") {
      return word<Method>(setting, out.method, {{"adam", int(Method::Adam)}, {"lbfgs", int(Method::Lbfgs)},
                                                {"gradient_descent", int(Method::GradientDescent)},
                                                {"gauss_newton", int(Method::GaussNewton)}});
    }
    if (name == "schedule") {
      return word<Schedule>(setting, out.schedule, {{"constant", int(Schedule::Constant)},
                                                    {"cosine", int(Schedule::Cosine)}, {"step", int(Schedule::Step)}});
    }
    if (name == "gradient") {
      return word<GradientMode>(setting, out.gradient, {{"auto", int(GradientMode::Auto)}, {"reverse", int(GradientMode::Reverse)},
                                                        {"forward", int(GradientMode::Forward)}});
    }
    if (name == "precision") {
      return word<Precision>(setting, out.precision, {{"float", int(Precision::Float32)},
                                                      {"double", int(Precision::Float64)}});
    }
    if (name == "batch" && is_word(setting, "all")) return true;
    if (name == "batch") return whole(setting, out.batch, 1);
    if (name == "steps") return optional_whole(setting, out.steps);
    if (name == "epochs") return optional_whole(setting, out.epochs);
    if (name == "patience") return optional_whole(setting, out.patience);
    if (name == "restarts") return whole(setting, out.restarts, 0);
    if (name == "burn_in") return whole(setting, out.burn_in, 0);
    if (name == "lr") return positive(setting, out.lr);
    if (name == "spread") return positive(setting, out.spread);
    if (name == "clip") {
      double clip = 0;
      if (!positive(setting, clip)) return false;
      out.clip = clip;
      return true;
    }
    if (name == "tol") return number(setting, out.tol, 0);
    if (name == "seed") {
      int64_t seed = 0;
      if (!whole(setting, seed, 0)) return false;
      if (!e_.options.seed_given) out.seed = static_cast<uint64_t>(seed);
      return true;
    }
    if (name == "report") return truth(setting, out.report);
    if (name == "validation") return indices(setting, out.validation);
    if (name == "start" || name.starts_with("start.")) return by_path(setting, name, "start", out.start);
    if (name == "fixed" || name.starts_with("fixed.")) return by_path(setting, name, "fixed", out.fixed);
    Diagnostic& diag = e_.diags.report(DiagKind::UnknownSetting, setting.path.span,
                                       cat("'fit' has no option ", quoted(name)));
    if (const auto near = fit_option_meant(name)) diag.help = cat("did you mean ", *near, "?");
    else diag.help = cat("it has ", joined(fit_option_names(), ", "));
    return false;
  }

 private:
  static bool is_word(const ast::Setting& setting, std::string_view text) {
    const auto* name = std::get_if<ast::NameRef>(&without_parens(*setting.value).node);
    return name && name->name == text;
  }

  template <class Enum>
  bool word(const ast::Setting& setting, Enum& into, std::initializer_list<Word> words) {
    const auto* name = std::get_if<ast::NameRef>(&without_parens(*setting.value).node);
    std::vector<std::string> names;
    for (const Word& known : words) {
      if (name && name->name == known.name) {
        into = static_cast<Enum>(known.value);
        return true;
      }
      names.emplace_back(known.name);
    }
    Diagnostic& diag = e_.diags.report(DiagKind::WrongArgument, setting.value->span,
                                       cat(quoted(setting_path(setting.path)), " is one of ", listed(names)));
    const auto* text = std::get_if<ast::String>(&without_parens(*setting.value).node);
    const std::string given = name ? name->name : text ? text->value : "";
    if (const auto near = fit_word_meant(given, names)) diag.help = cat(text ? "write it without quotes:  " : "did you mean ", *near, text ? "" : "?");
    return false;
  }

  bool truth(const ast::Setting& setting, bool& into) {
    const auto value = evaluate_plain_number(e_, *setting.value, setting_path(setting.path));
    if (!value) return false;
    into = *value != 0;
    if (*value == 0 || *value == 1) return true;
    report_argument(e_, setting.value->span, cat(quoted(setting_path(setting.path)), " is true or false, not ", *value));
    return false;
  }
  bool number(const ast::Setting& setting, double& into, double least) {
    const auto value = evaluate_plain_number(e_, *setting.value, setting_path(setting.path));
    if (!value) return false;
    into = *value;
    if (*value >= least && std::isfinite(*value)) return true;
    report_argument(e_, setting.value->span,
                    cat(quoted(setting_path(setting.path)), " is a number from ", least, " up, not ", *value));
    return false;
  }
  bool positive(const ast::Setting& setting, double& into) {
    const auto value = evaluate_plain_number(e_, *setting.value, setting_path(setting.path));
    if (!value) return false;
    into = *value;
    if (*value > 0 && std::isfinite(*value)) return true;
    report_argument(e_, setting.value->span, cat(quoted(setting_path(setting.path)), " is a number above 0, not ", *value));
    return false;
  }
  bool whole(const ast::Setting& setting, int64_t& into, double least) {
    double value = 0;
    if (!number(setting, value, least)) return false;
    into = static_cast<int64_t>(value);
    if (value == std::floor(value) && value <= kMost) return true;
    report_argument(e_, setting.value->span, cat(quoted(setting_path(setting.path)), value > kMost ? cat(" is at most ", kMost) : " is a whole number",
                                                 ", not ", value));
    return false;
  }
  bool optional_whole(const ast::Setting& setting, std::optional<int64_t>& into) {
    int64_t value = 0;
    if (!whole(setting, value, 1)) return false;
    into = value;
    return true;
  }
  bool indices(const ast::Setting& setting, std::vector<int64_t>& into) {
    const auto value = evaluate_tensor(e_, *setting.value);
    if (!value || !expect_plain(e_, *value, setting.value->span, "validation")) return false;
    for (const double v : value->values) {
      if (v != std::floor(v) || v < 0) {
        report_argument(e_, setting.value->span, cat("recordings are counted from 0; ", v, " is none"), "name them:  validation = [4, 5]");
        return false;
      }
      if (std::find(into.begin(), into.end(), static_cast<int64_t>(v)) != into.end()) {
        report_argument(e_, setting.value->span, cat("recording ", v, " is listed twice"));
        return false;
      }
      into.push_back(static_cast<int64_t>(v));
    }
    return true;
  }

  bool by_path(const ast::Setting& setting, const std::string& name, const std::string& option,
               std::map<std::string, FitOptions::Given>& into) {
    const std::string rest = name.size() > option.size() ? name.substr(option.size() + 1) : "";
    const Target* found = nullptr;
    for (const Target& target : targets_) {
      const std::string own = target.path.substr(target.network.size() + 1);
      const bool only = rest.empty() && targets_.size() == 1;
      if (only || rest == own || rest == target.path) found = &target;
    }
    if (!found) {
      e_.diags.report(DiagKind::UnknownSetting, setting.path.span,
                      rest.empty() ? cat(quoted(option), " needs the path it is for: several are fitted")
                                   : cat("nothing that is fitted is called ", quoted(rest)))
          .help = cat("write  ", option, ".", targets_[0].path.substr(targets_[0].network.size() + 1), " = …");
      return false;
    }
    auto value = evaluate_tensor(e_, *setting.value);
    if (!value || (option == "fixed" && !expect_plain(e_, *value, setting.value->span, name))) return false;
    const auto& own = found->variable->dimension;
    const bool plain = !value->dimension || value->dimension->dimensionless();
    if (option == "start" && !plain && own && *value->dimension != *own) {
      e_.diags.report(DiagKind::DimensionMismatch, setting.value->span,
                      cat(quoted(found->path), " is ", describe(*own), ", and its start is ", describe(*value->dimension), ", in ", unit_text(*value->dimension)));
      return false;
    }
    into[found->path] = {std::move(*value), setting.value->span};
    return true;
  }

  Evaluation& e_;
  std::span<const Target> targets_;
};

}  // namespace

const std::vector<std::string>& fit_option_names() {
  static const std::vector<std::string> names = {
      "method", "lr", "steps", "epochs", "batch", "schedule", "clip", "start", "fixed", "restarts", "spread",
      "seed", "burn_in", "validation", "patience", "tol", "precision", "gradient", "report"};
  return names;
}

std::optional<std::string> fit_option_meant(const std::string& name) {
  static const std::map<std::string, std::string> elsewhere = {
      {"learning_rate", "lr"}, {"step_size", "lr"}, {"optimizer", "method"}, {"optimiser", "method"}, {"algorithm", "method"},
      {"iterations", "steps"}, {"max_iter", "steps"}, {"maxiter", "steps"}, {"updates", "steps"}, {"n_steps", "steps"}, {"n_epochs", "epochs"},
      {"batch_size", "batch"}, {"init", "start"}, {"initial", "start"}, {"guess", "start"}, {"mask", "fixed"}, {"frozen", "fixed"},
      {"starts", "restarts"}, {"held_out", "validation"}, {"test", "validation"}, {"early_stopping", "patience"},
      {"tolerance", "tol"}, {"ftol", "tol"}, {"gradient_clip", "clip"}, {"clip_norm", "clip"}, {"dtype", "precision"}, {"burnin", "burn_in"}};
  const auto known = elsewhere.find(name);
  if (known != elsewhere.end()) return known->second;
  return did_you_mean(name, fit_option_names());
}

bool fit_option_is_word(const std::string& name) {
  return name == "method" || name == "schedule" || name == "precision" || name == "gradient" || name == "batch";
}

std::string setting_path(const ast::Path& path) {
  std::string out;
  for (const ast::Name& part : path.parts) out += (out.empty() ? "" : ".") + part.text;
  return out;
}

namespace {

/// Options that the method does not read.
void note_without_effect(Evaluation& e, const ast::Fit& fit, Method method) {
  if (method != Method::Lbfgs && method != Method::GaussNewton) return;
  std::vector<std::string> names;
  for (const ast::Setting& setting : fit.settings)
    for (const char* name : {"lr", "batch", "schedule", "clip", "patience"})
      if (setting_path(setting.path) == name) names.push_back(cat("'", name, "'"));
  if (!names.empty())
    note_once(e, cat(listed(names), names.size() == 1 ? " has" : " have", " no effect on ", method == Method::Lbfgs ? "lbfgs" : "gauss_newton",
                     ", which looks at all recordings and finds its own steps"));
}

}  // namespace

std::optional<FitOptions> read_fit_options(Evaluation& e, const ast::Fit& fit, std::span<const Target> targets) {
  FitOptions out;
  out.seed = e.options.seed;
  Reader reader(e, targets);
  for (const ast::Setting& setting : fit.settings)
    if (!reader.read(setting, out)) return std::nullopt;
  if (out.steps && out.epochs) {
    report_argument(e, fit.span, "'steps' and 'epochs' both say how long the fit takes", "give one of them");
    return std::nullopt;
  }
  note_without_effect(e, fit, out.method);
  if (out.method == Method::Lbfgs || out.method == Method::GaussNewton) out.batch = 0;
  if (e.options.precision) out.precision = *e.options.precision;
  if (e.options.report) out.report = true;
  return out;
}

std::optional<std::vector<Target>> fit_targets(Evaluation& e, const ast::Fit& fit) {
  std::vector<Target> out;
  for (const ast::Path& path : fit.paths) {
    auto target = find_target(e, setting_path(path), path.span);
    if (!target) return std::nullopt;
    if (target->fed) {
      e.lost.erase(target->path);   // what it is fed is known
      e.diags.report(DiagKind::NotReached, path.span, cat(quoted(target->path), " is a signal: it is fed, not fitted"))
          .help = "declare a parameter for what is unknown";
      return std::nullopt;
    }
    const auto same = [&](const Target& other) { return other.path == target->path; };
    if (std::any_of(out.begin(), out.end(), same)) {
      report_argument(e, path.span, cat(quoted(target->path), " is named twice"));
      return std::nullopt;
    }
    out.push_back(std::move(*target));
  }
  return out;
}

}  // namespace hebb
