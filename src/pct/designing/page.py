"""The page of a designed drive: what it tells, where it goes, and what hands and pedals do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.designing.drives import MUST_KEEP, DesignedDrive
from pct.designing.files import cones, edges
from pct.designing.limits import motion_of
from pct.pages import Section, bullets, figure, page, table, verdict
from pct.pages.plans import Limited, limited_figure, plan_figure


def drawn(drive: DesignedDrive) -> dict[str, Any]:
    """What figures show of a drive, by the arguments of `pct.plots.draw_design`."""
    spec, states, dt = drive.spec, drive.guess[0].astype(float), drive.settings.dt
    motion = motion_of(spec, states, spec.default_params, dt)
    x, y, _ = spec.pose_indices
    steers = "delta" in spec.state_indices
    limits = drive.limits
    return {
        "edges": edges(drive),
        "times": dt * np.arange(len(states)),
        "place": states[:, [x, y]],
        "speed": motion["speed"],
        "steering": states[:, spec.state_indices["delta"]] if steers else 0 * states[:, 0],
        "slip": motion["slip"],
        "cones": cones(drive),
        "limits": (limits.speed, limits.steering, limits.slip),
    }


def make_page(
    drive: DesignedDrive,
    title: str,
    cells: tuple[list[str], list[list[str]]],
    facts: Sequence[str],
    warnings: Sequence[str],
    notes: Sequence[str],
) -> str:
    """The page.

    Args:
        drive: the drive.
        title: of the page.
        cells: head and rows of what it tells.
        facts, warnings: what it keeps to, and what to know before driving, in sentences.
        notes: what its files hold.
    """
    shown = drawn(drive)
    speed, steering, slip = shown["limits"]
    curves = [
        Limited("speed", "m/s", shown["speed"], speed, False),
        Limited("steering angle", "rad", shown["steering"], steering, True),
        Limited("slip angle, rear", "rad", shown["slip"], slip, True),
    ]
    plan = {name: shown[name] for name in ("edges", "times", "place", "speed", "cones")}
    head, rows = cells
    expected = table(head, rows, caption="Standard errors to expect", texts=(len(head) - 1,))
    sections = [
        Section("Where to drive", [figure("plan", plan_figure(**plan))]),
        Section("Over time", [figure("time", limited_figure(shown["times"], curves), GUESSED)]),
        Section("What it tells", [expected]),
        Section("Files", [bullets(notes)]),
    ]
    lead = verdict(_in_short(drive), "good" if drive.kept >= MUST_KEEP else "mixed")
    return page(title, sections, lead=[lead, bullets([*facts, *warnings])])


GUESSED = "What the guessed car does; dashed: limits."


def _in_short(drive: DesignedDrive) -> str:
    """The sentence that a reader must see first."""
    times = {name: drive.now[name] / drive.together[name] for name in drive.chosen}
    told = ", ".join(f"{name} {times[name]:.3g}" for name in drive.chosen)
    return (
        f"{drive.settings.duration:g} s of driving make standard errors smaller, by so many times: {told}; "
        f"{drive.kept:.0%} of drawn cars keep every limit."
    )
