"""Does the search tell more than the published optimum of casiopeia on its own example?

The example is `examples/2d_vehicle_doe.py` of [1]: a 1:43 car with the four states x, y, psi, v and six
parameters under steering and duty cycle, 4 s from a known start, all states read with the same noise. The
published controls are read from its `results_2d_vehicle_doe.txt` (78 numbers, one row a number); they are not
part of this repository. Both designs are held against the example's own bounds of controls and states.

Compared is the information about all six parameters, in units of each parameter: half of the logarithm of
its determinant (nats), and the mean standard deviation over parameters. Ours comes from the search of
`pct.design`, here on the controls themselves. Last line: one JSON object.

    python benchmarks/casiopeia.py --published FOLDER/results_2d_vehicle_doe.txt

References:
    [1] A. Buerger, M. Diehl, casiopeia, github.com/adbuerger/casiopeia (LGPL): parameters and bounds.
    [2] R. Verschueren, "Design and implementation of a time-optimal controller for model race cars", Master's
        thesis, KU Leuven, 2014: the model.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.designing.search import search

PARAMETERS = np.array([0.273408, 11.5602, 2.45652, 7.90959, -0.44353, -0.249098])
START = np.array([0.912, -0.558, -2.676, 0.489827])
LOW, HIGH = np.array([-0.436332, -0.3216]), np.array([0.436332, 1.0])
LEAST, MOST = np.array([-0.787, -1.531, -12.614, 0.0]), np.array([1.239, 0.014, 0.013, 0.7102])
# Forty readings, five rows of 51.2 Hz apart.
STEPS, STEP, SUBSTEPS = 39, 5 / 51.2, 8
# What a state beyond its bound costs, by its square.
BROKEN = 1e4


def rates(x: Any, u: Any, p: Any) -> Any:
    """The example's equations."""
    course = x[2] + p[0] * u[0]
    turn = x[3] * u[0]
    drive = (p[2] - p[3] * x[3]) * u[1] - p[4] * x[3] ** 2 - p[5] - turn**2 * p[1] * p[0]
    return jnp.array([x[3] * jnp.cos(course), x[3] * jnp.sin(course), turn * p[1], drive])


def states(controls: Any, p: Any) -> Any:
    """States at all readings, (STEPS + 1, 4)."""
    h = STEP / SUBSTEPS

    def step(x: Any, u: Any) -> Any:
        for _ in range(SUBSTEPS):
            k1 = rates(x, u, p)
            k2 = rates(x + h / 2 * k1, u, p)
            k3 = rates(x + h / 2 * k2, u, p)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + rates(x + h * k3, u, p))
        return x, x

    after = jax.lax.scan(step, jnp.asarray(START), controls)[1]
    return jnp.concatenate([jnp.asarray(START)[None], after])


@jax.jit
def judge(controls: Any) -> tuple[Any, Any, Any]:
    """Information (6, 6), the largest excess of a state, and the sum of squares of all."""
    p = jnp.asarray(PARAMETERS)
    jacobian = jax.jacfwd(states, argnums=1)(controls, p).reshape(-1, len(PARAMETERS))
    x = states(controls, p)
    excess = jnp.maximum(jnp.maximum(LEAST - x, x - MOST), 0.0)
    return jacobian.T @ jacobian, excess.max(), (excess**2).sum()


def main() -> None:
    """Search, compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--published", type=Path, required=True, help="results_2d_vehicle_doe.txt")
    parser.add_argument("--generations", type=int, default=400)
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    published = np.loadtxt(args.published).reshape(-1, 2)
    if published.shape != (STEPS, 2):
        raise SystemExit(f"{args.published}: expected {2 * STEPS} numbers, found {published.size}")
    together = jax.jit(jax.vmap(judge))

    def controls_of(vectors: np.ndarray) -> np.ndarray:
        share = (np.clip(vectors, -1, 1) + 1) / 2
        controls: np.ndarray = LOW + (HIGH - LOW) * share.reshape(-1, STEPS, 2)
        return controls

    def cost(vectors: np.ndarray) -> np.ndarray:
        information, _, broken = map(np.asarray, together(controls_of(vectors)))
        finite = np.isfinite(information).all(axis=(1, 2))
        sign, size = np.linalg.slogdet(np.where(finite[:, None, None], information, np.eye(6) * 1e-9))
        value = np.where((sign > 0) & finite, size, -200.0) / 2
        return np.minimum(BROKEN * np.nan_to_num(broken, nan=1e6), 1e6) - value

    def draw(rng: np.random.Generator) -> np.ndarray:
        """Steps of random length and height."""
        columns = [np.repeat(rng.uniform(-1, 1, STEPS), rng.integers(1, 8))[:STEPS] for _ in range(2)]
        return np.stack(columns, axis=-1).ravel()

    begin = time.perf_counter()
    best = search(cost, draw, points=24, generations=args.generations, rng=np.random.default_rng(0))
    seconds = time.perf_counter() - begin
    found: dict[str, dict[str, float]] = {}
    for name, controls in (("published", published), ("ours", controls_of(best[0][1][None])[0])):
        information, excess, _ = map(np.asarray, judge(np.clip(controls, LOW, HIGH)))
        deviations = np.sqrt(np.diag(np.linalg.inv(information)))
        found[name] = {
            "half_log_determinant": round(float(np.linalg.slogdet(information)[1]) / 2, 3),
            "mean_deviation": round(float(deviations.mean()), 4),
            "largest_excess": round(float(excess), 4),
        }
        print(name, found[name], "deviations", deviations.round(3))
    gain = found["ours"]["half_log_determinant"] - found["published"]["half_log_determinant"]
    print(json.dumps({"gain_nats": round(gain, 3), "seconds": round(seconds, 1), **found}))


if __name__ == "__main__":
    main()
