#pragma once
// How much memory there is, and how to say so.

#include <cstdint>
#include <string>

namespace hebb {

/// Bytes the process may still take; a very large number when the system does not tell.
uint64_t available_memory();
/// "812 B", "3.2 TB"
std::string bytes_text(double bytes);

}  // namespace hebb
