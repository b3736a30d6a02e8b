#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

std::atomic<bool> stop_requested = false;  // the one thing a signal handler may reach

void on_interrupt(int) {
  stop_requested = true;
  signal(SIGINT, SIG_DFL);  // the second one ends the process
}

/// Only what is safe in a signal handler: write and _exit.
void on_crash(int) {
  const char* text =
      "hebb: internal error. This is a bug in hebb, not in your file.\n"
      "  help: please report it with the file and the command line that led here\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, strlen(text));
  _exit(kInternal);
}

}  // namespace

const std::atomic<bool>& interrupted() { return stop_requested; }

void watch_for_interrupts() { signal(SIGINT, on_interrupt); }

void watch_for_crashes() {
  static char stack[1 << 16];  // a handler needs a stack of its own when the stack is what ran out
  stack_t alternative = {};
  alternative.ss_sp = stack;
  alternative.ss_size = sizeof stack;
  sigaltstack(&alternative, nullptr);
  struct sigaction action = {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
  signal(SIGXFSZ, SIG_IGN);   // a file over the limit is an error of its write, which says which file
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(number, &action, nullptr);
}

}  // namespace hebb::tool
