#pragma once
// Numbers below the normal range as 0, in this thread, while it lives. A trace that nothing renews for long
// decays into that range and stays there, where each operation takes a hundred times as long.

#ifdef __x86_64__
#include <xmmintrin.h>
#endif

namespace hebb {

class SubnormalsAreZero {
 public:
#ifdef __x86_64__
  explicit SubnormalsAreZero(bool wanted) : before_(_mm_getcsr()) {
    constexpr unsigned kFlushResults = 0x8000, kFlushOperands = 0x0040;
    if (wanted) _mm_setcsr(before_ | kFlushResults | kFlushOperands);
  }
  ~SubnormalsAreZero() { _mm_setcsr(before_); }
#else
  explicit SubnormalsAreZero(bool) {}
#endif
  SubnormalsAreZero(const SubnormalsAreZero&) = delete;
  SubnormalsAreZero& operator=(const SubnormalsAreZero&) = delete;

 private:
#ifdef __x86_64__
  unsigned before_;
#endif
};

}  // namespace hebb
