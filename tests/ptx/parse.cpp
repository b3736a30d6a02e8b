#include "tests/ptx/parse.h"

#include <algorithm>
#include <bit>

#include "tests/ptx/decode.h"

namespace hebb::emulator {
namespace {

class ModuleParser {
 public:
  ModuleParser(Cursor& at, std::string_view text, uint64_t variables) : at_(at), next_variable_(variables) {
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      module_.lines.emplace_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  Module parse() {
    at_.expect(".version");
    module_.version = at_.take().text;
    at_.expect(".target");
    module_.target = at_.word("a target");
    at_.expect(".address_size");
    if (at_.take().text != "64") at_.refuse("addresses of 64 bits only");
    while (at_.peek().kind != TokenKind::End) item();
    return std::move(module_);
  }

 private:
  void item() {
    at_.accept(".visible");
    if (at_.accept(".entry")) return function(true);
    if (at_.accept(".func")) return function(false);
    if (at_.accept(".global") || at_.accept(".const")) return variable();
    at_.refuse(cat("unknown directive: '", at_.peek().text, "'"));
  }

  void function(bool is_entry) {
    Function f;
    f.is_entry = is_entry;
    f.line = at_.line();
    if (at_.at("(")) at_.refuse("functions that return something are not known");
    f.name = at_.word("a name");
    if (module_.find(f.name) != nullptr) at_.refuse(cat("function '", f.name, "' a second time"));
    if (at_.accept("(") && !at_.accept(")")) {
      do parameter(f);
      while (at_.accept(","));
      at_.expect(")");
    }
    while (!at_.at("{")) performance_directive(f);
    decode_body(at_, module_, f);
    module_.functions.push_back(std::move(f));
  }

  void performance_directive(Function& f) {
    if (at_.accept(".maxntid") || at_.accept(".reqntid")) {
      uint32_t threads = at_.count("a number of threads");
      while (at_.accept(",")) threads *= at_.count("a number of threads");
      f.max_threads = threads;
    } else if (at_.accept(".minnctapersm") || at_.accept(".maxnreg")) {
      at_.count("a number");
    } else {
      at_.refuse(cat("unknown directive: '", at_.peek().text, "'"));
    }
  }

  /// .param .u64 .ptr .global .align 16 name, .param .align 8 .b8 name[80]
  void parameter(Function& f) {
    at_.expect(".param");
    const auto alignment = [&]() -> uint32_t {
      if (!at_.accept(".align")) return 0;
      const uint32_t align = at_.count("an alignment");
      if (!std::has_single_bit(align)) at_.refuse(cat("an alignment of ", align));
      return align;
    };
    const uint32_t align = alignment();
    const std::optional<Type> type = type_of(at_.word("a type"));
    if (!type || type->bytes == 0) at_.refuse("parameters of this type are not known");
    if (at_.accept(".ptr")) {
      at_.accept(".global");
      alignment();
    }
    Parameter parameter;
    parameter.name = at_.word("a name");
    parameter.bytes = static_cast<uint32_t>(type->bytes);
    if (at_.accept("[")) {
      parameter.bytes *= at_.count("a number of elements");
      at_.expect("]");
    }
    const uint32_t step = std::max(align, static_cast<uint32_t>(type->bytes));
    parameter.offset = (f.parameter_bytes + step - 1) / step * step;
    f.parameter_bytes = parameter.offset + parameter.bytes;
    f.parameters.push_back(std::move(parameter));
  }

  /// .global .align 4 .b8 table[8] = {1, 2, …};
  void variable() {
    Variable v;
    if (at_.accept(".align")) v.align = at_.count("an alignment");
    const std::optional<Type> type = type_of(at_.word("a type"));
    if (!type || type->bytes == 0) at_.refuse("variables of this type are not known");
    v.align = std::max(v.align, static_cast<uint32_t>(type->bytes));
    v.name = at_.word("a name");
    uint32_t count = 1;
    if (at_.accept("[")) {
      count = at_.count("a number of elements");
      at_.expect("]");
    }
    v.bytes.resize(size_t(count) * static_cast<size_t>(type->bytes));
    if (at_.accept("=")) values(v, type->bytes);
    at_.expect(";");
    v.address = next_variable_;
    next_variable_ += (v.bytes.size() + 511) / 256 * 256;  // room between two
    module_.variables.push_back(std::move(v));
  }

  void values(Variable& v, int bytes) {
    const bool list = at_.accept("{");
    size_t offset = 0;
    do {
      if (offset + static_cast<size_t>(bytes) > v.bytes.size()) at_.refuse(cat("more values than '", v.name, "' holds"));
      const Immediate value = read_immediate(at_);
      if (value.real_bytes != 0 && value.real_bytes != bytes) at_.refuse("a number of another type");
      for (int k = 0; k < bytes; ++k) v.bytes[offset++] = static_cast<uint8_t>(value.bits >> (8 * k));
    } while (list && at_.accept(","));
    if (list) at_.expect("}");
  }

  Cursor& at_;
  Module module_;
  uint64_t next_variable_;
};

}  // namespace

const Function* Module::find(std::string_view name) const {
  for (const Function& function : functions)
    if (function.name == name) return &function;
  return nullptr;
}

Result<Module> parse(std::string_view text, uint64_t variables) {
  const Result<std::vector<Token>> tokens = lex(text);
  if (!tokens.ok()) return tokens.failure();
  Cursor at(*tokens);
  ModuleParser parser(at, text, variables);
  try {
    return parser.parse();
  } catch (const Refused& refused) {
    size_t begin = 0;
    for (uint32_t line = 1; line < refused.line; ++line) begin = text.find('\n', begin) + 1;
    std::string_view written = text.substr(begin, text.find('\n', begin) - begin);
    written.remove_prefix(std::min(written.find_first_not_of(" \t"), written.size()));
    return Failure{cat("line ", refused.line, ": ", refused.why, ": ", written)};
  }
}

}  // namespace hebb::emulator
