#include <cstdio>
#include <iostream>

#include "compiler/experiment/grad_check.h"
#include "compiler/support/text.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

constexpr double kLargestError = 1e-6;   // relative, in double
constexpr int kPoints = 3;

std::string digits(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1e", value);
  return text;
}

/// One line a rule, and one for each parameter that is not right. True: all are.
bool check_rule(const Model& model, const Rule& rule) {
  bool right = true;
  double worst = 0;
  size_t checked = 0;
  std::string trouble;
  for (const GradientCheck& row : check_gradients(model, rule, kPoints, 1)) {
    if (!row.reached) trouble += cat("  ", row.parameter, ": nothing that is differentiated depends on it\n");
    else if (!row.refused.empty()) trouble += cat("  ", row.parameter, ": ", row.refused, "\n");
    if (row.poles > 0) trouble += cat("  ", row.parameter, ": ", row.poles, " of ", plural(static_cast<size_t>(row.points), "point"), " at a pole, left out\n");
    if (!row.reached || !row.refused.empty() || row.poles == row.points) continue;
    ++checked;
    worst = std::max(worst, row.worst);
    if (row.worst <= kLargestError) continue;
    right = false;
    trouble += cat("  ", row.parameter, ": relative error ", digits(row.worst), "\n");
  }
  std::cout << rule.name << ": " << plural(checked, "parameter") << ", largest relative error " << digits(worst)
            << (right ? "" : ", too large") << '\n' << trouble;
  return right;
}

}  // namespace

int run_grad(const Options& options) {
  int failure = kDone;
  const auto opened = open_file(options, failure);
  if (!opened) return failure;
  const Model& model = opened->compilation.model;
  std::vector<std::string> names;
  bool found = false, right = true;
  for (const Rule& rule : model.rules) {
    names.push_back(rule.name);
    if (options.name.empty() ? rule.span.file != opened->file : rule.name != options.name) continue;
    if (options.check) {
      right = check_rule(model, rule) && right;
      found = true;
      continue;
    }
    std::cout << (found ? "\n" : "") << rule.name << '\n';
    for (const std::string& line : derivative_lines(model, rule, options.latex)) std::cout << "  " << line << '\n';
    found = true;
  }
  if (!found) {
    const auto near = options.name.empty() ? std::nullopt : did_you_mean(options.name, names);
    return usage_error(options.name.empty() ? cat(options.file, " declares no rule") : cat("there is no rule called ", quoted(options.name)),
                       near ? cat("did you mean ", *near, "?") : "");
  }
  return right ? kDone : kNumeric;
}

}  // namespace hebb::tool
