"""`pct race`: laps in closed loop, with a guess and with what was learned from its log."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pct.cli.console import command, print_table, say, say_error
from pct.cli.flags import DebugFlags, parse
from pct.errors import UsageError
from pct.within import Within


@dataclasses.dataclass(frozen=True)
class RaceConfig:
    """Drive a track with a guess, learn the grip from the log of that, and drive again.

    The car is CommonRoad's multi-body model, not our own equations; the controller samples rollouts of
    singletrack-drift (MPPI). Beside it drive a cautious guess and one who knows the road; with --then one
    whose belief follows a tracker while the grip changes. Needs the package commonroad-vehicle-models: pip
    install "pct-vehicle[race]".

    Example: pct race --track kidney --grip 0.6
    Example: pct race --grip 0.8 --then 0.5
    """

    track: str = "kidney"
    """A track that PCT brings (kidney, trefoil, hairpins), or a CSV file with rows of x_m, y_m, w_tr_right_m,
    w_tr_left_m."""
    believed: Path | None = None
    """Run folder of a fit of singletrack-drift: drive with its parameters alone."""
    body: Literal["multi-body", "drift"] = "multi-body"
    """Model of the car."""
    grip: Annotated[float, Within(0.05, 1.5)] = 0.6
    """Share of the tyres' friction that the road gives [1]."""
    then: Annotated[float, Within(0.05, 1.5)] | None = None
    """Share in the second half of each lap: a fixed belief, an adaptive one and the truth drive that road."""
    load: Annotated[float, Within(0.5, 2.0)] = 1.0
    """Factor of the car's mass and moments of inertia [1]."""
    laps: Annotated[int, Within(1, 100)] = 1
    """Laps of each attempt."""
    practice: Annotated[int, Within(0, 10)] = 1
    """Drives between the guess and the learned driver; each learns from the log of the one before."""
    controller: Literal["mppi", "pursuit"] = "mppi"
    """Sampling control with the learned model, or pure pursuit."""
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    """Of noise and tried controls."""
    output: Path = Path("race")
    """Folder for the figure and the logs, made where it is missing."""
    animation: Path | None = None
    """GIF of all drives on the map."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = RaceConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, drive, and print who was how fast."""
    args = parse(RaceConfig, argv, prog="pct race")
    import pct
    from pct.api.racing import race
    from pct.files import write_output
    from pct.plots import as_png, draw_race

    done = race(
        args.track,
        body=args.body,
        grip=args.grip,
        then=args.then,
        load_factor=args.load,
        laps=args.laps,
        practice=args.practice,
        controller=args.controller,
        believed=None if args.believed is None else _fit(pct.open(args.believed)),
        seed=args.seed,
        progress=say_error,
    )
    table = done.table()
    rows = [
        ["–" if cell is None else cell if isinstance(cell, str) else f"{cell:.3g}" for cell in row]
        for row in table.rows()
    ]
    print_table(f"Laps on {done.track.name}, {done.track.length:.0f} m", table.columns, rows, texts=(0, 5))
    args.output.mkdir(parents=True, exist_ok=True)
    for item in done.attempts:
        log = done.drives(item.name)[0].table()
        write_output(args.output / f"{item.name}.csv", log.write_csv().encode())
    figure = args.output / "race.png"
    write_output(figure, as_png(draw_race, **done.drawn()))
    if args.animation is not None:
        write_output(args.animation, done.animation())
        say(f"Animation: {args.animation}")
    say(f"Figure: {figure}", f"Next: {command('run', args.output / f'{done.attempts[0].name}.csv')}")


def _fit(run: Any) -> Any:
    """A run that is a fit.

    Raises:
        UsageError: it is a network.
    """
    if not hasattr(run, "deviations"):
        raise UsageError("`believed`: expected the run folder of a fit, found that of a network: pct fit")
    return run
