#pragma once
// Which recordings have data that a loss could compare with anything.

#include "compiler/experiment/grad.h"

namespace hebb {

/// By recording: every term of every mean over data (`mse`, the cross entropies) is missing, whatever the runs do: as
/// data that are nan, or steps of the burn-in, say. Runs nothing. A loss without such means: none. None: reported.
std::optional<std::vector<bool>> recordings_without_data(Evaluation& e, const LossProblem& problem, int64_t burn_in);

/// Of a loss that some recordings take part in and that is not cut to them: a mean over data of which one side is missing
/// altogether, for it mixes recordings, is reported. True: there was one.
bool mixes_what_is_missing(Evaluation& e, const LossGraph& graph, const LossTape& tape);

}  // namespace hebb
