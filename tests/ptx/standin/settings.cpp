#include "tests/ptx/standin/settings.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace hebb::standin {
namespace {

[[noreturn]] void die(const char* name, std::string_view text) {
  std::fprintf(stderr, "cuda stand-in: cannot understand %s=%.*s\n", name, static_cast<int>(text.size()), text.data());
  std::_Exit(3);
}

template <class Int>
Int number(const char* name, std::string_view text) {
  Int value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) die(name, text);
  return value;
}

template <class Int>
void read(const char* name, Int& into) {
  if (const char* text = std::getenv(name)) into = number<Int>(name, text);
}

}  // namespace

Settings settings_from_environment() {
  Settings settings;
  read("HEBB_STANDIN_DEVICES", settings.devices);
  read("HEBB_STANDIN_SM", settings.sm);
  read("HEBB_STANDIN_MEMORY", settings.memory);
  read("HEBB_STANDIN_ORDER", settings.order);
  if (const char* path = std::getenv("HEBB_STANDIN_REPORT")) settings.report = path;
  constexpr const char* kFail = "HEBB_STANDIN_FAIL";
  const char* const written = std::getenv(kFail);
  for (std::string_view left = written != nullptr ? written : ""; !left.empty();) {
    const size_t comma = std::min(left.find(','), left.size());
    const std::string_view one = left.substr(0, comma);
    const size_t colon = one.find(':'), equals = one.find('=');
    if (colon == one.npos || equals == one.npos || colon > equals) die(kFail, one);
    const auto call = number<uint64_t>(kFail, one.substr(colon + 1, equals - colon - 1));
    settings.failures[std::string(one.substr(0, colon))][call] = number<int>(kFail, one.substr(equals + 1));
    left.remove_prefix(std::min(comma + 1, left.size()));
  }
  return settings;
}

}  // namespace hebb::standin
