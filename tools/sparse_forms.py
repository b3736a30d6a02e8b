#!/usr/bin/env python3
"""Which rules of the library look at which synapses when, on a sparse projection: a table from `hebb explain`."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def short(text: str) -> str:
    """ "its column of synapses: 2 multiply-adds a synapse, because it depends on w" -> "column: it depends on w" """
    what = {"its row": "row", "its column": "column", "no synapse": "no synapse", "every synapse": "every synapse"}
    start = next((spoken for words, spoken in what.items() if text.startswith(words)), text.split(":")[0])
    because = re.search(r", because (.*)$", text)
    return f"{start}: {because.group(1)}" if because else start


def forms(hebb: str, path: pathlib.Path):
    text = subprocess.run([hebb, "explain", str(path)], capture_output=True, text=True, check=True).stdout
    for block in text.split("\n\n"):
        lines = block.splitlines()
        name = re.match(r"(\w+): (?:local|three_factor|nonlocal)$|(\w+)$", lines[0])
        if name is None or "  on a sparse projection" not in lines:
            continue
        found = {}
        for line in lines[lines.index("  on a sparse projection") + 1 :]:
            event, what = line[4:18].strip(), line[18:]
            found[event] = what if event in ("turn", "memory", "replayed") else short(what)
        if "replayed" in found:
            found["post spike"] = "replayed: " + re.search(r"because ([^:]*):", found["replayed"]).group(1)
        yield name.group(1) or name.group(2), found


def main() -> int:
    hebb = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "hebb")
    print("| rule | pre spike | post spike | step, clock | sign turns | bytes |")
    print("|---|---|---|---|---|---|")
    for path in sorted((ROOT / "stdlib").glob("*/*.hebb")):
        for rule, found in forms(hebb, path):
            step = "; ".join(found[key] for key in ("step", "clock, event") if key in found)
            turn = found.get("turn", "")
            turn = "" if not turn else "not expected" if turn.startswith("none") else "column" if "its column" in turn else "all"
            size = found.get("memory", "").split(" ")[0]
            print(f"| {rule} | {found.get('pre spike', '')} | {found.get('post spike', '')} | {step} | {turn} | {size} |")
    return 0


sys.exit(main())
