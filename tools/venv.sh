#!/bin/bash
# tools/venv.sh NAME PACKAGE...: a Python virtual environment with packages from PyPI, for peers to compare with and for tests.
# Prints the path of its python on stdout. When it cannot be had, says why in one line and exits 1: the caller skips.
root="$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)"
[ $# -ge 1 ] || { echo "usage: tools/venv.sh NAME PACKAGE..." >&2; exit 2; }
name="$1"
shift
home="${HEBB_VENVS:-$root/build/venv}/$name"
wanted="$*"

mkdir -p "${home%/*}"
exec 9>"$home.lock"
flock 9  # two tests at once: the second waits and finds it made
if [ "$(cat "$home/.packages" 2>/dev/null)" != "$wanted" ]; then
  log="$home.log"
  if [ "${HEBB_NO_INSTALL:-}" = 1 ]; then
    echo "no virtual environment with $wanted: HEBB_NO_INSTALL=1" >&2
    exit 1
  fi
  echo "making a virtual environment with: $wanted" >&2
  rm -rf "$home"
  if ! { python3 -m venv "$home" && { [ $# = 0 ] || "$home/bin/pip" install --quiet --disable-pip-version-check "$@"; }; } >"$log" 2>&1; then
    echo "no virtual environment with $wanted: $(tail -n 1 "$log")" >&2
    rm -rf "$home"
    exit 1
  fi
  printf '%s' "$wanted" >"$home/.packages"
fi
echo "$home/bin/python"
