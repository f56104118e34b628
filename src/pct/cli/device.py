"""`--device`: where a command computes."""

from __future__ import annotations

from pct.rollout.device import (
    DeviceChoice,
    DeviceName,
    choose_device,
    keep_to_cpu,
    use_device,
    visible_platforms,
)


def settle_device(asked: DeviceName, *, fits: bool) -> DeviceChoice | None:
    """Compute on the device of the flag; the choice, to be said, or None where only a trial tells.

    Args:
        asked: the flag.
        fits: whether rollouts are fitted or judged, and no network is trained.

    Raises:
        UsageError: a GPU is asked for, and there is none.
    """
    if asked == "cpu":
        keep_to_cpu()
    choice = choose_device(asked, visible_platforms(), fits=fits)
    if choice is not None:
        use_device(choice)
    return choice
