"""Each planted fault is named, with its channel, and nothing else is told; clean drives stay silent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from pct.doctor import Recording, examine, examine_all
from pct.doctor.finding import Finding, confidence
from pct.doctor.leaks import leaks
from pct.doctor.statistics import agreement, effective_rows, noise_of
from pct.dynamics.channels import known_channels
from pct.plots import draw_finding, to_png

DT = 0.02
WHEELBASE = 0.33
NOISE = {channel.name: channel.noise for channel in known_channels().values() if channel.noise}
Channels = dict[str, np.ndarray]


def exact(seed: int = 0, slip: float = 0.006, swing: float = 1.0) -> Channels:
    """A drive with tyre slip through bends of random length at changing speed, or constant for no swing."""
    random = np.random.default_rng(seed)
    t = DT * np.arange(2000)
    waves = [np.sin(random.uniform(0.5, 4.0) * t + random.uniform(0, 6)) for _ in range(8)]
    v = 4.0 + swing * (1.2 * waves[0] + 0.4 * waves[1])
    psi_dot = 1.1 * waves[2] + 0.7 * waves[3] + 0.5 * waves[4]
    # Kinematic at low speed, less with lateral acceleration as the rear slips.
    beta = 0.17 * psi_dot / v - slip * v * psi_dot
    psi = np.concatenate([[0.0], np.cumsum(0.5 * (psi_dot[1:] + psi_dot[:-1]) * DT)])
    course = psi + beta
    x, y = (
        np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * DT)])
        for rate in (v * np.cos(course), v * np.sin(course))
    )
    vx, vy = v * np.cos(beta), v * np.sin(beta)
    delta = np.arctan(WHEELBASE * psi_dot / v) + 0.002 * v * psi_dot
    ax, ay = np.gradient(vx, DT) - vy * psi_dot, np.gradient(vy, DT) + vx * psi_dot
    return {"x": x, "y": y, "psi": psi, "vx": vx, "vy": vy, "psi_dot": psi_dot, "delta": delta} | {
        "ax": ax,
        "ay": ay,
    }


def sensed(columns: Channels, seed: int = 0) -> Channels:
    random = np.random.default_rng([seed, 1])
    steps = {name: 0.2 * NOISE[name] for name in columns}
    return {
        name: steps[name] * np.round((c + NOISE[name] * random.standard_normal(len(c))) / steps[name])
        for name, c in columns.items()
    }


def recording(columns: Channels, time: np.ndarray | None = None, name: str = "drive") -> Recording:
    rows = len(columns["x"])
    return Recording(
        name=name,
        where=name,
        time=DT * np.arange(rows) if time is None else time,
        channels=columns,
        origins=dict.fromkeys(columns, "measured"),
        sources={key: (key, "") for key in columns},
        rows=np.arange(rows),
    )


def alarms(findings: list[Finding]) -> set[tuple[str, tuple[str, ...]]]:
    return {(f.check, f.channels) for f in findings if f.severity != "info"}


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_drive_stays_silent(seed: int) -> None:
    assert alarms(examine(recording(sensed(exact(seed), seed)))) == set()


@pytest.mark.parametrize("swing", [0.0, 0.02, 0.03, 0.1])
@pytest.mark.parametrize("seed", [4, 8, 13])
def test_a_clean_drive_at_nearly_constant_speed_stays_silent(seed: int, swing: float) -> None:
    assert alarms(examine(recording(sensed(exact(seed, swing=swing), seed)))) == set()


def test_an_exact_drive_without_noise_stays_silent() -> None:
    assert alarms(examine(recording(exact()))) == set()


def test_a_parked_car_shows_no_fault() -> None:
    parked = {name: np.zeros_like(column) for name, column in exact().items()}
    found = {check for check, _ in alarms(examine(recording(sensed(parked))))}
    assert found <= {"standstill", "excitation"}


def test_a_straight_drive_is_only_found_to_teach_nothing() -> None:
    """Its heading is all noise, which a smaller unit would shrink."""
    columns = exact()
    straight = {name: np.zeros_like(column) for name, column in columns.items()}
    straight |= {
        "vx": columns["vx"],
        "x": np.cumsum(columns["vx"]) * DT,
        "ax": np.gradient(columns["vx"], DT),
    }
    assert {check for check, _ in alarms(examine(recording(sensed(straight))))} == {"excitation"}


def scaled(name: str, factor: float) -> Callable[[Channels], Channels]:
    return lambda c: {**c, name: factor * c[name]}


def late(name: str, seconds: float) -> Callable[[Channels], Channels]:
    rows = round(seconds / DT)
    return lambda c: {**c, name: np.concatenate([np.full(rows, c[name][0]), c[name][:-rows]])}


def smooth(name: str, constant: float) -> Callable[[Channels], Channels]:
    pole = np.exp(-DT / constant)
    return lambda c: {**c, name: lfilter([1 - pole], [1, -pole], c[name])}


def with_spike(c: Channels) -> Channels:
    column = c["vy"].copy()
    column[700:702] += 1e8
    return {**c, "vy": column}


def frozen(c: Channels) -> Channels:
    column = c["psi_dot"].copy()
    column[500:700] = column[500]
    return {**c, "psi_dot": column}


def held(c: Channels) -> Channels:
    rows = np.arange(len(c["psi"]))
    return {**c, "vx": c["vx"][(np.floor(rows / 2.3) * 2.3).astype(int)]}


def with_hole(c: Channels) -> Channels:
    column = c["ay"].copy()
    column[900:905] = np.nan
    return {**c, "ay": column}


def turned(c: Channels) -> Channels:
    cos, sin = np.cos(c["psi"]), np.sin(c["psi"])
    return {**c, "vx": c["vx"] * cos - c["vy"] * sin, "vy": c["vx"] * sin + c["vy"] * cos}


def circular(c: Channels) -> Channels:
    return {**c, "psi_dot": c["vx"] * np.tan(c["delta"]) / WHEELBASE}


def glue(c: Channels) -> Channels:
    return {name: np.concatenate([column[:800], column[1400:]]) for name, column in c.items()}


def wrapped_degrees(c: Channels) -> Channels:
    return {**c, "psi": np.rad2deg((c["psi"] + np.pi) % (2 * np.pi) - np.pi)}


def coarse(c: Channels) -> Channels:
    return {**c, "vx": 0.4 * np.round(c["vx"] / 0.4)}


def clip(c: Channels) -> Channels:
    return {**c, "psi_dot": np.clip(c["psi_dot"], -1.2, 1.2)}


def course_for_psi(c: Channels) -> Channels:
    return {**c, "psi": c["psi"] + np.arctan2(c["vy"], c["vx"])}


def slipped(c: Channels) -> Channels:
    """The localisation corrects itself by half a metre over a quarter of a second, twice."""
    ramp = sum(np.clip((np.arange(len(c["x"])) - k) / 12, 0.0, 1.0) for k in (600, 1300))
    return {**c, "x": c["x"] + 0.4 * ramp, "y": c["y"] - 0.3 * ramp}


def racing(c: Channels) -> Channels:
    """A wheel spins for a fifth of a second."""
    column = c["vx"].copy()
    column[900:910] += 12.0
    return {**c, "vx": column}


DEG = 180 / np.pi
LOGGED = [
    # On what the sensors show: check, channels, fault.
    ("unit", ("psi_dot",), scaled("psi_dot", DEG)),
    ("unit", ("psi",), wrapped_degrees),
    ("unit", ("delta",), scaled("delta", DEG)),
    ("unit", ("vx",), scaled("vx", 4350.0)),
    ("unit", ("ax",), scaled("ax", 1 / 9.80665)),
    ("unit", ("ay",), scaled("ay", 1 / 9.80665)),
    ("unit", ("x", "y"), lambda c: {**c, "x": 1000 * c["x"], "y": 1000 * c["y"]}),
    ("sign", ("psi_dot",), scaled("psi_dot", -1.0)),
    ("sign", ("delta",), scaled("delta", -1.0)),
    ("sign", ("psi",), scaled("psi", -1.0)),
    ("sign", ("ay",), scaled("ay", -1.0)),
    ("heading_zero", ("psi",), lambda c: {**c, "psi": c["psi"] + np.pi / 2}),
    ("velocity_frame", ("vx", "vy"), lambda c: {**c, "vx": -c["vx"], "vy": -c["vy"]}),
    ("velocity_frame", ("vx", "vy"), turned),
    ("velocity_frame", ("vy",), scaled("vy", -1.0)),
    ("speed_mismatch", ("vx",), scaled("vx", 1.25)),
    ("yaw_mismatch", ("psi_dot",), scaled("psi_dot", 0.75)),
    ("circular_yaw_rate", ("psi_dot",), circular),
    ("missing", ("ay",), with_hole),
    ("spikes", ("vy",), with_spike),
    ("frozen", ("psi_dot",), frozen),
    ("held", ("vx",), held),
    ("quantised", ("vx",), coarse),
    ("quantised", ("y",), lambda c: {**c, "y": 0.25 * np.round(c["y"] / 0.25)}),
    ("clipping", ("psi_dot",), clip),
    ("glued", ("x", "y"), glue),
]
DRIVEN = [
    # On what happens, before the sensors add their noise.
    ("lag", ("psi_dot",), late("psi_dot", 0.2)),
    ("lag", ("vx", "vy"), lambda c: late("vy", 0.2)(late("vx", 0.2)(c))),
    ("lag", ("ax",), smooth("ax", 0.4)),
    ("pose_slip", ("x", "y"), slipped),
    ("acceleration", ("vx",), racing),
    ("offset", ("psi_dot",), lambda c: {**c, "psi_dot": 1.03 * c["psi_dot"] + 0.25}),
    ("offset", ("ay",), lambda c: {**c, "ay": c["ay"] - 1.5}),
    ("reference_point", ("vy",), lambda c: {**c, "vy": c["vy"] - 0.25 * c["psi_dot"]}),
]


@pytest.mark.parametrize(("check", "channels", "fault"), LOGGED)
def test_a_fault_of_the_log_is_named_alone(
    check: str, channels: tuple[str, ...], fault: Callable[[Channels], Channels]
) -> None:
    assert alarms(examine(recording(fault(sensed(exact()))))) == {(check, channels)}


@pytest.mark.parametrize(("check", "channels", "fault"), DRIVEN)
def test_a_fault_of_a_sensor_is_named_alone(
    check: str, channels: tuple[str, ...], fault: Callable[[Channels], Channels]
) -> None:
    assert alarms(examine(recording(sensed(fault(exact()))))) == {(check, channels)}


def test_a_heading_that_is_the_course_is_named_alone() -> None:
    """It takes a slip angle that is more than a lever arm makes."""
    found = examine(recording(sensed(course_for_psi(exact(slip=0.02)))))
    assert alarms(found) == {("heading_is_course", ("psi",))}


def one(findings: list[Finding], check: str) -> Finding:
    return next(finding for finding in findings if finding.check == check)


@pytest.mark.parametrize("own", [0.0, 1.5])
def test_a_yaw_rate_of_its_own_is_named_beside_a_heading_with_much_noise(own: float) -> None:
    random = np.random.default_rng(5)
    columns = exact()
    rate, wander = columns["psi_dot"], np.convolve(random.standard_normal(2049), np.ones(50), mode="valid")
    columns["psi_dot"] = rate + own * rate.std() / wander.std() * wander
    noisy = sensed(columns)
    noisy["psi"] = noisy["psi"] + 0.12 * random.standard_normal(len(rate))
    found = {check for check, channels in alarms(examine(recording(noisy))) if channels == ("psi_dot",)}
    assert found == ({"yaw_mismatch"} if own else set())


def test_a_lag_is_measured_and_its_form_told() -> None:
    delayed = one(examine(recording(sensed(late("psi_dot", 0.2)(exact())))), "lag")
    assert delayed.lines["channels.psi_dot.delay"] == pytest.approx(0.2, abs=0.01)
    assert "pure delay" in delayed.message
    filtered = one(examine(recording(sensed(smooth("psi_dot", 0.3)(exact())))), "lag")
    constant = float(filtered.message.partition("time constant of ")[2].split()[0])
    assert constant == pytest.approx(0.3, rel=0.2)


def test_a_lever_arm_is_measured() -> None:
    columns = exact()
    columns["vy"] = columns["vy"] - 0.25 * columns["psi_dot"]
    message = one(examine(recording(sensed(columns))), "reference_point").message
    assert float(message.partition("a point ")[2].split()[0]) == pytest.approx(0.25, abs=0.05)
    assert "behind" in message


@pytest.mark.parametrize("seed", range(3))
def test_a_lever_arm_shows_at_constant_speed(seed: int) -> None:
    # Where a late heading would look the same, but for how late it had to be.
    columns = exact(seed, swing=0.01)
    columns["vy"] = columns["vy"] + 0.25 * columns["psi_dot"]
    columns["psi"] = columns["psi"] + 0.015 * np.random.default_rng(seed).standard_normal(len(columns["psi"]))
    # The acceleration agrees with the velocities once they are right: it is not blamed.
    assert alarms(examine(recording(sensed(columns, seed)))) == {("reference_point", ("vy",))}


def test_a_clock_is_told_from_two_scales() -> None:
    columns = sensed(exact())
    columns = {name: column for name, column in columns.items() if name not in ("ax", "ay")}
    time = 1.15 * DT * np.arange(len(columns["x"]))
    found = examine(recording(columns, time))
    assert alarms(found) == {("clock", ("time",))}
    assert "1.15" in one(found, "clock").fix


def stamps(kind: str) -> np.ndarray:
    time = DT * np.arange(2000)
    if kind == "time_reset":
        time[900:] -= time[900]
    elif kind == "time_repeat":
        time[900] = time[899]
    elif kind == "time_gap":
        time[900:] += 10 * DT
    else:
        time += 0.2 * DT * np.random.default_rng(0).standard_normal(2000)
    return time


@pytest.mark.parametrize("kind", ["time_reset", "time_repeat", "time_jitter"])
def test_a_fault_of_the_time_is_named_with_its_row(kind: str) -> None:
    found = examine(recording(sensed(exact()), stamps(kind)))
    assert alarms(found) == {(kind, ("time",))}
    if kind != "time_jitter":
        assert one(found, kind).rows == (900,)


def test_rows_left_out_are_a_gap() -> None:
    keep = np.ones(2000, bool)
    keep[900:910] = False
    columns = {name: column[keep] for name, column in sensed(exact()).items()}
    assert alarms(examine(recording(columns, (DT * np.arange(2000))[keep]))) == {("time_gap", ("time",))}


def test_what_the_map_calls_degrees_may_be_radians_or_a_steering_wheel() -> None:
    log = recording(dict(sensed(exact())))
    declared = dataclasses.replace(
        log.scaled({"psi": np.pi / 180}), sources={**log.sources, "psi": ("yaw", "deg")}
    )
    found = examine(declared)
    assert alarms(found) == {("unit", ("psi",))}
    assert dict(one(found, "unit").lines) == {"channels.psi.unit": "rad"}
    wheel = dataclasses.replace(
        log.scaled({"delta": 100.0}), sources={**log.sources, "delta": ("SteeringWheel", "deg")}
    )
    found = examine(wheel)
    assert alarms(found) == {("unit", ("delta",))}
    assert not one(found, "unit").lines
    assert 'unit = "deg/R"' in one(found, "unit").fix


def test_leaks_name_the_first_recording_that_holds_the_rows() -> None:
    one_, two, three = (recording(sensed(exact(seed), seed), name=f"r{seed}") for seed in (0, 1, 2))
    again = dataclasses.replace(one_, name="again", where="again")
    found = leaks([[one_, two], [three, again, again.selected(np.arange(len(again)) < 900)]])
    assert {finding.check for finding in found[id(again)]} == {"leak"}
    assert [sorted(finding.check for finding in told) for told in found.values()] == [
        ["leak"],
        ["leak", "repeated_recording"],
    ]


def test_what_a_drive_lacks_is_told() -> None:
    columns = exact()
    gentle = {**columns, "psi_dot": 0.01 * columns["psi_dot"], "delta": 0.01 * columns["delta"]}
    only = {name: sensed(gentle)[name] for name in ("x", "vx", "psi_dot", "delta")}
    found = examine(recording(only))
    assert ("excitation", ("psi_dot", "v")) in alarms(found)
    assert "mu, C_Sf, C_Sr, I of 'singletrack'" in one(found, "excitation").message
    pacejka = one(examine(recording(only), "singletrack-pacejka"), "excitation").message
    assert "D_f" in pacejka
    assert "mu" not in pacejka
    left = {**columns, "psi_dot": np.abs(columns["psi_dot"])}
    only = {name: sensed(left)[name] for name in ("x", "vx", "psi_dot")}
    assert ("imbalance", ("psi_dot",)) in alarms(examine(recording(only)))


def test_rows_that_two_folders_share_are_a_leak() -> None:
    train, other = recording(sensed(exact())), recording(sensed(exact(1), 1), name="other")
    rows = np.zeros(2000, bool)
    rows[500:900] = True
    part = dataclasses.replace(train.selected(rows), name="part", where="part")
    found = {r.name: {f.check for f in fs} for r, fs in examine_all([[train], [part, other]])}
    assert "leak" in found["part"]
    assert "leak" not in found["other"] | found["drive"]
    inside = {r.name: {f.check for f in fs} for r, fs in examine_all([[train, part]])}
    assert "repeated_recording" in inside["part"]


def test_statistics_know_their_truth() -> None:
    random = np.random.default_rng(0)
    white = random.standard_normal(20_000)
    assert noise_of(3.0 * white + np.linspace(0, 100, 20_000) ** 2) == pytest.approx(3.0, rel=0.05)
    assert effective_rows(white) == pytest.approx(20_000, rel=0.2)
    # An autoregression of 0.9 is worth (1 - 0.9) / (1 + 0.9) of its rows.
    assert effective_rows(lfilter([1.0], [1.0, -0.9], white)) == pytest.approx(20_000 / 19, rel=0.3)
    reference = np.convolve(random.standard_normal(5000), np.ones(50) / 7, mode="same")
    found = agreement([(2.0 * np.roll(reference, 15) + 0.05 * white[:5000], reference)], DT)
    assert found is not None
    assert found.gain == pytest.approx(2.0, rel=0.01)
    assert found.lag == pytest.approx(0.3, abs=0.005)
    assert found.low <= 2.0 * 1.01
    assert confidence(1.0, 1.0) == 0.5


def test_a_figure_shows_points_and_marks(tmp_path: Path) -> None:
    t = np.arange(100.0)
    panels = [("time [s]", "v [m/s]", {"v": (t, t), "fault": (t[:3], t[:3])}, True)]
    to_png(tmp_path / "a.png", draw_finding, title="spikes: a", message="costs $5 " * 40, panels=panels)
    assert (tmp_path / "a.png").stat().st_size > 1000


def settled() -> Channels:
    """A drive without noise that keeps its speed and its bend for most of the time."""
    t = DT * np.arange(2000)
    v = 4.0 + np.clip(t - 10.0, 0.0, 1.0)
    psi_dot = np.round(0.8 * (1.0 - np.exp(-np.clip(t - 5.0, 0.0, None) / 0.5)), 9)
    psi_dot = np.where(t > 30.0, np.round(psi_dot * np.cos(0.7 * (t - 30.0)), 9), psi_dot)
    psi = np.concatenate([[0.0], np.cumsum(0.5 * (psi_dot[1:] + psi_dot[:-1]) * DT)])
    x, y = (np.cumsum(v * turned(psi)) * DT for turned in (np.cos, np.sin))
    return {"x": x, "y": y, "psi": psi, "v": v, "psi_dot": psi_dot}


def test_values_that_stay_for_want_of_noise_are_no_fault() -> None:
    found = {check for check, _ in alarms(examine(recording(settled())))}
    assert not found & {"frozen", "clipping", "interpolated", "quantised", "held"}


def test_a_sensor_without_noise_that_stops_is_named() -> None:
    columns = settled()
    columns["psi_dot"] = columns["psi_dot"].copy()
    columns["psi_dot"][1550:1650] = columns["psi_dot"][1550]
    assert ("frozen", ("psi_dot",)) in alarms(examine(recording(columns)))


def test_a_constant_that_others_confirm_is_no_fault() -> None:
    steady = {name: column[300:500] for name, column in settled().items()}
    assert np.ptp(steady["v"]) == 0.0
    assert "frozen" not in {check for check, _ in alarms(examine(recording(steady)))}
    stuck = {**steady, "v": np.full(200, 6.0)}
    assert ("frozen", ("v",)) in alarms(examine(recording(stuck)))


@pytest.mark.parametrize("ratio", [1.37, 2.0, 3.3])
@pytest.mark.parametrize("digits", [4, 12])
def test_a_signal_drawn_straight_between_slower_samples_is_named_alone(ratio: float, digits: int) -> None:
    columns = sensed(exact())
    rows = np.arange(len(columns["vx"]), dtype=float)
    samples = np.arange(0.0, rows[-1] + ratio, ratio)
    columns["vx"] = np.round(np.interp(rows, samples, np.interp(samples, rows, columns["vx"])), digits)
    assert alarms(examine(recording(columns))) == {("interpolated", ("vx",))}


def test_short_pieces_of_a_fast_log_are_passed_over() -> None:
    """At 1 kHz a span is 300 rows: pieces of 100 hold none."""
    columns = {name: column[:1000] for name, column in sensed(exact()).items()}
    time = np.arange(1000) * 1e-3 + np.arange(1000) // 100 * 1.0
    assert {"time_gap"} <= {check for check, _ in alarms(examine(recording(columns, time)))}


@pytest.mark.parametrize(("offset", "told"), [(0.2, False), (0.8, True)])
def test_a_slip_angle_in_a_circle_is_no_other_zero(offset: float, told: bool) -> None:
    t = DT * np.arange(2000)
    course = 1.5 * t
    circle = {"x": 2.0 * np.sin(course), "y": -2.0 * np.cos(course), "psi": course + offset, "v": 0 * t + 3.0}
    assert ("heading_zero" in {f.check for f in examine(recording(circle))}) is told


@pytest.mark.parametrize("gyro", [True, False])
def test_a_bad_sideways_speed_leaves_the_heading_alone(gyro: bool) -> None:
    """An estimator that drifts; the heading is the one that the yaw rate is the rate of."""
    columns = sensed(exact(3), 3)
    own = np.convolve(np.random.default_rng(11).standard_normal(2049), np.ones(50), mode="valid")
    columns |= {"vy": 0.4 + 1.5 * own / own.std()}
    columns = {name: c for name, c in columns.items() if name != "ay" and (gyro or name != "psi_dot")}
    assert alarms(examine(recording(columns))) == {("speed_mismatch", ("vy",))}
