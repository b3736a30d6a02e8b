import numpy as np
import pytest

from workers import THETA, parts, simulator


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib(backend):
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    simulate = simulator()
    found = joblib.Parallel(2, backend=backend)(joblib.delayed(simulate)(theta, first=first) for theta, first in parts())
    assert np.array_equal(np.concatenate(found), simulate(THETA))


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask(scheduler):
    dask = pytest.importorskip("dask", reason="dask is not installed")
    simulate = simulator()
    found = dask.compute(*(dask.delayed(simulate)(theta, first=first) for theta, first in parts()), scheduler=scheduler, num_workers=2)
    assert np.array_equal(np.concatenate(found), simulate(THETA))
