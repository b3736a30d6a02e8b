// From exec to the end of a command: CPU time (user and system, median) and peak memory of `hebb check` and
// of `hebb run` of a file with one rule and one step.

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

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

Cost cost(const char* program, const char* command, const char* file) {
  std::vector<double> times;
  double peak = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    char* const arguments[] = {const_cast<char*>(program), const_cast<char*>(command),
                               const_cast<char*>(file), nullptr};
    pid_t child = 0;
    int status = 0;
    rusage usage{};
    const int failed = posix_spawn(&child, program, &quiet, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&quiet);
    if (failed != 0 || wait4(child, &status, 0, &usage) < 0 || status != 0) return {};
    times.push_back(1e3 * (seconds(usage.ru_utime) + seconds(usage.ru_stime)));
    peak = std::max(peak, static_cast<double>(usage.ru_maxrss) / 1024);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], peak};
}

bool print(const char* program, const char* command, double target) {
  const Cost c = cost(program, command, "bench/rules/start.hebb");
  if (c.milliseconds < 0) return std::fprintf(stderr, "bench: '%s %s' failed\n", program, command), false;
  std::printf("hebb %-13s %9.0f %9.0f %12.0f\n", command, c.milliseconds, target, c.megabytes);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return std::fprintf(stderr, "usage: bench_start PATH-TO-HEBB\n"), 2;
  std::printf("\nOne rule, one step, from exec; ms of CPU, median of %d\n\n", kRepeats);
  std::printf("%-18s %9s %9s %12s\n", "command", "ms", "target", "peak MB");
  const bool checked = print(arguments[1], "check", 60);
  return print(arguments[1], "run", 150) && checked ? 0 : 1;
}
