#include "compiler/embed/header.h"

#include <algorithm>
#include <cmath>

#include "compiler/embed/gradient.h"
#include "compiler/embed/names.h"
#include "compiler/support/text.h"
#include "runtime/embed/block.h"

namespace hebb {
namespace {

using Kind = EmbedField::Kind;

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; });
  return text;
}

std::string dimensions(const std::vector<int64_t>& shape) {
  std::string out;
  for (const int64_t extent : shape) out += cat("[", extent, "]");
  return out;
}

/// "[n_pre][row]", "[2][pre plane]"
std::string layout(const EmbedField& field) {
  const std::string small = dimensions(field.shape);
  if (field.place == "synapse") return small + "[n_pre][row]";
  if (field.place == "pre") return field.shape.empty() ? "[n_pre]" : small + "[n_pre rounded up to 16]";
  if (field.place == "post") return field.shape.empty() ? "[n_post]" : small + "[row]";
  return small.empty() ? "one value" : small;
}

std::string bounds_text(const Bounds& bounds) {
  if (!bounds.bounded()) return {};
  return cat(" in ", bounds.low_open ? "(" : "[", shortest(bounds.low), ", ", shortest(bounds.high),
             bounds.high_open ? ")" : "]", ";");
}

std::string unit_text(const EmbedField& field) {
  return field.unit.empty() ? "any unit" : field.unit == "1" ? "no unit" : field.unit;
}

/// Unit, shape, meaning.
std::string comment(const EmbedField& field) {
  std::string meaning = field.meaning;
  if (meaning.size() > 200) meaning = meaning.substr(0, meaning.rfind(' ', 190)) + " ...";
  return in_comment(cat(unit_text(field), "; ", layout(field), ";", bounds_text(field.bounds), " ", meaning));
}

void line(std::string& out, const std::string& declaration, const std::string& text) {
  out += "  " + declaration;
  if (declaration.size() < 30) out += std::string(30 - declaration.size(), ' ');
  out += cat(" /* ", text, " */\n");
}

bool is_input(Kind kind) {
  return kind == Kind::Signal || kind == Kind::PreValue || kind == Kind::PostValue || kind == Kind::Event ||
         kind == Kind::PreEvent || kind == Kind::PostEvent;
}

class HeaderWriter {
 public:
  explicit HeaderWriter(const EmbedUnit& unit) : unit_(unit), p_(unit.symbol), P_(upper(unit.symbol)) {}

  std::string write() {
    preamble();
    codes();
    block();
    inputs();
    if (unit_.object.gradient) gradients();
    functions();
    return out_;
  }

 private:
  void preamble() {
    out_ += cat("/* ", p_, ".h: the rule ", in_comment(unit_.rule), unit_.contract.empty() ? "" : ", " + unit_.contract,
                ". Written by hebb ", unit_.version, "; change the rule, not this file.\n");
    for (size_t begin = 0; begin < unit_.doc.size();) {
      const size_t end = std::min(unit_.doc.find('\n', begin), unit_.doc.size());
      out_ += cat(" * ", in_comment(unit_.doc.substr(begin, end - begin)), "\n");
      begin = end + 1;
    }
    out_ += cat(
        " *\n"
        " * A block is every pair of n_pre presynaptic and n_post postsynaptic neurons. Its numbers are plain arrays\n"
        " * in memory of the host, which may read and write them between calls:\n"
        " *\n"
        " *   ", p_, " b = ", P_, "_BLOCK(n_pre, n_post);\n"
        " *   int64_t bytes = ", p_, "_bytes(&b);                 below 0: an error\n"
        " *   void *memory = aligned_alloc(64, (size_t)bytes);\n"
        " *   int code = ", p_, "_init(&b, memory, bytes, 1);     0: all is well\n"
        " *\n"
        " * Times are in ms, voltages in mV, currents in pA. Element (i, j) of a matrix is at [i * b.row + j]; what lies\n"
        " * between n_post and row is padding. Functions keep nothing, allocate nothing and leave the state of the\n"
        " * floating-point unit alone; calls for different blocks may run on different threads. */\n");
    out_ += cat("#ifndef HEBB_RULE_", P_, "_H\n#define HEBB_RULE_", P_, "_H\n\n#include <stdint.h>\n\n");
    out_ += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  }

  void codes() {
    out_ += cat("#define ", P_, "_ABI ", HEBB_BLOCK_ABI, "u\n");
    out_ += cat("#define ", P_, "_SOURCE_SHA256 \"", unit_.digest, "\"\n\n");
    out_ += "/* What functions return: 0, or one of these. */\nenum {\n";
    struct Code { const char* name; int code; };
    constexpr Code kCodes[] = {{"OK", HEBB_OK}, {"ERROR_NULL", HEBB_NULL}, {"ERROR_ABI", HEBB_ABI},
                               {"ERROR_SIZE", HEBB_SIZE}, {"ERROR_MEMORY", HEBB_MEMORY},
                               {"ERROR_ALIGNMENT", HEBB_ALIGNMENT}, {"ERROR_ORDER", HEBB_ORDER},
                               {"ERROR_INDEX", HEBB_INDEX}, {"ERROR_COUNT", HEBB_COUNT}, {"ERROR_DT", HEBB_DT},
                               {"ERROR_CPU", HEBB_CPU}, {"ERROR_PERIOD", HEBB_PERIOD}};
    for (const Code& one : kCodes) {
      const bool last = &one == std::end(kCodes) - 1;
      line(out_, cat(P_, "_", one.name, " = ", one.code, last ? "" : ","), hebb_block_error_text(one.code));
    }
    out_ += cat("};\n\ntypedef ", unit_.precision == Precision::Float32 ? "float" : "double", " ", p_, "_real;\n\n");
  }

  void block() {
    out_ += cat("typedef struct ", p_, " {\n");
    line(out_, "uint32_t abi_version;", cat(P_, "_ABI"));
    line(out_, "uint32_t struct_size;", cat("sizeof(", p_, ")"));
    line(out_, "int64_t n_pre;", "presynaptic neurons; set by the host before bytes and init");
    line(out_, "int64_t n_post;", "postsynaptic neurons; set by the host before bytes and init");
    line(out_, "int64_t row;", "elements between two rows of a matrix; set by init");
    line(out_, "uint64_t seed;", "of random numbers; given to init");
    line(out_, "int64_t step;", "calls of instant and step since the start");
    line(out_, "double time_ms;", "ms; sum of all dt since the start");
    out_ += "  double reserved_time[2];\n  int64_t reserved_steps;\n  uint32_t reserved_state[2];\n  int64_t *reserved_clocks;\n";
    for (const EmbedField& field : unit_.fields) {
      const std::string kind = field_note(field);
      line(out_, cat(p_, "_real *", field.c_name, ";"), kind + comment(field));
    }
    const size_t hidden = unit_.column_count - unit_.fields.size();
    if (hidden > 0) out_ += cat("  ", p_, "_real *reserved_arrays[", hidden, "];\n");
    out_ += cat("} ", p_, ";\n\n");
    out_ += cat("/* A block before init. */\n#define ", P_, "_BLOCK(n_pre, n_post) \\\n  { ", P_, "_ABI, (uint32_t)sizeof(", p_,
                "), (n_pre), (n_post), 0, 0, 0, 0, {0, 0}, 0, {0, 0}, 0");
    for (size_t k = 0; k < unit_.fields.size(); ++k) out_ += ", 0";
    if (hidden > 0) {
      out_ += ", {0";
      for (size_t k = 1; k < hidden; ++k) out_ += ", 0";
      out_ += "}";
    }
    out_ += " }\n\n";
  }

  static std::string field_note(const EmbedField& field) {
    switch (field.kind) {
      case Kind::Param: return "parameter: ";
      case Kind::Weight: return "weight: ";
      case Kind::State: return "state: ";
      case Kind::Period: return "parameter: ";
      case Kind::Signal:
      case Kind::PreValue:
      case Kind::PostValue: return "given last: ";
      case Kind::Event:
      case Kind::PreEvent:
      case Kind::PostEvent:
      case Kind::Dt:
      case Kind::Size:
      case Kind::Derived: return "read only: ";
    }
    return {};
  }

  void inputs() {
    out_ += cat("/* What happens at one moment: all of it together, so that nothing depends on an order of calls. Values that\n"
                " * are not given (a null pointer and 0) stay as they were; before the first time they are 0. */\n");
    out_ += cat("typedef struct ", p_, "_inputs {\n");
    line(out_, "uint32_t abi_version;", cat(P_, "_ABI"));
    line(out_, "uint32_t struct_size;", cat("sizeof(", p_, "_inputs)"));
    std::set<std::string> taken = {"abi_version", "struct_size"};
    for (const EmbedField& field : unit_.fields) taken.insert(field.c_name);
    for (const EmbedField& field : unit_.fields) {
      if (!is_input(field.kind)) continue;
      if (field.kind == Kind::Event) {
        line(out_, cat("int64_t ", field.c_name, ";"), cat("1 when ", in_comment(field.name), " happens, else 0"));
        continue;
      }
      const std::string number = fresh_c_identifier(field.c_name + "_count", taken);
      const bool spikes = field.kind == Kind::PreEvent || field.kind == Kind::PostEvent;
      const char* n = field.place == "pre" ? "n_pre" : field.place == "post" ? "n_post" : "";
      if (spikes) {
        line(out_, cat("const int32_t *", field.c_name, ";"),
             cat("numbers of the neurons with ", in_comment(field.name), ", 0 to ", n, " - 1, in any order"));
        line(out_, cat("int64_t ", number, ";"), "how many");
        continue;
      }
      const std::string shape = cat(dimensions(field.shape), *n ? cat("[", n, "]") : "");
      line(out_, cat("const ", p_, "_real *", field.c_name, ";"),
           in_comment(cat(unit_text(field), "; ", shape.empty() ? "one value" : shape, "; ", field.meaning)));
      int64_t width = 1;
      for (const int64_t extent : field.shape) width *= extent;
      const std::string expected = *n ? (width > 1 ? cat(width, " * ", n) : std::string(n)) : cat(width);
      line(out_, cat("int64_t ", number, ";"), cat(expected, ", or 0"));
    }
    out_ += cat("} ", p_, "_inputs;\n\n#define ", P_, "_INPUTS \\\n  { ", P_, "_ABI, (uint32_t)sizeof(", p_, "_inputs)");
    for (const EmbedField& field : unit_.fields)
      if (is_input(field.kind)) out_ += field.kind == Kind::Event ? ", 0" : ", 0, 0";
    out_ += " }\n\n";
  }

  void gradients() {
    out_ += cat("/* Derivatives of one number, the loss, each in an array laid out like the block's of the same name; or null: not\n"
                " * wanted, and 0 after. Of weights and states: the host puts the derivative by the value after the step and\n"
                " * finds the derivative by the value before. Of parameters and given values: what the step contributes is\n"
                " * added. */\n");
    out_ += cat("typedef struct ", p_, "_gradients {\n");
    line(out_, "uint32_t abi_version;", cat(P_, "_ABI"));
    line(out_, "uint32_t struct_size;", cat("sizeof(", p_, "_gradients)"));
    size_t count = 0;
    for (const EmbedField& field : unit_.fields) {
      if (!has_derivative(field.kind)) continue;
      ++count;
      const std::string per = cat("by ", in_comment(field.name), ", loss per ", unit_text(field), "; ", layout(field), "; ");
      line(out_, cat(p_, "_real *", field.c_name, ";"), per + (is_carried(field.kind) ? "in: after, out: before" : "added to"));
    }
    out_ += cat("} ", p_, "_gradients;\n\n#define ", P_, "_GRADIENTS \\\n  { ", P_, "_ABI, (uint32_t)sizeof(", p_, "_gradients)");
    for (size_t k = 0; k < count; ++k) out_ += ", 0";
    out_ += " }\n\n";
  }

  void gradient_functions() {
    out_ += cat("/* Bytes of working memory that vjp needs, aligned to 64; a code below 0. */\n"
                "int64_t ", p_, "_vjp_bytes(const ", p_, " *block);\n\n"
                "/* From derivatives by the values after a step to derivatives by those before, the parameters and the inputs.\n"
                " * `block` is as it was before the step and is not changed: a host that goes back through many steps keeps the\n"
                " * struct and its memory of each, or of some. dt = 0: of the instant alone. */\n"
                "int ", p_, "_vjp(const ", p_, " *block, const ", p_, "_inputs *inputs, double dt, ", p_, "_gradients *gradients,\n"
                "        void *memory, int64_t bytes);\n\n");
  }

  void functions() {
    const std::string grid = unit_.grid_required
                                 ? " * Some variables are solved step by step: keep dt small.\n"
                                 : " * Every variable is solved exactly: dt may be the time to the next event.\n";
    const std::string steps = unit_.uses_steps ? " * The rule counts steps (on step): what it does then happens here, not in instant.\n" : "";
    out_ += cat("/* Bytes of memory that a block needs, aligned to 64; a code below 0 for sizes that cannot be. */\n"
                "int64_t ", p_, "_bytes(const ", p_, " *block);\n\n"
                "/* Lays the arrays out in `memory`, sets parameters and start values. */\n"
                "int ", p_, "_init(", p_, " *block, void *memory, int64_t bytes, uint64_t seed);\n\n"
                "/* Start values anew, from the parameters as they are now; time is 0 again. */\n"
                "int ", p_, "_start(", p_, " *block);\n\n"
                "/* Everything that happens at one moment, computed from the values before it; then bounds. */\n"
                "int ", p_, "_instant(", p_, " *block, const ", p_, "_inputs *inputs);\n\n"
                "/* One step of a grid: the moment that `inputs` describes (null: nothing happens), then the flow over dt ms.\n",
                grid, steps, " */\n"
                "int ", p_, "_step(", p_, " *block, const ", p_, "_inputs *inputs, double dt);\n\n"
                "/* Call before reading what the rule has written, and after writing: brings everything up to date and within\n"
                " * bounds. */\n"
                "int ", p_, "_sync(", p_, " *block);\n\n");
    if (unit_.object.gradient) gradient_functions();
    out_ += cat("/* A sentence for a code; never null. */\n"
                "const char *", p_, "_error_text(int code);\n\n"
                "/* JSON: rule, compiler, precision, SHA-256 of the source. */\n"
                "const char *", p_, "_metadata(void);\n\n"
                "/* ", P_, "_ABI of the compiled rule. */\n"
                "uint32_t ", p_, "_abi_version(void);\n\n"
                "#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
  }

  const EmbedUnit& unit_;
  const std::string p_, P_;
  std::string out_;
};

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (static_cast<unsigned char>(c) < ' ') out += cat("\\u00", c < 16 ? "0" : "1", "0123456789abcdef"[c & 15]);
    else out += c;
  }
  return out + '"';
}

std::string json_number(double value) { return std::isfinite(value) ? shortest(value) : "null"; }

}  // namespace

const char* kind_name(EmbedField::Kind kind) {
  switch (kind) {
    case Kind::Param: return "parameter";
    case Kind::Weight: return "weight";
    case Kind::State: return "state";
    case Kind::Signal: return "signal";
    case Kind::PreValue: return "pre value";
    case Kind::PostValue: return "post value";
    case Kind::Event: return "event";
    case Kind::PreEvent: return "pre spikes";
    case Kind::PostEvent: return "post spikes";
    case Kind::Period: return "period";
    case Kind::Dt: return "dt";
    case Kind::Size: return "size";
    case Kind::Derived: return "derived";
  }
  return "";
}

std::string c_header(const EmbedUnit& unit) { return HeaderWriter(unit).write(); }

std::string metadata_json(const EmbedUnit& unit, const std::string& target) {
  std::string out = cat("{\n  \"rule\": ", json_string(unit.rule), ",\n  \"symbol\": ", json_string(unit.symbol),
                        ",\n  \"doc\": ", json_string(unit.doc), ",\n  \"contract\": ", json_string(unit.contract),
                        ",\n  \"hebb\": ", json_string(unit.version), ",\n  \"abi\": ", HEBB_BLOCK_ABI,
                        ",\n  \"real\": ", unit.precision == Precision::Float32 ? "\"float\"" : "\"double\"",
                        ",\n  \"target\": ", json_string(target), ",\n  \"sha256\": ", json_string(unit.digest),
                        ",\n  \"draws\": ", unit.draws ? "true" : "false",
                        ",\n  \"uses_steps\": ", unit.uses_steps ? "true" : "false",
                        ",\n  \"grid_required\": ", unit.grid_required ? "true" : "false",
                        ",\n  \"vjp\": ", unit.object.gradient ? "true" : "false", ",\n  \"arrays\": ", unit.column_count, ",\n  \"fields\": [");
  for (const EmbedField& field : unit.fields) {
    std::string shape;
    for (const int64_t extent : field.shape) shape += cat(shape.empty() ? "" : ", ", extent);
    out += cat(&field == unit.fields.data() ? "\n" : ",\n", "    {\"name\": ", json_string(field.name), ", \"c_name\": ",
               json_string(field.c_name), ", \"kind\": \"", kind_name(field.kind), "\", \"per\": \"", field.place,
               "\", \"unit\": ", json_string(field.unit), ", \"shape\": [", shape, "]");
    if (field.bounds.bounded())
      out += cat(", \"bounds\": [", json_number(field.bounds.low), ", ", json_number(field.bounds.high), "]");
    out += cat(", \"meaning\": ", json_string(field.meaning), "}");
  }
  return out + "\n  ]\n}\n";
}

}  // namespace hebb
