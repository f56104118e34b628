"""A new effect is one class: defined here, it is a flag, is checked, simulated and fitted like the others."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tyro

from measurement.driving import UNICYCLE, drive
from pct.dynamics import with_fixed
from pct.dynamics.core import Parameter
from pct.dynamics.roles import manoeuvre
from pct.errors import UsageError
from pct.measurement import Effect, Layer, Measurement, option, with_measurement
from pct.measurement.base import Values, constant
from pct.measurement.options import with_help
from pct.optimization.constants.estimate import fit_parameters
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import make_window_set

ADVICE = "Stand still, and drive at several known speeds."


class Scale(Effect):
    """y = scale * x with the reading y and the true value x."""

    option = "scale"
    help = "States whose sensor has a wrong scale [channels]"
    layer = Layer.OUTPUT

    def parameter(self, name: str) -> Parameter:
        """The scale of its readings."""
        return constant(f"scale_{name}", "1", 0.5, 2.0, 1.0, "reading over true value", role=ADVICE)

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """True values."""
        return {n: values[n] / getattr(p, f"scale_{n}") for n in self.channels}

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """Rates of the readings."""
        return {n: rates[n] * getattr(p, f"scale_{n}") for n in self.channels}


@with_help
@dataclasses.dataclass(frozen=True)
class Options(Measurement):
    """Those of the package and one more."""

    scale: tuple[str, ...] = option(Scale)


def test_it_is_a_flag_with_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert tyro.cli(Options, args=["--scale", "v", "--lag", "v"]) == Options(scale=("v",), lag=("v",))
    with pytest.raises(SystemExit):
        tyro.cli(Options, args=["--help"])
    shown = capsys.readouterr().out
    assert "States whose sensor has a wrong scale" in " ".join(shown.replace("│", " ").split())


def test_its_channels_are_checked() -> None:
    with pytest.raises(UsageError, match="`scale`: unknown channel 'vx' of model 'unicycle'"):
        with_measurement(UNICYCLE, Options(scale=("vx",)))


def test_its_advice_is_given() -> None:
    assert manoeuvre(with_measurement(UNICYCLE, Options(scale=("v",))), "scale_v") == ADVICE


def test_a_fit_finds_its_parameter() -> None:
    spec = with_measurement(UNICYCLE, Options(scale=("v",)))
    spec = with_fixed(spec, dict.fromkeys(UNICYCLE.param_keys))
    assert spec.param_keys == ("scale_v",)
    steps, dt = 60, 0.05
    controls = np.random.default_rng(0).normal(size=(2, steps, 1))
    log = drive(spec, {"v": 3.0}, *controls, h=dt, scale_v=1.3)
    states = np.concatenate([log[name][:-1] for name in spec.state_names], axis=1)
    empty, t = np.zeros((steps, 0)), dt * np.arange(steps)
    store = WindowStore(
        states, np.concatenate(controls, axis=1), empty, empty, t, np.zeros(steps, np.int32), ("drive",),
        (), (), dt,
    )  # fmt: skip
    shape = {"history": 1, "horizon": 5}
    starts = window_starts(store, stride=2, **shape)
    windows = make_window_set(store, starts, spec, feature_mode="context", **shape)
    fit = fit_parameters(
        windows, np.arange(len(windows)), spec, spec.base_params(dt), integrator="heun", prior=10.0
    )
    np.testing.assert_allclose(fit.params(spec)["scale_v"], 1.3, rtol=1e-6)
