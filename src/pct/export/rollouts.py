"""A rollout as one function of arrays, with the whole network where there is one: what graph formats hold.

Its inputs are the features that the network reads, where there is one, the states at the start and the
controls of each step; its outputs the parameters that the network predicts and the states after each step.
All are of single precision, as the program computes; the first axis is the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.vectors import flatten_bounds
from pct.export.source import Source
from pct.export.source_text import describe, values_of
from pct.rollout.integration import TABLEAUS, explicit_step

# Steps of a rollout whose source says nothing, and its time step in s.
HORIZON, TIME_STEP = 20, 0.02
# Windows that are compared, and largest difference over the largest of its channel: of single precision.
WINDOWS, EQUAL = 16, 2e-5


class Rollout(NamedTuple):
    """A rollout as a function.

    Attributes:
        function: ``function(features, x0, u)``, or ``function(x0, u)`` without a network; a tuple of outputs.
        shapes: of the inputs behind the batch, by name.
        outputs: names of the outputs.
        horizon: steps.
        dt: time step in s.
        learned: names of the parameters that the network predicts, in its order.
        trained: the network; None without one.
    """

    function: Callable[..., tuple[Any, ...]]
    shapes: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    horizon: int
    dt: float
    learned: tuple[str, ...]
    trained: Any

    def samples(self, source: Source, seed: int = 0) -> tuple[np.ndarray, ...]:
        """Inputs to compare on: motion as of `usual_rows` where there is any, features near their mean."""
        from pct.export.check import random_inputs
        from pct.export.motion import has_tyres, usual_rows

        rng = np.random.default_rng(seed)
        spec, count = source.spec, WINDOWS * self.horizon
        if has_tyres(source):
            rows = usual_rows(source, count, seed)
            x = np.stack([rows.x[name] for name in spec.state_names], axis=-1)[:WINDOWS]
            u = np.stack([rows.u[name] for name in spec.control_names], axis=-1)
        else:
            drawn = random_inputs(source, count, seed)
            x, u = 0.1 * drawn.x[:WINDOWS], 0.1 * drawn.u
        u = 0.3 * u.reshape(WINDOWS, self.horizon, -1)
        given = [x, u]
        if self.trained is not None:
            (size,) = self.shapes["features"]
            network = _one(self.trained.network)
            mean, std = (np.asarray(part) for part in (network.feature_mean, network.feature_std))
            given.insert(0, mean + 0.5 * std * rng.standard_normal((WINDOWS, size)))
        return tuple(np.asarray(part, np.float32) for part in given)


def make_rollout(source: Source, horizon: int | None = None) -> Rollout:
    """The rollout of a source; its equations alone, from a start that is known.

    Args:
        source: the model, its values, and its network where it has one.
        horizon: steps; the run's own, or 20, when left out.
    """
    import jax
    import jax.numpy as jnp

    spec, steps, dt = source.spec, horizon or source.horizon or HORIZON, source.dt or TIME_STEP
    tableau, substeps = TABLEAUS[source.integrator_name], source.substeps
    trained = None if source.network is None else source.network()
    constants = {name: np.asarray(value, np.float32) for name, value in source.values.items()}
    size = len(spec.states)

    def roll(params: Any, x0: Any, u: Any) -> Any:
        def step(x: Any, control: Any) -> tuple[Any, Any]:
            def rates(state: Any) -> Any:
                return spec.dynamics_fn(jnp.concatenate([state, control], axis=-1), params)[..., :size]

            for _ in range(substeps):
                x = explicit_step(tableau, rates, x, dt / substeps)
            return x, x

        _, states = jax.lax.scan(step, x0, jnp.moveaxis(u, 1, 0))
        return jnp.moveaxis(states, 0, 1)

    shapes: dict[str, tuple[int, ...]] = {"x0": (size,), "u": (steps, len(spec.controls))}
    if trained is None:
        return Rollout(lambda x0, u: (roll(constants, x0, u),), shapes, ("states",), steps, dt, (), None)
    learned = trained.spec

    def whole(features: Any, x0: Any, u: Any) -> tuple[Any, Any]:
        from pct.dynamics.core import unflatten_params

        values = trained.network.apply(trained.params, features)
        named = unflatten_params(values, learned.param_keys, learned.full_shapes)
        own = {name: value for name, value in named.items() if name in constants}
        return values, roll({**constants, **own}, x0, u)

    count = len(np.asarray(_one(trained.network).feature_mean))
    names = tuple(
        name if not shape else f"{name}[{i}]"
        for name, shape in learned.full_shapes.items()
        for i in range(int(np.prod(shape)))
    )
    return Rollout(
        whole, {"features": (count,), **shapes}, ("parameters", "states"), steps, dt, names, trained
    )


def expected_outputs(
    source: Source, rollout: Rollout, samples: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """What the outputs have to be: the network by JAX, the rollout by numpy in double precision."""
    from pct.dynamics.core import unflatten_params

    params = {name: np.asarray(value, float) for name, value in source.values.items()}
    outputs = []
    *features, x0, u = samples
    if rollout.trained is not None:
        trained, spec = rollout.trained, rollout.trained.spec
        values = np.asarray(trained.network.apply(trained.params, features[0]))
        named = unflatten_params(values.astype(float), spec.param_keys, spec.full_shapes)
        params |= {name: value for name, value in named.items() if name in params}
        outputs.append(values)
    x, states, size = x0.astype(float), [], x0.shape[-1]
    for control in np.moveaxis(u.astype(float), 1, 0):

        def rates(state: np.ndarray, control: np.ndarray = control) -> np.ndarray:
            return source.spec.dynamics_fn(np.concatenate([state, control], axis=-1), params, np)[..., :size]

        for _ in range(source.substeps):
            x = explicit_step(TABLEAUS[source.integrator_name], rates, x, rollout.dt / source.substeps)
        states.append(x)
    return (*outputs, np.stack(states, axis=1))


def _one(network: Any) -> Any:
    """A network, or one of an ensemble."""
    return getattr(network, "network", network)


def about(source: Source, rollout: Rollout, target: str, checked: str) -> dict[str, Any]:
    """What a reader of the graph has to know, for a JSON file beside it."""
    trained = rollout.trained
    return {
        "about": [*describe(source, target), checked],
        "inputs": {name: ["batch", *shape] for name, shape in rollout.shapes.items()},
        "outputs": rollout.outputs,
        "dt": rollout.dt,
        "horizon": rollout.horizon,
        "states": source.spec.state_names,
        "controls": source.spec.control_names,
        "features": None if trained is None else trained.settings.get("feature_names"),
        "predicted": rollout.learned,
        "parameters": values_of(source),
    }


def output_sizes(rollout: Rollout) -> tuple[Any, ...]:
    """What rounds each output beside its own value: parameters are mapped between their bounds."""
    if rollout.trained is None:
        return (0.0,)
    spec = rollout.trained.spec
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    return np.maximum(np.abs(low), np.abs(high)), 0.0


def largest_difference(expected: tuple[Any, ...], found: tuple[Any, ...], sizes: tuple[Any, ...]) -> float:
    """Largest difference of outputs over the largest value of each channel; infinite where not finite.

    Args:
        expected, found: arrays with the channels last.
        sizes: of each output, by channel or for all, where rounding may be of larger numbers than its values.
    """
    largest = 0.0
    for one, other, least in zip(expected, found, sizes, strict=True):
        one, other = np.asarray(one, float), np.asarray(other, float)
        axes = tuple(range(one.ndim - 1))
        size = np.maximum(np.maximum(np.abs(one).max(axis=axes), least), 1e-6)
        off = np.abs(one - other).max(axis=axes) / size
        largest = max(largest, float(np.where(np.isfinite(off), off, np.inf).max()))
    return largest
