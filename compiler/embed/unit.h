#pragma once
// A rule made ready for other people's programs: its kernels, the names and the meaning of everything a
// host sees. Headers, metadata and objects are written from this.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/codegen/object.h"
#include "compiler/model/model.h"

namespace hebb {

struct EmbedField {
  enum class Kind { Param, Weight, State, Signal, PreValue, PostValue, Event, PreEvent, PostEvent, Period, Dt, Size, Derived };
  Kind kind = Kind::State;
  std::string name;         // in the rule: "w", "pre.r"
  std::string c_name;       // "w", "pre_r"
  ColumnId column;
  std::string place;        // "one", "pre", "post", "synapse": what there is one of it for
  std::string unit;         // "ms", "1"; empty: any
  std::vector<int64_t> shape;  // of a small array
  std::string meaning;      // from the rule's text
  Bounds bounds;
};

struct EmbedUnit {
  std::shared_ptr<const Program> program;
  ObjectUnit object;
  std::vector<EmbedField> fields;   // one for each named column, in order
  std::string rule;                 // "PairSTDP"
  std::string symbol;               // "pair_stdp"
  std::string doc;                  // of the rule
  std::string contract;             // "local", …; empty: no claim
  std::string version;              // of the compiler
  std::string digest;               // SHA-256 of the source
  Precision precision = Precision::Float32;
  size_t column_count = 0;
  bool uses_steps = false, grid_required = false, draws = false;
};

/// `rule` must be located and solved. `version` is that of the compiler: "0.1.0".
EmbedUnit embed_unit(const Model& model, const Rule& rule, const Sources& sources, Precision precision,
                     const std::string& version);

/// The rule that `name` means; with no name the only rule that `file` itself declares. A failure lists them.
Result<const Rule*> choose_rule(const Model& model, FileId file, const std::string& name);

}  // namespace hebb
