"""The public names: lazily imported, typed, documented by examples that run."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import pct
from pct.lazy import PUBLIC

ROOMS = {path.name.removesuffix(".py") for path in Path(pct.__file__).parent.iterdir()}
MODULES = {"errors"}


def test_importing_the_package_loads_no_slow_library() -> None:
    slow = {"jax", "flax", "optax", "numpy", "polars", "scipy", "matplotlib", "pint", "rich", "tyro"}
    code = "import pct, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert slow.isdisjoint(loaded.stdout.split())


def test_editors_and_type_checkers_see_the_same_names() -> None:
    """The lazy table and the imports that only type checkers read name the same objects."""
    tree = ast.parse(Path(pct.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    typed = {
        alias.asname: f"{node.module}.{alias.name}" if node.module == "pct" else node.module
        for node in imports
        for alias in node.names
        if alias.asname and not alias.asname.startswith("__")
    }
    assert typed == PUBLIC
    assert dir(pct) == sorted([*PUBLIC, "__version__"])


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - MODULES))
def test_a_public_name_is_documented_and_no_room(name: str) -> None:
    value = getattr(pct, name)
    assert value is getattr(importlib.import_module(PUBLIC[name]), name)
    assert name not in ROOMS
    assert inspect.getdoc(value)


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - MODULES))
def test_a_public_function_has_an_example_and_annotations(name: str) -> None:
    value = getattr(pct, name)
    if inspect.isclass(value):
        return
    assert ">>>" in (inspect.getdoc(value) or ""), name
    signature = inspect.signature(value)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'pct' has no attribute 'trian'; did you mean 'train'"):
        _ = pct.trian


def test_the_version_is_that_of_the_package() -> None:
    assert pct.__version__.count(".") == 2
