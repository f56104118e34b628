"""`pct export c`: a model with its identified parameters as one C99 file, checked against JAX."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from pct.errors import UsageError


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Write a vehicle model with its parameters as one C99 file that needs nothing but math.h.

    The file has the rates of the states, a step of an integrator, and the Jacobians of both, in double
    precision. It is compiled and compared with JAX on random inputs first; where they differ, nothing is
    written.

    Example: pct export c results/singletrack/run_20261123-181650 --output car.c
    """

    run: tyro.conf.Positional[Path | None] = None
    """Run folder of `pct fit`, or of `pct train`: then the mean of the network's answers is taken."""
    model: str | None = None
    """In place of a run: a model with its default parameters; `pct models` lists them."""
    vehicle: str | None = None
    """With --model: the parameters of a named vehicle, e.g. f1tenth; the model's own (a 1:10 car) when
    left out."""
    output: Path | None = None
    """The C file; pct_<model>.c in the run folder, or here for a model without a run, when left out."""
    integrator: Literal["rk4", "heun", "euler"] | None = None
    """Method of a step; the run's, or rk4, when left out."""
    substeps: int | None = None
    """Equal parts that a step is made of; the run's, or 1, when left out."""
    debug: bool = False
    """Show the traceback of an error."""

    def validate(self) -> None:
        """Raise UsageError for flags that cannot be used together, or a value out of range."""
        if (self.run is None) == (self.model is None):
            raise UsageError("pct export c: expected a run folder or --model NAME, one of the two.")
        if self.vehicle is not None and self.model is None:
            raise UsageError("--vehicle goes with --model: a run has its own parameters.")
        if self.substeps is not None and self.substeps <= 0:
            raise UsageError(f"--substeps must be a positive number, got {self.substeps}.")


CONFIG = ExportConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and export."""
    args = tyro.cli(ExportConfig, prog="pct export c", args=argv)
    args.validate()
    import jax

    from pct.cli.folders import keep_compiled_code
    from pct.export.c import check, make_program, prefix_of
    from pct.files import write_output

    keep_compiled_code(jax)
    source = _source(args)
    program = make_program(source)
    checked = check(source, program)
    path = args.output or (args.run or Path()) / f"{prefix_of(source.spec.name)}.c"
    write_output(path, program.text.encode())

    print(f"Wrote {path}: {program.text.count(chr(10))} lines, {len(program.text.encode()) / 1000:.0f} kB")
    print(f"Values: {source.title}")
    largest = max(checked.differences, key=checked.differences.__getitem__)
    by = f"compiled by {checked.compiler}" if checked.compiler else "computed in Python"
    print(
        f"Checked against JAX on random inputs, {by}: largest relative difference "
        f"{checked.differences[largest]:.1e} ({largest})"
    )
    if checked.compiler is None:
        print(
            "no C compiler was found (CC, or cc, gcc, clang): the equations are checked, but the file was "
            "never compiled",
            file=sys.stderr,
        )
    print(f"Next: cc -std=c99 -O2 -c {path}, and link with -lm; its head says how to call it")


def _source(args: ExportConfig) -> Any:
    """What the flags ask for, with notes on stderr of what the file will not hold."""
    from pct.export.source import from_model, from_run

    if args.run is None:
        assert args.model is not None
        source = from_model(args.model, args.vehicle)
    else:
        source = from_run(args.run)
    if source.is_mean:
        print(
            "note: the file holds the mean of the network's answers as constants, not the network",
            file=sys.stderr,
        )
    if source.left_out:
        print(
            "note: left out what stands between the vehicle and its log: "
            f"{', '.join(line.partition(' ')[0] for line in source.left_out)}",
            file=sys.stderr,
        )
    return dataclasses.replace(
        source,
        integrator_name=args.integrator or source.integrator_name,
        substeps=args.substeps or source.substeps,
    )
