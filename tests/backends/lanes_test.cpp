// Kernels of several runs at once compute for each run what the interpreter computes for it alone, whatever the
// runs beside it hold.

#include "compiler/codegen/codegen.h"
#include "tests/backends/backend_adjoints.h"

namespace hebb {
namespace {

/// The memory of one launch as kernels of several runs see it.
class Packed {
 public:
  Packed(const Program& program, const Columns& layouts, const hebb_launch& launch) : layouts_(layouts), launch_(launch) {
    for (uint32_t c = 0; c < program.columns.size(); ++c) {
      memory_.emplace_back(static_cast<size_t>(layouts.layout({c}).size()) * kLanesTogether * 8 + 64);
      const auto at = reinterpret_cast<uintptr_t>(memory_.back().data());
      bases_.push_back(memory_.back().data() + (64 - at % 64) % 64);
    }
  }
  void* const* bases() const { return bases_.data(); }

  /// f(number of the column, number of the pack) for every element of every column.
  template <class Real, class F>
  void each(int64_t lane, const F& f) {
    for (uint32_t c = 0; c < bases_.size(); ++c) {
      const ColumnLayout& at = layouts_.layout({c});
      Real* const all = reinterpret_cast<Real*>(bases_[c]);
      Real* const own = static_cast<Real*>(launch_.columns[c]);
      int64_t k = 0;
      for (int64_t i = 0; i < at.pres; ++i)
        for (int64_t j = 0; j < at.posts; ++j)
          for (int64_t e = 0; e < at.width; ++e, ++k)
            f(own[at.offset(i, j, e)], all[k * kLanesTogether + lane], k);
    }
  }

 private:
  const Columns& layouts_;
  const hebb_launch& launch_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<void*> bases_;
};

template <class Real>
void run_packed(const Program& program, const Columns& layouts, const std::function<void(const hebb_launch*)>& kernel,
                const hebb_launch& launch, int64_t lane) {
  Packed packed(program, layouts, launch);
  uint64_t keys[kLanesTogether];
  for (int64_t other = 0; other < kLanesTogether; ++other) {
    keys[other] = launch.key + static_cast<uint64_t>(other - lane) * 0x9e3779b97f4a7c15;
    packed.each<Real>(other, [&](Real& own, Real& theirs, int64_t k) {
      theirs = other == lane ? own : (k + other) % 5 == 0 ? std::numeric_limits<Real>::quiet_NaN() : Real(k - 3 * other) * own;
    });
  }
  hebb_launch all = launch;
  all.columns = packed.bases();
  all.keys = keys;
  kernel(&all);
  packed.each<Real>(lane, [](Real& own, Real& packed, int64_t) { own = packed; });
}

Engine lane(Precision precision, int level, int64_t lane) {
  return {.name = std::string(precision == Precision::Float32 ? "float" : "double") + "O" + std::to_string(level) + "Lane" + std::to_string(lane),
          .precision = precision,
          .compile = [precision, level, lane](std::shared_ptr<const Program> program) -> Result<Kernels> {
            for (const Space& space : program->spaces)   // runs of sparse networks do not go together
              if (space.kind == SpaceKind::Sparse) return jit(*program, {.precision = precision, .level = level});
            Result<Kernels> made = jit(*program, {.precision = precision, .level = level, .lanes = true});
            Result<Columns> layouts = Columns::create(*program, precision);
            if (!made || !layouts) return made;
            const auto columns = std::make_shared<Columns>(*std::move(layouts));
            Kernels out{.run = {}, .keep_alive = made->keep_alive, .device = nullptr};
            for (const auto& kernel : made->run)
              out.run.push_back([=](const hebb_launch* launch) {
                if (precision == Precision::Float32) run_packed<float>(*program, *columns, kernel, *launch, lane);
                else run_packed<double>(*program, *columns, kernel, *launch, lane);
              });
            return out;
          },
          .large = false};
}

INSTANTIATE_TEST_SUITE_P(Lanes, BackendSuite,
                         ::testing::Values(lane(Precision::Float64, 3, 0), lane(Precision::Float32, 3, 15), lane(Precision::Float32, 0, 7)),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace
}  // namespace hebb
