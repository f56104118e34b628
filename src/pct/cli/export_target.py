"""`pct export TARGET`: a model with its identified parameters in the form that another program reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pct.cli.console import say, say_error
from pct.cli.flags import DebugFlags, parse
from pct.errors import UsageError
from pct.optimization.settings import HORIZON, SUBSTEPS

# Targets that are code, with a step of an integrator, and those that are a whole rollout.
CODE = ("cpp", "casadi", "fmu", "onnx", "stablehlo")
ROLLOUTS = ("onnx", "stablehlo")


@dataclasses.dataclass(frozen=True)
class ExportTargetConfig:
    """Write a vehicle model with its parameters for another program, verified against its equations or
    refused.

    Rates or forces that the reader makes of the file are compared with the model's before it is written.
    Where the reader's equations differ by design, the head of the file says why, and by how much on the rows
    that were driven.

    Example: pct export forzaeth results/singletrack-pacejka/run_20261123-181650 --output my_car
    """

    target: tyro.conf.Positional[str]
    """Name of the program; `pct export` lists them."""
    run: tyro.conf.Positional[Path | None] = None
    """Run folder of `pct fit`, or of `pct train`: then the mean of the network's predictions is taken, and
    the whole network by onnx and stablehlo."""
    model: str | None = None
    """Without a run: a model with its default parameters, by name or by the Python file that defines it.
    With a run: the file that defines the run's model."""
    vehicle: str | None = None
    """With --model: the parameters of a named vehicle, e.g. f1tenth; the model's own (a 1:10 car) when
    left out."""
    output: Path | None = None
    """The file, or the folder where a target has several; named after the target, in the run folder, or here
    for a model without a run, when left out."""
    refit: bool = False
    """Write the nearest car that the target can say where it cannot say this one: other tyres are fitted
    over the slips that were driven, and the file states the loss."""
    integrator: Literal["rk4", "heun", "euler"] | None = None
    """Of code: method of a step; the run's, or rk4, when left out."""
    substeps: Annotated[int, SUBSTEPS] | None = None
    """Of code: equal parts that a step is made of; the run's, or 1, when left out."""
    horizon: Annotated[int, HORIZON] | None = None
    """Of onnx and stablehlo: steps of the rollout [time steps]; the run's, or 20, when left out."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)

    def validate(self) -> None:
        """Raise UsageError for flags that cannot be used together."""
        if self.run is None and self.model is None:
            raise UsageError("expected a run folder or `model=NAME`")
        if self.run is not None and self.vehicle is not None:
            raise UsageError("`vehicle` goes with `model` alone: a run has its own parameters")
        for name, known in (("integrator", CODE), ("substeps", CODE), ("horizon", ROLLOUTS)):
            if getattr(self, name) is not None and self.target not in known:
                raise UsageError(
                    f"`{name}` goes with {', '.join(known)} alone: {self.target} has no such thing"
                )


CONFIG = ExportTargetConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, export and print what was checked and what a user must know."""
    args = parse(ExportTargetConfig, argv, prog="pct export")
    import pct
    from pct.dynamics import resolve_model
    from pct.export.source import from_model, from_run
    from pct.export.targets import TARGETS, target_of

    pct.keep_compiled_code()
    export = target_of(args.target)
    if args.run is None:
        source = from_model(args.model or "", args.vehicle)
    else:
        if args.model is not None:
            resolve_model(args.model)
        source = from_run(args.run)
    source = dataclasses.replace(
        source,
        integrator_name=args.integrator or source.integrator_name,
        substeps=args.substeps or source.substeps,
    )
    if source.is_mean and args.target not in ROLLOUTS:
        say_error("note: the file holds the mean of the network's predictions as constants, not the network")
    path = args.output or (args.run or Path()) / TARGETS[args.target].file
    more = {} if args.horizon is None else {"horizon": args.horizon}
    exported = export(source, path, refit=args.refit, **more)
    for file in exported.files:
        say(f"Wrote {file}: {file.stat().st_size / 1000:.1f} kB")
    say(f"Values: {source.title}")
    say(f"Checked: {exported.checked}")
    for note in exported.notes:
        say_error(f"note: {note}")
    if source.left_out:
        names = ", ".join(line.partition(" ")[0] for line in source.left_out)
        say_error(f"note: left out, of the measurement model: {names}")
