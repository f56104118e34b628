"""What `pct train` prints: before it starts, and at its end what was learned and what it beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from pct.cli.console import print_table, say
from pct.dynamics.core import ModelSpec
from pct.evaluation.scenarios import AgainstDefaults, learned_cells
from pct.optimization.network.epoch import TrainState
from pct.optimization.network.training import Learner
from pct.windows.bootstrap import Interval, difference


def announce(learner: Learner, state: TrainState, folder: Path) -> None:
    """Say on stderr what is about to be trained on what."""
    spec, settings, windows = learner.spec, learner.settings, learner.windows
    size = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    counts = f"{len(windows.training)} training windows"
    if windows.validation is not None:
        counts += f", {len(windows.validation)} validation windows"
    chosen = () if windows.choice is None else windows.choice.facts
    resumed = [f"resuming after step {state.step}, epoch {state.epoch}"] if state.step else []
    say(
        f"{spec.name}: {counts} from {len(windows.training.store.recordings)} recordings, "
        f"{settings.horizon} steps of {learner.dt:g} s "
        f"({settings.integrator}, {learner.substeps} substeps)",
        f"network: {len(windows.training.feature_names)} features, {size} weights, "
        f"predicts {', '.join(spec.param_keys)}",
        f"run folder: {folder}",
        *chosen,
        *learner.input_facts,
        *resumed,
        error=True,
    )


def conclude(
    spec: ModelSpec,
    summary: Mapping[str, Mapping[str, Any]],
    comparison: AgainstDefaults,
    verdicts: Sequence[str],
    output: Path,
) -> None:
    """Print what was learned and what it beats."""
    _print_learned(spec, summary)
    _print_errors(spec, comparison)
    lines = [comparison.verdict, *comparison.warnings, *verdicts]
    if comparison.split == "training":
        lines.append(
            "No validation data: these windows were trained on. Pass --val-dataset or --val-split to check."
        )
    lines.append(f"Predicted parameters: {output}")
    say(*lines)


def _print_learned(spec: ModelSpec, predicted: Mapping[str, Mapping[str, Any]]) -> None:
    head, rows = learned_cells(spec, predicted)
    print_table(f"Learned parameters of {spec.name}", head, rows, texts=(0, 5))


def _print_errors(spec: ModelSpec, comparison: AgainstDefaults) -> None:
    rows: list[tuple[str, ...]] = []

    def add(name: str, trained: float, default: float, unit: str) -> None:
        ratio = Interval(trained / default, math.nan, math.nan) if default > 0 else None
        words = "-" if ratio is None else difference(ratio)
        rows.append((name, f"{trained:.4g}", f"{default:.4g}", words, unit))

    shown = comparison.shown
    add(shown.name, comparison.size["trained"], comparison.size["default"], shown.unit)
    for i, channel in enumerate(spec.states):
        if channel.name not in (*spec.pose[:2], *spec.unlogged, shown.name):
            errors = comparison.errors
            add(channel.name, errors["trained"][i], errors["default"][i], channel.unit)
    exploded = (str(comparison.exploded[key]) for key in ("trained", "default"))
    rows.append(("exploded", *exploded, "", "windows"))
    title = f"Open-loop RMSE after {comparison.horizon:g} s on the {comparison.split} windows"
    print_table(title, ("state", "trained", comparison.rival, "the network has", "unit"), rows, texts=(0, 4))
