#include "tests/ptx/decode.h"

#include <algorithm>

namespace hebb::emulator {
namespace {

struct OpcodeRow {
  Opcode op;
  std::string_view operands;
};

struct RawRow {
  Opcode op;
  std::string_view spellings, operands;
};
constexpr RawRow kRows[] = {
#define OP(NAME, SPELLINGS, OPERANDS, ...) {Opcode::NAME, SPELLINGS, OPERANDS},
#include "tests/ptx/opcodes.def"
#undef OP
};

template <class Take>
void for_each_spelling(Take take) {
  for (const RawRow& row : kRows)
    for (std::string_view left = row.spellings; !left.empty();) {
      const size_t space = std::min(left.find(' '), left.size());
      take(left.substr(0, space), row);
      left.remove_prefix(std::min(space + 1, left.size()));
    }
}

/// By spelling: "add.s32".
const std::unordered_map<std::string_view, OpcodeRow>& opcodes() {
  static const auto table = [] {
    std::unordered_map<std::string_view, OpcodeRow> rows;
    for_each_spelling([&](std::string_view spelling, const RawRow& row) { rows[spelling] = {row.op, row.operands}; });
    return rows;
  }();
  return table;
}

[[noreturn]] void refuse_opcode(const Cursor& at, std::string_view text) {
  const auto has = [&](std::string_view part) { return text.find(part) != text.npos; };
  const std::string_view root = text.substr(0, text.find('.'));
  if (has(".approx") || has(".full")) at.refuse(cat("'", text, "' is approximate: its result is the device's own"));
  if (has(".ftz")) at.refuse(cat("'", text, "' flushes subnormal numbers"));
  if ((root == "add" || root == "sub" || root == "mul") && (text.ends_with(".f32") || text.ends_with(".f64")))
    at.refuse(cat("'", text, "' names no rounding or another than .rn: without one it may be fused"));
  for (const auto& [spelling, row] : opcodes())
    if (spelling.substr(0, spelling.find('.')) == root) at.refuse(cat("unknown modifiers: '", text, "'"));
  for (const std::string_view known : {"ld", "st", "bra", "ret", "exit", "cvta", "trap"})
    if (root == known) at.refuse(cat("unknown modifiers: '", text, "'"));
  at.refuse(cat("unknown opcode: '", text, "'"));
}

/// Slots of constants and special registers until the number of registers is known.
constexpr uint32_t kConstant = 1u << 31, kSpecial = 1u << 30;

struct Register {
  uint32_t slot = 0;
  int bytes = 0;             // 0: a predicate
};
struct Family {              // %r<5>
  uint32_t first = 0, count = 0;
  int bytes = 0;
};
struct Scope {
  std::unordered_map<std::string_view, Register> registers;
  std::unordered_map<std::string_view, Family> families;
};
struct Symbol {
  Memory memory{};
  uint64_t address = 0;      // in its own memory
};

struct Guard {               // @%p, @!%p
  uint32_t predicate = 0;
  bool negated = false;
};

class BodyDecoder {
 public:
  BodyDecoder(Cursor& at, const Module& module, Function& function) : at_(at), module_(module), f_(function) {
    for (const Variable& variable : module.variables)
      symbols_[variable.name] = {Memory::Global, variable.address};
    for (const Parameter& parameter : function.parameters)
      symbols_[parameter.name] = {Memory::Param, parameter.offset};
  }

  void decode() {
    block();
    if (!waiting_.empty()) at_.refuse(cat("no label '", waiting_.begin()->first, "'"));
    emit({.op = Opcode::finish});
    for (Instruction& i : f_.code) place_slots(i);
    f_.accesses = accesses_;
  }

 private:
  // --- statements ---

  void block() {
    at_.expect("{");
    scopes_.emplace_back();
    while (!at_.at("}")) statement();
    at_.take();
    scopes_.pop_back();
  }

  void statement() {
    if (at_.at("{")) return block();
    if (at_.peek().kind == TokenKind::Word && at_.peek(1).text == ":") return label();
    line_ = at_.line();
    if (at_.accept(".reg")) return declare_registers();
    if (at_.accept(".local")) return declare_local();
    if (at_.accept(".pragma")) {
      if (at_.peek().text != "\"nounroll\"") at_.refuse(cat("unknown pragma ", at_.peek().text));
      at_.take();
      return at_.expect(";");
    }
    const std::optional<Guard> guard = read_guard();
    if (at_.peek().kind == TokenKind::Word && at_.peek().text[0] == '.')
      at_.refuse(cat("unknown directive: '", at_.peek().text, "'"));
    const std::string_view text = at_.word("an instruction");
    if (text == "bra" || text == "bra.uni") {
      jump(guard);
    } else {
      if (guard) emit({.op = guard->negated ? Opcode::skip_if : Opcode::skip_unless, .a = guard->predicate});
      instruction(text);
    }
    at_.expect(";");
  }

  void label() {
    const Token token = at_.take();
    at_.expect(":");
    const auto target = static_cast<uint32_t>(f_.code.size());
    if (!labels_.emplace(token.text, target).second) at_.refuse(cat("label '", token.text, "' a second time"));
    if (const auto waiting = waiting_.find(token.text); waiting != waiting_.end()) {
      for (const uint32_t jump : waiting->second) f_.code[jump].d = target;
      waiting_.erase(waiting);
    }
  }

  void declare_registers() {
    const std::optional<Type> type = type_of(at_.word("a type"));
    if (!type || type->bytes == 1) at_.refuse("registers of this type are not known");
    do {
      const std::string_view name = at_.word("a register");
      if (scopes_.back().registers.contains(name) || scopes_.back().families.contains(name))
        at_.refuse(cat("register '", name, "' a second time"));
      uint32_t count = 1;
      if (at_.accept("<")) {
        count = at_.count("a number of registers");
        at_.expect(">");
        scopes_.back().families[name] = {f_.registers, count, type->bytes};
      } else {
        scopes_.back().registers[name] = {f_.registers, type->bytes};
      }
      f_.registers += count;
    } while (at_.accept(","));
    at_.expect(";");
  }

  void declare_local() {
    const uint32_t align = at_.accept(".align") ? at_.count("an alignment") : 1;
    const std::optional<Type> type = type_of(at_.word("a type"));
    if (!type || type->bytes == 0) at_.refuse("variables of this type are not known");
    const std::string_view name = at_.word("a name");
    uint32_t count = 1;
    if (at_.accept("[")) {
      count = at_.count("a number of elements");
      at_.expect("]");
    }
    at_.expect(";");
    const uint32_t step = std::max<uint32_t>(align, static_cast<uint32_t>(type->bytes));
    if (step == 0 || (step & (step - 1)) != 0) at_.refuse(cat("an alignment of ", step));
    const uint32_t offset = (f_.local_bytes + step - 1) / step * step;
    if (!symbols_.emplace(name, Symbol{Memory::Local, kFirstOffset + offset}).second)
      at_.refuse(cat("'", name, "' a second time"));
    f_.local_bytes = offset + count * static_cast<uint32_t>(type->bytes);
  }

  std::optional<Guard> read_guard() {
    if (!at_.accept("@")) return {};
    const bool negated = at_.accept("!");
    return Guard{source('p'), negated};
  }

  void jump(const std::optional<Guard>& guard) {
    Instruction i{.op = Opcode::jump};
    if (guard) {
      i.op = guard->negated ? Opcode::jump_unless : Opcode::jump_if;
      i.a = guard->predicate;
    }
    const std::string_view name = at_.word("a label");
    const auto known = labels_.find(name);
    if (known != labels_.end()) i.d = known->second;
    else waiting_[name].push_back(static_cast<uint32_t>(f_.code.size()));
    emit(i);
  }

  void instruction(std::string_view text) {
    if (const auto row = opcodes().find(text); row != opcodes().end()) {
      const bool is_move = text.starts_with("mov.");
      if (is_move && (at_.at("{") || at_.peek(2).text == "{")) return move_halves(text);
      reals_ = text.substr(text.rfind('.')).starts_with(".f");
      wholes_ = !reals_ && text[text.rfind('.') + 1] != 'b';
      return operation(row->second);
    }
    const std::string_view root = text.substr(0, text.find('.'));
    if (root == "ld" || root == "st") return access(text, root == "st");
    if (root == "cvta") return change_space(text);
    if (text == "ret" || text == "exit") return emit({.op = Opcode::finish});
    if (text == "trap") return emit({.op = Opcode::trap});
    refuse_opcode(at_, text);
  }

  void operation(const OpcodeRow& row) {
    Instruction i{.op = row.op};
    uint32_t* const places[] = {&i.d, &i.a, &i.b, &i.c, &i.e};
    for (size_t k = 0; k < row.operands.size(); ++k) {
      if (k > 0) at_.expect(",");
      *places[k] = k == 0 ? target(row.operands[k]) : source(row.operands[k]);
    }
    emit(i);
  }

  /// mov.b64 {%r1, %r2}, %rd1 and its reverse.
  void move_halves(std::string_view text) {
    const bool wide = text == "mov.b64";
    if (!wide && text != "mov.b32") at_.refuse(cat("unknown modifiers: '", text, "'"));
    const char whole = wide ? 'd' : 'w', half = wide ? 'w' : 'h';
    Instruction i;
    if (at_.accept("{")) {
      i.op = wide ? Opcode::unpack_64 : Opcode::unpack_32;
      i.d = target(half);
      at_.expect(",");
      i.b = target(half);
      at_.expect("}");
      at_.expect(",");
      i.a = source(whole);
    } else {
      i.op = wide ? Opcode::pack_64 : Opcode::pack_32;
      i.d = target(whole);
      at_.expect(",");
      at_.expect("{");
      i.a = source(half);
      at_.expect(",");
      i.b = source(half);
      at_.expect("}");
    }
    emit(i);
  }

  /// cvta.local.u64 from an address in its own memory to a generic one; cvta.to.… back.
  void change_space(std::string_view text) {
    const bool to = text.starts_with("cvta.to.");
    const std::string_view rest = text.substr(to ? 7 : 4);
    uint64_t window = 0;
    if (rest == ".local.u64") window = kLocalWindow;
    else if (rest != ".global.u64" && rest != ".const.u64") at_.refuse(cat("unknown modifiers: '", text, "'"));
    Instruction i{.op = to ? Opcode::sub_u64 : Opcode::add_u64};
    i.d = target('d');
    at_.expect(",");
    i.a = source('d');
    i.b = constant(window);
    emit(i);
  }

  // --- loads and stores ---

  void access(std::string_view text, bool is_store) {
    Instruction i{.op = is_store ? Opcode::store : Opcode::load};
    bool typed = false, spaced = false;
    std::string_view rest = text.substr(2);
    while (!rest.empty()) {
      const size_t next = std::min(rest.find('.', 1), rest.size());
      const std::string_view part = rest.substr(0, next);
      rest.remove_prefix(next);
      const std::optional<Memory> memory = memory_of(part);
      const std::optional<Type> type = type_of(part);
      if (typed) at_.refuse(cat("unknown modifiers: '", text, "'"));
      if (memory && !spaced) { i.memory = *memory; spaced = true; }
      else if (part == ".nc" && !is_store && i.memory == Memory::Global) i.read_only = true;
      else if (part == ".v2") i.count = 2;
      else if (part == ".v4") i.count = 4;
      else if (type && type->bytes > 0) {
        typed = true;
        i.bytes = static_cast<uint8_t>(type->bytes);
        i.is_signed = type->letter == 's';
      } else {
        at_.refuse(cat("unknown modifiers: '", text, "'"));
      }
    }
    if (!typed || i.bytes * i.count > 16) at_.refuse(cat("unknown modifiers: '", text, "'"));
    if (is_store && (i.memory == Memory::Param || i.memory == Memory::Constant))
      at_.refuse(cat("'", text, "' writes what only the host may write"));
    i.access = accesses_++;
    if (is_store) {
      address(i);
      at_.expect(",");
      elements(i, /*are_sources=*/true);
    } else {
      elements(i, /*are_sources=*/false);
      at_.expect(",");
      address(i);
    }
    emit(i);
  }

  static std::optional<Memory> memory_of(std::string_view part) {
    if (part == ".global") return Memory::Global;
    if (part == ".const") return Memory::Constant;
    if (part == ".local") return Memory::Local;
    if (part == ".param") return Memory::Param;
    return {};
  }

  void elements(Instruction& i, bool are_sources) {
    const char width = i.bytes <= 2 ? 'H' : i.bytes == 4 ? 'W' : 'd';
    const auto one = [&] { return are_sources ? source(width) : target(width); };
    reals_ = wholes_ = false;
    if (i.count == 1) {
      i.d = one();
      return;
    }
    uint32_t* const places[] = {&i.d, &i.b, &i.c, &i.e};
    at_.expect("{");
    for (int k = 0; k < i.count; ++k) {
      if (k > 0) at_.expect(",");
      *places[k] = one();
    }
    at_.expect("}");
  }

  /// [%rd1+8], [name+8], [name]
  void address(Instruction& i) {
    at_.expect("[");
    const std::string_view name = at_.peek().text;
    if (const auto symbol = symbols_.find(name); symbol != symbols_.end()) {
      const bool fits = symbol->second.memory == i.memory ||
                        (symbol->second.memory == Memory::Global && i.memory == Memory::Constant);
      if (!fits) at_.refuse(cat("'", name, "' lies in another memory"));
      at_.take();
      i.a = constant(symbol->second.address);
    } else {
      i.a = source('d');
    }
    if (at_.accept("+")) {
      const auto offset = static_cast<int64_t>(read_immediate(at_).bits);
      if (offset != static_cast<int32_t>(offset)) at_.refuse("an offset of more than 32 bits");
      i.offset = static_cast<int32_t>(offset);
    }
    at_.expect("]");
  }

  // --- operands ---

  static int bytes_of(char width) {
    switch (width) {
      case 'p': return 0;
      case 'h': case 'H': return 2;
      case 'w': case 'W': return 4;
      default: return 8;
    }
  }

  std::optional<Register> find_register(std::string_view name) const {
    size_t digits = name.size();
    while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto one = scope->registers.find(name); one != scope->registers.end()) return one->second;
      const auto family = scope->families.find(name.substr(0, digits));
      if (family == scope->families.end() || digits == name.size() || name.size() - digits > 8) continue;
      if (name[digits] == '0' && digits + 1 != name.size()) continue;
      uint32_t number = 0;
      for (const char c : name.substr(digits)) number = 10 * number + static_cast<uint32_t>(c - '0');
      if (number < family->second.count) return Register{family->second.first + number, family->second.bytes};
    }
    return {};
  }

  uint32_t register_slot(std::string_view name, char width) {
    const std::optional<Register> found = find_register(name);
    if (!found) at_.refuse(cat("no register or variable '", name, "'"));
    const int want = bytes_of(width);
    const bool at_least = width == 'H' || width == 'W';
    if (found->bytes != want && !(at_least && found->bytes > want))
      at_.refuse(cat("'", name, "' has ", 8 * found->bytes, " bits, the instruction takes ", 8 * want));
    return found->slot;
  }

  uint32_t target(char width) {
    if (at_.accept("_")) return sink();
    return register_slot(at_.word("a register"), width);
  }

  uint32_t source(char width) {
    const Token token = at_.peek();
    if (token.kind == TokenKind::Number || token.text == "-") return immediate(width);
    const std::string_view name = at_.word("an operand");
    if (const std::optional<uint32_t> special = special_register(name)) {
      if (width != 'w') at_.refuse(cat("'", name, "' has 32 bits, the instruction takes ", 8 * bytes_of(width)));
      return kSpecial | *special;
    }
    if (const auto symbol = symbols_.find(name); symbol != symbols_.end()) {
      if (width != 'd') at_.refuse(cat("the address of '", name, "' has 64 bits"));
      return constant(symbol->second.address);
    }
    return register_slot(name, width);
  }

  uint32_t immediate(char width) {
    const Immediate value = read_immediate(at_);
    const int bytes = bytes_of(width);
    if (width == 'p') return constant(value.bits != 0);
    if (value.real_bytes != 0 && (value.real_bytes != bytes || wholes_))
      at_.refuse(cat("a number of ", 8 * value.real_bytes, " bits in an instruction of another type"));
    if (value.real_bytes == 0 && reals_) at_.refuse("a whole number in an instruction on reals");
    const auto as_signed = static_cast<int64_t>(value.bits);
    const int spare = 64 - 8 * bytes;
    const bool fits = value.bits >> (8 * bytes - 1) >> 1 == 0 || as_signed << spare >> spare == as_signed;
    if (!fits) at_.refuse(cat("a number of more than ", 8 * bytes, " bits"));
    return constant(value.bits);
  }

  static std::optional<uint32_t> special_register(std::string_view name) {
    static constexpr std::string_view kNames[] = {"%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z",
                                                  "%ctaid.x", "%ctaid.y", "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z"};
    for (uint32_t k = 0; k < kSpecials; ++k)
      if (kNames[k] == name) return k;
    return {};
  }

  uint32_t constant(uint64_t bits) {
    const auto [known, is_new] = constants_.emplace(bits, static_cast<uint32_t>(f_.constants.size()));
    if (is_new) {
      Slot slot;
      slot.u64 = bits;
      f_.constants.push_back(slot);
    }
    return kConstant | known->second;
  }

  /// Where results go that nobody wants.
  uint32_t sink() {
    if (!sink_) sink_ = f_.registers++;
    return *sink_;
  }

  void emit(Instruction i) {
    i.line = line_;
    f_.code.push_back(i);
  }

  void place_slots(Instruction& i) const {
    const auto place = [&](uint32_t& slot) {
      if (slot & kConstant) slot = f_.registers + kSpecials + (slot & ~kConstant);
      else if (slot & kSpecial) slot = f_.registers + (slot & ~kSpecial);
    };
    for (uint32_t* slot : {&i.a, &i.b, &i.c, &i.e}) place(*slot);
    if (i.op != Opcode::jump && i.op != Opcode::jump_if && i.op != Opcode::jump_unless) place(i.d);
  }

  Cursor& at_;
  const Module& module_;
  Function& f_;
  std::vector<Scope> scopes_;
  std::unordered_map<std::string_view, Symbol> symbols_;
  std::unordered_map<std::string_view, uint32_t> labels_;
  std::map<std::string_view, std::vector<uint32_t>> waiting_;   // jumps to labels that come later
  std::unordered_map<uint64_t, uint32_t> constants_;
  std::optional<uint32_t> sink_;
  uint32_t accesses_ = 0;
  uint32_t line_ = 0;
  bool reals_ = false, wholes_ = false;   // what immediates the instruction takes
};

}  // namespace

std::vector<std::pair<std::string_view, std::string_view>> known_instructions() {
  std::vector<std::pair<std::string_view, std::string_view>> known;
  for_each_spelling([&](std::string_view spelling, const RawRow& row) { known.emplace_back(spelling, row.operands); });
  return known;
}

void decode_body(Cursor& at, const Module& module, Function& function) {
  BodyDecoder(at, module, function).decode();
}

}  // namespace hebb::emulator
