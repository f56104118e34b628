"""Mistakes in arguments, made in a process of its own: tests check the types of arguments, users do not."""

import json
import sys

import numpy as np

import pct
from pct.errors import UsageError

CAR = pct.model("unicycle")

# What is called with two drives, and a part of what is said.
CASES = (
    (lambda d: pct.fit("unicycle", d), "`car`: expected a car, such as pct.model('singletrack')"),
    (lambda d: pct.simulate("unicycle"), "`car`: expected a car"),
    (lambda d: pct.fleet(None, "a", folder="b"), "`car`: expected a car, such as pct.model"),
    (lambda d: pct.train(3, d), "`start`: expected a car"),
    (lambda d: pct.track(3, d), "`model`: expected a car, a fit or its run folder, got 3"),
    (lambda d: pct.design(3, ["mu"]), "`car`: expected a car, a fit or its run folder, got 3"),
    (lambda d: pct.rank(CAR, d), "`fit`: expected a fit or its run folder, got a Car"),
    (lambda d: pct.compare([3, 4]), "`runs`: expected a fit or its run folder, got 3"),
    (lambda d: pct.evaluate(CAR, d), "`model`: expected a fit, a network or a run folder, got a Car"),
    (lambda d: pct.fit(CAR, None), "`source`: expected drives, folders, log files or data frames, got N"),
    (lambda d: pct.fit(CAR, 3), "data frames, got 3"),
    (lambda d: pct.fit(CAR, [1]), "data frames, got 1"),
    (lambda d: pct.fit(CAR, np.zeros((3, 3))), "data frames, got a ndarray"),
    (lambda d: pct.fit(CAR, d, start=3), "`start`: expected values by parameter, a fit or its run"),
    (
        lambda d: pct.fit(CAR, d, start={"alpha_accel": 99}),
        "`start=alpha_accel`: expected a value within",
    ),
    (
        lambda d: pct.fit(CAR, d, progress=True),
        "`progress`: expected a function, such as print",
    ),
    (lambda d: pct.train(CAR, d, progress=True), "`progress`: expected a function"),
    (lambda d: pct.run("a", "no such folder", progress=1), "`progress`: expected a function"),
    (lambda d: pct.track(CAR, d, progress=1), "`progress`: expected a function"),
    (lambda d: pct.race(progress=1), "`progress`: expected a function"),
    (lambda d: pct.sweep("a", progress=1), "`progress`: expected a function"),
    (lambda d: pct.design(CAR, progress=1), "`progress`: expected a function"),
    (lambda d: pct.design(pct.model("singletrack"), "I_z"), "unknown parameter 'I_z' of model"),
    (lambda d: pct.fit(CAR, d, engine="cuda"), "`engine`: expected one of auto, jax, native, got 'cuda'"),
    (lambda d: pct.train(CAR, d, history_fit="no"), "`history_fit`: expected True or False, got 'no'"),
    (lambda d: pct.fit(CAR, d, profiles="alpha"), "`profiles=alpha`: expected a fitted scalar parameter"),
    (lambda d: pct.fit(CAR, d, compare="speed"), "`compare=speed`: expected some of"),
    (lambda d: CAR.hold(["alpha_accel"]), "hold: expected names of parameters, got ['alpha_accel']"),
    (lambda d: CAR.scope("global", 3), "scope: expected names of parameters, got 3"),
    (lambda d: CAR.measured(lag=3), "`lag`: expected names of channels, got 3"),
    (lambda d: CAR.measured(steering="no"), "`steering`: expected True or False, got 'no'"),
    (lambda d: pct.model("unicycle", vehicle=3), "unknown vehicle '3'"),
    (lambda d: pct.simulate(CAR, sped=3), "unknown option 'sped' of a simulation: did you mean 'speed'?"),
    (lambda d: pct.register(CAR), "`spec`: expected what pct.define_model gives, got a Car"),
    (lambda d: pct.load(d, names=["recording_07"]), "names of recordings (frame_1, frame_2)"),
)


def main() -> None:
    """Print what each call says, as one JSON list; what is no error of the user, by its type."""
    t = 0.05 * np.arange(80)
    drives = pct.load([{"t": t, "x": t, "y": 0 * t, "psi": 0 * t, "v": 1 + 0 * t, "psi_dot": 0 * t}] * 2)
    said = []
    for call, _ in CASES:
        try:
            said.append(f"passed: {call(drives)!r}")
        except UsageError as error:
            said.append(str(error))
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}")
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
