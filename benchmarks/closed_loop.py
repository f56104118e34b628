"""Laps of a car that is not ours: with a guess, with what its log taught, with caution, and with the truth.

The plant is CommonRoad's 29-state multi-body model on a road of 60 % and 80 % grip, and with 25 % more mass.
The driver samples rollouts of `singletrack-drift` (MPPI) along a speed profile from the grip that it
believes in; only the friction is learned, from the log of the drive with the guess.

    python benchmarks/closed_loop.py                       # 3 tracks, 3 plants, 5 seeds: an hour on one core
    python benchmarks/closed_loop.py --tracks 1 --seeds 1  # minutes

The last line is a JSON object: share of finished laps of each driver, mean lap of the learned over that of
the oracle, that of the cautious over that of the learned, on the laps that both finished, and milliseconds
of a step of the controller.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from typing import Any

import pct
from pct.racing.tracks import track_names

PLANTS = ((0.6, 1.0), (0.8, 1.0), (0.8, 1.25))
DRIVERS = ("guess", "learned", "cautious", "oracle")


def main() -> None:
    """Drive all and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=3)
    parser.add_argument("--plants", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--controller", default="mppi", choices=("mppi", "pursuit"))
    args = parser.parse_args()
    times: dict[str, list[float | None]] = {name: [] for name in DRIVERS}
    steps: list[float] = []
    print("| track | grip | mass | seed | learned mu | " + " | ".join(DRIVERS) + " |")
    print("|---" * (5 + len(DRIVERS)) + "|")
    for track in track_names()[: args.tracks]:
        for grip, load in PLANTS[: args.plants]:
            for seed in range(args.seeds):
                race = pct.race(track, grip=grip, load_factor=load, controller=args.controller, seed=seed)
                cells = []
                for name in DRIVERS:
                    laps = race[name].laps
                    times[name].append(laps.times[0] if laps.finished else None)
                    cells.append(f"{laps.times[0]:.2f}" if laps.finished else laps.reason)
                    steps.append(laps.step_ms)
                learned = race["learned"].believed["mu"]
                print(f"| {track} | {grip:g} | {load:g} | {seed} | {learned:.3f} | {' | '.join(cells)} |")
                sys.stdout.flush()
    print(json.dumps(summary(times, steps)))


def summary(times: dict[str, list[float | None]], steps: list[float]) -> dict[str, Any]:
    """The last line."""
    count = len(times["guess"])
    finished = {f"{name}_finished": sum(time is not None for time in times[name]) / count for name in DRIVERS}
    return {
        **{name: round(share, 3) for name, share in finished.items()},
        "learned_over_oracle": ratio(times["learned"], times["oracle"]),
        "cautious_over_learned": ratio(times["cautious"], times["learned"]),
        "step_ms": round(statistics.median(steps), 2),
        "races": count,
    }


def ratio(above: list[float | None], below: list[float | None]) -> float | None:
    """Mean lap over mean lap, of the laps that both have finished."""
    pairs = [(a, b) for a, b in zip(above, below, strict=True) if a is not None and b is not None]
    return round(sum(a for a, _ in pairs) / sum(b for _, b in pairs), 4) if pairs else None


if __name__ == "__main__":
    main()
