// The command line: subcommands, options, help. Each subcommand is a file of its own.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <new>

#include "compiler/codegen/codegen.h"
#include "compiler/support/text.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

struct Subcommand {
  const char* name;
  const char* summary;
  int (*run)(const Options&);
  const char* examples;  ///< two lines for its help, each a command that works in the folder of the project
};
constexpr Subcommand kSubcommands[] = {
    {"check", "find mistakes in files", run_check,
     "  hebb check stdlib/stdp/pair_stdp.hebb\n  hebb check --message-format=json rule.hebb\n"},
    {"run", "run the experiments of a file", run_run,
     "  hebb run examples/digits_pca.hebb --seed 3\n  hebb run examples/digits_pca.hebb -o results --threads 2\n"},
    {"test", "run the tests of files and folders", run_test,
     "  hebb test stdlib/rate\n  hebb test stdlib/rate/oja.hebb --only clamped\n"},
    {"build", "write a rule for other programs, or print a stage of the compiler: --emit=KIND", run_build,
     "  hebb build stdlib/rate/oja.hebb --emit=object,header -o oja\n  hebb build stdlib/rate/oja.hebb Oja --emit=model\n"},
    {"explain", "how each variable is stored and solved; or what a diagnostic means", run_explain,
     "  hebb explain stdlib/rate/oja.hebb\n  hebb explain D01\n"},
    {"grad", "the derivatives of rules as formulas; --check compares them with differences", run_grad,
     "  hebb grad stdlib/rate/oja.hebb\n  hebb grad stdlib/rate/oja.hebb Oja --check\n"},
    {"fmt", "lay out files", run_fmt, "  hebb fmt rule.hebb\n  hebb fmt --check stdlib/rate/oja.hebb\n"},
    {"doctor", "show what this program found on the machine", run_doctor, "  hebb doctor\n"},
};
constexpr const char* kExamples = "  hebb check rule.hebb\n  hebb run examples/digits_pca.hebb --seed 3\n";

std::string examples(const char* lines) { return cat("\nExamples:\n", lines); }

void add_message_options(CLI::App& app, Options& o) {
  app.add_option("--message-format", o.message_format, "human, json (one object a line), short or github")
      ->check(CLI::IsMember({"human", "json", "short", "github"}));
  app.add_option("--color", o.colour, "auto, always or never")->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_option("--error-limit", o.error_limit, "stop after so many errors; 0: never");
  app.add_flag("-q,--quiet", o.quiet, "say less");
  app.add_flag("-v,--verbose", o.verbose, "say more");
}

void add_source_options(CLI::App& app, Options& o) {
  app.add_option("--set", o.sets, "NAME=VALUE: another value for a constant of the file")->allow_extra_args(false);
}

void add_run_options(CLI::App& app, Options& o) {
  app.add_option("--seed", o.seed, "a whole number, or random (default 1)");
  app.add_option("--threads", o.threads, "threads; results do not depend on it")->check(CLI::Range(1, 4096));
  app.add_option("--engine", o.engine, "jit, interpreter, or auto: compiled unless a run is over before")->check(CLI::IsMember({"auto", "jit", "interpreter"}));
  app.add_option("--device", o.device, "where networks run: cpu, cuda (an NVIDIA GPU), or auto: a GPU when there is one")
      ->check(CLI::IsMember({"cpu", "cuda", "auto"}));
  app.add_option("-o,--output", o.output, "the folder for saved files");
  app.add_option("--max-memory", o.max_memory, "what a gradient may keep: 500M, 2G (default 2G; on a GPU what is free)");
  app.add_option("--checkpoint", o.checkpoint, "a file for the state of runs and fits, written now and then")
      ->check([](const std::string& name) { return name.empty() || name[0] == '-' ? std::string("needs the name of a file") : std::string(); });
  app.add_option("--every", o.every, "how often runs write it: 60s, 10min (default 60s)");
  app.add_flag("--resume", o.resume, "go on from the --checkpoint");
  app.add_flag("--report", o.report, "print what every fit can and cannot know");
}

void add_compile_options(CLI::App& app, Options& o) {
  app.add_option("--precision", o.precision, "float or double")->check(CLI::IsMember({"float", "double"}));
  app.add_option("-O", o.level, "0 to 3: optimisation")->check(CLI::Range(0, 3));
}

void add_options(CLI::App& app, std::string_view name, Options& o) {
  add_message_options(app, o);
  if (name == "check" || name == "fmt" || name == "test")
    app.add_option("FILE", o.files, "source files; - is stdin")->required();
  if (name == "run" || name == "build" || name == "explain" || name == "grad") {
    app.add_option("FILE", o.file, name == "explain" ? "a source file, or a code such as D01" : "a source file; - is stdin")
        ->required();
    app.add_option("NAME", o.name, name == "run" ? "of one experiment" : "of one network, rule or neuron");
  }
  if (name != "fmt" && name != "doctor") add_source_options(app, o);
  if (name == "run" || name == "test") add_run_options(app, o);
  if (name == "run" || name == "test" || name == "build") add_compile_options(app, o);
  if (name == "test") app.add_option("--only", o.name, "tests whose title holds this text");
  if (name == "build") {
    app.add_option("--emit", o.emit, "object, header, static-lib, shared-lib, llvm-bc, json; tokens, ast, model, program, "
                                     "llvm-ir, asm, ptx, ptx-gradient; several with commas")->required();
    app.add_option("--target", o.target, "of object and its kin: portable (x86-64-v3 and v4 in one), x86-64-v3, x86-64-v4, "
                                         "host, aarch64, wasm32; of ptx: sm_75, sm_80, sm_90, sm_100");
    app.add_flag("--vjp", o.vjp, "with the gradient of a step: NAME_vjp");
    app.add_option("-o,--output", o.output, "a file; for several kinds a folder");
  }
  if (name == "grad") {
    app.add_flag("--check", o.check, "compare with central differences at random points");
    app.add_flag("--latex", o.latex, "formulas as LaTeX");
  }
  if (name == "fmt") {
    app.add_flag("--check", o.check, "change nothing; name the files that would change");
    app.add_flag("--diff", o.diff, "change nothing; show what would change");
  }
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::vector<std::string> subcommand_names() {
  std::vector<std::string> names = {"help"};
  for (const Subcommand& known : kSubcommands) names.emplace_back(known.name);
  return names;
}

int unknown_argument(const CLI::App& app, const std::string& argument) {
  const bool flag = argument.size() > 1 && argument[0] == '-';
  if (!flag) return usage_error(cat("there is one argument too many: ", quoted(argument)));
  const std::string name = argument.substr(0, argument.find('='));
  const auto near = did_you_mean(name, option_names(app));
  return usage_error(cat("'hebb ", app.get_name(), "' has no option ", name),
                     near ? cat("did you mean ", *near, "?") : cat("hebb ", app.get_name(), " --help  lists them"));
}

int unknown_subcommand(const std::string& name) {
  const auto near = did_you_mean(name, subcommand_names());
  std::string help = near ? cat("did you mean  hebb ", *near, "?") : "hebb --help  lists them";
  if (name.ends_with(".hebb")) help = cat("did you mean  hebb run ", name, "?");
  return usage_error(cat("there is no subcommand ", quoted(name)), help);
}

int print_version(bool verbose) {
  std::cout << version() << '\n';
  if (verbose) std::cout << describe_host() << '\n';
  return kDone;
}

int command(int argc, char** argv) {
  Options options;
  CLI::App app{"Hebb: plasticity rules that read like the methods section", "hebb"};
  app.set_help_flag("-h,--help", "this text");
  app.footer(examples(kExamples));
  bool show_version = false;
  app.add_flag("--version", show_version, "the version; with --verbose also of LLVM and the processor");
  app.add_flag("--verbose", options.verbose, "say more");
  app.require_subcommand(0, 1);
  for (const Subcommand& known : kSubcommands) {
    CLI::App* sub = app.add_subcommand(known.name, known.summary);
    sub->set_help_flag("-h,--help", "this text");
    sub->footer(examples(known.examples));
    add_options(*sub, known.name, options);
  }
  std::vector<std::string> arguments(argv + 1, argv + argc);
  options.command = "hebb";
  for (const std::string& argument : arguments) options.command += " " + argument;
  if (!arguments.empty() && arguments[0] == "help") {  // hebb help run = hebb run --help
    arguments.erase(arguments.begin());
    arguments.push_back("--help");
  }
  if (!arguments.empty() && arguments[0][0] != '-') {
    const auto names = subcommand_names();
    if (std::find(names.begin(), names.end(), arguments[0]) == names.end()) return unknown_subcommand(arguments[0]);
  }
  const auto chosen = [&]() -> const CLI::App& {
    const auto subs = app.get_subcommands();
    return subs.empty() ? app : *subs[0];
  };
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    std::cout << chosen().help();
    return kDone;
  } catch (const CLI::ExtrasError&) {
    const auto extras = chosen().remaining();
    return unknown_argument(chosen(), extras.empty() ? app.remaining()[0] : extras[0]);
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  if (show_version) return print_version(options.verbose);
  const auto subs = app.get_subcommands();
  if (subs.empty()) {
    std::cerr << app.help();
    return kUsage;
  }
  for (const Subcommand& known : kSubcommands)
    if (subs[0]->get_name() == known.name) return known.run(options);
  return kUsage;
}

/// Results that could not be written are no success.
int finish(int code) {
  std::cout.flush();
  if (std::cout.good()) return code;
  std::cerr << "hebb: cannot write to the standard output\n";
  return code == kDone ? kUsage : code;
}

}  // namespace

}  // namespace hebb::tool

int main(int argc, char** argv) {
  hebb::tool::watch_for_crashes();
  try {
    return hebb::tool::finish(hebb::tool::command(argc, argv));
  } catch (const std::bad_alloc&) {
    std::cerr << "hebb: not enough memory\n";
    return hebb::tool::kUsage;
  } catch (const std::exception& error) {
    std::cerr << "hebb: internal error: " << error.what() << "\n  help: please report this with the file that led here\n";
    return hebb::tool::kInternal;
  }
}
