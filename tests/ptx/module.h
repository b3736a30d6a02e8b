#pragma once
// A PTX module, decoded: each function is a flat array of instructions over numbered slots.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/ptx/slot.h"

namespace hebb::emulator {

enum class Opcode : uint16_t {
#define OP(NAME, SPELLINGS, OPERANDS, ...) NAME,
#include "tests/ptx/opcodes.def"
#undef OP
  load,         // d = [a + offset], and b, c, e where there are several
  store,        // [a + offset] = d, b, c, e
  unpack_64,    // two registers of 32 bits: d, b = the halves of a
  pack_64,      // d = a (low), b (high)
  unpack_32,    // two of 16 bits
  pack_32,
  jump,         // to instruction d
  jump_if,      // … where a
  jump_unless,
  skip_if,      // the next instruction, where a
  skip_unless,
  finish,       // this thread
  trap,
};

enum class Memory : uint8_t { Generic, Global, Constant, Local, Param };

struct Instruction {
  Opcode op{};
  uint32_t d = 0, a = 0, b = 0, c = 0, e = 0;  // slots; of a jump, d is its target
  int32_t offset = 0;
  uint32_t line = 0;          // of the text, from 1
  Memory memory{};
  uint8_t bytes = 0;          // of one element
  uint8_t count = 1;          // elements
  bool is_signed = false;     // a narrow load extends by the sign
  bool read_only = false;     // .nc: nothing may write there during the launch
  uint32_t access = 0;        // number among the loads and stores of the function
};

/// Slots of a thread: registers, then these, then constants.
enum Special : uint32_t {
  kTidX, kTidY, kTidZ, kNtidX, kNtidY, kNtidZ, kCtaidX, kCtaidY, kCtaidZ, kNctaidX, kNctaidY, kNctaidZ,
  kSpecials,
};

struct Parameter {
  std::string name;
  uint32_t offset = 0;
  uint32_t bytes = 0;
};

struct Function {
  std::string name;
  bool is_entry = false;
  uint32_t line = 0;
  std::vector<Parameter> parameters;
  uint32_t parameter_bytes = 0;
  std::vector<Instruction> code;
  uint32_t registers = 0;
  std::vector<Slot> constants;
  uint32_t local_bytes = 0;
  uint32_t accesses = 0;
  uint32_t max_threads = 1024;    // .maxntid, .reqntid
  uint32_t specials() const { return registers; }
  uint32_t slots() const { return registers + kSpecials + static_cast<uint32_t>(constants.size()); }
};

/// A module's own memory: tables of constants.
struct Variable {
  std::string name;
  uint32_t align = 1;
  std::vector<uint8_t> bytes;
  uint64_t address = 0;           // chosen by the parser, from kVariables on
};

struct Module {
  std::string version, target;    // "7.0", "sm_80"
  std::vector<Function> functions;
  std::vector<Variable> variables;
  std::vector<std::string> lines; // of the text
  const Function* find(std::string_view name) const;
};

// Where things lie in the generic address space of 64 bits.
constexpr uint64_t kVariables = 0x0300'0000'0000;
constexpr uint64_t kLocalWindow = 0x0100'0000'0000;
/// Nothing lies at 0 of local memory.
constexpr uint64_t kFirstOffset = 256;

}  // namespace hebb::emulator
