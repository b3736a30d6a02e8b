#include <cctype>
#include <filesystem>
#include <iostream>

#include "compiler/experiment/run_packs.h"
#include "compiler/lower/forms.h"
#include "compiler/support/text.h"
#include "compiler/transform/transform.h"
#include "runtime/data/atomic_file.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

/// D01, d01: a letter and two digits.
bool looks_like_code(const std::string& text) {
  return text.size() == 3 && std::isalpha(static_cast<unsigned char>(text[0])) &&
         std::isdigit(static_cast<unsigned char>(text[1])) && std::isdigit(static_cast<unsigned char>(text[2]));
}

/// The wrong program that the tests keep for this code, with what is said about it.
std::string wrong_example(const std::string& code) {
  const std::string stem = (std::filesystem::path(std_root()).parent_path() / "tests" / "diagnostics" / code).string();
  const auto program = read_file(stem + ".hebb"), message = read_file(stem + ".txt");
  if (!program || !message) return "";
  return cat("\nwrong:\n", *program, "\nand what is said about it:\n", *message);
}

int explain_code(std::string code) {
  code[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(code[0])));
  for (const DiagInfo& kind : all_diagnostics()) {
    if (kind.code != code) continue;
    const char* severity = kind.severity == Severity::Error ? "error" : kind.severity == Severity::Warning ? "warning" : "note";
    std::cout << severity << '[' << kind.code << "]: " << kind.title << "\n";
    if (const CodeText* text = code_text(code)) {
      std::cout << '\n' << text->why << '\n';
      if (!text->right.empty()) std::cout << "\nright:\n  " << text->right << '\n';
    }
    std::cout << wrong_example(code);
    return kDone;
  }
  return usage_error(cat("there is no diagnostic ", code), "a code is what stands in brackets in a message, as in error[D01]");
}

}  // namespace

int run_explain(const Options& options) {
  if (looks_like_code(options.file)) return explain_code(options.file);
  int failure = kDone;
  const auto opened = open_file(options, failure);
  if (!opened) return failure;
  const Model& model = opened->compilation.model;
  const auto wanted = [&](const std::string& name, Span span) {
    return options.name.empty() ? span.file == opened->file : name == options.name;
  };
  std::vector<std::string> texts, names;
  for (const Rule& rule : model.rules) {
    names.push_back(rule.name);
    if (wanted(rule.name, rule.span)) texts.push_back(explain(model, rule) + sparse_forms(model, rule));
  }
  for (const Neuron& neuron : model.neurons) {
    names.push_back(neuron.name);
    if (wanted(neuron.name, neuron.span)) texts.push_back(explain(model, neuron));
  }
  for (const Network& network : model.networks) {
    for (const ProjectionDef& projection : network.projections) {
      names.push_back(projection.name);
      const bool here = options.name.empty() ? network.span.file == opened->file : projection.name == options.name;
      if (here && projection.plastic)
        texts.push_back(cat(network.name, ".", projection.name, ": ", explain(model, projection.rule), sparse_forms(model, projection.rule, numbers_set(model, projection))));
    }
    names.push_back(network.name);
    if (wanted(network.name, network.span)) texts.push_back(recordings_form(model, network));
  }
  if (texts.empty()) {
    const auto near = options.name.empty() ? std::nullopt : did_you_mean(options.name, names);
    return usage_error(options.name.empty() ? cat(options.file, " declares no rule, neuron or network")
                                            : cat("nothing is called ", quoted(options.name)),
                       near ? cat("did you mean ", *near, "?") : "");
  }
  for (size_t i = 0; i < texts.size(); ++i)
    std::cout << (i ? "\n" : "") << texts[i] << (texts[i].ends_with('\n') ? "" : "\n");
  return kDone;
}

}  // namespace hebb::tool
