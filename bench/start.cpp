// From exec to the end of a command: CPU time (user and system, median) and peak memory of `hebb check` and
// of `hebb run` of a file with one rule and one step. A run that prints nothing has not run: that is an error.

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace {

constexpr int kRepeats = 15;

double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); }

struct Cost {
  double milliseconds = -1;  // negative: the command failed
  double megabytes = 0;
};

/// Bytes that can be read before the other end closes.
size_t drain(int descriptor) {
  char buffer[4096];
  size_t total = 0;
  for (ssize_t got = 0; (got = read(descriptor, buffer, sizeof buffer)) > 0;) total += static_cast<size_t>(got);
  return total;
}

Cost cost(const char* program, const char* command, const char* file, bool prints) {
  std::vector<double> times;
  double peak = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    int output[2];
    if (pipe2(output, O_CLOEXEC) != 0) return {};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    char* const arguments[] = {const_cast<char*>(program), const_cast<char*>(command),
                               const_cast<char*>(file), nullptr};
    pid_t child = 0;
    int status = 0;
    rusage usage{};
    const int failed = posix_spawn(&child, program, &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(output[1]);
    const size_t printed = failed == 0 ? drain(output[0]) : 0;
    close(output[0]);
    if (failed != 0 || wait4(child, &status, 0, &usage) < 0 || status != 0) return {};
    if (prints && printed == 0) return {};
    times.push_back(1e3 * (seconds(usage.ru_utime) + seconds(usage.ru_stime)));
    peak = std::max(peak, static_cast<double>(usage.ru_maxrss) / 1024);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], peak};
}

bool print(const char* program, const char* command, bool prints, double target) {
  const Cost c = cost(program, command, "bench/rules/start.hebb", prints);
  if (c.milliseconds < 0) {
    std::fprintf(stderr, "bench: '%s %s' failed or printed nothing\n", program, command);
    return false;
  }
  std::printf("hebb %-13s %9.0f %9.0f %12.0f\n", command, c.milliseconds, target, c.megabytes);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return std::fprintf(stderr, "usage: bench_start PATH-TO-HEBB\n"), 2;
  std::printf("\nOne rule, one step, from exec; ms of CPU, median of %d\n\n", kRepeats);
  std::printf("%-18s %9s %9s %12s\n", "command", "ms", "target", "peak MB");
  const bool checked = print(arguments[1], "check", false, 60);
  return print(arguments[1], "run", true, 150) && checked ? 0 : 1;
}
