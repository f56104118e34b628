"""Checks of resampling: a slower signal that was held, or drawn out straight, between its own samples."""

from __future__ import annotations

from operator import methodcaller
from typing import NamedTuple

import numpy as np

from pct.doctor.finding import Finding, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.single_channel import around, lattice, moving_rows, unit_after, unwrapped_column
from pct.doctor.statistics import Column
from pct.recordings.held import held_columns
from pct.types import Bool, Float

# Rows that repeat the row before, of those that move.
HELD_SHARE = 0.05
# Share of the times between two changes that must be one of two neighbours, and the variance of the repeats
# in equal blocks over that of chance.
REGULAR = 0.85
EVEN = 0.3
# A line of a spectrum this far above its surroundings has a chance of e^-12 a bin: worth a closer look.
LINE = 12.0
# So many of the strongest lines are looked at; one reaches over so many bins to either side.
LINES, NEIGHBOURS = 2, 3
# Bins to either side that say what surrounds a line, and the slowest beat in cycles a row: below it the drive
# itself comes and goes.
AROUND = 50
SLOWEST = 0.02
# Pieces hardly longer than a row go through any signal: in rows.
SHORTEST = 1.1
# Straight pieces at about the right times leave less than this part of what others of their length leave,
# and at the right times next to nothing, or the rounding of the log (0.29 of its steps), both in
# proportion to what the knots leave free.
STRAIGHT = 0.25
NOTHING = 0.05
ROUNDING = 0.4
# Where rounding explains what is left, pieces at other times must leave so many steps.
CLEAR = 2.0
# Rows that straight pieces are fitted to at once: their times must not drift against the log's in these.
BLOCK = 120
# Times within a piece that are tried, and how often the best one is looked for more closely.
TIMES = 24
CLOSER = 14
# Fewer bends tell no beat.
LEAST_BENDS = 300


def held(recording: Recording) -> list[Finding]:
    """Channels that were resampled by holding: values repeat in a beat of the two rates."""
    names = [name for name in recording.sensor_channels() if name not in recording.held]
    slow = held_columns({name: recording.channels[name] for name in names}, names)
    moving = moving_rows(recording)
    found = {name: (float(np.median(np.diff(rows))), 1.0) for name, rows in slow.items()}
    for name in names:
        beat = None if name in slow else _beat(recording.channels[name], moving)
        found |= {name: beat} if beat else {}
    return [_held(recording, name, moving, *found[name]) for name in names if name in found]


def _held(
    recording: Recording, name: str, moving: Bool[np.ndarray, " _"], rows_apart: float, regular: float
) -> Finding:
    column = recording.channels[name]
    rows = np.flatnonzero(np.concatenate([[False], column[1:] == column[:-1]]) & moving)
    share = len(rows) / max(1, int(moving.sum()))
    read = recording.raw and recording.measured(name)
    return Finding(
        check="held",
        severity="warning",
        message=(
            f"{recording.called(name)} repeats in {share:.0%} of the moving rows, evenly spaced: a signal of "
            f"about {1.0 / (rows_apart * recording.dt):.3g} Hz held in a log of {1 / recording.dt:.3g} Hz"
        ),
        channels=(name,),
        confidence=confidence(regular, REGULAR),
        fix=f"[channels.{name}] held = true: it is read where it changes"
        if read
        else "log the channel with its own time stamps, or bring the log to the slower rate (`dt`)",
        lines={f"channels.{name}.held": True} if read else {},
        mend=methodcaller("sparse", name),
        panels=around(recording, name, rows[:1]),
        **evidence(recording, rows),
    )


def _beat(column: Column, moving: Bool[np.ndarray, " _"]) -> tuple[float, float] | None:
    """Rows from change to change, and how many of these are regular; None where values repeat by chance."""
    good = column[np.isfinite(column)]
    if len(good) < 100 or not moving.any():
        return None
    equal = np.concatenate([[False], column[1:] == column[:-1]])
    changes = np.flatnonzero(~equal & moving)
    share = float(equal[moving].mean())
    spacing = np.diff(changes)
    spacing = spacing[spacing < 50]
    if len(spacing) < 50 or share < HELD_SHARE or share > 0.95:
        return None
    # A source of its own rate changes every m or m + 1 rows, without exception, so that its repeats are
    # spread evenly; repeats by chance are spread as a binomial number.
    usual = int(np.floor(spacing.mean()))
    regular = float(np.mean((spacing == usual) | (spacing == usual + 1)))
    block = max(10, round(4.0 / share))
    whole = len(equal) // block * block
    counts, busy = (flags[:whole].reshape(-1, block).sum(axis=1) for flags in (equal, moving))
    counts = counts[busy == block]
    if len(counts) < 20:
        return None
    evenness = float(np.var(counts)) / (block * share * (1.0 - share))
    # The variance of as many binomial numbers over its mean, at a chance of 1e-6 (Wilson and Hilferty).
    part = 2.0 / (9.0 * (len(counts) - 1))
    if regular < REGULAR or evenness > min(EVEN, max(1.0 - part - 4.75 * np.sqrt(part), 0.0) ** 3):
        return None
    return float(spacing.mean()), regular


def interpolated(recording: Recording) -> list[Finding]:
    """Channels that were drawn out straight between the samples of a slower signal.

    Such a signal bends at its own samples only, so that the size of its second differences beats with the two
    rates. A vibration beats as well, so straight pieces between samples of that rate must leave next to
    nothing of the signal, and those at other times of the same rate far more.
    """
    busy = moving_rows(recording) & _going_on(recording)
    findings = []
    for name in recording.sensor_channels():
        if name in recording.held:
            continue
        column = unwrapped_column(recording, name)
        # A beat faster than half the log's rate looks slower, and may be twice the beat of the two rates.
        lengths = [
            twice / cycles
            for frequency in _beats(column, busy)
            for twice in (1, 2)
            for cycles in (frequency, 1.0 - frequency)
        ]
        blocks = _blocks(column, busy) if lengths else None
        if blocks is None:
            continue
        candidates = (_pieces(blocks, rows) for rows in lengths if rows > SHORTEST)
        likely = [pieces for pieces in candidates if pieces.ratio() < STRAIGHT]
        step = lattice(column[np.isfinite(column)]) if likely else 0.0
        closer = (_closer(blocks, pieces) for pieces in likely if pieces.elsewhere > step)
        fitting = [pieces for pieces in closer if pieces.explain(step)]
        if not fitting:
            continue
        # What goes straight over some rows does so over half as many.
        best = max(fitting, key=lambda pieces: pieces.length)
        seconds = best.length * recording.dt
        findings.append(
            Finding(
                check="interpolated",
                severity="warning",
                message=(
                    f"{recording.called(name)} goes straight between times {seconds:.3g} s apart, within "
                    f"{best.misfit:.2g}{unit_after(name)} where such pieces at other times leave "
                    f"{best.elsewhere:.2g}: a signal of about {1 / seconds:.3g} Hz interpolated to "
                    f"{1 / recording.dt:.3g} Hz"
                ),
                channels=(name,),
                confidence=confidence(1.0 / max(best.ratio(), 1e-9), 1.0 / STRAIGHT),
                fix="log the channel with its own time stamps, or bring the log to the slower rate (`dt`)",
                panels=around(recording, name, np.flatnonzero(busy)[:1]),
                **evidence(recording, np.flatnonzero(busy)),
            )
        )
    return findings


def _going_on(recording: Recording) -> Bool[np.ndarray, " _"]:
    """Rows that follow the one before by the usual step: where rows are left out, a signal bends."""
    steps = np.diff(recording.time, prepend=recording.time[0] - recording.dt)
    usual = np.abs(steps - recording.dt) < 0.5 * recording.dt
    usual[list(recording.breaks)] = False
    return usual


def _beats(column: Column, busy: Bool[np.ndarray, " _"]) -> list[float]:
    """The frequencies, in cycles a row, with which bends come and go; none where they come by chance."""
    from scipy.ndimage import median_filter, uniform_filter1d

    bends = np.abs(np.diff(column, 2))
    good = np.isfinite(bends) & busy[1:-1] & busy[2:]
    if good.sum() < LEAST_BENDS:
        return []
    first, last = np.flatnonzero(good)[[0, -1]]
    bends, good = np.where(good, bends, 0.0)[first : last + 1], good[first : last + 1]
    # Noise comes and goes with the drive; single large bends say nothing.
    known = np.maximum(uniform_filter1d(good.astype(float), 2 * AROUND), 0.1)
    usual = uniform_filter1d(bends, 2 * AROUND) / known
    size = np.minimum(bends / np.maximum(usual, 1e-300), 3.0)
    size = np.where(good, size - size[good].mean(), 0.0)
    power = np.abs(np.fft.rfft(size)) ** 2
    # The median of an exponential distribution is ln 2 of its mean.
    level = median_filter(power, 2 * AROUND + 1, mode="reflect") / np.log(2.0)
    line = power / np.maximum(level, 1e-300)
    frequencies = np.fft.rfftfreq(len(size))
    line[frequencies < SLOWEST] = 0.0
    beats = []
    for _ in range(LINES):
        k = int(np.argmax(line))
        if line[k] > LINE:
            beats.append(float(frequencies[k]))
        line[max(0, k - NEIGHBOURS) : k + NEIGHBOURS + 1] = 0.0
    return beats


class Pieces(NamedTuple):
    """How well straight pieces explain a channel.

    Attributes:
        length: of a piece in rows.
        misfit: what pieces at the best times leave, root mean square.
        elsewhere: what they leave at other times.
        shares: the best times: where in a piece each block starts, (B,).
    """

    length: float
    misfit: float
    elsewhere: float
    shares: Column

    def ratio(self) -> float:
        """What the best times leave of what others leave."""
        return self.misfit / max(self.elsewhere, 1e-300)

    def explain(self, step: float) -> bool:
        """Whether they leave nothing but the rounding of a log to steps of this size."""
        free = 1.0 - 1.0 / self.length
        if self.misfit < NOTHING * free * self.elsewhere:
            return True
        return self.misfit < ROUNDING * free**0.5 * step and free * self.elsewhere > CLEAR * step


def _blocks(column: Column, busy: Bool[np.ndarray, " _"]) -> Float[np.ndarray, "R B"] | None:
    """Some blocks of rows that go on, less their means; None where there is none."""
    whole = len(column) // BLOCK * BLOCK
    good = np.isfinite(column[:whole]) & busy[:whole]
    starts = np.flatnonzero(good.reshape(-1, BLOCK).all(axis=1))
    if not len(starts):
        return None
    blocks = column[:whole].reshape(-1, BLOCK)[starts[:: max(1, len(starts) // 8)]].T
    return blocks - blocks.mean(axis=0)


def _pieces(blocks: Float[np.ndarray, "R B"], length: float) -> Pieces:
    """Straight pieces of a length in rows, fitted by block: medians over blocks."""
    shares = np.linspace(0.0, 1.0, TIMES, endpoint=False)
    errors = misfits(blocks, np.full(TIMES, length), shares)
    best, usual = np.min(errors, axis=0), np.median(errors, axis=0)
    return Pieces(length, float(np.median(best)), float(np.median(usual)), shares[np.argmin(errors, axis=0)])


def _closer(blocks: Float[np.ndarray, "R B"], pieces: Pieces) -> Pieces:
    """The same with the best length and times near those found; ``misfit`` holds in four of five blocks."""
    lengthen, move = (steps.ravel() for steps in np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"))
    errors, lengths = [], []
    for block, share in zip(blocks.T, pieces.shares, strict=True):
        length, error = pieces.length, np.inf
        # Over a block the pieces may drift by half a step of the times.
        longer, later = 0.5 * length**2 / BLOCK / TIMES, 0.5 / TIMES
        for _ in range(CLOSER):
            tried = length + lengthen * longer, share + move * later
            found = misfits(block[:, None], *tried)[:, 0]
            k = int(np.argmin(found))
            if found[k] < error:
                error, length, share = (float(values[k]) for values in (found, *tried))
            longer, later = 0.65 * longer, 0.65 * later
        errors.append(error)
        lengths.append(length)
    return pieces._replace(misfit=float(np.quantile(errors, 0.8)), length=float(np.median(lengths)))


def misfits(blocks: Float[np.ndarray, "R B"], lengths: Column, shares: Column) -> Float[np.ndarray, "S B"]:
    """What straight pieces leave of blocks of rows by least squares, root mean square.

    Args:
        blocks: values, a column each, (R, B).
        lengths: of a piece in rows, (S,).
        shares: part of the first piece that lies before a block, (S,).
    """
    rows, count = len(blocks), len(lengths)
    place = (np.arange(rows) + (lengths * (shares % 1.0))[:, None]) / lengths[:, None]
    # Each row lies between two knots; what it takes of the later one is its part.
    before = np.floor(place).astype(int)
    part = place - before
    knots = int(before.max()) + 2
    at = (knots * np.arange(count)[:, None] + before).ravel()

    def summed(values: Float[np.ndarray, "S R"], later: int = 0) -> Float[np.ndarray, "K S"]:
        return np.bincount(at + later, values.ravel(), knots * count).reshape(count, knots).T

    # The normal equations have three diagonals. A knot that hardly any row sees must not upset the others.
    diagonal = summed((1 - part) ** 2) + summed(part**2, 1) + 1e-9
    beside = summed(part * (1 - part))
    values = np.stack([summed((1 - part) * y) + summed(part * y, 1) for y in blocks.T], axis=-1)
    for k in range(1, knots):
        factor = beside[k - 1] / diagonal[k - 1]
        diagonal[k] -= factor * beside[k - 1]
        values[k] -= factor[:, None] * values[k - 1]
    values[-1] /= diagonal[-1][:, None]
    for k in reversed(range(knots - 1)):
        values[k] = (values[k] - beside[k][:, None] * values[k + 1]) / diagonal[k][:, None]
    of = np.arange(count)[:, None]
    straight = (1 - part)[..., None] * values[before, of] + part[..., None] * values[before + 1, of]
    return np.sqrt(np.mean((blocks - straight) ** 2, axis=1))
