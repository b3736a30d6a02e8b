#pragma once
// Where draws stand, in an order of names: moving lines, handlers or declarations of a file must not
// change its random numbers.

#include <string>
#include <vector>

#include "compiler/model/model.h"

namespace hebb {

/// An expression that may draw, and what it belongs to: "x := on pre.spike", and which element.
struct DrawRoot {
  std::string key;
  uint32_t element = 0;
  ExprId root;
};

/// The draw sites of the model below `roots`: roots by key and element, roots of one key by what they
/// compute, draws of one root from left to right.
std::vector<uint32_t> sites_in_order(const Model& model, std::vector<DrawRoot> roots);

}  // namespace hebb
