// Shadows <assert.h> (and so <cassert>) in C++ sources of ours: a promise of ours that fails throws
// instead of ending the program, so that libhebb can say so to its host. Nobody in the command catches it:
// there it ends the program with the same sentence. Like the original, it may be included any number of times.
#ifdef __cplusplus
#undef assert
#ifndef HEBB_PROMISE
#define HEBB_PROMISE
namespace hebb {
[[noreturn]] void broken_promise(const char* promise, const char* file, int line);
}
#endif
#ifdef NDEBUG
#define assert(...) (static_cast<void>(0))
#else
#define assert(...) (static_cast<bool>(__VA_ARGS__) ? static_cast<void>(0) : ::hebb::broken_promise(#__VA_ARGS__, __FILE__, __LINE__))
#endif
#else
#include_next <assert.h>
#endif
