#pragma once
// Runs one instruction on given bits, as a kernel of one thread.

#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <vector>

#include "compiler/support/text.h"
#include "tests/ptx/decode.h"
#include "tests/ptx/execute.h"
#include "tests/ptx/parse.h"

namespace hebb::emulator {

/// A module around the statements of one kernel.
inline std::string kernel_text(const std::string& parameters, const std::string& body) {
  return cat(".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k(", parameters,
             ")\n{\n.reg .pred %p<9>;\n.reg .b16 %h<9>;\n.reg .b32 %w<9>;\n.reg .b64 %d<9>;\n", body, "ret;\n}\n");
}

inline std::string operands_of(std::string_view spelling) {
  for (const auto& [known, operands] : known_instructions())
    if (known == spelling) return std::string(operands);
  return {};
}

/// The result's bits, or the fault.
inline Result<uint64_t> one_instruction(const std::string& spelling, const std::vector<uint64_t>& values,
                                        const RunOptions& options = {}) {
  const std::string operands = operands_of(spelling);
  if (operands.size() != values.size() + 1) return Failure{cat("'", spelling, "' takes '", operands, "'")};
  const auto lower = [&](size_t k) { return std::string(1, static_cast<char>(std::tolower(operands[k]))); };
  const auto name = [&](size_t k) { return cat("%", lower(k), k); };
  const auto type = [&](size_t k) { return lower(k) == "h" ? "b16" : lower(k) == "w" ? "b32" : "b64"; };

  std::string body = "ld.param.b64 %d8, [memory];\n", call = cat(spelling, " ", name(0));
  for (size_t k = 1; k < operands.size(); ++k) {
    if (lower(k) == "p") body += cat("ld.global.b64 %d7, [%d8+", 8 * k, "];\nsetp.ne.b64 %p", k, ", %d7, 0;\n");
    else body += cat("ld.global.", type(k), " ", name(k), ", [%d8+", 8 * k, "];\n");
    call += cat(", ", name(k));
  }
  body += call + ";\n";
  if (lower(0) == "p") body += "selp.b64 %d7, 1, 0, %p0;\nst.global.b64 [%d8], %d7;\n";
  else body += cat("st.global.", type(0), " [%d8], ", name(0), ";\n");

  const Result<Module> module = parse(kernel_text(".param .u64 memory", body));
  if (!module.ok()) return module.failure();
  DeviceMemory memory;
  const uint64_t address = memory.allocate(64);
  uint64_t words[8] = {};
  for (size_t k = 0; k < values.size(); ++k) words[k + 1] = values[k];
  memory.write(address, words, sizeof words);
  const RunResult result = run(*module, module->functions[0], {}, {reinterpret_cast<const uint8_t*>(&address), 8}, memory, options);
  if (!result.ok) return Failure{result.fault.message};
  memory.read(address, words, sizeof words);
  return words[0];
}

}  // namespace hebb::emulator
