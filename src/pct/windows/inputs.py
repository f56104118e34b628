"""How the inputs of a log act on a model: limits on commands alone, values held or along straight lines.

A command is what a computer sent: it is held until the next one, and the car's actuators may do less than
it asks for. What was measured has passed the actuators already, so that no limit of the model may cut it;
between two readings it ran along a straight line, as far as anyone knows. A rate that was derived as the
difference from row to row, divided by the time step, is its exact mean over the step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pct.dynamics.channels import DELTA, is_heading
from pct.dynamics.core import Channel, ModelSpec
from pct.recordings.derive import derive, follows_from, forward_difference, with_channels
from pct.recordings.trajectory import Trajectory
from pct.recordings.unlogged import ASSUMED, PEDALS, SMOOTHED
from pct.types import Column

Inputs = Literal["auto", "held", "ramped"]
COMMAND, MEASURED, DIFFERENCE = "command", "measured", "difference"
# A logged rate this close to the differences of its channel, over their typical size, is these.
SAME = 1e-5
# Points at which the equations are tried.
DRAWN = 16


def origins_of(recordings: Sequence[Trajectory], spec: ModelSpec) -> dict[str, str]:
    """Where the states and controls of a model come from in recordings, by name.

    Returns:
        ``command`` where every recording says so, or derives it of commands alone; ``difference`` where it is
        the forward difference of the channel whose rate it is, in every recording; ``assumed`` where a
        recording does not hold it; ``smoothed`` of an acceleration that is the smoothed rate of the speed;
        else ``measured``. Pedals that are assumed are named, too.
    """
    origins = {}
    for channel in (*spec.states, *spec.controls):
        found = {_origin(trajectory, channel) for trajectory in recordings}
        origins[channel.name] = found.pop() if len(found) == 1 else ASSUMED if ASSUMED in found else MEASURED
    pedals = {name for trajectory in recordings for name in PEDALS if trajectory.origins.get(name) == ASSUMED}
    return {**origins, **dict.fromkeys(sorted(pedals), ASSUMED)}


def with_inputs(spec: ModelSpec, origins: Mapping[str, str], inputs: Inputs) -> ModelSpec:
    """The model with its inputs as they act in a log.

    Args:
        spec: any model, also behind a measurement.
        origins: from `origins_of`; the model stays as it is where there are none.
        inputs: ``auto`` holds commands and lets what is measured run along straight lines; ``held`` and
            ``ramped`` treat all controls and the steering angle alike.
    """
    if not origins:
        return spec
    logged = {channel.name for channel in spec.controls}
    # Behind pedals the vehicle's own control is not logged: it is a command where all that is logged is.
    commands = {name for name in logged if origins[name] == COMMAND}
    limited = [
        name for name in spec.limited if name in commands or (name not in logged and commands == logged)
    ]
    # What a sensor's lag smooths does not jump, and only a difference leads from row to row.
    hidden = {channel.name for channel in spec.hidden}
    jumps = [
        name
        for name, rate in spec.rates.items()
        if origins[rate] == DIFFERENCE and f"{name}_true" not in hidden and name not in spec.pose
    ]
    straight = [channel.name for channel in spec.controls if origins[channel.name] != DIFFERENCE]
    held: list[str] = []
    if inputs == "auto":
        held = [name for name in jumps if origins[name] == COMMAND]
        straight = [name for name in straight if origins[name] in (MEASURED, SMOOTHED)]
    elif inputs == "held":
        held, straight = [name for name in jumps if name == DELTA.name], []
    as_it_is = dataclasses.replace(
        spec, limited=tuple(limited), held=tuple(held), interpolated=tuple(straight)
    )
    return with_unlogged(as_it_is, origins)


def with_unlogged(spec: ModelSpec, origins: Mapping[str, str], *, only: bool = True) -> ModelSpec:
    """The model with the states that logs do not hold, which no loss counts.

    Args:
        spec: any model.
        origins: from `origins_of`; the model stays as it is where there are none.
        only: whether a state counts as logged that was not where the model was made.
    """
    if not origins:
        return spec
    names = {name for name, origin in origins.items() if origin == ASSUMED}
    names |= {*(() if only else spec.unlogged)}
    unlogged = tuple(name for name in spec.state_names if name in names)
    if unlogged == spec.unlogged:
        return spec
    counted: Any = {}
    for kind in ("train_loss_kwargs", "eval_loss_kwargs"):
        known = getattr(spec, kind)
        scales = [
            np.inf if name in unlogged else channel.scale if name in spec.unlogged else scale
            for name, channel, scale in zip(spec.state_names, spec.states, known["scales"], strict=True)
        ]
        counted[kind] = {**known, "scales": np.array(scales)}
    return dataclasses.replace(spec, unlogged=unlogged, **counted)


def as_they_act(trajectory: Trajectory, spec: ModelSpec) -> Trajectory:
    """The recording with the mean over each step of the controls that run along straight lines between rows.

    The last row repeats. Differences, which are means already, stay.

    Raises:
        DataError: a channel is neither logged nor derivable.
    """
    straight = tuple(
        channel
        for channel in spec.controls
        if channel.name in spec.interpolated and _origin(trajectory, channel) != DIFFERENCE
    )
    if not straight:
        return trajectory
    with_channels(trajectory, spec.states)  # of what is missing, a state is told first
    whole = with_channels(trajectory, straight, held=True)
    means = {channel.name: _mean_to_next(whole.channels[channel.name]) for channel in straight}
    return dataclasses.replace(whole, channels={**whole.channels, **means})


def told_by_controls(spec: ModelSpec, origins: Mapping[str, str]) -> tuple[str, ...]:
    """States that their own derived control predicts to rounding, whatever the parameters.

    Args:
        spec: the model, its inputs as they act.
        origins: as in `with_inputs`.

    Returns:
        Names of the states whose rate is a control that was derived from them and that passes the equations
        as it is.
    """
    derived = {
        state: rate for state, rate in spec.rates.items() if origins.get(rate) in (DIFFERENCE, SMOOTHED)
    }
    if not derived:
        return ()
    rng = np.random.default_rng(0)

    def draw(channels: Sequence[Channel]) -> tuple[np.ndarray, ...]:
        return tuple(channel.typical * rng.uniform(-1.0, 1.0, DRAWN) for channel in channels)

    # Errors that an observer finds are zero.
    x, u = (*draw(spec.states), *np.zeros((len(spec.hidden), DRAWN))), draw(spec.controls)
    shares, params = rng.uniform(0.2, 0.8, len(spec.parameters)), {}
    for share, row in zip(shares, spec.parameters, strict=True):
        low, high = (np.asarray(end, float) for end in spec.param_bounds[row.name])
        learned = row.name in spec.param_keys
        params[row.name] = (
            low + share * (high - low) if learned else np.asarray(spec.default_params[row.name])
        )
    with np.errstate(all="ignore"):
        rates = spec.lane_rates(x, u, params, np)
    told = []
    for state, rate in derived.items():
        given = u[spec.control_names.index(rate)]
        if np.allclose(rates[spec.state_indices[state]], given, rtol=1e-9, atol=1e-9 * np.abs(given).max()):
            told.append(state)
    return tuple(told)


def inputs_line(spec: ModelSpec) -> str:
    """How the inputs act, in a sentence; empty where all are controls that are held."""
    parts = []
    if spec.held:
        parts.append(f"{', '.join(spec.held)} as a command that holds over each step")
    if spec.interpolated:
        parts.append(f"{', '.join(spec.interpolated)} along straight lines between rows")
    return f"Inputs: {'; '.join(parts)}." if parts else ""


def other_origin_lines(spec: ModelSpec, origins: Mapping[str, str]) -> list[str]:
    """Controls whose origin in these drives is another than where a run was made, in sentences."""
    here = with_inputs(spec, origins, "auto").limited if origins else spec.limited
    measured = [name for name in spec.limited if name not in here]
    # Of those that the model limits, whatever the run did.
    every = dataclasses.replace(spec, limited=tuple(channel.name for channel in spec.controls))
    commands = with_inputs(every, origins, "auto").limited if origins and spec.limits is not None else ()
    free = [name for name in commands if name not in spec.limited and name in spec.rates.values()]
    lines = []
    if measured:
        lines.append(
            f"Limits act on {', '.join(measured)} as where the run was made, although it is no command here."
        )
    if free:
        lines.append(f"Limits do not act on {', '.join(free)}, which was no command where the run was made.")
    return lines


def _origin(trajectory: Trajectory, channel: Channel) -> str:
    logged, dt = trajectory.channels, trajectory.dt
    if channel.name in logged:
        if trajectory.origins.get(channel.name) in (ASSUMED, SMOOTHED):
            return trajectory.origins[channel.name]
        if trajectory.origins.get(channel.name) == COMMAND:
            return COMMAND
        base = derive(channel.rate_of, logged, dt) if channel.rate_of else None
        if base is None:
            return MEASURED
        base = np.unwrap(base) if is_heading(channel.rate_of) else base
        return DIFFERENCE if _same(logged[channel.name], forward_difference(base, dt)) else MEASURED
    needs = follows_from(channel.name, logged)
    if needs is None:
        return MEASURED
    if needs == (channel.rate_of,):
        return DIFFERENCE
    found = {trajectory.origins.get(need) if need in logged else None for need in needs} - {ASSUMED}
    return COMMAND if found == {COMMAND} else MEASURED


def _same(rate: Column, difference: Column) -> bool:
    """Whether a logged rate is the forward difference, up to rounding of what was logged."""
    size = float(np.sqrt(np.mean(np.square(difference[:-1])))) if len(difference) > 1 else 0.0
    return size > 0 and bool(np.abs(rate[:-1] - difference[:-1]).max() < SAME * size)


def _mean_to_next(column: Column) -> Column:
    return np.append((column[:-1] + column[1:]) / 2, column[-1:])
