#pragma once
// The texts that go with an object: a C11 header (which is C++ too) and metadata.

#include <string>

#include "compiler/embed/unit.h"

namespace hebb {

std::string c_header(const EmbedUnit& unit);

/// JSON: everything the header says, for other generators of bindings.
std::string metadata_json(const EmbedUnit& unit, const std::string& target);

/// "parameter", "pre spikes"
const char* kind_name(EmbedField::Kind kind);

}  // namespace hebb
