#pragma once
// The machines that objects are made for: what LLVM calls them, which kinds of CPU get code of their own, and what all
// rules share there.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/codegen/object.h"

namespace llvm {
class TargetMachine;
}

namespace hebb {

struct ObjectMachine {
  /// Code for one kind of CPU.
  struct Variant {
    std::string suffix, cpu, features;
    int level = 0;            // of x86-64 that it needs
    unsigned vector_bits = 128;
  };
  std::string triple, cpu, features;
  std::string_view block;     // bitcode of runtime/embed/block.c
  std::vector<Variant> variants;
  int pointer_bytes = 8;
};

/// `vjp`: with what NAME_vjp needs.
ObjectMachine machine_of(Target target, bool vjp);

/// The code generators of all machines. Again: does nothing.
void initialise_targets();
Result<std::unique_ptr<llvm::TargetMachine>> target_machine(const ObjectMachine& machine, int level);

}  // namespace hebb
