#!/usr/bin/env python3
"""Assembles the PTX of rules and neurons with NVIDIA's ptxas and counts what it became.

Usage: measure.py PYTHON HEBB STDLIB [--targets 75,80,90,100] [--gradients 80] [--precision float,double]
       [--table] [--only TEXT]

PYTHON is the interpreter of a virtual environment with nvidia-cuda-nvcc-cu12 and, for --table, nvidia-cuda-nvdisasm.
Every rule as one synapse: its kernels, and for the targets of --gradients (all) those of its derivative where it has
one. Every neuron as a population.
Fails when ptxas refuses a text. --table prints, for each kernel over synapses or neurons, registers, spilled bytes,
instructions of the inner loop (of the whole kernel where it has none) and bytes it moves for one row, beside the bytes
that any kernel must move: one read of each column it reads, one write of each it writes, as the compiler counts them in the
program. Fails when it moves more (less it may where a choice between two values became one between two addresses). Read again: values that stay the same from row to row, which a kernel that is short of registers
does not keep; they come out of a cache.
"""
import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

NEURON = """import {module};
network {name}Population {{ pop P[1000] : {name}; }}
"""


def tool(python, name):
    found = sorted(pathlib.Path(python).parent.parent.glob(f"lib/python3*/site-packages/nvidia/*/bin/{name}"))
    return str(found[0]) if found else None


def sources(stdlib, folder):
    """(file, name) of every rule, and of a population of every neuron."""
    for path in sorted(pathlib.Path(stdlib).rglob("*.hebb")):
        for kind, name in re.findall(r"^(rule|neuron) (\w+)", path.read_text(), re.M):
            if kind == "rule":
                yield str(path), name
                continue
            module = ".".join(["std", path.parent.name, name])
            made = pathlib.Path(folder) / f"{name}.hebb"
            made.write_text(NEURON.format(module=module, name=name))
            yield str(made), f"{name}Population"


def write_ptx(job):
    """Path of the text, or why there is none."""
    hebb, file, name, emit, sm, precision, folder = job
    path = pathlib.Path(folder) / f"{name}.{emit}.{precision}.sm_{sm}.ptx"
    command = [hebb, "build", f"--emit={emit}", f"--target=sm_{sm}", f"--precision={precision}", file, name, "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    return job, path if done.returncode == 0 else None, done.stderr.strip()


def assemble(ptxas, path, sm, keep_code):
    """Whether it was taken, what ptxas said, and of each kernel its registers and spilled bytes. A text that was taken
    before is not assembled again, unless its code is wanted."""
    known = pathlib.Path(ptxas).parent / "assembled" / hashlib.sha256(f"sm_{sm} ".encode() + path.read_bytes()).hexdigest()
    if known.exists() and not keep_code:
        good, log = True, known.read_text()
    else:
        done = subprocess.run([ptxas, "-v", f"-arch=sm_{sm}", str(path), "-o", str(path.with_suffix(".cubin"))],
                              capture_output=True, text=True)
        good, log = done.returncode == 0, done.stderr
        if good:
            known.parent.mkdir(exist_ok=True)
            written = known.with_suffix(f".{os.getpid()}")
            written.write_text(log)
            written.replace(known)
    kernels, current = {}, None
    for line in log.splitlines():
        if match := re.search(r"function '(\w+)' for", line):
            current = kernels.setdefault(match[1], {"spills": 0, "registers": 0})
        if match := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            current["spills"] += int(match[1]) + int(match[2])
        if match := re.search(r"Used (\d+) registers", line):
            current["registers"] = int(match[1])
    return good, log, kernels


def inner_loops(disassembly):
    """Of each kernel: the instructions of its innermost loop; all of them where it has none. The assembler makes several
    copies of short loops: the count is that of one."""
    out = {}
    for part in re.split(r"^//-+ \.text\.", disassembly, flags=re.M)[1:]:
        name, lines = part.split(None, 1)[0], []
        labels, loops = {}, []
        for line in part.splitlines():
            if match := re.match(r"(\.L_x_\d+):", line):
                labels[match[1]] = len(lines)
            match = re.match(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9.]+)(.*)", line)
            if not match or match[1].startswith("NOP"):
                continue
            if target := re.search(r"BRA.*\((\.L_x_\d+)\)", line):
                if target[1] in labels and labels[target[1]] < len(lines):
                    loops.append((labels[target[1]], len(lines) + 1))
            lines.append(match[1])
        inner = [a for a in loops if not any(b != a and b[0] >= a[0] and b[1] <= a[1] for b in loops)]
        inner = [lines[a:b] for a, b in inner]
        inner = [body for body in inner if any(op.startswith("LDG") or op.startswith("STG") for op in body)]
        out[name] = (min(inner, key=len), True) if inner else (lines, False)
    return out


def loop_of(body):
    """The text of the blocks of the loop that touches memory; empty where there is none."""
    labels = re.split(r"^(\$L\w+):", body, flags=re.M)
    names, codes = ["entry", *labels[1::2]], [labels[0], *labels[2::2]]
    follows = {}
    for k, (name, code) in enumerate(zip(names, codes)):
        jumps = re.findall(r"(@\S+\s+)?bra(?:\.uni)?\s+(\$L\w+);", code)
        falls = k + 1 < len(names) and not re.search(r"(?:^|\n)\t(?:bra(?:\.uni)?\s+\$L\w+|ret);\s*$", code.rstrip())
        follows[name] = {to for _, to in jumps} | ({names[k + 1]} if falls else set())
    reached = {}
    for name in names:
        seen, open_ones = set(), list(follows[name])
        while open_ones:
            one = open_ones.pop()
            if one not in seen:
                seen.add(one)
                open_ones += follows[one]
        reached[name] = seen
    loops = {frozenset(b for b in names if b in reached[a] and a in reached[b]) for a in names if a in reached[a]}
    texts = ["".join(code for name, code in zip(names, codes) if name in loop) for loop in loops]
    return next((text for text in texts if ".global" in text), "")


def moved(text):
    """Of each kernel: what it is; bytes of the inner loop's loads and stores (of all where it has none), as the text has them;
    and what the compiler says, from the program alone: the least for one row, and what stays the same and is read again."""
    out = {}
    for match in re.finditer(r"// ([^\n]*)\n(?:// for one row: (\d+) bytes(?:, and (\d+) again that stay the same)?\n)?"
                             r"\.visible \.entry (\w+)\((.*?)\)(?:\s*\.maxnreg \d+)?\s*\{(.*?)\n\}", text, re.S):
        what, least, again, name, parameters, body = match.groups()
        code = loop_of(body) or body
        accesses = re.findall(r"(?:ld|st)\.global(?:\.nc)?\.(?:v(\d)\.)?[bf](\d+)\s", code)
        size = sum(int(bits) // 8 * int(lanes or 1) for lanes, bits in accesses)
        again = min(int(again or 0), max(size - int(least or 0), 0))  # of a choice between two values, one is read
        out[name] = (what, size, int(least or 0), again)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python")
    parser.add_argument("hebb")
    parser.add_argument("stdlib")
    parser.add_argument("--targets", default="75,80,90,100")
    parser.add_argument("--gradients", default="75,80,90,100")
    parser.add_argument("--precision", default="float")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    ptxas, nvdisasm = tool(options.python, "ptxas"), tool(options.python, "nvdisasm")
    if ptxas is None or (options.table and nvdisasm is None):
        sys.exit("the virtual environment has no ptxas or no nvdisasm")

    failed, kernels, texts, without = 0, 0, 0, []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [(options.hebb, file, name, emit, sm, precision, folder)
                for file, name in sources(options.stdlib, folder) if options.only in name
                for emit in ("ptx", "ptx-gradient") for sm in options.targets.split(",")
                if emit == "ptx" or (sm in options.gradients.split(",") and not name.endswith("Population"))
                for precision in options.precision.split(",")]
        made = list(pool.map(write_ptx, jobs))
        results = list(pool.map(lambda one: one[1] and assemble(ptxas, one[1], one[0][4], options.table), made))
        rows, crowded = [], set()
        for (job, path, why), result in zip(made, results):
            name, emit, sm = job[2], job[3], job[4]
            if path is None:
                if emit == "ptx":
                    failed += 1
                    print(f"{name}: no PTX: {why}")
                elif "has no derivative" not in why:
                    failed += 1
                    print(f"{name}: no PTX of its derivative: {why}")
                else:
                    without.append(name)
                continue
            good, log, found = result
            texts += 1
            kernels += len(found)
            if not good:
                failed += 1
                print(f"{name} ({emit}, sm_{sm}): ptxas refuses it\n{log}")
                continue
            loops, bytes_of = {}, moved(path.read_text())
            if options.table:
                dump = subprocess.run([nvdisasm, "-c", str(path.with_suffix(".cubin"))], capture_output=True, text=True).stdout
                loops = inner_loops(dump)
            for kernel, numbers in found.items():
                what, size, least, again = bytes_of[kernel]
                body, loop = loops.get(kernel, ([], False))
                if numbers["registers"] > 64 or numbers["spills"] > 0:
                    crowded.add(name)
                if "one thread" not in what and " init" not in f" {what}":
                    rows.append((f"{name}{' gradient' if emit != 'ptx' else ''}", f"sm_{sm}", kernel, numbers["registers"],
                                 numbers["spills"], f"{len(body)}{'' if loop else ' all'}", size - again, least, again))
        unequal = [row for row in rows if row[6] > row[7]]
        failed += len(unequal)
        for row in unequal:
            print(f"{row[0]}: {row[2]} moves {row[6]} bytes a row, and need move no more than {row[7]}")
        if options.table:
            print("| of | target | kernel | registers | spilled bytes | instructions per row | bytes per row | least | read again |")
            print("|---|---|---|---|---|---|---|---|---|")
            for row in rows:
                print("| " + " | ".join(map(str, row)) + " |")
            wide = [row for row in rows if row[3] > 64]
            print(f"\n{len(wide)} kernels over synapses or neurons need more than 64 registers, {sum(row[4] > 0 for row in rows)} spill")
        print(f"{len(rows)} kernels over synapses or neurons, {len(unequal)} move more bytes than they must")
        print(f"more than 64 registers, or spilled, one-thread kernels included: {', '.join(sorted(crowded)) or 'none'}")
    print(f"{texts} texts, {kernels} kernels assembled, {failed} failed; "
          f"no derivative: {', '.join(sorted(set(without))) or 'none'}")
    sys.exit(1 if failed else 0)


main()
