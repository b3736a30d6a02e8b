#include "runtime/data/hdf5_library.h"

#ifdef HEBB_HDF5_LIBRARY
#include <dlfcn.h>
#endif

#include <string>

#include "compiler/support/text.h"

namespace hebb {

namespace {

Hdf5Library library;
bool loaded = false;

#ifdef HEBB_HDF5_LIBRARY

/// Where it was when this was built, or where the system finds it.
void* open_library() {
  const std::string path = HEBB_HDF5_LIBRARY;
  if (void* found = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return found;
  return dlopen(path.substr(path.rfind('/') + 1).c_str(), RTLD_NOW | RTLD_LOCAL);
}

template <class Pointer>
bool find(void* in, const char* name, Pointer& into) {
  into = reinterpret_cast<Pointer>(dlsym(in, name));
  return into != nullptr;
}

Status fill() {
  void* const in = open_library();
  bool all = in != nullptr;
#define HEBB_TEXT_OF(name) #name
#define HEBB_TEXT(name) HEBB_TEXT_OF(name)
#define HEBB_FIND(name) all = all && find(in, HEBB_TEXT(name), library.name);
  HEBB_HDF5_FUNCTIONS(HEBB_FIND)
  HEBB_HDF5_IDENTIFIERS(HEBB_FIND)
  if (!all) return Failure{cat("the HDF5 library does not load: ", dlerror())};
  return Done{};
}

#else

Status fill() {
#define HEBB_TAKE(name) library.name = &::name;
  HEBB_HDF5_FUNCTIONS(HEBB_TAKE)
  HEBB_HDF5_IDENTIFIERS(HEBB_TAKE)
  return Done{};
}

#endif

}  // namespace

Status load_hdf5() {
  if (loaded) return Done{};
  if (Status filled = fill(); !filled) return filled;
  // A file that a full disk kept from being closed would crash the library's own end; ours are closed before it.
  library.H5dont_atexit();
  if (library.H5open() < 0) return Failure{"the HDF5 library does not open"};
  loaded = true;
  return Done{};
}

const Hdf5Library& h5() {
  assert(loaded && "load_hdf5 comes first");
  return library;
}

}  // namespace hebb
