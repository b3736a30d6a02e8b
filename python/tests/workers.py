# Simulators where other packages run them: the same rows as in one go.
import numpy as np

import hebb
from conftest import NETWORK

NOISY = NETWORK.replace("on step { w += eta", "on step { let a ~ normal(1, 1); w += a * eta")
THETA = np.linspace(0.001, 0.02, 12)[:, None]


def simulator():
    return hebb.network(NOISY).simulator(["W.eta"], ["W.w", "Y.r"], seed=5, steps=20, odor=np.array([0.3, 0.2]))


def parts():
    return [(THETA[k:k + 3], k) for k in range(0, len(THETA), 3)]
