"""`pct simulate`: drive a model with known parameters and write a dataset folder with the truth in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from pct.cli.console import command, say
from pct.cli.flags import DebugFlags, parse
from pct.errors import UsageError
from pct.simulation.settings import (
    DURATION,
    FRICTION,
    GRIP,
    LAUNCHES,
    NOISE,
    RECORDINGS,
    SEED,
    SPEED,
    SURFACES,
)
from pct.within import Within

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
    """Model that is driven: a name, or a Python file that defines one; `pct models` lists them."""
    vehicle: str | None = None
    """Parameters of a named vehicle, e.g. f1tenth; the model's own (a 1:10 car) when left out."""
    recordings: Annotated[int, RECORDINGS] = 12
    """Number of recordings."""
    duration: Annotated[float, DURATION] = 60.0
    """Length of each recording [s]."""
    dt: Annotated[int, Within(1, 100, "hundredths of a second")] = 5
    """Logging step [hundredths of a second]."""
    mu: tuple[Annotated[float, FRICTION], ...] = (0.4, 1.0)
    """Friction of the surfaces [1]: one value; LOW HIGH for a range, shared out evenly; or three and more
    values, one a surface."""
    surfaces: Annotated[int, SURFACES] = 1
    """Recordings take turns in driving over 1, 2, ... up to this many surfaces."""
    speed: tuple[Annotated[float, SPEED], Annotated[float, SPEED]] = (2.5, 7.0)
    """Lowest and highest speed aimed at [m/s]."""
    grip: Annotated[float, GRIP] = 0.8
    """Largest share of the surface's friction that the driver asks for [1]."""
    launches: Annotated[float, LAUNCHES] = 0.0
    """Share of the recordings that start at standstill [1]."""
    set: tuple[str, ...] = ()
    """NAME=VALUE ...: parameters in place of their defaults, in the model's units."""
    vary: tuple[str, ...] = ()
    """NAME=LOW:HIGH ...: parameters drawn anew for each recording, in the model's units. With the mass m the
    yaw inertia I changes in proportion, unless it is named too."""
    noise: Annotated[float, NOISE] = 1.0
    """Multiplier of the sensor noise [1]; 0 records the exact state."""
    seed: Annotated[int, SEED] = 0
    """Seed of everything random: the same command writes the same bytes."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = SimulateConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, simulate, write the dataset folder and say what to do with it."""
    run(parse(SimulateConfig, argv, prog="pct simulate"))


def run(args: SimulateConfig) -> None:
    """`main` of flags that are read."""
    from pct.api.cars import model
    from pct.dynamics.vehicles import with_vehicle
    from pct.simulation.dataset import simulate_dataset

    spec = model(args.model).base
    if args.vehicle is not None:
        spec = with_vehicle(spec, args.vehicle)
    recordings = simulate_dataset(
        args.output,
        spec,
        car=args.vehicle,
        recordings=args.recordings,
        duration=args.duration,
        dt=args.dt / 100.0,
        mu=args.mu,
        surfaces=args.surfaces,
        speed=args.speed,
        grip=args.grip,
        launches=args.launches,
        fixed={name: ends[0] for name, ends in _assignments("set", args.set, 1).items()},
        vary={name: (ends[0], ends[1]) for name, ends in _assignments("vary", args.vary, 2).items()},
        noise=args.noise,
        seed=args.seed,
    )
    _print(args, spec, recordings)


def _print(args: SimulateConfig, spec: ModelSpec, recordings: Sequence[Trajectory]) -> None:
    rows = sum(len(recording) for recording in recordings)
    size = sum(file.stat().st_size for file in args.output.iterdir())
    frictions = [value for recording in recordings for value in recording.channels.get("truth.mu", ())]
    friction = f", friction {min(frictions):.2f} to {max(frictions):.2f}" if frictions else ""
    say(
        f"Wrote {args.output}: {len(recordings)} recordings, {rows} rows every {args.dt / 100:g} s, "
        f"{size / 1000:.0f} kB{friction}"
    )
    # Side forces depend on friction times stiffness only: friction is identified where stiffness is held.
    varied = [text.partition("=")[0] for text in args.vary]
    held = [
        next((text for text in args.set if text.startswith(f"{name}=")), name)
        for name in spec.param_keys
        if frictions and spec.parameter(name).role == "stiffness" and name not in varied
    ]
    vehicle = ("--vehicle", args.vehicle) if args.vehicle else ()
    fixed = ("--fixed", *held) if held else ()
    next_one = command("train", "--dataset", args.output, "--model", args.model, *vehicle, *fixed)
    say(f"Next: {next_one}")


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
            raise UsageError(f"`{flag}={text}`: expected {form} with numbers")
    return values
