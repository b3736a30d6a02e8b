#!/usr/bin/env python3
"""Which number of which published rule is shown by which test: a table from catalogue.tsv. A test that is not there is an error.

  python3 tools/catalogue.py                 prints the table
  python3 tools/catalogue.py --run [HEBB]    runs all these tests; says only which fail
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def rows():
    """(id, file below stdlib, how the title of its test begins, number)"""
    for line in (ROOT / "tools" / "catalogue.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            yield tuple(line.split("\t"))


def source(file: str) -> pathlib.Path:
    return (ROOT / "stdlib" / f"{file}.hebb").resolve()


def titles(files) -> dict:
    """The titles of the tests of some files."""
    return {file: re.findall(r'^test "(.*)" \{', source(file).read_text(), re.M) for file in files}


def failing(hebb: str, files) -> set:
    """(path, title) of tests that do not pass"""
    ran = subprocess.run([hebb, "test", *(str(source(file)) for file in files)], capture_output=True, text=True, cwd=ROOT)
    found = re.findall(r"^(ok|FAILED) +(\S+): (.*)$", ran.stdout, re.M)
    passed = {(path, title) for word, path, title in found if word == "ok"}
    return {(str(source(file)), title) for file, own in titles(files).items() for title in own} - passed


def main() -> int:
    table = list(rows())
    files = dict.fromkeys(row[1] for row in table)
    known = titles(files)
    bad = failing(sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "hebb"), files) if "--run" in sys.argv else set()
    wrong = []
    lines = []
    for rule, file, begins, number in table:
        title = next((title for title in known[file] if title.startswith(begins)), None)
        if title is None or (str(source(file)), title) in bad:
            wrong.append(f"{rule}: {file}: {begins}: " + ("no such test" if title is None else "fails"))
            continue
        where = file.removeprefix("../")
        name = where if where.startswith("examples") else f"std/{where}"
        lines.append(f"| {rule} | {number} | `{name}` | {title.replace('|', chr(92) + '|')} |")
    if "--run" not in sys.argv:
        print("| rule | what is known of it | file | test |")
        print("|---|---|---|---|")
        print("\n".join(lines))
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
