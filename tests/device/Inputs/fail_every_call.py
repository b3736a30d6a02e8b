#!/usr/bin/env python3
"""Makes every call of the driver fail once: the first of each entry point, one in the middle and the last.

Usage: fail_every_call.py HEBB STANDIN FILE. Whatever fails, `hebb run --device cuda` either gives the numbers of
the CPU or ends with exit code 1 or 2 and one error that has the driver's own words; and unless the device is
broken, it gives everything back. Prints one line for each entry point.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

hebb, standin, source = sys.argv[1:]
OUT_OF_MEMORY, LAUNCH_FAILED = (2, "out of memory"), (719, "unspecified launch failure")
# Calls that only tidy up, tell something for a message, or say again what holds already.
MAY_BE_IGNORED = {"cuCtxSetCurrent", "cuMemFree_v2", "cuModuleUnload", "cuStreamDestroy_v2", "cuGraphDestroy", "cuGraphExecDestroy",
                  "cuDevicePrimaryCtxRelease_v2", "cuMemFreeHost", "cuMemGetInfo_v2"}


def run(device, **settings):
    """Exit code, what it printed, what it complained about, and the stand-in's report by first word."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report")
        environment = dict(os.environ, HEBB_CUDA_DRIVER=standin, HEBB_STANDIN_REPORT=str(report), **settings)
        done = subprocess.run([hebb, "run", "-q", "--device", device, source], env=environment, capture_output=True,
                              text=True, timeout=120)
        lines = report.read_text().splitlines() if report.exists() else []
        return done.returncode, done.stdout, done.stderr, lines


def left_behind(report):
    return next((line for line in report if line.startswith("left behind")), "no report")


code, want, _, _ = run("cpu")
assert code == 0, "the CPU fails"
code, got, complaints, report = run("cuda")
assert (code, got) == (0, want), f"{code}\n{got}\n{want}\n{complaints}"
nothing = left_behind(report)
assert nothing == "left behind: 0 bytes, 0 modules, 0 streams, 0 graphs, 0 host buffers, 0 contexts", nothing
calls = {words[0]: int(words[1]) for words in map(str.split, report) if words[0].startswith("cu")}

wrong = 0
for name, count in sorted(calls.items()):
    outcomes = set()
    for number in sorted({1, 1 + count // 2, count}):
        for failure, words in (OUT_OF_MEMORY, LAUNCH_FAILED):
            words = (words, "invalid device context") if name == "cuCtxSetCurrent" else (words,)  # what the next call says
            code, got, complaints, report = run("cuda", HEBB_STANDIN_FAIL=f"{name}:{number}={failure}")
            errors = [line for line in complaints.splitlines() if "error[" in line or line.startswith("hebb: ")]
            if code == 0 and got == want and (name in MAY_BE_IGNORED or number == count):
                outcome = "ignored"
            elif code in (1, 2) and len(errors) == 1 and (any(word in errors[0] for word in words) or (failure == OUT_OF_MEMORY[0] and "more of the GPU's memory" in errors[0])):
                outcome = "reported"
            else:
                outcome = f"WRONG ({number}={failure}: exit {code}, {'other numbers' if got != want else 'same numbers'}, {errors})"
                wrong += 1
            if failure == OUT_OF_MEMORY[0] and name not in MAY_BE_IGNORED and left_behind(report) != nothing:
                outcome = f"WRONG ({number}={failure}: {left_behind(report)})"
                wrong += 1
            outcomes.add(outcome)
    print(name, ", ".join(sorted(outcomes)))
print(f"{len(calls)} entry points, {wrong} wrong")
