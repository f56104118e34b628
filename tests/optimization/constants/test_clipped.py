"""What rests on rows at a limit, by parameter."""

from __future__ import annotations

import dataclasses

import numpy as np

import pct
from pct.optimization.constants import fitting
from pct.optimization.constants.clipped import clipped_windows, share_without_clipped
from pct.optimization.settings import FitSettings
from pct.windows.inputs import with_inputs
from pct.windows.store import make_window_store


def test_information_from_clipped_windows_counts_as_such() -> None:
    """A drive whose second half asks for more than its actuators give, and one that measured it."""
    car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I").measured(observer=False)
    (drive,) = pct.simulate(car, recordings=1, duration=6.0, mu=(0.7,), noise=0.2)
    channels = dict(drive.trajectory.channels)
    half = len(drive.trajectory) // 2
    channels["accel"] = np.where(np.arange(2 * half + 1)[: len(channels["accel"])] > half, 50.0, 0.0)
    log = dataclasses.replace(drive.trajectory, channels=channels)
    settings = FitSettings(horizon=5, history=2, iterations=1)
    shares = {}
    for origin in ("command", "measured"):
        marked = dataclasses.replace(log, origins={**log.origins, "accel": origin})
        store = make_window_store([("drive", marked)], car.spec, inputs="auto")
        spec = with_inputs(car.spec, store.origins, "auto")
        windows = fitting.fit_windows(spec, store, settings)
        result = fitting.fit(spec, windows, settings)
        shares[origin] = result.estimate.clipped_share
        cut = clipped_windows(spec, windows, result.model.params)
        late = windows.starts + windows.horizon > half + 1
        np.testing.assert_array_equal(cut, late if origin == "command" else np.zeros(len(windows), bool))
        again = share_without_clipped(result.errors, windows, result.estimate, settings.huber)
        np.testing.assert_array_equal(again, shares[origin])
    assert shares["measured"].tolist() == [1.0]
    assert 0.0 < shares["command"][0] < 1.0
