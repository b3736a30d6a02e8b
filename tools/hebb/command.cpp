#include "tools/hebb/command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <random>

#include "compiler/support/text.h"
#include "runtime/device/device.h"
#include "runtime/data/atomic_file.h"

namespace hebb::tool {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool wants_colour(const std::string& setting) {
  if (setting == "always") return true;
  if (setting == "never") return false;
  if (!environment("NO_COLOR").empty()) return false;
  const std::string force = environment("CLICOLOR_FORCE");
  if (!force.empty() && force != "0") return true;
  return isatty(STDERR_FILENO) && environment("TERM") != "dumb";
}

/// "500M", "2G", "65536".
std::optional<uint64_t> bytes_of(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || !(number > 0)) return std::nullopt;
  const std::string unit(stop, end);
  const double scale = unit.empty() ? 1 : unit == "K" ? 1024.0 : unit == "M" ? 1048576.0 : unit == "G" ? 1073741824.0 : 0;
  if (scale == 0 || number * scale > 1e18) return std::nullopt;
  return static_cast<uint64_t>(number * scale);
}

}  // namespace

/// $HEBB_STDLIB, or the folder that came with the program: installed beside it, or in its sources.
std::string std_root() {
  const std::string given = environment("HEBB_STDLIB");
  if (!given.empty()) return given;
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    const auto installed = program.parent_path().parent_path() / "share" / "hebb" / "stdlib";
    if (std::filesystem::is_directory(installed, error)) return installed.string();
  }
  return HEBB_SOURCE_DIR "/stdlib";
}

std::string version() { return "hebb " HEBB_VERSION; }

int usage_error(const std::string& message, const std::string& help) {
  std::cerr << "hebb: " << escape_for_terminal(message) << '\n';
  if (!help.empty()) std::cerr << "  help: " << escape_for_terminal(help) << '\n';
  return kUsage;
}

std::optional<FileId> read_source(Sources& sources, const std::string& path) {
  if (path == "-") {
    std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
    return sources.add("<stdin>", std::move(text));
  }
  auto text = read_file(path);
  if (!text) {
    usage_error(text.error());
    return std::nullopt;
  }
  return sources.add(path, *std::move(text));
}

std::optional<CheckOptions> check_options(const Options& options) {
  CheckOptions out;
  out.std_root = std_root();
  for (const std::string& set : options.sets) {
    const size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0) {
      usage_error(cat("--set needs NAME=VALUE, got ", quoted(set)));
      return std::nullopt;
    }
    out.sets[set.substr(0, equals)] = set.substr(equals + 1);
  }
  return out;
}

std::optional<Opened> open_file(const Options& options, int& failure) {
  failure = kUsage;
  const auto check = check_options(options);
  if (!check) return std::nullopt;
  Sources sources;
  Diagnostics diags;
  const auto file = read_source(sources, options.file);
  if (!file) return std::nullopt;
  Opened out{.file = *file, .compilation = compile(sources, *file, *check, diags)};
  show(diags, sources, options);
  if (!diags.has_errors()) return out;
  failure = kBadFile;
  return std::nullopt;
}

RenderOptions render_options(const Options& options) {
  RenderOptions out;
  if (options.message_format == "json") out.format = MessageFormat::Json;
  if (options.message_format == "short") out.format = MessageFormat::Short;
  if (options.message_format == "github") out.format = MessageFormat::Github;
  out.colour = out.format == MessageFormat::Human && wants_colour(options.colour);
  out.error_limit = options.error_limit;
  return out;
}

void show(const Diagnostics& diags, const Sources& sources, const Options& options) {
  if (diags.size() == 0) return;
  std::cout << std::flush;
  std::cerr << render(diags, sources, render_options(options)) << std::flush;
}

std::optional<Precision> precision_of(const std::string& name) {
  if (name == "float") return Precision::Float32;
  if (name == "double") return Precision::Float64;
  return std::nullopt;
}

/// The command without what changes no number: threads, engine, where outputs go, checkpoints.
std::string recipe(const Options& options) {
  std::string out = cat("hebb run ", options.file);
  if (!options.name.empty()) out += " " + options.name;
  for (const std::string& set : options.sets) out += " --set " + set;
  if (!options.precision.empty()) out += " --precision " + options.precision;
  return out;
}

/// Asked anew each time: windows are resized.
int terminal_columns() {
  constexpr int kUsual = 80;
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

std::optional<ExperimentOptions> experiment_options(const Options& options) {
  ExperimentOptions out;
  out.threads = options.threads;
  out.precision = precision_of(options.precision);
  out.engine = options.engine == "interpreter" ? ExperimentOptions::Engine::Interpreter
               : options.engine == "jit"       ? ExperimentOptions::Engine::Jit
                                               : ExperimentOptions::Engine::Auto;
  if (options.device != "cpu") {
    if (out.engine == ExperimentOptions::Engine::Interpreter) {
      usage_error(cat("--engine=interpreter runs on the CPU, --device asks for ", quoted(options.device)));
      return std::nullopt;
    }
    auto device = CudaDevice::open();
    if (!device && options.device == "cuda") {
      usage_error(device.error(), "--device=auto takes the CPU where there is no GPU");
      return std::nullopt;
    }
    if (device) out.device = *std::move(device);
  }
  out.level = options.level;
  out.output_folder = options.output;
  if (!options.quiet) out.notes = &std::cerr;
  out.program = version();
  out.command = options.command;
  out.recipe = recipe(options);
  out.interrupted = &interrupted();
  out.checkpoint = options.checkpoint;
  out.resume = options.resume;
  out.report = options.report;
  out.progress = !options.quiet && isatty(STDERR_FILENO) && environment("TERM") != "dumb";
  out.columns = terminal_columns;
  if (!options.max_memory.empty()) {
    const auto bytes = bytes_of(options.max_memory);
    if (!bytes) {
      usage_error(cat("--max-memory needs a number of bytes such as 500M or 2G, got ", quoted(options.max_memory)));
      return std::nullopt;
    }
    out.max_memory = out.device_memory = *bytes;
  }
  if (out.resume && out.checkpoint.empty()) {
    usage_error("--resume needs the file to go on from", "hebb run FILE --checkpoint fit.state --resume");
    return std::nullopt;
  }
  if (!options.every.empty() && out.checkpoint.empty()) {
    usage_error("--every says how often a file is written: it needs its name", "hebb run FILE --checkpoint run.state --every 60s");
    return std::nullopt;
  }
  if (options.seed.empty()) return out;
  out.seed_given = true;
  if (options.seed == "random") {
    out.seed = std::random_device{}();
    return out;
  }
  uint64_t seed = 0;
  const char* end = options.seed.data() + options.seed.size();
  const auto [stop, error] = std::from_chars(options.seed.data(), end, seed);
  if (error != std::errc() || stop != end) {
    usage_error(cat("--seed needs a whole number or the word random, got ", quoted(options.seed)));
    return std::nullopt;
  }
  out.seed = seed;
  return out;
}

std::optional<double> seconds_of(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || !(number >= 0) || !(number < 1e9)) return std::nullopt;
  const std::string unit(read.ptr, end);
  for (const auto& [name, seconds] : {std::pair("ms", 1e-3), {"s", 1.0}, {"min", 60.0}, {"m", 60.0}, {"h", 3600.0}})
    if (unit == name) return number * seconds;
  return std::nullopt;
}

}  // namespace hebb::tool
