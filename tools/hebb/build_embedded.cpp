#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <iostream>

#include "compiler/embed/gradient.h"
#include "compiler/embed/header.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "tools/hebb/build.h"

extern char** environ;

namespace hebb::tool {

namespace {

namespace fs = std::filesystem;

struct TargetName {
  const char* name;
  Target target;
};
constexpr TargetName kTargets[] = {{"portable", Target::Portable},   {"x86-64-v3", Target::X86_64_v3},
                                   {"x86-64-v4", Target::X86_64_v4}, {"host", Target::Host},
                                   {"aarch64", Target::Aarch64},     {"wasm32", Target::Wasm32}};

std::optional<Target> target_of(const std::string& name) {
  if (name.empty()) return Target::Portable;
  std::vector<std::string> names;
  for (const TargetName& known : kTargets) {
    if (name == known.name) return known.target;
    names.emplace_back(known.name);
  }
  const auto near = did_you_mean(name, names);
  usage_error(cat("--target knows no ", quoted(name)), near ? cat("did you mean ", *near, "?") : cat("there are ", listed(names)));
  return std::nullopt;
}

bool is_binary(const std::string& kind) {
  return kind == "object" || kind == "static-lib" || kind == "shared-lib" || kind == "llvm-bc";
}

std::string file_name(const EmbedUnit& unit, const std::string& kind, Target target) {
  if (kind == "header") return unit.symbol + ".h";
  if (kind == "object") return unit.symbol + ".o";
  if (kind == "static-lib") return "lib" + unit.symbol + ".a";
  if (kind == "shared-lib") return target == Target::Wasm32 ? unit.symbol + ".wasm" : "lib" + unit.symbol + ".so";
  if (kind == "llvm-bc") return unit.symbol + ".bc";
  if (kind == "llvm-ir") return unit.symbol + ".ll";
  if (kind == "asm") return unit.symbol + ".s";
  return unit.symbol + ".json";
}

/// Exit status of a program found on PATH; -1 when it cannot be started.
int run_program(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawnp(&child, pointers[0], nullptr, nullptr, pointers.data(), environ) != 0) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/// Links one object: with LLVM's linker, which knows every target, else with the system's.
Result<std::string> link_shared(const std::string& object, const std::string& path, const EmbedUnit& unit, Target target) {
  const std::string object_path = path + ".tmp.o", linked_path = path + ".tmp";
  if (const Status done = write_file(object_path, object); !done) return done.failure();
  std::vector<std::string> linkers = {"ld.lld-22", "ld.lld"};
  std::vector<std::string> flags = {"-shared", "--no-undefined", "-soname", "lib" + unit.symbol + ".so"};
  if (target == Target::Wasm32) {
    linkers = {"wasm-ld-22", "wasm-ld"};
    flags = {"--no-entry", "--export=__heap_base"};
    for (const char* name : {"bytes", "init", "start", "instant", "step", "sync", "error_text", "metadata", "abi_version"})
      flags.push_back(cat("--export=", unit.symbol, "_", name));
    if (unit.object.gradient)
      for (const char* name : {"vjp_bytes", "vjp"}) flags.push_back(cat("--export=", unit.symbol, "_", name));
  } else if (target != Target::Aarch64) {
    linkers.emplace_back("ld");
  }
  int status = -1;
  for (size_t k = 0; k < linkers.size() && status == -1; ++k) {
    std::vector<std::string> arguments = {linkers[k]};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.insert(arguments.end(), {object_path, "-o", linked_path});
    status = run_program(arguments);
    if (status == 127) status = -1;
  }
  std::error_code ignored;
  fs::remove(object_path, ignored);
  if (status == -1) return Failure{cat("no linker found: tried ", listed(linkers))};
  if (status != 0) return Failure{"the linker failed"};
  auto bytes = read_file(linked_path);
  fs::remove(linked_path, ignored);
  return bytes;
}

class EmbeddedWriter {
 public:
  EmbeddedWriter(const EmbedUnit& unit, const ObjectOptions& options, std::string target_name)
      : unit_(unit), options_(options), target_name_(std::move(target_name)) {}

  Result<std::string> make(const std::string& kind, const std::string& path) {
    if (kind == "header") return c_header(unit_);
    if (kind == "json") return metadata_json(unit_, target_name_);
    if (kind == "llvm-ir") return object(unit_.object, options_, ObjectKind::LlvmIr);
    if (kind == "llvm-bc") return object(unit_.object, options_, ObjectKind::Bitcode);
    if (kind == "asm") return object(unit_.object, options_, ObjectKind::Assembly);
    if (object_.empty()) {
      auto made = object(unit_.object, options_, ObjectKind::Object);
      if (!made) return made;
      object_ = *std::move(made);
    }
    if (kind == "static-lib") return archive(unit_.symbol + ".o", object_);
    if (kind == "shared-lib") return link_shared(object_, path, unit_, options_.target);
    return object_;
  }

 private:
  const EmbedUnit& unit_;
  const ObjectOptions options_;
  const std::string target_name_;
  std::string object_;   // made once for all kinds that hold it
};

}  // namespace

bool embedded_kind(const std::string& kind) {
  return is_binary(kind) || kind == "header" || kind == "json";
}

int build_embedded(Sources& sources, FileId file, const PipelineOptions& pipeline, const std::vector<std::string>& kinds,
                   bool into_folder, const Options& options) {
  const auto target = target_of(options.target);
  if (!target) return kUsage;
  for (const std::string& kind : kinds)
    if (options.output.empty() && is_binary(kind))
      return usage_error(cat("--emit=", kind, " is no text to print"), "add  -o FILE  or  -o FOLDER");

  Diagnostics diags;
  const Compilation compilation = compile(sources, file, pipeline.check, diags);
  show(diags, sources, options);
  if (diags.has_errors()) return kBadFile;
  const auto rule = choose_rule(compilation.model, file, options.name);
  if (!rule) return usage_error(rule.error(), options.name.empty() ? "hebb build FILE NAME --emit=…" : "");
  EmbedUnit unit =
      embed_unit(compilation.model, **rule, sources, pipeline.codegen.precision, version().substr(version().find(' ') + 1));
  if (options.vjp) {
    auto gradient = embed_gradient(unit);
    if (!gradient) return usage_error(cat("--vjp: ", gradient.error()), "without --vjp the rule can be built");
    unit.object.gradient = *std::move(gradient);
  }
  EmbeddedWriter writer(unit, {.target = *target, .precision = pipeline.codegen.precision, .level = options.level},
                        options.target.empty() ? "portable" : options.target);
  for (const std::string& kind : kinds) {
    const std::string path = into_folder ? (fs::path(options.output) / file_name(unit, kind, *target)).string() : options.output;
    const auto bytes = writer.make(kind, path);
    if (!bytes) return usage_error(bytes.error());
    if (path.empty() || path == "-") {
      std::cout << *bytes << std::flush;
      continue;
    }
    if (const Status done = write_file(path, *bytes); !done) return usage_error(done.error());
  }
  return kDone;
}

}  // namespace hebb::tool
