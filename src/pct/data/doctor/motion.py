"""Checks of one motion that several sensors see: seams, lags, clocks, scales, lever arms, circular yaw
rates."""

from __future__ import annotations

import dataclasses
from operator import methodcaller

import numpy as np

from pct.data.derive import known_channels
from pct.data.doctor.finding import Finding, Panel, confidence, evidence
from pct.data.doctor.recording import Piece, Recording
from pct.data.doctor.relations import (
    RELATIONS,
    Relation,
    change,
    compare,
    mean_rate,
    pair_step,
    pairs_of,
    pose_velocity,
    span_rows,
    tells,
)
from pct.data.doctor.statistics import (
    MAD,
    TRIM,
    Agreement,
    Column,
    Pair,
    agreement,
    effective_rows,
    improvement,
    noise_of,
    time_constant,
)
from pct.data.doctor.units import DECISIVE, ROWS, both_sides, wheelbase
from pct.data.seams import find_seams

# Channels that are compared with the pose.
VELOCITIES = ("v", "vx", "psi_dot")
# A lag below these, in steps and seconds, is when within a step the value was taken.
LAG_STEPS = 1.0
LAG_SECONDS = 0.03
LAG_DEVIATIONS = 5.0
# Readings of one speed or rate agree within this factor by calibration.
SCALE = 1.06
SCALE_DEVIATIONS = 3.5
# Speed and yaw rate are off by one factor where they differ by less than this share of it.
ONE_CLOCK = 0.4
# Over this time in s both sides are averaged to compare their scale.
LEVEL_SECONDS = 1.0
# Correlation of readings that noise does not explain when missing.
COHERENT = 0.8
# The unexplained over the explained variance is this many times what noise makes of it, and the correlation
# lower by this many of its standard deviations, where two readings are unlike.
UNEXPLAINED = 4.0
CORRELATION_DEVIATIONS = 3.0
# A lever arm is told from this share of the wheelbase.
ARM_SHARE = 0.2
ARM_DEVIATIONS = 3.5
# How well a formula explains what two sensors cannot share: their noise.
SHARED_NOISE = 0.9
NOISE_NEIGHBOURS = -0.3
EXACT = 1e-6
# How much later than its inputs a computed yaw rate may be logged, in s.
LATEST = 0.1


def glued(recording: Recording) -> list[Finding]:
    """Places where the pose jumps further than the vehicle moves, and stays there."""
    if not recording.has("x", "y"):
        return []
    x, y = recording.channels["x"], recording.channels["y"]
    seams = find_seams(recording.time, x, y)
    if seams is None:
        return []
    good, length = seams.good, seams.lengths
    # A break that is known already is no news.
    rows = np.setdiff1d(seams.rows, np.array(recording.breaks, int))
    if not len(rows):
        return []
    furthest = float(length[np.searchsorted(good, rows) - 1].max())
    several = furthest > 20.0 * float(np.quantile(length, 0.98))
    return [
        Finding(
            check="glued",
            severity="error" if several else "warning",
            message=(
                f"the position jumps {len(rows)} times, by up to {furthest:.3g} m within a step where "
                "98 % of the steps "
                f"are below {np.quantile(length, 0.98):.3g} m: recordings glued together, or the "
                "localisation slipped"
            ),
            channels=("x", "y"),
            confidence=confidence(furthest, float(seams.limits.min())),
            fix="split the file at these rows; a window across them shows a drive that never was",
            mend=lambda r: r.broken(rows),
            panels=(
                Panel(
                    "x [m]",
                    "y [m]",
                    {"path": (x[good], y[good]), "after a jump": (x[rows], y[rows])},
                    points=True,
                ),
                Panel(
                    "time [s]",
                    "distance of a step [m]",
                    {
                        "step": (recording.time[good[1:]], length),
                        "limit": (recording.time[good[1:]], seams.limits),
                    },
                    points=True,
                ),
            ),
            **evidence(recording, rows),
        )
    ]


def lags(recording: Recording) -> list[Finding]:
    """Speed and yaw rate that come late, by a delay or a low-pass."""
    return _lags(recording, VELOCITIES)


def lags_of_rates(recording: Recording) -> list[Finding]:
    """Accelerations and the steering rate that come late.

    Runs once the velocities are right that they are compared with.
    """
    return _lags(recording, tuple(row.name for row in RELATIONS if row.name not in VELOCITIES))


def _lags(recording: Recording, names: tuple[str, ...]) -> list[Finding]:
    found: list[Finding] = []
    told: set[str] = set()
    for relation in RELATIONS:
        if relation.name in told or relation.name not in names:
            continue
        compared = compare(recording, relation)
        if compared is None:
            continue
        agreed, pairs = compared
        if agreed.rows < ROWS or agreed.correlation < COHERENT:
            continue
        gained = improvement(1 - agreed.correlation_now**2, 1 - agreed.correlation**2, agreed.rows)
        least = max(LAG_STEPS * recording.dt, LAG_SECONDS)
        error = max(agreed.lag_error, 1e-6)
        if gained < DECISIVE or abs(agreed.lag) < least + LAG_DEVIATIONS * error:
            continue
        told.add(relation.name)
        found.append(_lag_fault(recording, relation, agreed, pairs))
    return found


def _lag_fault(recording: Recording, relation: Relation, agreed: Agreement, pairs: list[Pair]) -> Finding:
    name, lag = relation.name, agreed.lag
    dt = pair_step(recording) * recording.dt
    constant = time_constant(pairs, dt, agreed, DECISIVE) if lag > 0 else 0.0
    form = (
        f"as a low-pass with a time constant of {constant:.2g} s does" if constant else "as a pure delay does"
    )
    direction = "behind" if lag > 0 else "ahead of"
    unit = known_channels()[name].unit if name in known_channels() else "m/s^2"
    group = {"vx": ("vx", "vy"), "v": ("v", "beta")}.get(name, (name,))
    moved = tuple(other for other in group if recording.has(other))
    delay = {f"channels.{other}.delay": round(recording.delays.get(other, 0.0) + lag, 3) for other in moved}
    return Finding(
        check="lag",
        severity="warning",
        message=(
            f"{recording.called(name)} is {abs(lag):.3f} ± {agreed.lag_error:.3f} s {direction} "
            f"{relation.means}, {form} "
            f"(correlation {agreed.correlation_now:.3f}, and {agreed.correlation:.3f} without the lag)"
        ),
        channels=moved,
        confidence=confidence(abs(lag) / max(agreed.lag_error, 1e-6), LAG_DEVIATIONS),
        fix="; ".join(f"[{key.rpartition('.')[0]}] delay = {value}" for key, value in delay.items()),
        lines=delay,
        mend=lambda r: r.sharpened(moved, constant) if constant else r.sooner(dict.fromkeys(moved, lag)),
        panels=both_sides(recording, relation, pairs, unit, lag),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )


def clock(recording: Recording) -> list[Finding]:
    """Speed and yaw rate that exceed what the pose says by one factor: the clock counts too
    fast.

    Runs before `mismatch`, which would report each of them.
    """
    scales = _scales(recording)
    speed = next((scales[name] for name in ("vx", "v") if name in scales), None)
    turn = scales.get("psi_dot")
    if speed is None or turn is None or not _off(speed):
        return []
    # One that is off the speed's way need not be as sure of it.
    if abs(np.log(abs(turn.gain))) < SCALE_DEVIATIONS * turn.gain_error:
        return []
    together = abs(np.log(abs(speed.gain / turn.gain)))
    error = float(np.hypot(speed.gain_error, turn.gain_error))
    if (speed.gain > 1) != (turn.gain > 1) or together > max(
        ONE_CLOCK * abs(np.log(speed.gain)), 2.0 * error
    ):
        return []
    factor = float(np.sqrt(speed.gain * turn.gain))
    # The same drive with the time that the velocities tell.
    start = recording.time[0]
    name = "vx" if "vx" in scales else "v"
    relation = next(row for row in RELATIONS if row.name == name)
    pairs, _ = pairs_of(recording, relation.sides)
    return [
        Finding(
            check="clock",
            severity="error",
            message=(
                f"speed and yaw rate are {speed.gain:.3f} and {turn.gain:.3f} times what the pose "
                "shows: the time "
                f"column runs {abs(factor - 1):.1%} {'slow' if factor < 1 else 'fast'} of the sensors"
            ),
            channels=("time",),
            confidence=confidence(abs(np.log(factor)), np.log(SCALE)),
            fix=f"log the stamps of the sensors; or divide the time by {factor:.3f} ([time] unit)",
            mend=lambda r: _retimed(r, start, factor),
            panels=both_sides(recording, relation, pairs, "m/s"),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _retimed(recording: Recording, start: float, factor: float) -> Recording:
    return dataclasses.replace(recording, time=start + (recording.time - start) / factor)


def _scales(recording: Recording) -> dict[str, Agreement]:
    found = {}
    for relation in RELATIONS:
        if relation.name in VELOCITIES:
            compared = compare(recording, relation)
            if compared is None or compared[0].rows < ROWS:
                continue
            agreed = _level(recording, *compared)
            if agreed.correlation > 0.5:
                found[relation.name] = agreed
    return found


def _level(recording: Recording, agreed: Agreement, pairs: list[Pair]) -> Agreement:
    """The gain over longer means of both sides, which leave a scale as it is and the noise behind."""
    dt = pair_step(recording) * recording.dt
    rows = max(1, round(LEVEL_SECONDS / dt))
    window = np.ones(rows) / rows
    means = [
        (np.convolve(a, window, mode="valid"), np.convolve(b, window, mode="valid"))
        for a, b in pairs
        if len(a) > 3 * rows
    ]
    found = agreement(means, dt) if means else None
    return agreed if found is None else _through_zero(found, means)


def _through_zero(agreed: Agreement, pairs: list[Pair]) -> Agreement:
    """The gain of a drive at nearly one value, where only the levels of the two sides can be compared.

    Zero is zero for a speed and a yaw rate, so that the line needs no offset.
    """
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if abs(float(b.mean())) < float(b.std()):
        return agreed
    slope = float(a @ b) / float(b @ b)
    residual = a - slope * b
    keep = np.abs(residual) < TRIM * MAD * float(np.median(np.abs(residual))) + 1e-12
    a, b = a[keep], b[keep]
    low, high = float(a @ b) / float(b @ b), float(a @ a) / float(a @ b)
    residual = a - low * b
    size = abs(low) * float(np.sqrt(np.mean(b * b))) * np.sqrt(max(4.0, effective_rows(residual)))
    return agreed._replace(
        gain=float(np.sign(low) * np.sqrt(abs(low * high))),
        low=low,
        high=high,
        correlation=float(a @ b / np.sqrt((a @ a) * (b @ b))),
        gain_error=float(np.std(residual)) / size,
    )


def _off(agreed: Agreement) -> bool:
    """Whether a gain is off by more than calibration, whichever side is noisy."""
    low, high = sorted((agreed.low, agreed.high))
    margin = 1.0 + SCALE_DEVIATIONS * agreed.gain_error
    return bool(high * margin < 1 / SCALE or low / margin > SCALE)


def _signal_shares(recording: Recording, relation: Relation, pairs: list[Pair]) -> tuple[float, float]:
    """The part of the variance of a channel and of its reference that is not noise."""
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    h = span_rows(recording.dt)

    def noise(name: str) -> float:
        columns = (piece.get(name) for piece in recording.pieces)
        return float(np.median([noise_of(column) for column in columns if column is not None]))

    # Of a mean over a span, and of the difference of its ends.
    own = noise(relation.name) / np.sqrt(2 * h + 1)
    other = max(map(noise, relation.needs)) * np.sqrt(2.0) / (2 * h * recording.dt)
    return (
        max(0.0, 1 - float(own) ** 2 / max(float(np.var(a)), 1e-300)),
        max(0.0, 1 - float(other) ** 2 / max(float(np.var(b)), 1e-300)),
    )


def mismatch(recording: Recording) -> list[Finding]:
    """Speed against positions and yaw rate against heading: another scale, or no likeness at all."""
    found = []
    for relation in RELATIONS:
        if relation.name not in VELOCITIES:
            continue
        compared = compare(recording, relation)
        if compared is None:
            continue
        agreed, pairs = compared
        name = relation.name
        check = "yaw_mismatch" if name == "psi_dot" else "speed_mismatch"
        unit = known_channels()[name].unit
        shares = _signal_shares(recording, relation, pairs)
        level = _level(recording, agreed, pairs)
        if agreed.rows >= ROWS and level.correlation > 0.5 and _off(level):
            what = f"{level.gain:.3f} times {relation.means}"
            doubtful: tuple[str, ...] = (name,)
            sure = confidence(abs(np.log(level.gain)), np.log(SCALE))
        elif (likeness := _unlike(agreed, shares)) is not None:
            what = (
                f"unlike {relation.means}: correlation {agreed.correlation:.2f}, "
                f"where their noise lets expect {likeness:.2f}"
            )
            # Which of the two is wrong nobody knows.
            doubtful = (name, "psi") if name == "psi_dot" else (name,)
            sure = confidence(
                _unexplained(max(agreed.correlation, 0.0)), UNEXPLAINED * _unexplained(likeness)
            )
        else:
            continue
        found.append(
            Finding(
                check=check,
                severity="warning",
                message=f"{recording.called(name)} is {what}",
                channels=(name,),
                confidence=sure,
                fix=(
                    "calibrate the wheel radius or the clock, or leave the channel out: it is derived "
                    "from the pose"
                    if check == "speed_mismatch"
                    else "calibrate the gyro, or leave the channel out: it is derived from the heading"
                ),
                mend=methodcaller("without", *doubtful),
                panels=both_sides(recording, relation, pairs, unit),
                **evidence(recording, np.array([0, len(recording) - 1])),
            )
        )
    return found


def _unlike(agreed: Agreement, shares: tuple[float, float]) -> float | None:
    """The correlation that the noise of both sides allows, where far less was found."""
    expected = min(float(np.sqrt(shares[0] * shares[1])), 1 - 1e-9)
    found = max(agreed.correlation, 0.0)
    # Fisher's transformation: correlations apart in deviations of one that is found in so many rows.
    apart = (np.arctanh(expected) - np.arctanh(min(found, expected))) * np.sqrt(max(agreed.rows - 3, 1))
    if found > COHERENT or apart < CORRELATION_DEVIATIONS:
        return None
    return expected if _unexplained(found) > UNEXPLAINED * _unexplained(expected) else None


def _unexplained(correlation: float) -> float:
    """Variance that a correlation leaves unexplained, over the one that it explains."""
    return (1 - correlation**2) / max(correlation, 1e-3) ** 2


def reference_point(recording: Recording) -> list[Finding]:
    """Velocities of another point than that of the pose: their difference grows with the yaw rate.

    For a rigid body the lateral velocities of two points on its axis differ by distance times yaw rate. A
    heading that is late or turned gives a difference with speed times yaw rate or speed, a late velocity one
    with its
    rate; these are fitted beside it.
    """
    rows = [row for piece in recording.pieces if (row := _arm_rows(piece, recording)) is not None]
    if not rows:
        return []
    vy, across, turn, speed, rate = (np.concatenate(column) for column in zip(*rows, strict=True))
    if np.std(turn) < 1e-9 or np.std(speed) + abs(np.mean(speed)) < 1e-9:
        return []
    apart = vy - across
    columns = np.stack([turn, speed * turn, speed, np.ones_like(turn), rate], axis=-1)
    keep = np.ones(len(apart), bool)
    for _ in range(3):
        solution, *_ = np.linalg.lstsq(columns[keep], apart[keep], rcond=None)
        residual = apart - columns @ solution
        scale = MAD * float(np.median(np.abs(residual[keep] - np.median(residual[keep]))))
        keep = np.abs(residual) < 4.0 * scale + 1e-9
    inverse = np.linalg.pinv(columns[keep].T @ columns[keep])
    repeats = keep.sum() / max(4.0, effective_rows(residual[keep]))
    error = float(np.sqrt(inverse[0, 0] * repeats) * np.std(residual[keep]))
    arm = float(solution[0])
    length = wheelbase(recording)
    least = max(ARM_SHARE * abs(length) if length is not None else 0.0, ARM_DEVIATIONS * error)
    # What several causes could share must not be given to this one alone: it must show by itself as well.
    alone = float(turn[keep] @ apart[keep] / (turn[keep] @ turn[keep]))
    if abs(arm) < least or not 0.5 < alone / arm < 2.0:
        return []
    side = "ahead of" if arm > 0 else "behind"
    return [
        Finding(
            check="reference_point",
            severity="warning",
            message=(
                f"the lateral velocity belongs to a point {abs(arm):.3f} ± {error:.3f} m {side} that of "
                "the pose: "
                "it differs by that times the yaw rate"
            ),
            channels=("vy",) if recording.has("vy") else ("v", "beta"),
            confidence=confidence(abs(arm), least),
            fix=(
                "move one of them to the other's point before they are mapped; reference_ahead moves "
                "both together"
            ),
            mend=lambda r: _moved(r, arm),
            panels=(
                Panel(
                    "yaw rate [rad/s]",
                    "lateral velocity less that of the pose [m/s]",
                    {"rows": (turn, apart), "fit": (turn, arm * turn)},
                    points=True,
                ),
            ),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _moved(recording: Recording, arm: float) -> Recording:
    """The lateral velocity at the point of the pose, where it and the yaw rate are logged."""
    if not recording.has("vy", "psi_dot"):
        return recording.without("beta")
    vy = recording.channels["vy"] - arm * recording.channels["psi_dot"]
    return dataclasses.replace(recording, channels={**recording.channels, "vy": vy})


def _arm_rows(piece: Piece, recording: Recording) -> tuple[Column, ...] | None:
    pose = pose_velocity(piece)
    logged = recording.measured("vy") or (recording.measured("beta") and recording.measured("v"))
    if pose is None or not logged or not {"psi", "yaw"} & set(piece.columns):
        return None
    vy, psi = piece.get("vy"), piece.get("psi")
    if vy is None or psi is None or not tells(piece):
        return None
    turn = change(psi, piece.dt)
    return mean_rate(vy, piece.dt), pose[1], turn, pose[0], np.gradient(pose[1], piece.dt)


def circular_yaw_rate(recording: Recording) -> list[Finding]:
    """A yaw rate that was computed from speed and steering angle, so that tyres cannot be learned from it.

    The fast part of two sensors is their noise, which they do not share. Where the fast part of the yaw rate
    follows that of v·tan(delta) as well, it was computed from it.
    """
    if not recording.has("psi_dot", "delta") or not (recording.has("v") or recording.has("vx")):
        return []
    best: tuple[float, float, int] | None = None
    for k in range(max(2, round(LATEST / recording.dt)) + 1):
        whole, fast = _formula(recording, k)
        if best is None or fast > best[1]:
            best = (whole, fast, k)
    assert best is not None
    whole, fast, late = best
    # Smooth signals agree in their fast part as well where the car does: then only an exact formula counts.
    shared = fast > SHARED_NOISE and whole > 0.98 if _noisy(recording) else 1 - whole**2 < EXACT
    if not shared:
        return []
    sides = [row for piece in recording.pieces if (row := _formula_sides(piece)) is not None]
    computed, psi_dot = (np.concatenate(column) for column in zip(*sides, strict=True))
    wheelbase = float(computed @ computed / max(abs(computed @ psi_dot), 1e-12))
    return [
        Finding(
            check="circular_yaw_rate",
            severity="error",
            message=(
                f"{recording.called('psi_dot')} is v·tan(delta)/{wheelbase:.3g} m"
                f"{f', {late * recording.dt:.3g} s later' if late else ''}: it even shares its noise "
                f"(correlation {fast:.4f} row by row); it was computed from the steering, not measured"
            ),
            channels=("psi_dot",),
            confidence=confidence(fast / (1 - min(fast, 0.9999)), SHARED_NOISE / (1 - SHARED_NOISE)),
            fix="leave it out: psi_dot = false under [channels]; it is derived from the heading",
            mend=lambda r: r.without("psi_dot"),
            panels=(
                Panel("v·tan(delta) [m/s]", "psi_dot [rad/s]", {"rows": (computed, psi_dot)}, points=True),
            ),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _formula_sides(piece: Piece) -> Pair | None:
    v = piece.columns.get("vx", piece.columns.get("v"))
    delta, psi_dot = piece.columns.get("delta"), piece.columns.get("psi_dot")
    if v is None or delta is None or psi_dot is None:
        return None
    return v * np.tan(np.clip(delta, -1.4, 1.4)), psi_dot


def _formula(recording: Recording, late: int) -> tuple[float, float]:
    """Correlation of the yaw rate with the formula, and that of their second differences."""
    whole, fast = [], []
    for piece in recording.pieces:
        sides = _formula_sides(piece)
        if sides is None or len(piece) < late + 60:
            continue
        computed, psi_dot = sides
        stop = len(computed) - late
        whole.append((computed[:stop], psi_dot[late:]))
        fast.append((np.diff(computed[:stop], 2), np.diff(psi_dot[late:], 2)))
    if not whole:
        return 0.0, 0.0
    return _likeness(whole), _likeness(fast)


def _noisy(recording: Recording) -> bool:
    """Whether noise dominates the fast part of the formula.

    Neighbouring second differences of white noise have a correlation of -2/3, those of a smooth signal
    one near 1.
    """
    sides = [pair for piece in recording.pieces if (pair := _formula_sides(piece)) is not None]
    fast = [np.diff(computed, 2) for computed, _ in sides]
    return _likeness([(column[1:], column[:-1]) for column in fast]) < NOISE_NEIGHBOURS


def _likeness(pairs: list[Pair]) -> float:
    if not pairs:
        return 0.0
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-12 else 0.0
