"""Values at which a signal stands by nature, and not for want of range."""

from __future__ import annotations

import numpy as np

from doctor.test_doctor import DT, exact, recording, sensed
from pct.doctor import examine


def test_a_standstill_is_no_end_of_a_sensor() -> None:
    columns = exact(8)
    still = np.clip((30.0 - DT * np.arange(2000)) / 2.0, 0.0, 1.0)
    v = np.hypot(columns["vx"], columns["vy"]) * still
    psi_dot = columns["psi_dot"] * still
    psi = np.cumsum(psi_dot) * DT
    x, y = np.cumsum(v * np.cos(psi)) * DT, np.cumsum(v * np.sin(psi)) * DT
    log = sensed({"x": x, "y": y, "psi": psi, "v": v, "psi_dot": psi_dot})
    # An encoder counts nothing at standstill.
    found = examine(recording({**log, "v": np.where(still > 0, np.maximum(log["v"], 0.0), 0.0)}))
    assert "clipping" not in {finding.check for finding in found}
    assert [f.severity for f in found if f.check == "standstill"] == ["info"]
