import importlib.util
import pathlib

import pytest

# Run by itself, in an environment that has it.
collect_ignore = [] if importlib.util.find_spec("ray") else ["test_ray.py"]

SOURCE = pathlib.Path(__file__).resolve().parents[2]
OJA = "rule Oja { param eta = 0.1 [1/s]; weight w in [-10, 10]; w' = eta * (pre.r * post.r - post.r^2 * w); }"
PAIR = """
## Pairs of spikes.
rule Pair {
  param tau = 20 ms, A = 0.005;
  weight w in [0, 1] = 0.5;
  x' = -x / tau + pre.spike;
  y' = -y / tau + post.spike;
  w' = A * x * post.spike - 1.05 * A * y * pre.spike;
}
"""
NETWORK = """
neuron Unit { input I : 1; let r = I; }
neuron In { input r : 1; }
rule Learn { param eta = 0.01; weight w in [-10, 10]; on step { w += eta * pre.r * post.r; } }
network Net {
  signal odor[2];
  pop X[2] : In(r = odor);
  pop Y[3] : Unit;
  project X -> Y as W via Learn { connect all; init w = 0.5; drive I += w * pre.r; }
}
"""


@pytest.fixture
def library():
    return SOURCE / "stdlib"
