"""Where JAX computes: what is asked for, what is there, and what is faster. No test needs a GPU."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
from pct.files import Cache
from pct.rollout import device
from pct.rollout.device import DeviceChoice, DeviceName, choose_device, faster_device, platform
from pct.rollout.engine import make_engine
from pct.rollout.kernels import one_kernel
from pct.rollout.lanes import make_rates

BOTH, CPU, GPU = ("gpu", "cpu"), ("cpu",), ("gpu",)


class Kind(NamedTuple):
    """A device of JAX as far as a choice reads it."""

    platform: str
    device_kind: str = "a GPU"


@pytest.mark.parametrize(
    ("asked", "visible", "fits", "choice"),
    [
        ("auto", CPU, True, DeviceChoice("cpu", "no GPU is visible")),
        ("auto", CPU, False, DeviceChoice("cpu", "no GPU is visible")),
        ("auto", ("tpu", "cpu"), False, DeviceChoice("tpu", "no GPU is visible")),
        ("auto", GPU, True, DeviceChoice("gpu", "JAX is kept to it")),
        ("auto", BOTH, True, DeviceChoice("cpu", "native code for fits is for CPUs")),
        ("auto", BOTH, False, None),
        ("cpu", BOTH, False, DeviceChoice("cpu", "as asked")),
        ("gpu", BOTH, True, DeviceChoice("gpu", "as asked")),
    ],
)
def test_choice(asked: DeviceName, visible: tuple[str, ...], fits: bool, choice: DeviceChoice | None) -> None:
    assert choose_device(asked, visible, fits=fits) == choice


def test_a_gpu_that_is_not_there_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError) as error:
        choose_device("gpu", device.visible_platforms(), fits=True)
    assert str(error.value) == device.NO_GPU
    assert "\n" not in device.NO_GPU


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A GPU beside the CPU; the devices that were in force for a batch, in their order."""
    used: list[str] = []
    monkeypatch.setattr(device.jax, "devices", lambda name: [Kind(name)])

    class InForce:
        def __init__(self, kind: Kind) -> None:
            self.kind = kind

        def __enter__(self) -> None:
            used.append(self.kind.platform)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(device.jax, "default_device", InForce)
    return used


def clock(*seconds: float) -> Callable[[], float]:
    """Ticks twice a batch, which takes these seconds in turn."""
    times = itertools.chain.from_iterable((0.0, taken) for taken in seconds)
    return lambda: next(times)


def make_run() -> Callable[[], Any]:
    return lambda: jnp.zeros(1)


def test_the_faster_device_is_taken_and_remembered(two_devices: list[str], tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000)
    times = 0.004, 0.002, 0.003, 0.009, 0.008, 0.01
    given: dict[str, Any] = {"facts": ["a model", 256], "cache": cache}
    choice = faster_device(BOTH, make_run, clock=clock(*times), **given)
    assert choice == DeviceChoice("gpu", "a batch takes 2.00 ms on gpu, 8.00 ms on cpu, timed just now")
    assert two_devices == ["gpu", "cpu"]
    again = faster_device(BOTH, make_run, clock=clock(), **given)
    assert again == DeviceChoice("gpu", "a batch takes 2.00 ms on gpu, 8.00 ms on cpu, as timed before")
    other = {**given, "facts": ["another model", 256]}
    assert faster_device(BOTH, make_run, clock=clock(*reversed(times)), **other).platform == "cpu"


def test_platform_follows_the_default_device() -> None:
    assert platform() == "cpu"
    with jax.default_device(jax.devices("cpu")[0]):
        assert platform() == "cpu"
    with jax.default_device("gpu"):
        assert platform() == "gpu"


def test_what_is_for_cpus_only_is_left_on_a_gpu() -> None:
    """Traced alone: there is no GPU to compute on."""
    spec = MODEL_SPECS["unicycle"]
    base = {**spec.default_params, "dt": 0.1}
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, len(spec.states)), (2, 3, 2))]
    learned = {key: jax.ShapeDtypeStruct((2,), jnp.float32) for key in spec.param_keys}

    def traced() -> str:
        return str(jax.make_jaxpr(make_engine("jax", spec, base, "euler", 1).rollout)(*given, learned))

    def sine() -> str:
        row = [jax.ShapeDtypeStruct((2,), jnp.float32)] * 4
        rates = make_rates(spec, base)
        return str(jax.make_jaxpr(lambda *x: one_kernel(lambda *x: rates(x, x[:2], {}))(x[0], *x))(*row))

    assert " sin " not in sine()
    assert "custom_vjp_call" in traced()
    with jax.default_device("gpu"):
        assert " sin " in sine()
        assert "custom_vjp_call" not in traced()
        made = make_engine("auto", spec, base, "euler", 1)
        assert made.dense is made.context is None
        assert made.fallback == ""
        with pytest.raises(UsageError, match="native code is for CPUs, not for 'gpu'"):
            make_engine("native", spec, base, "euler", 1)


@pytest.mark.parametrize("asked", ["cpu", "gpu"])
def test_a_choice_is_put_in_force(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.jax, "local_devices", lambda backend: [Kind(backend)])
    updates: dict[str, Any] = {}
    monkeypatch.setattr(device.jax.config, "update", updates.__setitem__)
    device.use_device(DeviceChoice(asked, "as asked"))
    assert updates == ({} if asked == "cpu" else {"jax_default_device": Kind("gpu")})
