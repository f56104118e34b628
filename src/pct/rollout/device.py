"""Where JAX computes: on the CPU or on a GPU, and why."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax

from pct.errors import UsageError
from pct.files import Cache

DeviceName = Literal["auto", "cpu", "gpu"]
# Times that a batch is computed behind the first, which compiles.
REPEATS = 3
NO_GPU = "`device=gpu`: JAX sees no GPU: install pct-vehicle[cuda] and an NVIDIA driver, or use `device=cpu`"


class DeviceChoice(NamedTuple):
    """A platform of JAX, and why it is taken."""

    platform: str
    reason: str

    def __str__(self) -> str:
        return f"device: {self.platform} ({self.reason})"


def platform() -> str:
    """The platform that JAX computes on, ``cpu`` or ``gpu``, by ``jax_default_device`` where it is set."""
    device: Any = jax.config.jax_default_device  # type: ignore[attr-defined]
    if device is None:
        return jax.default_backend()
    return device if isinstance(device, str) else str(device.platform)


def visible_platforms() -> tuple[str, ...]:
    """Platforms that JAX can compute on, the one that it takes by itself first."""
    found = [jax.default_backend()]
    for name in ("gpu", "cpu"):
        try:
            jax.devices(name)
        except RuntimeError:
            continue
        found.append(name)
    return tuple(dict.fromkeys(found))


def choose_device(asked: DeviceName, visible: Sequence[str], *, fits: bool) -> DeviceChoice | None:
    """The platform to compute on; None where only a trial tells (`faster_device`).

    Args:
        asked: what the user wants.
        visible: from `visible_platforms`.
        fits: whether rollouts are fitted or judged, and no network is trained.

    Raises:
        UsageError: a GPU is asked for, and there is none.

    Examples:
        >>> str(choose_device("auto", ["cpu"], fits=False))
        'device: cpu (no GPU is visible)'
        >>> choose_device("auto", ["gpu", "cpu"], fits=False) is None
        True
    """
    if asked == "gpu" and "gpu" not in visible:
        raise UsageError(NO_GPU)
    if asked != "auto":
        return DeviceChoice(asked, "as asked")
    if "gpu" not in visible:
        return DeviceChoice(visible[0], "no GPU is visible")
    if "cpu" not in visible:
        return DeviceChoice("gpu", "JAX is kept to it")
    if fits:
        return DeviceChoice("cpu", "native code for fits is for CPUs")
    return None


def faster_device(
    platforms: Sequence[str],
    make_run: Callable[[], Callable[[], Any]],
    *,
    facts: object,
    cache: Cache | None,
    clock: Callable[[], float] = time.perf_counter,
) -> DeviceChoice:
    """The platform that computes one batch faster.

    Args:
        platforms: to choose from.
        make_run: called with each platform in force; gives a function that computes the batch and returns
            JAX's arrays.
        facts: all that the times depend on, as JSON has it.
        cache: keeps the times for the next process; None keeps none.
        clock: seconds.
    """
    devices = {name: jax.devices(name)[0] for name in platforms}
    kinds = {name: device.device_kind for name, device in devices.items()}
    key = hashlib.sha256(json.dumps([jax.__version__, kinds, facts], default=str).encode()).hexdigest()
    kept = None if cache is None else cache.get(key)
    if kept is not None:
        return _faster(json.loads(kept), "as timed before")
    seconds = {}
    for name, device in devices.items():
        with jax.default_device(device):
            run = make_run()
            jax.block_until_ready(run())
            times = []
            for _ in range(REPEATS):
                begin = clock()
                jax.block_until_ready(run())
                times.append(clock() - begin)
            seconds[name] = min(times)
    if cache is not None:
        cache.put(key, json.dumps(seconds).encode())
    return _faster(seconds, "timed just now")


def _faster(seconds: Mapping[str, float], how: str) -> DeviceChoice:
    best = min(seconds, key=lambda name: seconds[name])
    told = ", ".join(f"{1e3 * taken:.2f} ms on {name}" for name, taken in seconds.items())
    return DeviceChoice(best, f"a batch takes {told}, {how}")


def keep_to_cpu() -> None:
    """Have JAX not start a GPU at all; holds where it has computed nothing yet."""
    jax.config.update("jax_platforms", "cpu")


def use_device(choice: DeviceChoice) -> None:
    """Have this process compute there."""
    if platform() != choice.platform:
        jax.config.update("jax_default_device", jax.local_devices(backend=choice.platform)[0])
