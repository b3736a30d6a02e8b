#pragma once
// The list of stages, in order, each with its --emit name. Read pipeline.cpp first.

#include <optional>
#include <string>

#include "compiler/codegen/codegen.h"
#include "compiler/sema/check.h"

namespace hebb {

enum class Emit { Tokens, Ast, Model, Program, LlvmIr, Asm, Ptx, PtxGradient };
std::optional<Emit> parse_emit(std::string_view name);

struct PipelineOptions {
  CheckOptions check;
  CodegenOptions codegen;
  int sm = 75;           // of PTX
  std::string network;   // empty: the only network, or the only rule as one synapse
};

/// A file as far as `model` and back ends need it: parsed, checked, located, solved.
struct Compilation {
  ast::File file;
  Model model;
};
Compilation compile(Sources& sources, FileId file, const CheckOptions& options, Diagnostics& diags);

/// The text of one stage; a failure when the world refuses; nothing when there are diagnostics.
Result<std::string> emit(Sources& sources, FileId file, Emit stage, const PipelineOptions& options,
                         Diagnostics& diags);

}  // namespace hebb
