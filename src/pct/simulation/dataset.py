"""Simulated drives as a dataset folder that holds the truth and how it was made."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from pct.dynamics import ModelSpec
from pct.recordings.trajectory import Trajectory, write_dataset
from pct.simulation.drive import simulate


def simulate_dataset(
    output: str | Path, spec: ModelSpec, *, car: str | None = None, **settings: Any
) -> list[Trajectory]:
    """Simulate and write a dataset folder; the same arguments write the same bytes.

    Args:
        output: the new folder; an existing one is refused.
        spec: the model that drives.
        car: name of the vehicle whose parameters it has; the model's own when left out.
        settings: further arguments of `simulate`.

    Returns:
        The recordings that were written.

    Raises:
        UsageError: a model that cannot be driven, an unknown parameter, a value out of range.
        DataError: the folder exists or cannot be written.
        DivergedError: a state that is not finite.
    """
    call = inspect.signature(simulate).bind(spec, **settings)
    call.apply_defaults()
    used = {name: value for name, value in call.arguments.items() if name != "spec"}
    recordings = simulate(spec, **used)
    # The folder's own name is left out, so that the same drive is the same bytes everywhere.
    notes = {
        "simulator": {"model": spec.name, "vehicle": car, **used},
        "sensor_noise": {
            "kind": "white Gaussian, independent by channel and row; standard deviation by channel",
            **{channel.name: used["noise"] * channel.noise for channel in spec.states},
        },
    }
    write_dataset(
        Path(output), recordings, vehicle=f"simulated {car or 'vehicle'}, model {spec.name}", notes=notes
    )
    return recordings
