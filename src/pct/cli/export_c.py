"""`pct export c`: a model with its identified parameters as one C99 file, checked against JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pct.cli.console import quoted, say, say_error
from pct.cli.flags import DebugFlags, parse
from pct.errors import UsageError
from pct.optimization.settings import SUBSTEPS


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Write a vehicle model with its parameters as one C99 file that needs nothing but math.h.

    The file has the rates of the states, a step of an integrator, and the Jacobians of both, in double
    precision. It is compiled and compared with JAX on random inputs first; where they differ, nothing is
    written.

    Example: pct export c results/singletrack/run_20261123-181650 --output car.c
    """

    run: tyro.conf.Positional[Path | None] = None
    """Run folder of `pct fit`, or of `pct train`: then the mean of the network's predictions is taken."""
    model: str | None = None
    """Without a run: a model with its default parameters, by name or by the Python file that defines it.
    With a run: the file that defines the run's model."""
    vehicle: str | None = None
    """With --model: the parameters of a named vehicle, e.g. f1tenth; the model's own (a 1:10 car) when
    left out."""
    output: Path | None = None
    """The C file; pct_<model>.c in the run folder, or here for a model without a run, when left out."""
    integrator: Literal["rk4", "heun", "euler"] | None = None
    """Method of a step; the run's, or rk4, when left out."""
    substeps: Annotated[int, SUBSTEPS] | None = None
    """Equal parts that a step is made of; the run's, or 1, when left out."""
    tracker: bool = False
    """The tracker of parameters that change, as `pct track --follow` runs it, in place of the model."""
    vary: tuple[str, ...] = ("mu",)
    """With --tracker: NAME or NAME=LOW:HIGH ...: what may change, as of `pct track`."""
    levels: Path | None = None
    """With --tracker: track.json of a drive of the same car, whose noise is taken. Default: usual ones."""
    fixed: tuple[str, ...] = ()
    """With --tracker and --model: parameters that are known: NAME at its default, NAME=VALUE in the
    parameter's unit."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)

    def validate(self) -> None:
        """Raise UsageError for flags that cannot be used together."""
        if self.run is None and self.model is None:
            raise UsageError("expected a run folder or `model=NAME`")
        if not self.tracker and (self.fixed or self.levels is not None):
            raise UsageError("`fixed` and `levels` go with `tracker=True`")
        if self.run is not None and self.vehicle is not None:
            raise UsageError("`vehicle` goes with `model` alone: a run has its own parameters")


CONFIG = ExportConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, export and print what the file holds."""
    args = parse(ExportConfig, argv, prog="pct export c")
    import pct
    from pct.dynamics import resolve_model
    from pct.export.c import export_c, prefix_of
    from pct.export.source import from_model, from_run

    pct.keep_compiled_code()
    if args.tracker:
        from pct.cli.track import export_tracker

        export_tracker(args)
        return
    if args.run is None:
        source = from_model(args.model or "", args.vehicle)
    else:
        if args.model is not None:
            resolve_model(args.model)
        source = from_run(args.run)
    if source.is_mean:
        say_error("note: the file holds the mean of the network's predictions as constants, not the network")
    if source.left_out:
        names = ", ".join(line.partition(" ")[0] for line in source.left_out)
        say_error(f"note: the file leaves out the measurement model: {names}")
    path = args.output or (args.run or Path()) / f"{prefix_of(source.spec.name)}.c"
    file = export_c(source, path, integrator=args.integrator, substeps=args.substeps)
    say(f"Wrote {path}: {file.text.count(chr(10))} lines, {len(file.text.encode()) / 1000:.0f} kB")
    say(f"Values: {source.title}")
    differences, compiler = file.checked
    largest = max(differences, key=differences.__getitem__)
    by = f"compiled by {compiler}" if compiler else "computed in Python"
    say(
        f"Checked against JAX on random inputs, {by}: largest relative difference "
        f"{differences[largest]:.1e} ({largest})"
    )
    if compiler is None:
        say_error(
            "no C compiler was found (CC, or cc, gcc, clang): the equations are checked, but the file was "
            "never compiled"
        )
    say(f"Next: cc -std=c99 -O2 -c {quoted(path)}, and link with -lm; its head says how to call it")
