"""C of every model is that of JAX, compiles without a word, and a wrong one is not written."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, Channel, ModelSpec, Parameter, define_model
from pct.errors import PctError, UsageError
from pct.export.c.functions import Program
from pct.export.c.program import check, make_program, prefix_of
from pct.export.c.trial import find_compiler, run_compiled
from pct.export.check import Inputs, Outputs, compare, random_inputs, reference
from pct.export.source import Source, from_model

STRICT = "-std=c99 -Wall -Wextra -Wpedantic -Werror"
every_model = pytest.mark.parametrize("name", MODEL_SPECS)
WITH_OPTIONS = ["+".join((name, *spec.options)) for name, spec in MODEL_SPECS.items() if spec.options]
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler on this machine")


@pytest.fixture
def strict_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{(find_compiler() or ['cc'])[0]} {STRICT}")


def learned_source(name: str, seed: int = 0) -> Source:
    """The learned parameters anywhere within their bounds, the others at their defaults."""
    rng = np.random.default_rng(seed)
    source = from_model(name)
    spec = source.spec
    drawn = {key: rng.uniform(*spec.param_bounds[key], shape) for key, shape in spec.full_shapes.items()}
    return dataclasses.replace(source, values={**source.values, **drawn})


def run(program: Program, source: Source, inputs: Inputs) -> Outputs:
    command = find_compiler()
    assert command is not None
    return run_compiled(command, source, program, inputs)


@needs_compiler
@pytest.mark.parametrize("name", [*MODEL_SPECS, *WITH_OPTIONS])
def test_code_is_that_of_jax_and_compiles_without_a_warning(name: str, strict_compiler: None) -> None:
    """Anywhere, and, for a third of the inputs, at standstill, where all is finite."""
    source = learned_source(name)
    inputs = random_inputs(source, 96)
    still = np.isin(source.spec.state_names, ("v", "vx", "vy", "psi_dot", "omega_f", "omega_r"))
    inputs.x[64:, still] = 0.0
    found = run(make_program(source), source, inputs)
    assert max(compare(source, inputs, found).values()) < 1e-10
    assert all(np.isfinite(value[64:]).all() for value in found)


@needs_compiler
@pytest.mark.parametrize(("integrator", "substeps"), [("rk4", 3), ("heun", 1), ("heun", 2), ("euler", 1)])
def test_every_integrator(integrator: str, substeps: int, strict_compiler: None) -> None:
    source = dataclasses.replace(from_model("singletrack"), integrator_name=integrator, substeps=substeps)
    assert max(check(source, make_program(source), random_inputs(source, 32)).differences.values()) < 1e-10


@needs_compiler
@pytest.mark.parametrize(
    ("function", "right", "wrong"),
    [
        ("derivative of y", r"(dxdt\[1\] = )", r"\1-"),
        ("derivative of v", r"\? -9\.51 : 0\.0;", "? -9.50 : 0.0;"),
        ("derivative of v", r"v < 20\.0", "v > 20.0"),
        ("dfdx of x by beta", r"(dfdx\[6\] = )", r"\1-"),
        ("dfdu of psi_dot by delta_dot", r"(dfdu\[10\] = \w+ \? )", r"\g<1>1.0000001 * "),
        ("step of", r"0\.16666666666666666 \* h \* k1\[i\]", "0.1666667 * h * k1[i]"),
        ("A of", r"(dk\[i \* 9 \+ j\] )\+= slope", r"\1-= slope"),
        ("B of", r"(dk\[i \* 9 \+ 7 \+ j\] = )", r"\1-"),
    ],
)
def test_planted_errors_are_found(function: str, right: str, wrong: str) -> None:
    source = from_model("singletrack")
    program = make_program(source)
    text, count = re.subn(right, wrong, program.text)
    assert count
    with pytest.raises(
        PctError, match=f"the exported {function}.*: expected .*, found .*nothing was written"
    ):
        check(source, program._replace(text=text), random_inputs(source, 128))


@pytest.mark.parametrize("name", ["unicycle", "singletrack", "mlp-dynamics"])
def test_without_a_compiler_the_equations_are_checked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "none")
    source = dataclasses.replace(learned_source(name), substeps=2)
    program = make_program(source)
    checked = check(source, program, random_inputs(source, 32))
    assert checked.compiler is None
    assert max(checked.differences.values()) < 1e-10
    wrong = program.equations._replace(rates=program.equations.rates[::-1])
    with pytest.raises(PctError, match="the exported derivative of"):
        check(source, program._replace(equations=wrong))


def test_a_compiler_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false")
    source = from_model("unicycle")
    with pytest.raises(PctError, match="C compiler 'false' fails"):
        check(source, make_program(source))


def corners(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """One of each operation, and comparisons joined in all ways."""
    gap = x.double - x.sin
    mask = ((x.i > 0.0) & (gap < u.t1)) | ~(xp.abs(x.sin) <= p.register)
    return x._replace(
        double=xp.maximum(x.double, x.sin) - xp.minimum(gap, u.t1) + xp.where(mask, gap, -x.i),
        sin=xp.sign(x.i) * xp.floor(x.double) + xp.arctan2(x.i, x.sin) + xp.abs(gap),
        i=xp.tanh(gap) - xp.exp(-xp.abs(x.i)) / xp.log(2.0 + x.sin**2) + xp.sqrt(1.0 + x.double**2) ** -1,
        void=xp.clip(x.i, -p.register, 0.3) * xp.where(p.register > 0.5, 2.0, xp.cos(gap)) + p.grid.sum(),
    )


def odd_model() -> ModelSpec:
    """A model whose names and texts are not ones that C likes."""
    return define_model(
        "odd: Ölmodell/2",
        states=tuple(Channel(name, name, "m") for name in ("double", "sin", "i", "void")),
        controls=(Channel("t1", "t", "*/ 1"),),
        parameters=(
            Parameter("register", "r", "1", 0.0, 1.0, 0.7, "ends /* a comment */ early??/ and\nbreaks"),
            Parameter("grid", "g", "1", 0.0, 1.0, np.full((2, 2), 0.1), "in rows", shape=(2, 2)),
        ),
        derivative=corners,
        pose=("double", "sin", "i"),
    )


@pytest.fixture
def odd_source(monkeypatch: pytest.MonkeyPatch) -> Source:
    spec = odd_model()
    monkeypatch.setitem(MODEL_SPECS, spec.name, spec)
    return from_model(spec.name)


@needs_compiler
def test_every_operation_and_any_name(odd_source: Source, strict_compiler: None) -> None:
    program = make_program(odd_source)
    assert program.prefix == "pct_odd_lmodell_2"
    assert max(check(odd_source, program).differences.values()) < 1e-10


@needs_compiler
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_so(odd_source: Source, value: float) -> None:
    inputs = random_inputs(odd_source, 8)
    for column in (0, 2):
        x = inputs.x.copy()
        x[:, column] = value
        with jax.enable_x64(True):
            exact, _ = reference(odd_source, Inputs(x, inputs.u, inputs.dt))
        found = run(make_program(odd_source), odd_source, Inputs(x, inputs.u, inputs.dt))
        np.testing.assert_array_equal(np.isfinite(found.derivative), np.isfinite(exact.derivative))


def test_numbers_are_exact_and_the_head_says_what_they_are() -> None:
    source = from_model("singletrack", "bmw-320i")
    text = make_program(source).text
    head = text.partition("*/")[0]
    for row in source.spec.parameters:
        (line,) = [line for line in head.splitlines() if line.split()[1:2] == [row.name]]
        assert repr(float(source.values[row.name])) in line
        assert row.unit in line
    for i, channel in enumerate(source.spec.states):
        assert f"x[{i}]  {channel.name}" in head
    assert "vehicle bmw-320i" in head
    assert text.count("#include") == 1
    assert make_program(source).text == text


@needs_compiler
def test_a_step_may_replace_its_state() -> None:
    source = from_model("singletrack")
    inputs = random_inputs(source, 2, seed=3)
    program = make_program(source)
    after = run(program, source, inputs).step
    text = program.text.replace("x_next[i] = y[i]", "((double *)x)[i] = x_next[i] = y[i]")
    np.testing.assert_array_equal(run(program._replace(text=text), source, inputs).step, after)


def test_a_model_without_numbers_is_told(odd_source: Source) -> None:
    inputs = random_inputs(odd_source, 8)
    with pytest.raises(PctError, match="cannot be checked: its derivative is finite at 0% of"):
        check(odd_source, make_program(odd_source), inputs._replace(x=np.full_like(inputs.x, np.nan)))


def test_equations_that_cannot_be_generated_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = define_model(
        "fourier",
        states=(Channel("s", "s", "m"),),
        controls=(Channel("u", "u", "1"),),
        parameters=(Parameter("a", "a", "1", 0.0, 1.0, 0.5, "a number"),),
        derivative=lambda x, u, p, xp: x._replace(s=xp.fft(x.s)),
        pose=("s", "s", "s"),
    )
    monkeypatch.setitem(MODEL_SPECS, "fourier", spec)
    with pytest.raises(UsageError, match=r"Model 'fourier': no C can be made of the function xp\.fft"):
        make_program(from_model("fourier"))


def test_prefix() -> None:
    assert len({prefix_of(name) for name in MODEL_SPECS}) == len(MODEL_SPECS)


DRIVER = """
#include <stdio.h>
int main(void)
{{
    double x[{S}], u[{C}], a[{S} * {S}], b[{S} * {C}], dt, sum = 0.0;
    for (;;) {{
        for (int i = 0; i < {S}; i++) if (scanf("%lf", &x[i]) != 1) {{ printf("%g\\n", sum); return 0; }}
        for (int i = 0; i < {C}; i++) if (scanf("%lf", &u[i]) != 1) return 1;
        if (scanf("%lf", &dt) != 1) return 1;
        {P}_derivative(x, u, a); sum += a[0];
        {P}_jacobian(x, u, a, b); sum += a[0] + b[0];
        {P}_step_jacobian(x, u, dt, a, b); sum += a[0] + b[0];
        {P}_step(x, u, dt, x); sum += x[0];
    }}
}}
"""


@pytest.mark.slow
@needs_compiler
@every_model
def test_sanitizers_are_silent(name: str, tmp_path: Path) -> None:
    source = learned_source(name)
    program = make_program(source)
    sizes = {"S": len(source.spec.states), "C": len(source.spec.controls), "P": program.prefix}
    (tmp_path / "main.c").write_text(program.text + DRIVER.format(**sizes))
    command = [
        *(find_compiler() or []),
        *STRICT.split(),
        *("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
        *("-o", str(tmp_path / "main"), str(tmp_path / "main.c"), "-lm"),
    ]
    subprocess.run(command, check=True, timeout=300)
    inputs = random_inputs(source)
    rows = np.concatenate([inputs.x, inputs.u, inputs.dt[:, None]], axis=1)
    text = "\n".join(" ".join(map(repr, row)) for row in rows.tolist())
    done = subprocess.run([tmp_path / "main"], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
