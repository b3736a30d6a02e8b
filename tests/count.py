#!/usr/bin/env python3
"""Adds up what ctest ran: single GoogleTest cases, text tests and Hebb tests.

Usage: count.py BUILD_FOLDER. Reads results/ctest.xml (ctest --output-junit) and the details beside it.
Prints what failed, what was skipped and why, and last one line: N passed, N failed.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

results = pathlib.Path(sys.argv[1]) / "results"


def cases(path):
    """(name, 'passed' | 'failed' | reason for skipping) of each case of a GoogleTest or lit report."""
    for case in xml.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        elif skipped is not None:
            yield name, (skipped.get("message") or "no reason given").splitlines()[0]
        elif case.get("status") == "notrun":
            yield name, "disabled"
        else:
            yield name, "passed"


def hebb_cases(text):
    for line in text.splitlines():
        match = re.match(r"(ok|FAILED) +(.*)", line)
        if match:
            yield match[2], "passed" if match[1] == "ok" else "failed"


passed, failed, skipped = 0, [], {}
for program in xml.parse(results / "ctest.xml").iter("testcase"):
    name = program.get("name")
    details = results / f"{name}.xml"
    output = program.findtext("system-out") or ""
    if name in ("stdlib", "stdlib_on_device", "examples"):
        found = list(hebb_cases(output))
    else:
        try:
            found = list(cases(details))
        except (OSError, xml.ParseError):
            found = []
    failed_here = [case for case, state in found if state == "failed"]
    if not found and not details.exists() and program.get("status") == "run":
        found = [(name, "passed")]  # a program that is one test
    # A program that died has no report, or one without the case that killed it.
    if program.get("status") != "run" and not failed_here:
        failed_here = [f"{name}: the program itself"]
    failed += failed_here
    passed += sum(state == "passed" for _, state in found)
    for case, state in found:
        if state not in ("passed", "failed"):
            skipped.setdefault(state, []).append(case)

for case in failed:
    print("failed:", case)
for reason, names in skipped.items():
    print(f"skipped: {len(names)} ({reason}): {', '.join(names[:5])}{' …' if len(names) > 5 else ''}")
print(f"{sum(map(len, skipped.values()))} skipped")
print(f"{passed} passed, {len(failed)} failed")
sys.exit(1 if failed or passed == 0 else 0)
