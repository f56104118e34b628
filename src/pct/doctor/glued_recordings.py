"""Two recordings glued into one."""

from __future__ import annotations

import numpy as np

from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.recordings.position_jumps import find_seams


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
