#!/bin/bash
# tests/pytest_in_venv.sh RESULTS.xml NAME FOLDER PACKAGE...: runs FOLDER's tests in the virtual environment NAME with the
# packages and writes a report that count.py reads. Where the environment cannot be had, one skipped case says so.
root="$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)"
report="$1" name="$2" folder="$3"
shift 3

rm -f "$report"
if ! why="$("$root/tools/venv.sh" "$name" pytest "$@" 2>&1 >"$report.python")"; then
  why="$(tail -n 1 <<<"$why" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/"/\&quot;/g')"
  printf '<testsuite><testcase classname="%s" name="all"><skipped message="%s"/></testcase></testsuite>\n' "$name" "$why" >"$report"
  echo "skipped: $why"
  exit 0
fi
python="$(cat "$report.python")"
rm -f "$report.python"
exec "$python" -m pytest -q -p no:cacheprovider -W ignore --junitxml "$report" "$root/$folder"
