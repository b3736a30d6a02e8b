#include "compiler/codegen/cut_blocks.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <map>
#include <vector>

namespace hebb {
namespace {

/// What suits the registers of a machine.
struct Sizes {
  unsigned vector_bits;
  size_t whole;          // operations of a block that is left as it is
  size_t least, most;    // operations of a piece
  size_t in_registers;   // vectors that may stay in registers from piece to piece
};
Sizes sizes(unsigned vector_bits) {
  if (vector_bits == 512) return {.vector_bits = 512, .whole = 500, .least = 200, .most = 260, .in_registers = 16};
  return {.vector_bits = 256, .whole = 120, .least = 100, .most = 140, .in_registers = 8};
}

bool is_vector(const llvm::Value* value, unsigned vector_bits) {
  const auto* const type = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  return type && type->getElementType()->isFloatingPointTy() && type->getPrimitiveSizeInBits() == vector_bits;
}

bool is_long(const llvm::BasicBlock& block, const Sizes& size) {
  if (block.size() <= size.whole) return false;
  const auto vectors = std::count_if(block.begin(), block.end(), [&](const llvm::Instruction& each) { return is_vector(&each, size.vector_bits); });
  return vectors > static_cast<std::ptrdiff_t>(size.whole);
}

using Code = std::vector<llvm::Instruction*>;

/// By instruction: where its value is used last in the block; its own place when it is not.
std::vector<size_t> last_uses(const Code& code) {
  std::map<const llvm::Value*, size_t> last;
  for (size_t at = 0; at < code.size(); ++at)
    for (const llvm::Value* operand : code[at]->operands()) last[operand] = at;
  std::vector<size_t> out(code.size());
  for (size_t at = 0; at < code.size(); ++at) {
    const auto use = last.find(code[at]);
    out[at] = use == last.end() ? at : std::max(at, use->second);
  }
  return out;
}

/// Where pieces begin: behind the places with the fewest values.
std::vector<size_t> cuts(const std::vector<size_t>& last, const Sizes& size) {
  std::vector<size_t> alive(last.size()), ends(last.size() + 1);
  size_t now = 0;
  for (size_t at = 0; at < last.size(); ++at) {
    now -= ends[at];
    if (last[at] > at) {
      ++now;
      ++ends[last[at]];
    }
    alive[at] = now;
  }
  std::vector<size_t> out;
  for (size_t from = 0; from + size.most < last.size(); from = out.back()) {
    const auto begin = alive.begin() + static_cast<std::ptrdiff_t>(from);
    const auto best = std::min_element(begin + static_cast<std::ptrdiff_t>(size.least), begin + static_cast<std::ptrdiff_t>(size.most));
    out.push_back(static_cast<size_t>(best - alive.begin()) + 1);
  }
  return out;
}

/// In the order of how many operations come one after the other before each: neighbours then do not wait for each other.
void by_depth(Code& code, size_t begin, size_t end) {
  std::map<const llvm::Value*, size_t> depth;
  size_t memory = 0;   // what touches memory keeps its order
  for (size_t at = begin; at < end; ++at) {
    size_t own = 0;
    for (const llvm::Value* operand : code[at]->operands())
      if (const auto known = depth.find(operand); known != depth.end()) own = std::max(own, known->second + 1);
    if (code[at]->mayReadOrWriteMemory()) memory = own = std::max(own, memory);
    depth[code[at]] = own;
  }
  const auto first = code.begin() + static_cast<std::ptrdiff_t>(begin), last = code.begin() + static_cast<std::ptrdiff_t>(end);
  std::stable_sort(first, last, [&](const llvm::Instruction* a, const llvm::Instruction* b) { return depth[a] < depth[b]; });
  for (auto each = first; each != last; ++each) (*each)->moveBefore(code[end]->getIterator());
}

/// Before `start`, an operation of no instruction whose results stand for these values from there on.
void pass_through(const std::vector<llvm::Instruction*>& values, llvm::Instruction* start) {
  std::vector<llvm::Type*> types;
  std::vector<llvm::Value*> arguments;
  std::string constraints;
  for (llvm::Instruction* value : values) {
    types.push_back(value->getType());
    arguments.push_back(value);
    constraints += constraints.empty() ? "=v" : ",=v";
  }
  for (size_t k = 0; k < values.size(); ++k) constraints += "," + std::to_string(k);
  llvm::IRBuilder<> builder(start);
  llvm::Type* const result = types.size() == 1 ? types[0] : llvm::StructType::get(builder.getContext(), types);
  auto* const nothing = llvm::InlineAsm::get(llvm::FunctionType::get(result, types, false), "", constraints, /*hasSideEffects=*/false);
  llvm::Value* const passed = builder.CreateCall(nothing, arguments);
  for (size_t k = 0; k < values.size(); ++k) {
    llvm::Value* const same = types.size() == 1 ? passed : builder.CreateExtractValue(passed, static_cast<unsigned>(k));
    values[k]->replaceUsesWithIf(same, [&](llvm::Use& use) {
      auto* const user = llvm::cast<llvm::Instruction>(use.getUser());
      return user->getParent() == start->getParent() && user != passed && (user == start || start->comesBefore(user));
    });
  }
}

void cut(llvm::BasicBlock& block, const Sizes& size) {
  Code code;
  for (llvm::Instruction& each : block)
    if (!llvm::isa<llvm::PHINode>(each)) code.push_back(&each);
  const std::vector<size_t> last = last_uses(code), starts = cuts(last, size);
  std::vector<std::vector<llvm::Instruction*>> across;
  for (const size_t start : starts) {
    across.emplace_back();
    for (size_t at = 0; at < start; ++at)
      if (last[at] >= start && is_vector(code[at], size.vector_bits)) across.back().push_back(code[at]);
  }
  size_t begin = 0;
  for (size_t k = 0; k <= starts.size(); ++k) {
    const size_t end = k < starts.size() ? starts[k] : code.size() - 1;
    by_depth(code, begin, end);
    begin = end;
  }
  for (size_t k = starts.size(); k-- > 0;)
    if (!across[k].empty() && across[k].size() <= size.in_registers) pass_through(across[k], code[starts[k]]);
}

}  // namespace

void cut_long_blocks(llvm::Module& module, unsigned vector_bits) {
  const Sizes size = sizes(vector_bits);
  for (llvm::Function& function : module)
    if (function.hasFnAttribute(kLongBlocks))
      for (llvm::BasicBlock& block : function)
        if (is_long(block, size)) cut(block, size);
}

}  // namespace hebb
