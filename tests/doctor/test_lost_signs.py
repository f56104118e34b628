"""Lost signs, headings that are wrong themselves, and steering wheels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from doctor.test_doctor import DT, Channels, alarms, exact, recording, sensed
from pct.doctor import Recording, examine
from pct.doctor.repair import write_repaired


def only(columns: Channels, *names: str) -> Channels:
    return {name: columns[name] for name in ("x", "y", "psi", *names)}


def reversing(seed: int = 4) -> Channels:
    """A drive whose last third goes backwards."""
    columns, t = exact(seed, slip=0.0), DT * np.arange(2000)
    v = np.hypot(columns["vx"], columns["vy"]) * np.where(t < 26.0, 1.0, -0.5) * np.clip(abs(t - 26.0), 0, 1)
    psi_dot = v * np.tan(columns["delta"]) / 0.33
    psi = np.cumsum(psi_dot) * DT
    x, y = np.cumsum(v * np.cos(psi)) * DT, np.cumsum(v * np.sin(psi)) * DT
    return sensed({"x": x, "y": y, "psi": psi, "v": v, "psi_dot": psi_dot, "delta": columns["delta"]})


@pytest.mark.parametrize("name", ["delta", "psi_dot", "ay"])
def test_a_magnitude_is_named_and_signed(name: str) -> None:
    columns = only(sensed(exact(2), 2), "vx", "vy", "psi_dot", "delta", "ay")
    log = recording({**columns, name: np.abs(columns[name])})
    found = examine(log)
    assert alarms(found) == {("unsigned", (name,))}
    (finding,) = [finding for finding in found if finding.check == "unsigned"]
    assert finding.lines == {f"channels.{name}.sign": "motion"}
    assert finding.mend is not None
    mended = finding.mend(log).channels[name]
    strong = np.abs(columns[name]) > 0.2 * np.abs(columns[name]).max()
    assert np.mean(np.sign(mended[strong]) == np.sign(columns[name][strong])) > 0.98


def test_a_speed_in_reverse_has_a_sign() -> None:
    columns = reversing()
    assert "unsigned" not in {check for check, _ in alarms(examine(recording(columns)))}
    found = examine(recording({**columns, "v": np.abs(columns["v"])}))
    assert [(f.check, f.channels) for f in found if f.severity == "error"] == [("unsigned", ("v",))]
    by_map = dataclasses.replace(recording(columns), signed_by_motion=("v",))
    assert [f.severity for f in examine(by_map) if f.check == "unsigned"] == ["info"]


@pytest.mark.parametrize(
    ("scale", "unit"), [((180 / np.pi) ** 2, "deg/57.29578"), (np.pi / 180, "57.29578 rad")]
)
def test_a_heading_that_was_converted_once_too_often(scale: float, unit: str) -> None:
    columns = sensed(exact(5), 5)
    wrapped = np.angle(np.exp(1j * columns["psi"]))
    found = examine(recording({**columns, "psi": scale * wrapped}))
    assert alarms(found) == {("unit", ("psi",))}
    (finding,) = [finding for finding in found if finding.check == "unit"]
    assert finding.lines == {"channels.psi.unit": unit}


def test_a_broken_heading_accuses_no_other() -> None:
    columns = sensed(exact(6), 6)
    noise = np.random.default_rng(3).uniform(-np.pi, np.pi, 2000)
    found = examine(recording({**only(columns, "vx", "psi_dot", "delta"), "psi": noise}))
    assert alarms(found) == {("heading_mismatch", ("psi",))}


def wheel(factor: float, unit: str, column: str = "steering_wheel_angle") -> Recording:
    columns = exact(7)
    big = {name: 8.0 * c if name in ("x", "y", "vx", "vy", "ax", "ay") else c for name, c in columns.items()}
    log = recording({**sensed(big, 7), "delta": factor * columns["delta"]})
    return dataclasses.replace(log, sources={**log.sources, "delta": (column, unit)})


def test_the_ratio_of_a_steering_wheel_is_asked_for() -> None:
    (finding,) = [f for f in examine(wheel(1.0, "rad/15")) if f.channels == ("delta",) and f.check == "unit"]
    assert (finding.severity, finding.mend) == ("info", None)
    assert "named a steering wheel" in finding.message
    # As deg it would make a car of 0.7 m at 40 m/s.
    (finding,) = [f for f in examine(wheel(15.0, "", "steering_angle")) if f.check == "unit"]
    assert (finding.severity, dict(finding.lines)) == ("error", {})
    assert 'unit = "rad/R"' in finding.fix


def test_a_repaired_map_takes_the_sign_of_the_motion(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "signals.toml").write_text(
        '[time]\ncolumn = "t"\n[channels.delta]\ncolumn = "steer"\nsign = -1\n'
    )
    (folder / "log.csv").write_text("t,steer\n")
    columns = only(sensed(exact(2), 2), "vx", "psi_dot", "delta")
    log = recording({**columns, "delta": np.abs(columns["delta"])})
    write_repaired(folder, tmp_path / "new", [(log, examine(log))])
    assert 'sign = "motion"' in (tmp_path / "new" / "signals.toml").read_text()
