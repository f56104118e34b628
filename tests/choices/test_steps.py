"""What is left of a run is told as each step begins."""

from __future__ import annotations

from typing import Any

from pct.choices.steps import Step, Steps


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_time_left_follows_from_what_the_steps_before_took() -> None:
    clock, said = Clock(), list[Any]()
    steps = Steps(said.append, clock)
    steps.start("import", "importing")
    clock.seconds = 50.0
    steps.start("check", "checking")
    clock.seconds = 70.0
    steps.trying("singletrack")
    # 18 of 25 units of work are left, of 10 s each: 6 trials, a fit that is 5, 7 judgements.
    assert said[0] == Step("importing", 0.0, None)
    assert (said[1].done, said[1].left) == (0.2, 200.0)
    assert (said[2].done, said[2].left) == (7 / 25, 180.0)
    assert str(said[2]) == "trying singletrack (about 3 min left)"
    # An unexpected trial makes it longer, choices that are given make it shorter.
    steps.expect(20)
    clock.seconds = 80.0
    steps.trying("f1tenth")
    assert said[3].left == 320.0
    clock.seconds = 90.0
    steps.start("fit", "fitting")
    assert said[4].left == 120.0
    clock.seconds = 140.0
    for left in range(7, 0, -1):
        steps.start("judge", "judging")
        assert said[-1].left == 10.0 * left
        clock.seconds += 10.0
    steps.start("judge", "one more")
    assert said[-1].left == 10.0


def test_a_person_who_thinks_is_no_work() -> None:
    clock, said = Clock(), list[Any]()
    steps = Steps(said.append, clock)
    steps.start("import", "importing")
    clock.seconds = 50.0

    def thinks(question: str) -> str:
        clock.seconds += 1000.0
        return question

    assert steps.not_counted(thinks)("sure?") == "sure?"
    steps.start("check", "checking")
    assert said[-1].left == 200.0
