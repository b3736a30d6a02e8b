#pragma once
// A block of synapses (compiler/lower) → one object file for other people's programs: the kernels for each
// kind of CPU, a constant description of the rule, and entry points called NAME_init, NAME_instant, …
// Nothing in it is undefined, and nothing in it is written to.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"

namespace hebb {

struct ObjectInput {
  enum class Kind { Values, Spikes, Event } kind = Kind::Values;
  ColumnId column;
};

/// The reverse of one moment and of one step, for NAME_vjp: a program whose first columns are those of the unit's.
struct ObjectGradient {
  std::shared_ptr<const Program> program;
  /// In the order of runtime/embed/block.h: forward and reverse of the instant, of the step.
  std::array<std::vector<KernelId>, 4> lists;
  /// Of each field that has a derivative: the columns that hold it by the value before and after; invalid: 0.
  struct Bar {
    ColumnId now, next, field;
    bool carried = false;                        // a weight or a state
  };
  std::vector<Bar> bars;
  std::vector<bool> shared;                      // by primal column: read in the host's block
};

struct ObjectUnit {
  std::string symbol;                            // what the names of its functions begin with
  const Program* program = nullptr;
  /// In the order of runtime/embed/block.h: params, start, instant, step, quiet, bounds.
  std::array<std::vector<KernelId>, 6> lists;
  std::vector<ObjectInput> inputs;
  ColumnId pre_count, post_count;                // invalid: the rule does not ask
  bool step_by_spikes = false;                   // a step with spikes alone changes the synapses of those neurons only
  std::string metadata;                          // what NAME_metadata() returns
  std::optional<ObjectGradient> gradient;        // none: without NAME_vjp
};

/// Where each member of the inputs of a moment lies in their struct, and how long the struct is.
struct InputLayout {
  std::vector<int32_t> offsets;
  int32_t bytes = 0;
};
InputLayout input_layout(const std::vector<ObjectInput>& inputs);

/// Bytes of the struct of gradients in a header: two numbers, then a pointer for each bar.
int32_t gradients_bytes(const ObjectGradient& gradient, int pointer_bytes);

enum class Target { Portable, X86_64_v3, X86_64_v4, Host, Aarch64, Wasm32 };
struct ObjectOptions {
  Target target = Target::Portable;   // Portable: x86-64-v3 and v4 code, chosen at NAME_init
  Precision precision = Precision::Float32;
  MathMode math = MathMode::Exact;
  int level = 3;
};
enum class ObjectKind { Object, Assembly, LlvmIr, Bitcode };
Result<std::string> object(const ObjectUnit& unit, const ObjectOptions& options, ObjectKind kind);

/// A static library with one member.
Result<std::string> archive(const std::string& member, const std::string& object);

/// In hexadecimal: what metadata know a source by.
std::string sha256(const std::string& text);

/// Whether a dense kernel changes only the synapses it runs over, and nothing that others read: then a
/// moment needs to run it for the neurons that spike only.
bool touched_only(const Program& program, const Kernel& kernel);

/// Columns that are accumulated into and start each call anew.
std::vector<bool> summed_columns(const Program& program);

}  // namespace hebb
