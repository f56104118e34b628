"""Settings of an import: a notebook passes them as keyword arguments, the command line as flags."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Literal

from pct.errors import UsageError
from pct.recordings.time_steps import STEP
from pct.within import Within

SECONDS = Within(0, 1e6, "s")
SHARE = Within(0, 1, open_high=True)
PROCESSES = Within(1, 1024, whole=True)


@dataclasses.dataclass(frozen=True)
class ImportSettings:
    """How logs are imported."""

    dt: Annotated[float, STEP] | None = None
    """Time step of the dataset [s]. Default: that of each log."""
    gap: Annotated[float, SECONDS] = 0.1
    """Samples at most this far apart are bridged; recordings are cut at longer gaps [s]."""
    spikes: bool = True
    """Treat samples that leave their neighbours and come back as gaps."""
    smooth: Literal["none", "savgol", "rts"] = "none"
    """Add derived channels: by Savitzky-Golay, or from a Kalman smoother (RTS) of pose and speeds."""
    standstill: Annotated[float, Within(0, math.inf, "s")] = 5.0
    """Drop longer standstills [s]; inf keeps all."""
    shortest: Annotated[float, SECONDS] = 2.0
    """Drop shorter recordings [s]."""
    split: Literal["none", "recording", "lap", "block"] = "none"
    """Hold out whole recordings, laps, or the end of each recording."""
    val_split: Annotated[float, SHARE] = 0.2
    """Share that is held out for validation [1]."""
    test_split: Annotated[float, SHARE] = 0.0
    """Share that is held out for a test [1]."""
    split_gap: Annotated[float, SECONDS] = 2.0
    """Time between two parts of a recording that is in none [s]; at least history and horizon of training."""

    def validate(self) -> None:
        """Raise UsageError for shares that leave nothing."""
        shares = self.val_split, self.test_split
        if not 0 < sum(shares) < 1:
            raise UsageError(
                "`val_split`, `test_split`: expected shares that add up to more than 0 and less than 1, got "
                f"{shares[0]:g} and {shares[1]:g}"
            )
