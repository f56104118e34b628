"""Which engine rolls out, and what is said where native code was wanted and cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.errors import UsageError
from pct.rollout.engine import Engine, EngineName, make_engine
from rollout.native.windows import DT, needs_compiler, toy_model

UNICYCLE = MODEL_SPECS["unicycle"]
TOYS = {
    "a function that xp does not have for native code": (
        lambda x, u, p, xp: (xp.sinc(x.s0) * p.a,),
        "model 'toy' uses the function xp.sinc",
    ),
    "a choice in Python": (
        lambda x, u, p, xp: (p.a * (x.s0 if x.s0 > 0 else u.c0),),
        "model 'toy' uses a choice in Python (if, while, and, or) by a value that is not known yet",
    ),
}
toys = pytest.mark.parametrize(("rates", "reason"), TOYS.values(), ids=TOYS.keys())


@pytest.fixture(autouse=True)
def kept_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(__file__).parents[2] / ".cache"))


def engine(name: EngineName, spec: ModelSpec = UNICYCLE) -> Engine:
    return make_engine(name, spec, {**spec.default_params, "dt": DT}, "euler", 1)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    # A kernel that an earlier test made is at hand without one.
    from pct.rollout.native.gradients import make_kernel

    make_kernel.cache_clear()
    monkeypatch.setenv("CXX", "/nonexistent/c++")


def test_jax_needs_no_compiler_and_no_reason(no_compiler: None) -> None:
    assert engine("jax").fallback == ""


def test_auto_goes_on_without_a_compiler(no_compiler: None) -> None:
    made = engine("auto")
    assert made.fallback == "no C++ compiler was found (/nonexistent/c++)"
    assert made.dense is made.context is None
    start, controls = jnp.zeros((2, 4)), jnp.ones((2, 3, 2))
    learned = {key: jnp.full(2, UNICYCLE.default_params[key]) for key in UNICYCLE.param_keys}
    np.testing.assert_array_equal(
        made.rollout(start, controls, learned), engine("jax").rollout(start, controls, learned)
    )


def test_native_says_why_it_cannot(no_compiler: None) -> None:
    with pytest.raises(UsageError) as caught:
        engine("native")
    assert str(caught.value) == (
        "`engine=native`: no C++ compiler was found (/nonexistent/c++): use `engine=auto`"
    )


@needs_compiler
@toys
def test_a_model_that_is_not_supported(rates: Callable[..., Any], reason: str) -> None:
    spec = toy_model("toy", rates, 1, 1)
    assert engine("auto", spec).fallback == reason
    with pytest.raises(UsageError) as caught:
        engine("native", spec)
    assert str(caught.value) == f"`engine=native`: {reason}: use `engine=auto`"


def test_what_jax_runs_on_another_device_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert engine("auto").fallback == ""
    with pytest.raises(UsageError, match="native code is for CPUs, not for 'gpu'"):
        engine("native")


@needs_compiler
def test_double_precision_goes_to_jax() -> None:
    made, plain = engine("native"), engine("jax")
    assert made.fallback == ""
    rng = np.random.default_rng(0)
    start, controls = jnp.asarray(rng.standard_normal((3, 4))), jnp.asarray(rng.standard_normal((3, 5, 2)))
    learned = {key: jnp.full(3, UNICYCLE.default_params[key]) for key in UNICYCLE.param_keys}
    wide = made.rollout(start, controls, learned)
    assert wide.dtype == jnp.float64
    np.testing.assert_array_equal(wide, plain.rollout(start, controls, learned))
    # One array of it is enough.
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (start, controls, learned))
    assert made.rollout(start, *single[1:]).dtype == jnp.float64
    narrow = made.rollout(*single)
    assert narrow.dtype == jnp.float32
    np.testing.assert_allclose(narrow, wide, rtol=1e-5, atol=1e-5)
    assert "ffi_call" in str(jax.make_jaxpr(made.rollout)(*single))
    assert "ffi_call" not in str(jax.make_jaxpr(made.rollout)(start, controls, learned))
