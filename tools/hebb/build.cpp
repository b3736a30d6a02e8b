#include <filesystem>
#include <iostream>

#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t comma = std::min(list.find(',', begin), list.size());
    out.push_back(list.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return out;
}

bool known_kind(const std::string& kind) {
  if (parse_emit(kind)) return true;
  for (const char* later : {"object", "header", "static-lib", "shared-lib", "llvm-bc", "ptx", "c", "jax", "torch", "json"}) {
    if (kind != later) continue;
    usage_error(cat("not supported yet: --emit=", kind), "there are tokens, ast, model, program, llvm-ir and asm");
    return false;
  }
  std::vector<std::string> names = {"tokens", "ast", "model", "program", "llvm-ir", "asm"};
  const auto near = did_you_mean(kind, names);
  usage_error(cat("--emit knows no ", quoted(kind)),
              near ? cat("did you mean ", *near, "?") : "there are tokens, ast, model, program, llvm-ir and asm");
  return false;
}

std::string file_ending(const std::string& kind) {
  if (kind == "llvm-ir") return ".ll";
  if (kind == "asm") return ".s";
  return "." + kind;
}

/// Where one of several kinds goes: a file of the folder `output`.
std::string path_in(const std::string& folder, const std::string& source, const std::string& kind) {
  const std::string stem = source == "-" ? "stdin" : std::filesystem::path(source).stem().string();
  return (std::filesystem::path(folder) / (stem + file_ending(kind))).string();
}

int write(const std::string& path, const std::string& text) {
  if (path.empty() || path == "-") {
    std::cout << text << std::flush;
    return kDone;
  }
  const Status done = write_file(path, text);
  return done ? kDone : usage_error(done.error());
}

}  // namespace

int run_build(const Options& options) {
  const auto check = check_options(options);
  if (!check) return kUsage;
  PipelineOptions pipeline;
  pipeline.check = *check;
  pipeline.codegen.level = options.level;
  pipeline.codegen.precision = precision_of(options.precision).value_or(Precision::Float32);
  pipeline.network = options.name;

  const std::vector<std::string> kinds = split(options.emit);
  for (const std::string& kind : kinds)
    if (!known_kind(kind)) return kUsage;
  if (kinds.size() > 1 && options.output.empty())
    return usage_error("several kinds of output need a folder", "add  -o FOLDER");
  if (kinds.size() > 1) {
    std::error_code error;
    std::filesystem::create_directories(options.output, error);
    if (error) return usage_error(cat("cannot make the folder ", options.output, ": ", error.message()));
  }
  Sources sources;
  const auto file = read_source(sources, options.file);
  if (!file) return kUsage;
  for (const std::string& kind : kinds) {
    Diagnostics diags;
    const auto text = emit(sources, *file, *parse_emit(kind), pipeline, diags);
    show(diags, sources, options);
    if (diags.has_errors()) return kBadFile;
    if (!text) return usage_error(text.error());
    const std::string path = kinds.size() > 1 ? path_in(options.output, options.file, kind) : options.output;
    if (const int code = write(path, *text); code != kDone) return code;
  }
  return kDone;
}

}  // namespace hebb::tool
