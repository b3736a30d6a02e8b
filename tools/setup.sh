# Installs what is missing and builds; read by ./hebb and ./check. Wants $root, the folder of both.
# Everything it says goes to stderr.

build="$root/build/release"

# Debian packages and what each is for.
packages="
g++|the C++ compiler
cmake|configures the build
ninja-build|runs the build
ccache|makes later builds short
llvm-22-dev|the compiler back end
llvm-22|its tools: the math functions are built with them
clang-22|compiles the math functions to LLVM code, and the loops to compare with
llvm-22-tools|FileCheck and lit, for the tests
lld-22|the linker
libclc-22|math functions as LLVM code
antlr4|writes the parser from the grammar
libantlr4-runtime-dev|what that parser needs
libeigen3-dev|linear algebra
libzip-dev|NPZ files
zlib1g-dev|compressed parts of MATLAB files
libhdf5-dev|HDF5 files
libcli11-dev|the command line
libgtest-dev|the unit tests
python3-dev|the Python package
python3-venv|virtual environments, for the tests of the Python package and the comparisons
"

say() { printf '%s\n' "$*" >&2; }

install_missing() {
  local missing=() name why
  while IFS='|' read -r name why; do
    [ -n "$name" ] || continue
    if [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
      [ ${#missing[@]} -gt 0 ] || say "hebb needs some Debian packages:"
      say "$(printf '  %-22s %s' "$name" "$why")"
      missing+=("$name")
    fi
  done <<<"$packages"
  [ ${#missing[@]} -gt 0 ] || return 0

  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo "
  say "with this line:"
  say "  ${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${missing[*]}"
  if [ "${HEBB_NO_INSTALL:-}" = 1 ]; then
    say "HEBB_NO_INSTALL=1: nothing was installed."
    return 2
  fi
  if ! command -v apt-get >/dev/null || { [ -n "$sudo" ] && ! command -v sudo >/dev/null; }; then
    say "hebb cannot install them by itself here (no apt-get, or not root and no sudo)."
    return 2
  fi
  { ${sudo}apt-get update &&
    ${sudo}env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >&2
}

# Builds the targets that are named; all of them without a name. Leaves a stamp as old as the beginning:
# what changes from then on is newer.
build_targets() {
  mkdir -p "$build"
  touch "$build/.building"
  exec 9>"$build/.lock"
  flock 9  # two at once: the second waits and finds the work done
  if [ ! -f "$build/build.ninja" ]; then
    say "configuring (once)"
    (cd "$root" && cmake --preset release) >"$build/configure.log" 2>&1 || {
      cat "$build/configure.log" >&2
      return 2
    }
  fi
  ninja -C "$build" "$@" >&2 || return 2
  mv "$build/.building" "$build/.built"
  exec 9>&-
}
