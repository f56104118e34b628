"""Readings of the sensors of a simulated car."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.simulation.driver import is_drivable, speed_name
from pct.types import Float

# A reading is rounded to this part of its noise, the resolution of the sensor.
RESOLUTION = 0.2


class Column(NamedTuple):
    """Values of one channel, shape (N,), its unit and its origin."""

    values: np.ndarray
    unit: str
    origin: str


def readings(
    rng: np.random.Generator, spec: ModelSpec, states: Float[np.ndarray, "N S"], noise: float
) -> dict[str, Column]:
    """The states as sensors show them."""
    return {
        channel.name: Column(_read(rng, values, noise * channel.noise), channel.unit, "measured")
        for channel, values in zip(spec.states, states.T, strict=True)
    }


def commanded(spec: ModelSpec, commands: Float[np.ndarray, "N C"]) -> dict[str, Column]:
    """The commands, exactly."""
    return {
        channel.name: Column(values, channel.unit, "command")
        for channel, values in zip(spec.controls, commands.T, strict=True)
    }


def features(
    rng: np.random.Generator,
    spec: ModelSpec,
    states: Float[np.ndarray, "N S"],
    vibration: Float[np.ndarray, " N"],
    temperature: Float[np.ndarray, " N"],
    noise: float,
) -> dict[str, Column]:
    """Exogenous channels of a car: vibration grows with speed and scatters from row to row."""
    if not is_drivable(spec):
        return {}
    speed = np.abs(states[:, spec.state_indices[speed_name(spec)]])
    shaken = vibration * speed**0.8 * np.exp(0.25 * noise * rng.standard_normal(len(speed)))
    return {
        "feature.vibration": Column(_read(rng, shaken, 0.05 * noise), "m/s^2", "measured"),
        "feature.surface_temperature": Column(_read(rng, temperature, 0.5 * noise), "K", "measured"),
    }


def known_truth(spec: ModelSpec, truth: Mapping[str, np.ndarray]) -> dict[str, Column]:
    """Parameters that are known, by logging step."""
    return {
        f"truth.{name}": Column(values, "1" if name == "mu" else spec.parameter(name).unit, "truth")
        for name, values in truth.items()
    }


def _read(rng: np.random.Generator, values: np.ndarray, deviation: float) -> np.ndarray:
    """Values with white noise, rounded to the sensor's resolution."""
    if deviation == 0.0:
        return values
    noisy = values + deviation * rng.standard_normal(values.shape)
    return RESOLUTION * deviation * np.round(noisy / (RESOLUTION * deviation))
