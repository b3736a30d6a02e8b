#include "tools/hebb/command.h"

namespace hebb::tool {

const CodeText* code_text(std::string_view) { return nullptr; }

}  // namespace hebb::tool
