"""Laps of a car that is not ours: with a guess, with what its logs taught, with caution, and with the truth.

The plant is CommonRoad's 29-state multi-body model on a road of 60 % and 80 % grip, and with 25 % more mass.
The driver samples rollouts of `singletrack-drift` (MPPI) along a speed profile from the grip that it
believes in; only the friction is learned, from the log of the drive with the guess, then from a lap of
practice with that. After these races the grip falls from 80 to 50 % at half distance: who believes in what
was learned before, whose belief follows `pct.Tracker`, and who knows?

    python benchmarks/closed_loop.py                       # 3 tracks, 3 plants, 5 seeds: an hour on one core
    python benchmarks/closed_loop.py --tracks 1 --seeds 1  # minutes

The last line is a JSON object: share of finished laps of each driver, mean lap of the learned over that of
the oracle, that of the cautious over that of the learned, on the laps that both finished, and milliseconds
of processor time of a step of the controller.
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
DRIVERS = ("guess", "practice", "learned", "cautious", "oracle")
# Grip before and after the change.
BEFORE, AFTER = 0.8, 0.5
CHANGED = ("fixed", "adaptive", "oracle")


def main() -> None:
    """Drive all and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=3)
    parser.add_argument("--plants", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--change-seeds", type=int, default=2, help="of the races with a change; 0 for none")
    parser.add_argument("--controller", default="mppi", choices=("mppi", "pursuit"))
    args = parser.parse_args()
    tracks = track_names()[: args.tracks]
    times: dict[str, list[float | None]] = {name: [] for name in DRIVERS}
    changed: dict[str, list[float | None]] = {name: [] for name in CHANGED}
    steps: list[float] = []
    head("track", "grip", "mass", "seed", "practice mu", "learned mu", *DRIVERS)
    # Seed by seed, so that a run that is stopped has seen every track and plant alike.
    for seed in range(args.seeds):
        for track in tracks:
            for grip, load in PLANTS[: args.plants]:
                race = pct.race(track, grip=grip, load_factor=load, controller=args.controller, seed=seed)
                beliefs = [f"{race[name].believed['mu']:.3f}" for name in ("practice", "learned")]
                line(track, f"{grip:g}", f"{load:g}", str(seed), *beliefs, *cells(race, times))
                steps.extend(item.laps.step_ms for item in race.attempts)
    print()
    head("track", "grip", "seed", "learned mu", *CHANGED)
    for seed in range(args.change_seeds):
        for track in tracks:
            race = pct.race(track, grip=BEFORE, then=AFTER, controller=args.controller, seed=seed)
            believed = f"{race['fixed'].believed['mu']:.3f}"
            line(track, f"{BEFORE:g}, then {AFTER:g}", str(seed), believed, *cells(race, changed))
    print(json.dumps(summary(times, changed, steps)))


def head(*names: str) -> None:
    """The head of a table."""
    line(*names)
    print("|---" * len(names) + "|")


def line(*texts: str) -> None:
    """A row of a table."""
    print(f"| {' | '.join(texts)} |")
    sys.stdout.flush()


def cells(race: Any, times: dict[str, list[float | None]]) -> list[str]:
    """What each driver came to, added to what those before came to."""
    done = [race[name].laps for name in times]
    for column, laps in zip(times.values(), done, strict=True):
        column.append(laps.times[0] if laps.finished else None)
    return [f"{laps.times[0]:.2f}" if laps.finished else laps.reason for laps in done]


def summary(
    times: dict[str, list[float | None]], changed: dict[str, list[float | None]], steps: list[float]
) -> dict[str, Any]:
    """The last line."""
    return {
        **{f"{name}_finished": finished(times[name]) for name in DRIVERS},
        "practice_over_oracle": ratio(times["practice"], times["oracle"]),
        "learned_over_oracle": ratio(times["learned"], times["oracle"]),
        "cautious_over_learned": ratio(times["cautious"], times["learned"]),
        "step_ms": round(statistics.median(steps), 2) if steps else None,
        "races": len(times["guess"]),
        **{f"changed_{name}_finished": finished(changed[name]) for name in CHANGED},
        "changed_adaptive_over_oracle": ratio(changed["adaptive"], changed["oracle"]),
        "changed_races": len(changed["fixed"]),
    }


def finished(times: list[float | None]) -> float | None:
    """Share of laps that ended on the track."""
    return round(sum(time is not None for time in times) / len(times), 3) if times else None


def ratio(above: list[float | None], below: list[float | None]) -> float | None:
    """Mean lap over mean lap, of the laps that both have finished."""
    pairs = [(a, b) for a, b in zip(above, below, strict=True) if a is not None and b is not None]
    return round(sum(a for a, _ in pairs) / sum(b for _, b in pairs), 4) if pairs else None


if __name__ == "__main__":
    main()
