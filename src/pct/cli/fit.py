"""`pct fit`: one value of each parameter for a vehicle, with its error, from minutes of driving."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from pct.cli.config import fixed_values, merge_repeated
from pct.errors import DataError, PctError, UsageError
from pct.measurement import Measurement

# Stretches of driving below which their spread says little.
FEW_BLOCKS = 6
LISTS = (
    *("--dataset", "--fixed", "--lag", "--bias", "--drift", "--actuator-lag", "--delay", "--compare"),
    "--profile",
)
# Windows that the figures show; more are too many to see.
SHOWN = 2000


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """Fit constant parameters of a vehicle model to driving logs, in seconds.

    Rolls the model out over windows of the logs and moves the parameters, within their bounds, until the
    rollouts meet the logs (Levenberg-Marquardt). Prints each value with its standard error and a verdict, and
    leaves a run folder that `pct evaluate` and `pct train --init-from` read.

    Example: pct fit --dataset datasets/surfaces/val --model singletrack --fixed C_Sf C_Sr m I
    """

    dataset: tuple[str, ...] = ()
    """Logs: one or more dataset folders, or raw folders with a signals.toml; absolute, or relative to the
    repository root."""
    model: str = "singletrack"
    """Dynamics model; `pct models` lists them with their parameters."""
    vehicle: str | None = None
    """Bounds and defaults of a named vehicle, e.g. f1tenth; the model's own (a 1:10 car) when left out."""
    fixed: tuple[str, ...] = ()
    """Parameters to hold: NAME at its default, NAME=VALUE at a value in the parameter's unit."""
    measurement: tyro.conf.OmitArgPrefixes[Measurement] = dataclasses.field(
        default_factory=lambda: Measurement(observer=True)
    )
    free_start: bool = False
    """With --no-observer: the compared states at each window's start are unknown and fitted along. The best
    answer where readings are noisy and the car is as modelled."""
    compare: tuple[str, ...] = ()
    """States whose errors count; all when left out."""
    dt: int | None = None
    """Time step of the rollout [hundredths of a second]; the logs' own when left out."""
    horizon: int = 20
    """Steps that are predicted and compared [time steps]."""
    history: int = 20
    """Steps before a window that the observer reads [time steps]."""
    stride: int | None = None
    """Steps from one window's start to the next [time steps]; a fifth of the horizon when left out."""
    samples: int | None = None
    """Most windows to use, spread evenly over the logs [windows]; all when left out."""
    prior: float = 1.0
    """How far parameters may go from their defaults without evidence [1]; 1 is 27 to 73 % of the range, 0.5
    is half as far."""
    huber: float = 3.0
    """Error, in units of its channel's usual error, from which it counts by its size, not its square [1]."""
    iterations: int = 50
    """Most iterations [1]."""
    integrator: Literal["rk4", "heun", "euler"] = "rk4"
    """Integration method of the rollout."""
    substeps: int | None = None
    """Integration steps per time step [1]; when left out, enough for steps of 0.025 s or less."""
    double: bool = False
    """Compute in double precision: for data without noise."""
    profile: tuple[str, ...] = ()
    """Parameters whose likelihood is profiled: each is held at points about its value, the others are fitted
    anew. Takes as long as some ten fits each."""
    report: bool = True
    """Draw the figures and write report.html."""
    results: Path | None = None
    """Folder of all runs; results/ in the repository root when left out."""
    compile_cache: bool = True
    """Keep compiled code in the user's cache folder, so that the next fit starts at once."""
    debug: bool = False
    """Show the traceback of an error."""

    def validate(self) -> None:
        """Raise UsageError for a value that cannot be used."""
        if not self.dataset:
            raise UsageError("--dataset: expected one folder or more, got none.")
        for name in (
            "horizon",
            "history",
            "iterations",
            "prior",
            "huber",
            "stride",
            "samples",
            "dt",
            "substeps",
        ):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"--{name} must be a positive number, got {value}.")
        self.measurement.validate()


CONFIG = FitConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and fit."""
    arguments = merge_repeated(list(sys.argv[1:] if argv is None else argv), LISTS)
    args = tyro.cli(FitConfig, prog="pct fit", args=arguments)
    args.validate()
    import jax

    from pct.cli.folders import default_results, keep_compiled_code, resolve_folder
    from pct.runs.directory import create_run_directory, mark_done, mark_failed, write_provenance
    from pct.windows.loading import data_hashes, load_window_store

    if args.compile_cache:
        keep_compiled_code(jax)
    if args.double:
        jax.config.update("jax_enable_x64", True)
    spec = measured_spec(args)
    args = dataclasses.replace(args, dataset=tuple(str(resolve_folder(p, "--dataset")) for p in args.dataset))
    folders = [Path(path) for path in args.dataset]
    store = load_window_store(folders, spec, dt=None if args.dt is None else args.dt / 100)
    run = create_run_directory(args.results or default_results(), spec.name, "full")
    write_provenance(run, config=dataclasses.asdict(args), command=sys.argv, data=data_hashes(folders))
    try:
        mark_done(run, fit(args, spec, store, run))
    except BaseException as error:
        mark_failed(run, str(error) if isinstance(error, PctError) else repr(error))
        raise


def measured_spec(args: FitConfig) -> Any:
    """The model of the flags, with what stands between it and the log.

    Raises:
        UsageError: an unknown model, vehicle, parameter or channel.
    """
    from pct.dynamics import resolve_model, with_fixed
    from pct.dynamics.vehicles import with_vehicle
    from pct.measurement import with_measurement

    spec = resolve_model(args.model)
    if args.vehicle is not None:
        spec = with_vehicle(spec, args.vehicle)
    return with_fixed(with_measurement(spec, args.measurement), fixed_values(args.fixed))


def fit(args: FitConfig, spec: Any, store: Any, run: Path) -> dict[str, Any]:
    """Fit, store, print; the facts of the run."""
    import numpy as np

    from pct.cli.fit_tables import print_lines, print_parameters, rounding_warning
    from pct.cli.summary import with_tables
    from pct.dynamics.core import unflatten_params
    from pct.evaluation.overlap import save_fingerprint
    from pct.optimization.constants.estimate import fit_parameters
    from pct.optimization.constants.fitted import FittedModel
    from pct.optimization.constants.profile import profile_fact, profile_table, require_scalar
    from pct.optimization.constants.verdicts import correlations, judge, with_profile
    from pct.rollout.integration import choose_substeps
    from pct.runs.directory import write_json
    from pct.runs.models import save_fit
    from pct.windows.store import spread, window_starts
    from pct.windows.window_set import make_window_set

    for name in args.profile:
        require_scalar(spec, name)
    shape: Any = {"horizon": args.horizon, "history": args.history}
    stride = args.stride or max(1, args.horizon // 5)
    starts = window_starts(store, stride=stride, samples=args.samples, **shape)
    windows = make_window_set(store, starts, spec, feature_mode="context", **shape)
    save_fingerprint(run, windows)
    substeps = choose_substeps(store.dt, args.substeps)
    base_params = spec.base_params(store.dt)
    print(
        f"{spec.name}: {len(windows)} windows from {len(store.recordings)} recordings, "
        f"{args.horizon} steps of {store.dt:g} s ({args.integrator}, {substeps} substeps), "
        f"{spec.vector_size} unknowns\nrun folder: {run}",
        file=sys.stderr,
        flush=True,
    )
    begin = time.perf_counter()

    def report(iteration: int, cost: float) -> None:
        print(
            f"iteration {iteration}  cost {cost:.6g}  {time.perf_counter() - begin:.1f} s",
            file=sys.stderr,
            flush=True,
        )

    found = fit_parameters(
        windows,
        np.arange(len(windows)),
        spec,
        base_params,
        integrator=args.integrator,
        substeps=substeps,
        compare=args.compare,
        free_start=args.free_start,
        prior=args.prior,
        huber=args.huber,
        iterations=args.iterations,
        report=report,
    )
    if found.blocks < FEW_BLOCKS:
        print(
            f"warning: standard errors rest on {found.blocks} stretches of driving, too few to trust them: "
            "drive longer, or shorten --horizon and --history",
            file=sys.stderr,
        )
    if not np.isfinite(found.covariance).all():
        raise DataError("the covariance is not finite: shorten the horizon, or hold parameters with --fixed")
    params = found.params(spec)
    deviations = unflatten_params(found.deviations(spec), spec.param_keys, spec.full_shapes)
    compared = [name for name in spec.state_names if not args.compare or name in args.compare]
    sigma = dict(zip(compared, found.sigma.tolist(), strict=True))
    fitted = FittedModel(
        spec,
        params,
        deviations,
        store.dt,
        args.integrator,
        substeps,
        {
            **shape,
            "stride": stride,
            "feature_mode": "context",
            "history_fit": False,
            "feature_names": windows.feature_names,
        },
        sigma,
    )
    verdicts = judge(found, spec, args.prior)
    if warning := rounding_warning(spec, sigma):
        print(warning, file=sys.stderr)
    names, correlation = correlations(found, spec)
    profiles = []
    for name in args.profile:
        profiles.append(_profile(name, args, spec, base_params, substeps, windows, found))
        verdicts[name] = with_profile(verdicts[name], profiles[-1], spec)
    more = {"cost": found.cost, "verdicts": verdicts}
    save_fit(run, fitted, {**more, "correlations": {"names": names, "matrix": correlation}})
    summary = {
        name: {"mean": params[name], "std": deviations[name], **verdicts.get(name, {})}
        for name in spec.param_keys
    }
    output = run / "pct_predicted_params.json"
    write_json(output, with_tables(spec, summary))
    seconds = time.perf_counter() - begin
    left = ", ".join(
        f"{name} {value:.3g} {spec.states[spec.state_indices[name]].unit}" for name, value in sigma.items()
    )
    facts = [
        f"{len(windows)} windows of {len(store.recordings)} recordings, {args.horizon} steps of "
        f"{store.dt:g} s; {int((~found.kept).sum())} left out as broken; {found.blocks} stretches.",
        f"Typical error over the horizon: {left}.",
    ]
    print_parameters(spec, params, deviations, verdicts)
    print_lines(facts)
    for kept in profiles:
        unit = spec.parameter(kept.name).unit
        write_json(run / f"profile_{kept.name}.json", profile_table(kept, unit))
        print_lines([profile_fact(kept, unit)])
    if args.report:
        from pct.evaluation.fit_report import make_fit_report, report_facts, save_fit_report

        chosen = spread(np.arange(len(windows)), SHOWN)
        told = make_fit_report(
            fitted,
            found,
            verdicts,
            windows.select(chosen),
            found.kept[chosen],
            facts=facts,
            compared=compared,
            profiles=profiles,
        )
        print_lines([*report_facts(told), f"Report: {save_fit_report(run, told)}"])
    print_lines(
        [
            f"{len(found.cost)} iterations, {seconds:.1f} s. Parameters: {output}",
            f"Judge it on other drives: pct evaluate {run} --dataset ...",
        ]
    )
    return {"iterations": len(found.cost), "seconds": seconds, "remaining_error": sigma}


def _profile(
    name: str, args: FitConfig, spec: Any, base_params: Any, substeps: int, windows: Any, found: Any
) -> Any:
    """Profile likelihood of a parameter, told point by point."""
    import numpy as np

    from pct.optimization.constants.errors import make_rollout_errors
    from pct.optimization.constants.profile import profile

    errors = make_rollout_errors(
        spec,
        base_params,
        windows.history,
        integrator=args.integrator,
        substeps=substeps,
        compare=args.compare,
        free_start=args.free_start,
    )

    def report(value: float, excess: float) -> None:
        print(f"profile of {name}  {value:.5g}  {excess:.3g}", file=sys.stderr, flush=True)

    numbers = np.arange(len(windows))
    return profile(name, found, errors, windows, numbers, prior=args.prior, huber=args.huber, report=report)
