"""Compiles straight-line array code into one CPU kernel that computes every shared value once.

XLA's CPU compiler makes one loop for each result that leaves a fusion, and copies whatever several loops
need into each of them: the reverse pass of one Runge-Kutta step of the single-track model, 2,200
operations, becomes some 17,000 in 190 kernels. `one_kernel` traces a function, merges equal operations, and
marks the values that are cheaper to store than to compute again. Then it asks for the whole to be compiled
as one kernel, since starting 190 of them takes longer than running them on 64 windows.

Only speed depends on how a compiler version takes this: the values are those of the function as written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend import core

from pct.rollout.device import platform
from pct.types import Array

# Operations that storing and reading a value back is worth; flat between 10 and 25 on the models here.
STORE_COST = 16
# Primitives that only wrap others, and the name of what they wrap.
WRAPPERS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}
# Operations that XLA turns into plain loops; with any other the function is compiled as usual.
_SIMPLE = (
    "abs add add_any and asin atan atan2 bitcast_convert_type broadcast_in_dim ceil clamp "
    "concatenate convert_element_type copy cos cosh div eq erf exp exp2 expm1 floor ge gt "
    "integer_pow iota is_finite le log log1p logistic lt max min mul ne neg not or pad pow "
    "reduce_max reduce_min reduce_sum rem reshape rev round rsqrt select_n shift_left "
    "shift_right_arithmetic shift_right_logical sign sin sinh slice sqrt square squeeze "
    "stop_gradient sub tan tanh transpose xor"
)
SIMPLE = frozenset(_SIMPLE.split())
# Operations that are free: they move or relabel.
FREE = ("broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "slice", "transpose")


def one_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one kernel in which shared values are stored.

    Args:
        function: arrays (in any tree) to arrays; not to be differentiated any more.

    Returns:
        ``kernel(one, *args)``, with ``one`` the number 1 as an array that the compiler does not know.
    """

    def kernel(one: Array, *args: Any) -> Any:
        if platform() != "cpu":  # XLA makes good kernels for a GPU by itself
            return function(*args)
        leaves, tree = jax.tree.flatten(args)
        closed, shape = jax.make_jaxpr(
            lambda *leaves: function(*jax.tree.unflatten(tree, leaves)), return_shape=True
        )(*leaves)
        program = _flatten(closed)
        stored = _worth_storing(program)
        arguments = dict(zip(program.inputs, leaves, strict=True))
        known = {**program.constants, **arguments}
        read = [i for i in arguments if any(i in operation.inputs for operation in program.operations)]
        written = [i for i in dict.fromkeys(program.outputs) if i not in known]

        @jax.jit
        def evaluate(one: Array, *arrays: Any) -> tuple[list[Any], Array]:
            values = {**program.constants, **dict(zip(read, arrays, strict=True))}
            for operation in program.operations:
                results = operation.run([values[i] for i in operation.inputs])
                for name, result in zip(operation.outputs, results, strict=True):
                    # XLA takes no division into several loops, so its result is stored; x / 1 is exactly x.
                    values[name] = result / one.astype(result.dtype) if name in stored else result
            # XLA aborts where a kernel does not use all that it is given, also where a simplification of its
            # own is the reason. This number uses all.
            touched = sum(jnp.ravel(leaf)[0].astype(one.dtype) for leaf in (one, *arrays))
            return [values[i] for i in written], touched

        simple = all(operation.equation.primitive.name in SIMPLE for operation in program.operations)
        hints = {"inlineable": "false", "xla_cpu_small_call": "true"} if simple else {}
        with set_xla_metadata(**hints):
            results, _ = evaluate(one, *(arguments[i] for i in read))
        values = {**known, **dict(zip(written, results, strict=True))}
        return jax.tree.unflatten(jax.tree.structure(shape), [values[i] for i in program.outputs])

    return kernel


def count_operations(function: Callable[..., Any], *args: Any) -> int:
    """Operations on arrays that a function needs when equal ones are merged; moves do not count."""
    leaves, tree = jax.tree.flatten(args)
    program = _flatten(jax.make_jaxpr(lambda *leaves: function(*jax.tree.unflatten(tree, leaves)))(*leaves))
    return sum(operation.equation.primitive.name not in FREE for operation in program.operations)


def unknown_one(data: Array) -> Array:
    """The number 1, which the compiler cannot tell from data of shape (B, ...) that it does not know."""
    return jnp.where(data.ravel()[0] > jnp.inf, 2.0, 1.0)


class _Operation(NamedTuple):
    """One primitive; inputs and outputs are names of values."""

    equation: Any
    inputs: list[int]
    outputs: list[int]

    def run(self, values: list[Any]) -> list[Any]:
        primitive = self.equation.primitive
        params = primitive.get_bind_params(self.equation.params)
        functions, params = params if isinstance(params, tuple) else ((), params)  # as of JAX 0.10 no tuple
        result = primitive.bind(*functions, *values, **params)
        return list(result) if primitive.multiple_results else [result]


class _Program(NamedTuple):
    operations: list[_Operation]
    constants: dict[int, Any]
    inputs: list[int]
    outputs: list[int]


def _flatten(closed: Any) -> _Program:
    """Straight-line code: wrappers opened, equal operations merged, unused ones dropped."""
    operations: list[_Operation] = []
    constants: dict[int, Any] = {}
    known: dict[Any, list[int]] = {}
    names = iter(range(10**9))

    def constant(value: Any) -> int:
        value = value if isinstance(value, jax.Array) else np.asarray(value)
        key = ("constant", value.dtype.name, value.shape, np.asarray(value).tobytes())
        if key not in known:
            known[key] = [next(names)]
            constants[known[key][0]] = value
        return known[key][0]

    def run(jaxpr: Any, consts: list[int], args: list[int]) -> list[int]:
        scope = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))

        def name(variable: Any) -> int:
            return constant(variable.val) if isinstance(variable, core.Literal) else scope[variable]

        for equation in jaxpr.eqns:
            inputs = [name(variable) for variable in equation.invars]
            wrapped = WRAPPERS.get(equation.primitive.name)
            if wrapped is not None:
                inner = equation.params[wrapped]
                outputs = run(inner.jaxpr, [constant(value) for value in inner.consts], inputs)
            else:
                key = (equation.primitive, str(equation.params), tuple(inputs))
                if key not in known:
                    known[key] = [next(names) for _ in equation.outvars]
                    operations.append(_Operation(equation, inputs, known[key]))
                outputs = known[key]
            scope.update(zip(equation.outvars, outputs, strict=True))
        return [name(variable) for variable in jaxpr.outvars]

    inputs = [next(names) for _ in closed.jaxpr.invars]
    outputs = run(closed.jaxpr, [constant(value) for value in closed.consts], inputs)
    needed, used = set(outputs), []
    for operation in reversed(operations):
        if needed.intersection(operation.outputs):
            needed.update(operation.inputs)
            used.append(operation)
    return _Program(used[::-1], constants, inputs, outputs)


def _worth_storing(program: _Program) -> set[int]:
    """Values whose operations, times the loops that would repeat them, cost more than storing them."""
    uses = Counter(program.outputs)
    for operation in program.operations:
        uses.update(set(operation.inputs))
    work: Counter[int] = Counter()
    stored = set()
    for operation in program.operations:
        own = operation.equation.primitive.name not in FREE
        total = own + sum(work[i] for i in set(operation.inputs))
        for name, variable in zip(operation.outputs, operation.equation.outvars, strict=True):
            work[name] = total
            is_lane = variable.aval.ndim > 0 and jnp.issubdtype(variable.aval.dtype, jnp.floating)
            if is_lane and total * (uses[name] - 1) > STORE_COST:
                stored.add(name)
                work[name] = 0
    return stored
