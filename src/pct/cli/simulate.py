"""`pct simulate`: drive a model with known parameters and write a dataset folder with the truth in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pct.errors import UsageError

if TYPE_CHECKING:
    from pct.dynamics import ModelSpec
    from pct.recordings.trajectory import Trajectory


@dataclasses.dataclass(frozen=True)
class SimulateConfig:
    """Drive a registered model with known parameters and write a dataset folder.

    Each recording drives random manoeuvres (sine sweep, step steer, slalom, circle, ramp, braking) over
    its own surfaces. The folder holds noisy measurements, the commands, two exogenous features and the
    truth as columns truth.*.

    Example: pct simulate --output datasets/wet --mu 0.4 0.7 --surfaces 3 --vary m=3:4.5 --set h=0.1
    """

    output: Path
    """The new dataset folder; an existing one is refused."""
    model: str = "singletrack"
    """Model that is driven; `pct models` lists them."""
    vehicle: str | None = None
    """Parameters of a named vehicle, e.g. f1tenth; the model's own (a 1:10 car) when left out."""
    recordings: int = 12
    """Number of recordings."""
    duration: float = 60.0
    """Length of each recording [s]."""
    dt: int = 5
    """Logging step [hundredths of a second]."""
    mu: tuple[float, ...] = (0.4, 1.0)
    """Friction of the surfaces [1]: one value; LOW HIGH for a range, shared out evenly; or three and more
    values, one a surface."""
    surfaces: int = 1
    """Recordings take turns in driving over 1, 2, ... up to this many surfaces."""
    speed: tuple[float, float] = (2.5, 7.0)
    """Lowest and highest speed aimed at [m/s]."""
    grip: float = 0.8
    """Largest share of the surface's friction that the driver asks for [1]."""
    launches: float = 0.0
    """Share of the recordings that start at standstill [1]."""
    set: tuple[str, ...] = ()
    """NAME=VALUE ...: parameters in place of their defaults, in the model's units."""
    vary: tuple[str, ...] = ()
    """NAME=LOW:HIGH ...: parameters drawn anew for each recording, in the model's units. With the mass m the
    yaw inertia I changes in proportion, unless it is named too."""
    noise: float = 1.0
    """Multiplier of the sensor noise [1]; 0 records the exact state."""
    seed: int = 0
    """Seed of everything random: the same command writes the same bytes."""
    debug: bool = False
    """Show the traceback of an error."""


CONFIG = SimulateConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and run; leaves with exit code 2 and a message where they cannot be read."""
    import tyro

    run(tyro.cli(SimulateConfig, prog="pct simulate", args=argv))


def run(config: SimulateConfig) -> None:
    """Simulate, write the dataset folder and say what to do with it.

    Raises:
        UsageError: an unknown model or parameter, or a value out of range.
        DataError: the output folder exists or cannot be written.
        DivergedError: the simulated car left the range of finite numbers.
    """
    from pct.dynamics import get_model
    from pct.dynamics.vehicles import with_vehicle
    from pct.recordings.trajectory import write_dataset
    from pct.simulation import SENSOR_NOISE, simulate

    spec = get_model(config.model)
    if config.vehicle is not None:
        spec = with_vehicle(spec, config.vehicle)
    trajectories = simulate(
        spec,
        recordings=config.recordings,
        duration=config.duration,
        dt=config.dt / 100.0,
        mu=config.mu,
        surfaces=config.surfaces,
        speed=config.speed,
        grip=config.grip,
        launches=config.launches,
        fixed={name: ends[0] for name, ends in _assignments("--set", config.set, 1).items()},
        vary={name: (ends[0], ends[1]) for name, ends in _assignments("--vary", config.vary, 2).items()},
        noise=config.noise,
        seed=config.seed,
    )
    # The folder's own name is left out, so that the same drive is the same bytes everywhere.
    settings = dataclasses.asdict(config)
    del settings["output"], settings["debug"]
    write_dataset(
        config.output,
        trajectories,
        vehicle=f"simulated {config.vehicle or '1:10 car'}, model {config.model}",
        notes={
            "simulator": settings,
            "sensor_noise": {
                "kind": "white Gaussian, independent by channel and row; standard deviation by channel",
                **{name: config.noise * SENSOR_NOISE.get(name, 0.0) for name in spec.state_names},
            },
        },
    )
    _report(config, spec, trajectories)


def _report(config: SimulateConfig, spec: ModelSpec, trajectories: Sequence[Trajectory]) -> None:
    rows = sum(len(trajectory) for trajectory in trajectories)
    size = sum(file.stat().st_size for file in config.output.iterdir())
    frictions = [value for trajectory in trajectories for value in trajectory.channels.get("truth.mu", ())]
    friction = f", friction {min(frictions):.2f} to {max(frictions):.2f}" if frictions else ""
    print(
        f"Wrote {config.output}: {len(trajectories)} recordings, {rows} rows every {config.dt / 100:g} s, "
        f"{size / 1000:.0f} kB{friction}"
    )
    # Side forces depend on friction times stiffness only: friction is found where stiffness is held.
    varied = [text.partition("=")[0] for text in config.vary]
    held = [
        next((text for text in config.set if text.startswith(f"{name}=")), name)
        for name in spec.param_keys
        if name.startswith("C_S") and name not in varied
    ]
    vehicle = f" --vehicle {config.vehicle}" if config.vehicle else ""
    fixed = f" --fixed {' '.join(held)}" if held else ""
    print(f"Next: pct train --dataset {config.output} --model {config.model}{vehicle}{fixed}")


def _assignments(flag: str, texts: Sequence[str], count: int) -> dict[str, list[float]]:
    """Read NAME=VALUE or NAME=LOW:HIGH into the numbers by name."""
    values: dict[str, list[float]] = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        try:
            values[name] = [float(number) for number in numbers.split(":")]
        except ValueError:
            values[name] = []
        if len(values[name]) != count:
            form = "NAME=VALUE" if count == 1 else "NAME=LOW:HIGH"
            raise UsageError(f"{flag} {text}: expected {form} with numbers")
    return values
