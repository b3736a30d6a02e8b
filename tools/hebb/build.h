#pragma once
// What `hebb build` makes of a rule for other people's programs.

#include "tools/hebb/command.h"

namespace hebb::tool {

/// object, header, static-lib, shared-lib, llvm-bc, json
bool embedded_kind(const std::string& kind);

/// Writes `kinds` of one rule of the file: into the folder `options.output`, or one kind to that file.
int build_embedded(Sources& sources, FileId file, const PipelineOptions& pipeline, const std::vector<std::string>& kinds,
                   bool into_folder, const Options& options);

}  // namespace hebb::tool
