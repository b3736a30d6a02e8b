// A C++ program that compiles a rule of the standard library from a string and looks for the first principal
// component of two correlated inputs.

#include <hebb.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace {

const hebb_api* const api = hebb_get_api(HEBB_API_VERSION);

void must(int code, char* error = nullptr) {
  if (code == 0) return;
  std::fprintf(stderr, "%s\n", error ? error : api->code_text(code));
  api->free_text(error);
  std::exit(1);
}

template <class Handle>
using Owned = std::unique_ptr<Handle, int (*)(Handle*)>;

Owned<hebb_module> compile(const std::string& text) {
  hebb_module* module = nullptr;
  char* error = nullptr;
  must(api->compile_text(text.c_str(), "from_cpp", &module, &error), error);
  return {module, api->close_module};
}

Owned<hebb_rule> open(hebb_module* module) {
  hebb_rule* rule = nullptr;
  char* error = nullptr;
  must(api->open_rule(module, nullptr, 8, &rule, &error), error);
  return {rule, api->close_rule};
}

Owned<hebb_instance> make(hebb_rule* rule, int64_t pres, int64_t posts) {
  hebb_instance* instance = nullptr;
  char* error = nullptr;
  must(api->open_instance(rule, pres, posts, 1, &instance, &error), error);
  return {instance, api->close_instance};
}

}  // namespace

int main() {
  if (!api) return 2;
  const auto module = compile("import std.rate.Oja;\nrule Learns = Oja(eta = 5 [1/s]);\n");
  const auto rule = open(module.get());
  const auto synapses = make(rule.get(), 2, 1);
  double w[2] = {0.3, 0.1};
  must(api->set(synapses.get(), "w", w, 2));
  uint64_t random = 7;
  const auto noise = [&] {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(random >> 11) * 0x1p-52 - 1;
  };
  for (int step = 0; step < 20000; ++step) {
    const double common = noise(), x[2] = {common + 0.2 * noise(), 0.5 * common + 0.2 * noise()};
    must(api->get(synapses.get(), "w", w, 2));
    const double y = w[0] * x[0] + w[1] * x[1];
    must(api->give_values(synapses.get(), "pre.r", x, 2));
    must(api->give_values(synapses.get(), "post.r", &y, 1));
    must(api->step(synapses.get(), 1));
  }
  must(api->get(synapses.get(), "w", w, 2));
  const double length = std::hypot(w[0], w[1]), angle = std::atan2(w[1], w[0]);
  // The covariance is ((1 + 0.04)/3, 0.5/3; 0.5/3, (0.25 + 0.04)/3): its first axis is at this angle.
  const double wanted = 0.5 * std::atan2(2 * 0.5, 1.04 - 0.29);
  std::printf("length %.3f, angle %.3f; the first principal component: 1, %.3f\n", length, angle, wanted);
  return std::fabs(length - 1) < 0.05 && std::fabs(angle - wanted) < 0.05 ? 0 : 1;
}
