#pragma once

namespace hebb::bench {

/// Prints what a recording of the small network costs alone and among 64. False: they differ in some bit.
bool print_lanes(int repeats);

}  // namespace hebb::bench
