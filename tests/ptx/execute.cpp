#include "tests/ptx/execute.h"

#include <bit>
#include <cstring>
#include <numeric>

#include "compiler/support/text.h"
#include "tests/ptx/operations.h"

namespace hebb::emulator {
namespace {

/// Every number below `count` once, in an order that the seed decides; in ascending order with seed 0.
class Order {
 public:
  Order(uint64_t count, uint64_t seed) : count_(count) {
    if (seed == 0 || count < 2) return;
    uint64_t mixed = seed * 0x9E3779B97F4A7C15;
    mixed ^= mixed >> 29;
    at_ = mixed % count;
    for (step_ = (mixed >> 20) % count | 1; std::gcd(step_, count) != 1;) step_ = step_ % count + 1;
    step_ %= count;
  }
  uint64_t next() {
    const uint64_t now = at_;
    at_ += step_;
    if (at_ >= count_) at_ -= count_;
    return now;
  }

 private:
  uint64_t count_, at_ = 0, step_ = 1;
};

class Execution {
 public:
  Execution(const Module& module, const Function& function, const Grid& grid, std::span<const uint8_t> parameters,
            DeviceMemory& memory, const RunOptions& options)
      : module_(module), f_(function), grid_(grid), parameters_(parameters), memory_(memory), options_(options),
        launch_(memory.next_launch() << 32), cache_(function.accesses), slots_(function.slots()),
        local_(function.local_bytes), local_written_(function.local_bytes + 16) {}

  RunResult run() {
    if (!fits()) return result_;
    const auto& [bx, by, bz] = grid_.blocks;
    const auto& [tx, ty, tz] = grid_.threads;
    const uint64_t blocks = uint64_t(bx) * by * bz, threads = uint64_t(tx) * ty * tz;
    Order block_order(blocks, options_.order), thread_order(threads, options_.order + (options_.order != 0));
    fill_slots();
    for (uint64_t b = 0; b < blocks; ++b) {
      const uint64_t block = block_order.next();
      const uint32_t place[] = {uint32_t(block % bx), uint32_t(block / bx % by), uint32_t(block / bx / by)};
      for (int k = 0; k < 3; ++k) special(static_cast<Special>(kCtaidX + k)).u64 = place[k];
      for (uint64_t t = 0; t < threads; ++t) {
        const uint64_t thread = thread_order.next();
        const auto row = static_cast<uint32_t>(thread) / tx;
        special(kTidX).u64 = static_cast<uint32_t>(thread) % tx;
        special(kTidY).u64 = row % ty;
        special(kTidZ).u64 = row / ty;
        stamp_ = launch_ | (block * threads + thread + 1);
        if (!local_.empty()) std::memset(local_written_.data(), 0, local_written_.size());
        if (!run_thread()) return result_;
        ++result_.counts.threads;
      }
    }
    return result_;
  }

 private:
  Slot& special(Special which) { return slots_[f_.specials() + which]; }

  bool fits() {
    uint64_t all = 1;
    for (const uint32_t n : grid_.blocks) all *= n;
    for (const uint32_t n : grid_.threads) all *= n;
    if (all == 0 || all >= (uint64_t(1) << 32) - 2) return refuse("a grid of no or too many threads");
    if (grid_.threads[0] * grid_.threads[1] * grid_.threads[2] > f_.max_threads)
      return refuse(cat("blocks of more than ", f_.max_threads, " threads"));
    if (parameters_.size() != f_.parameter_bytes)
      return refuse(cat(f_.parameter_bytes, " bytes of parameters wanted, ", parameters_.size(), " given"));
    return true;
  }

  bool refuse(std::string why) {
    result_.ok = false;
    result_.fault = {FaultKind::Launch, cat("kernel '", f_.name, "': ", why)};
    return false;
  }

  void fill_slots() {
    for (uint32_t k = 0; k < f_.registers; ++k)
      slots_[k].u64 = (k + 1) * 0xD1B54A32D192ED03 ^ options_.order * 0x9E3779B97F4A7C15;
    for (int k = 0; k < 3; ++k) {
      special(static_cast<Special>(kNtidX + k)).u64 = grid_.threads[static_cast<size_t>(k)];
      special(static_cast<Special>(kNctaidX + k)).u64 = grid_.blocks[static_cast<size_t>(k)];
    }
    std::copy(f_.constants.begin(), f_.constants.end(), slots_.begin() + f_.specials() + kSpecials);
  }

  // --- memory ---

  bool fault(const Instruction& i, FaultKind kind, std::string_view why) {
    const auto at = [&](Special which) { return special(which).u32; };
    std::string_view text = i.line > 0 && i.line <= module_.lines.size() ? std::string_view(module_.lines[i.line - 1]) : "";
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    result_.ok = false;
    result_.fault = {kind, cat("kernel '", f_.name, "', line ", i.line, ", block (", at(kCtaidX), ", ", at(kCtaidY), ", ",
                               at(kCtaidZ), "), thread (", at(kTidX), ", ", at(kTidY), ", ", at(kTidZ), "): ", why, ": ", text)};
    return false;
  }

  /// Where the bytes of a load or store lie; null: a fault.
  uint8_t* touch(const Instruction& i, uint64_t address, bool is_write) {
    const uint32_t size = uint32_t(i.bytes) * i.count;
    if ((address & (size - 1)) != 0) return fault(i, FaultKind::Misaligned, cat("address ", address, " is not a multiple of ", size)), nullptr;
    if (i.memory == Memory::Local) return touch_local(i, address, is_write);
    if (i.memory == Memory::Param) return touch_parameter(i, address);
    if (i.memory == Memory::Generic && address - kLocalWindow < (uint64_t(1) << 32))
      return touch_local(i, address - kLocalWindow, is_write);
    Allocation* a = cache_[i.access];
    if (a == nullptr || !a->holds(address, size)) {
      a = memory_.find(address);
      if (a == nullptr || !a->holds(address, size))
        return fault(i, FaultKind::Address, cat(is_write ? "writes " : "reads ", size, " bytes at ", memory_.describe(address))), nullptr;
      cache_[i.access] = a;
    }
    return touch_global(i, *a, address - a->address, size, is_write);
  }

  uint8_t* touch_global(const Instruction& i, Allocation& a, uint64_t offset, uint32_t size, bool is_write) {
    const auto where = [&] { return memory_.describe(a.address + offset); };
    if (is_write && a.read_only) return fault(i, FaultKind::Address, cat("writes what it may only read, at ", where())), nullptr;
    if (is_write) std::memset(a.written.data() + offset, 1, size);
    else if (std::memchr(a.written.data() + offset, 0, size) != nullptr)
      return fault(i, FaultKind::Address, cat("reads what nobody wrote at ", where())), nullptr;
    const uint64_t several = launch_ | 0xffff'ffff;
    for (uint64_t word = offset / 4; word <= (offset + size - 1) / 4; ++word) {
      uint64_t& writer = a.writer[word];
      uint64_t& reader = a.reader[word];
      if (writer > launch_ && (writer != stamp_ || i.read_only))
        return fault(i, FaultKind::Launch, cat(is_write ? "writes" : "reads", " what ", thread_of(writer), " wrote in this launch, at ", where())), nullptr;
      if (is_write) {
        if (reader > launch_ && reader != stamp_)
          return fault(i, FaultKind::Launch, cat("writes what ", thread_of(reader), " read in this launch, at ", where())), nullptr;
        writer = stamp_;
      } else {
        reader = reader <= launch_ && !i.read_only ? stamp_ : reader == stamp_ && !i.read_only ? stamp_ : several;
      }
    }
    return a.bytes.data() + offset;
  }

  std::string thread_of(uint64_t stamp) const {
    const uint64_t low = stamp & 0xffff'ffff;
    if (low == 0xffff'ffff) return "several threads, or the read-only path,";
    const uint64_t threads = uint64_t(grid_.threads[0]) * grid_.threads[1] * grid_.threads[2];
    return cat("thread ", (low - 1) % threads, " of block ", (low - 1) / threads);
  }

  uint8_t* touch_local(const Instruction& i, uint64_t address, bool is_write) {
    const uint32_t size = uint32_t(i.bytes) * i.count;
    const uint64_t offset = address - kFirstOffset;
    if (offset >= local_.size() || local_.size() - offset < size)
      return fault(i, FaultKind::Address, cat("byte ", address, " outside the local memory of ", local_.size(), " bytes")), nullptr;
    if (is_write) std::memset(local_written_.data() + offset, 1, size);
    else if (std::memchr(local_written_.data() + offset, 0, size) != nullptr)
      return fault(i, FaultKind::Address, cat("reads local memory that nobody wrote, at byte ", offset)), nullptr;
    return local_.data() + offset;
  }

  uint8_t* touch_parameter(const Instruction& i, uint64_t address) {
    const uint32_t size = uint32_t(i.bytes) * i.count;
    if (address >= parameters_.size() || parameters_.size() - address < size)
      return fault(i, FaultKind::Address, cat("byte ", address, " outside the ", parameters_.size(), " bytes of parameters")), nullptr;
    return const_cast<uint8_t*>(parameters_.data()) + address;  // never written: stores to it do not decode
  }

  bool load(const Instruction& i, Slot* r) {
    const uint8_t* from = touch(i, r[i.a].u64 + static_cast<uint64_t>(int64_t(i.offset)), false);
    if (from == nullptr) return false;
    const uint32_t into[] = {i.d, i.b, i.c, i.e};
    for (int k = 0; k < i.count; ++k, from += i.bytes) {
      Slot value;
      std::memcpy(&value, from, i.bytes);
      if (i.is_signed) value.s64 = static_cast<int64_t>(value.u64 << (64 - 8 * i.bytes)) >> (64 - 8 * i.bytes);
      r[into[k]] = value;
    }
    return true;
  }

  bool store(const Instruction& i, const Slot* r) {
    uint8_t* into = touch(i, r[i.a].u64 + static_cast<uint64_t>(int64_t(i.offset)), true);
    if (into == nullptr) return false;
    const uint32_t from[] = {i.d, i.b, i.c, i.e};
    for (int k = 0; k < i.count; ++k, into += i.bytes) std::memcpy(into, &r[from[k]], i.bytes);
    return true;
  }

  // --- instructions ---

  bool run_thread() {
    static const void* const kLabels[] = {
#define OP(NAME, SPELLINGS, OPERANDS, ...) &&do_##NAME,
#include "tests/ptx/opcodes.def"
#undef OP
        &&do_load, &&do_store, &&do_unpack_64, &&do_pack_64, &&do_unpack_32, &&do_pack_32,
        &&do_jump, &&do_jump_if, &&do_jump_unless, &&do_skip_if, &&do_skip_unless, &&do_finish, &&do_trap,
    };
    Slot* const r = slots_.data();
    const Instruction* const code = f_.code.data();
    const Instruction* i = code;
    uint64_t count = 0;
    const auto number = [this](auto x) {
      if (x == x) [[likely]] return x;
      if constexpr (sizeof x == 4) return std::bit_cast<float>(options_.nan32);
      else return std::bit_cast<double>(options_.nan64);
    };

#define A r[i->a]
#define B r[i->b]
#define C r[i->c]
#define D r[i->d]
#define E r[i->e]
#define GO_ON do { ++count; goto *kLabels[static_cast<size_t>(i->op)]; } while (false)
#define FAULT(WHY) do { fault(*i, FaultKind::Launch, WHY); goto stop; } while (false)

    GO_ON;
#define OP(NAME, SPELLINGS, OPERANDS, ...) do_##NAME: { __VA_ARGS__; } ++i; GO_ON;
#include "tests/ptx/opcodes.def"
#undef OP
  do_load:
    if (!load(*i, r)) goto stop;
    ++i; GO_ON;
  do_store:
    if (!store(*i, r)) goto stop;
    ++i; GO_ON;
  do_unpack_64: {
    const uint64_t whole = A.u64;
    D.u32 = static_cast<uint32_t>(whole);
    B.u32 = static_cast<uint32_t>(whole >> 32);
  } ++i; GO_ON;
  do_pack_64: D.u64 = uint64_t(B.u32) << 32 | A.u32; ++i; GO_ON;
  do_unpack_32: {
    const uint32_t whole = A.u32;
    D.u16 = static_cast<uint16_t>(whole);
    B.u16 = static_cast<uint16_t>(whole >> 16);
  } ++i; GO_ON;
  do_pack_32: D.u32 = uint32_t(B.u16) << 16 | A.u16; ++i; GO_ON;
  do_jump:
    if (count > options_.steps_per_launch - result_.counts.instructions) goto too_long;
    i = code + i->d; GO_ON;
  do_jump_if:
    if (count > options_.steps_per_launch - result_.counts.instructions) goto too_long;
    i = A.truth ? code + i->d : i + 1; GO_ON;
  do_jump_unless:
    if (count > options_.steps_per_launch - result_.counts.instructions) goto too_long;
    i = A.truth ? i + 1 : code + i->d; GO_ON;
  do_skip_if: i += A.truth ? 2 : 1; GO_ON;
  do_skip_unless: i += A.truth ? 1 : 2; GO_ON;
  do_trap: FAULT("traps");
  too_long:
    fault(*i, FaultKind::Timeout, cat("more than ", options_.steps_per_launch, " instructions in one launch"));
  stop:
  do_finish:
    result_.counts.instructions += count;
    return result_.ok;
#undef A
#undef B
#undef C
#undef D
#undef E
#undef GO_ON
#undef FAULT
  }

  const Module& module_;
  const Function& f_;
  const Grid grid_;
  const std::span<const uint8_t> parameters_;
  DeviceMemory& memory_;
  const RunOptions options_;
  const uint64_t launch_;             // stamps of this launch are above it
  uint64_t stamp_ = 0;
  std::vector<Allocation*> cache_;    // by access: where it went last
  std::vector<Slot> slots_;
  std::vector<uint8_t> local_, local_written_;
  RunResult result_;
};

}  // namespace

RunResult run(const Module& module, const Function& function, const Grid& grid, std::span<const uint8_t> parameters,
              DeviceMemory& memory, const RunOptions& options) {
  return Execution(module, function, grid, parameters, memory, options).run();
}

void load_variables(const Module& module, DeviceMemory& memory) {
  for (const Variable& variable : module.variables) memory.place(variable.address, variable.bytes);
}

}  // namespace hebb::emulator
