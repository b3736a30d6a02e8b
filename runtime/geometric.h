#pragma once
// The synapses of one row of a random projection, many at a time: gaps between them are geometric. The same
// bits on every machine.

#include <cstdint>

namespace hebb {

/// Densities that 23 bits of a draw give well enough.
constexpr double kLeastGapDensity = 1.0 / 128, kMostGapDensity = 127.0 / 128;

/// Draws the columns of row `row` among 0 … columns - 1, each with probability `p`, into `into`, ascending; returns how
/// many. `into` has room for `columns` and 16 more. p lies between the densities above.
int64_t draw_row(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, uint16_t* into);
int64_t draw_row(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, uint32_t* into);

/// The same without wide vectors, for machines that have none and for tests.
int64_t draw_row_narrow(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, uint32_t* into);

}  // namespace hebb
