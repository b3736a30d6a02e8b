#pragma once
// Values of experiments and tests: numbers, arrays, texts, tables of recorded data, and results of runs
// and protocols. Numbers are in internal units and carry their dimension when it is known.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "compiler/units/dimension.h"

namespace hebb {

/// Row-major; an empty shape is a scalar.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<double> values;
  std::optional<Dimension> dimension;
  bool scalar() const { return shape.empty(); }
};

struct Value;
/// Named values: the columns of a CSV file, the arrays of an NPZ, the recordings of a run.
struct Table {
  std::string what;                      // "digits.csv", "run of Bandit": for messages
  std::map<std::string, Tensor> columns;
  std::vector<std::string> order;
  std::optional<int64_t> rows;           // of a data file
  std::map<std::string, std::string> unread;  // of a data file: what is there and why it is no numbers
  bool batched = false;                  // of a run: columns have a leading batch axis
  std::string text;                      // what 'print' shows; empty: the names of the columns
  std::map<const void*, Tensor> measures;  // of a run: by the call that asks for one
  std::map<std::string, Tensor> finals;  // of a run: the last values of recordings, without a time axis
};

struct Value {
  std::variant<Tensor, std::string, std::shared_ptr<const Table>> data;
};

}  // namespace hebb
