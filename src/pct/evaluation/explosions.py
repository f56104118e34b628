"""Windows whose rollout explodes: they are counted in every row, and the first of them are named.

A rollout has exploded where a state is not finite, lies beyond the limit of its channel, or errs by more than
`SPANS` times the span that the test log shows of that channel. Log and tables decide, never the judged model,
so that all rows are counted by one rule, and holding the last value never explodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.evaluation.scores import POSITION, Errors
from pct.types import Bool, States
from pct.windows.batch import WindowOrigin

# An error of so many times what the channel spans in the whole log is none of a car's motion.
SPANS = 3.0
# So many scales of the loss are no explosion, however little of the channel the log shows.
LEAST = 5.0
# So many are named.
NAMED = 5


class Explosion(NamedTuple):
    """One window whose rollout explodes.

    Attributes:
        recording: where it lies.
        start: time of its first row in s.
        after: time from there to the first step beyond in s.
        channel: that is beyond first.
    """

    recording: str
    start: float
    after: float
    channel: str

    def __str__(self) -> str:
        return f"'{self.recording}' from {self.start:.2f} s ({self.channel} after {self.after:.2f} s)"


def largest_errors(targets: States, spec: ModelSpec) -> dict[str, float]:
    """The error of each channel from which on a rollout has exploded, in its unit.

    Args:
        targets: true states of all windows, (B, T, S), each in the frame of its start.
        spec: the model, whose tables give scales. A heading has no such error: it is wrapped.
    """
    x, y, _ = spec.pose_indices
    targets = np.asarray(targets, float)
    way = float(np.hypot(targets[..., x], targets[..., y]).max())
    largest = {}
    for i, channel in enumerate(spec.states):
        if not channel.heading:
            span = way if i in (x, y) else float(np.ptp(targets[..., i]))
            largest[channel.name] = max(SPANS * span, LEAST * channel.scale)
    return {**largest, POSITION: max(largest[spec.state_names[x]], largest[spec.state_names[y]])}


def find_exploded(errors: Errors, targets: States, spec: ModelSpec) -> Bool[np.ndarray, "B T Q"]:
    """Where a rollout is beyond, by window, step and channel of the errors.

    Args:
        errors: from `errors_of` on all windows.
        targets: their true states, (B, T, S).
        spec: the model.
    """
    targets = np.asarray(targets, float)
    largest = largest_errors(targets, spec)
    beyond = ~np.isfinite(errors.values)
    for i, name in enumerate(errors.names):
        if name in largest:
            beyond[..., i] |= np.abs(errors.values[..., i]) > largest[name]
        if name in spec.state_indices:
            column = spec.state_indices[name]
            channel = spec.states[column]
            if np.isfinite(channel.limit) and not channel.angle:
                beyond[..., i] |= np.abs(targets[..., column] + errors.values[..., i]) > channel.limit
    return beyond


def name_explosions(
    beyond: Bool[np.ndarray, "B T Q"], names: tuple[str, ...], origin: WindowOrigin
) -> list[Explosion]:
    """The first few windows that explode, in the order of driving.

    Args:
        beyond: from `find_exploded`.
        names: the channels, as in `Errors`.
        origin: where the windows come from.
    """
    named = []
    for window in np.flatnonzero(beyond.any(axis=(1, 2)))[:NAMED]:
        step = int(np.argmax(beyond[window].any(axis=1)))
        named.append(
            Explosion(
                origin.recordings[int(origin.recording[window])],
                float(origin.times[window]),
                (step + 1) * origin.dt,
                names[int(np.argmax(beyond[window, step]))],
            )
        )
    return named


def explosion_lines(count: int, windows: int, named: list[Explosion], what: str) -> list[str]:
    """A sentence that counts and names the windows that explode; nothing where none does.

    Examples:
        >>> explosion_lines(1, 40, [Explosion("lap", 2.0, 0.3, "vx")], "this run")
        ["1 of 40 windows EXPLODES with this run: 'lap' from 2.00 s (vx after 0.30 s)."]
        >>> explosion_lines(0, 40, [], "this run")
        []
    """
    if not count:
        return []
    listed = ", ".join(map(str, named))
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return [f"{count} of {windows} windows EXPLODE{'S' * (count == 1)} with {what}: {listed}{more}."]
