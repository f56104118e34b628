"""Settings of an import: a notebook passes them as keyword arguments, the command line as flags."""

from __future__ import annotations

import dataclasses
from typing import Literal

from pct.errors import UsageError


@dataclasses.dataclass(frozen=True)
class ImportSettings:
    """How logs are imported."""

    dt: float | None = None
    """Time step of the dataset [s]. Default: that of each log."""
    gap: float = 0.1
    """Samples at most this far apart are bridged; recordings are cut at longer gaps [s]."""
    spikes: bool = True
    """Treat samples that leave their neighbours and come back as gaps."""
    smooth: Literal["none", "savgol", "rts"] = "none"
    """Add derived channels: by Savitzky-Golay, or from a Kalman smoother (RTS) of pose and speeds."""
    standstill: float = 5.0
    """Drop longer standstills [s]; inf keeps all."""
    shortest: float = 2.0
    """Drop shorter recordings [s]."""
    split: Literal["none", "recording", "lap", "block"] = "none"
    """Hold out whole recordings, laps, or the end of each recording."""
    val_split: float = 0.2
    """Share that is held out for validation [1]."""
    test_split: float = 0.0
    """Share that is held out for a test [1]."""
    split_gap: float = 2.0
    """Time between two parts of a recording that is in none [s]; at least history and horizon of training."""

    def validate(self) -> None:
        """Raise UsageError for a value that cannot be used."""
        shares = self.val_split, self.test_split
        if min(shares) < 0 or not 0 < sum(shares) < 1:
            raise UsageError(
                "`val_split`, `test_split`: expected shares that add up to more than 0 and less than 1, got "
                f"{shares[0]:g} and {shares[1]:g}"
            )
        for name in ("gap", "standstill", "shortest", "split_gap"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"`{name}`: expected 0 s or more, got {getattr(self, name)}")
        if self.dt is not None and not self.dt > 0:
            raise UsageError(f"`dt`: expected a time step above 0, got {self.dt:g}")
