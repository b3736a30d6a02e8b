"""Runs an experiment again and again, kills it at random moments, goes on from its checkpoint, and compares
what it prints and saves with a run that nobody disturbed."""
import os
import random
import shutil
import subprocess
import sys
import zipfile

source, folder = sys.argv[1:3]
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
state = os.path.join(folder, "state")


def command(output, *more):
    return ["hebb", "run", source, "Long", "-q", "-o", os.path.join(folder, output), *more]


def contents(output):
    there = sorted(os.listdir(os.path.join(folder, output)))
    return {name: open(os.path.join(folder, output, name), "rb").read() for name in there}


whole = subprocess.run(command("whole"), capture_output=True, check=True).stdout
random.seed(int(sys.argv[3]))
kills = 0
for attempt in range(200):
    more = ["--checkpoint", state, "--every", "20ms"] + (["--resume"] if os.path.exists(state) else [])
    process = subprocess.Popen(command("parts", *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        printed, said = process.communicate(timeout=random.uniform(0.15, 0.6) + 0.02 * attempt)
        break
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        kills += 1
assert process.returncode == 0, said.decode()
assert printed == whole, (printed, whole)
parts = contents("parts")
assert parts.keys() == contents("whole").keys(), parts.keys()


def arrays(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "provenance.json"}


for name in parts:
    if name.endswith(".npz"):
        assert arrays(os.path.join(folder, "parts", name)) == arrays(os.path.join(folder, "whole", name)), name


def read_back(output):
    """The numbers of the HDF5 file: its bytes also hold the command, which differs."""
    reader = os.path.join(folder, "read.hebb")
    path = os.path.abspath(os.path.join(folder, output, "stream.h5"))
    with open(reader, "w") as file:
        file.write(f'experiment Read {{ let data = load("{path}"); save data to "{output}.npz"; }}')
    subprocess.run(["hebb", "run", reader, "-q", "-o", folder], check=True)
    return arrays(os.path.join(folder, output + ".npz"))


assert len(read_back("whole")) == 4, read_back("whole").keys()
assert read_back("parts") == read_back("whole")
assert kills >= 2, kills

# What is no checkpoint, is damaged or belongs to something else is refused, and nothing is lost.
good = open(state, "rb").read()


def refused(content, expected, *more):
    with open(state, "wb") as file:
        file.write(content)
    tried = subprocess.run(command("parts", "--checkpoint", state, "--resume", *more), capture_output=True)
    assert tried.returncode == 2 and expected in tried.stderr.decode(), tried
    assert open(state, "rb").read() == content
    assert contents("parts") == parts


refused(b"", "is not a checkpoint")
refused(b"something else entirely", "is not a checkpoint")
refused(good[:-20], "is damaged")
flipped = bytearray(good)
flipped[len(good) // 2] ^= 1
refused(bytes(flipped), "is damaged")
refused(good, "belongs to something else", "--seed", "9")
os.remove(state)
tried = subprocess.run(command("parts", "--checkpoint", state, "--resume"), capture_output=True)
assert tried.returncode == 2 and "No such file" in tried.stderr.decode(), tried
print("killed and resumed")
