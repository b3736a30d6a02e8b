# Text tests: every .hebb file below with RUN lines. Programs come from the build folder, FileCheck and
# not from LLVM.
import os
import subprocess
import sys

import lit.formats

config.name = "hebb"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".hebb", ".test"]
# diagnostics: compared with their golden text by a unit test.
config.excludes = ["Inputs", "diagnostics"]
config.test_source_root = os.path.dirname(__file__)

root = os.path.dirname(config.test_source_root)
build = lit_config.params.get("hebb_build", os.path.join(root, "build", "release"))
config.test_exec_root = os.path.join(build, "lit")

llvm = "/usr/lib/llvm-22/bin"
config.environment["PATH"] = os.pathsep.join([build, llvm, config.environment.get("PATH", "")])
config.environment["HEBB_STDLIB"] = os.path.join(root, "stdlib")
for name in ("NO_COLOR", "CLICOLOR_FORCE", "TERM"):
    config.environment.pop(name, None)

config.substitutions.append(("%root", root))
config.substitutions.append(("%python", sys.executable))
config.substitutions.append(("%standin", os.path.join(build, "libcuda_standin.so")))

# NVIDIA's assembler, for the tests of tests/ptxas.
wanted = [os.path.join(root, "tools", "venv.sh"), "ptxas", "nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-cuda-nvdisasm"]
made = subprocess.run(wanted, capture_output=True, text=True)
if made.returncode == 0:
    config.available_features.add("ptxas")
    config.substitutions.append(("%ptxas_python", made.stdout.strip()))
else:
    lit_config.note("tests of PTX are skipped: " + (made.stderr.strip().splitlines() or ["no ptxas"])[-1])
