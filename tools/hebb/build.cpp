#include <filesystem>
#include <iostream>

#include "compiler/codegen/nvptx.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "tools/hebb/build.h"

namespace hebb::tool {

namespace {

const std::vector<std::string> kStages = {"tokens", "ast", "model", "program", "llvm-ir", "asm", "ptx", "ptx-gradient"};
const std::vector<std::string> kLater = {"c", "jax", "torch"};

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
  if (parse_emit(kind) || embedded_kind(kind)) return true;
  std::vector<std::string> names = kStages;
  for (const char* more : {"object", "header", "static-lib", "shared-lib", "llvm-bc", "json"}) names.emplace_back(more);
  if (std::find(kLater.begin(), kLater.end(), kind) != kLater.end()) {
    usage_error(cat("not supported yet: --emit=", kind), cat("there are ", listed(names)));
    return false;
  }
  const auto near = did_you_mean(kind, names);
  usage_error(cat("--emit knows no ", quoted(kind)), near ? cat("did you mean ", *near, "?") : cat("there are ", listed(names)));
  return false;
}

std::string file_ending(const std::string& kind) {
  if (kind == "llvm-ir") return ".ll";
  if (kind == "asm") return ".s";
  if (kind == "ptx-gradient") return ".gradient.ptx";
  return "." + kind;
}

/// Where one of several kinds goes: a file of the folder `output`.
std::string path_in(const std::string& folder, const std::string& source, const std::string& kind) {
  const std::string stem = source == "-" ? "stdin" : std::filesystem::path(source).stem().string();
  return (std::filesystem::path(folder) / (stem + file_ending(kind))).string();
}

/// 80 of "sm_80".
std::optional<int> device_of(const std::string& target) {
  for (const int sm : ptx_targets())
    if (target == cat("sm_", sm)) return sm;
  return {};
}

int unknown_device(const std::string& target) {
  std::vector<std::string> names;
  for (const int sm : ptx_targets()) names.push_back(cat("sm_", sm));
  return usage_error(cat("PTX is written for no ", quoted(target)), cat("there are ", listed(names)));
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
  const auto sm = device_of(options.target);
  if (options.target.starts_with("sm_") && !sm) return unknown_device(options.target);
  if (sm) pipeline.sm = *sm;
  std::vector<std::string> stages, embedded;
  for (const std::string& kind : kinds) {
    if (!known_kind(kind)) return kUsage;
    if (sm && !kind.starts_with("ptx")) return usage_error(cat("--target=", options.target, " is for ptx, --emit has ", quoted(kind)));
    if (kind.starts_with("ptx") && !sm && !options.target.empty()) return unknown_device(options.target);
    const bool of_unit = embedded_kind(kind) || ((options.vjp || !options.target.empty()) && (kind == "llvm-ir" || kind == "asm"));
    (of_unit ? embedded : stages).push_back(kind);
  }
  if (kinds.size() > 1 && options.output.empty())
    return usage_error("several kinds of output need a folder", "add  -o FOLDER");
  if (options.vjp && embedded.empty()) return usage_error("--vjp is for object, header, static-lib, shared-lib, llvm-bc and json");
  if (!options.target.empty() && !sm && embedded.empty())
    return usage_error("--target is for object, header, static-lib, shared-lib, llvm-ir, llvm-bc, asm and json");
  if (kinds.size() > 1) {
    std::error_code error;
    std::filesystem::create_directories(options.output, error);
    if (error) return usage_error(cat("cannot make the folder ", options.output, ": ", error.message()));
  }
  std::error_code ignored;
  const bool into_folder = kinds.size() > 1 || (!options.output.empty() && std::filesystem::is_directory(options.output, ignored));
  Sources sources;
  const auto file = read_source(sources, options.file);
  if (!file) return kUsage;
  for (const std::string& kind : stages) {
    Diagnostics diags;
    const auto text = emit(sources, *file, *parse_emit(kind), pipeline, diags);
    show(diags, sources, options);
    if (diags.has_errors()) return kBadFile;
    if (!text) return usage_error(text.error());
    const std::string path = into_folder ? path_in(options.output, options.file, kind) : options.output;
    if (const int code = write(path, *text); code != kDone) return code;
  }
  if (embedded.empty()) return kDone;
  return build_embedded(sources, *file, pipeline, embedded, into_folder, options);
}

}  // namespace hebb::tool
