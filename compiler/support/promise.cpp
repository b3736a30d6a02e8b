#include "compiler/support/promise.h"

#include <cassert>

#include "compiler/support/text.h"

namespace hebb {

void broken_promise(const char* promise, const char* file, int line) {
  throw BrokenPromise(cat(file, ":", line, ": broken promise: ", promise));
}

}  // namespace hebb
