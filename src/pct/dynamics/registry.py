"""Where models come from: those of this package, installed packages, and a user's own file.

An installed package offers models through the entry-point group `ENTRY_POINTS`; each entry names a
`ModelSpec`, or a module that registers some. They are loaded when a name is asked for that is not known.

A user's own file is run because the user named it. It needs its tables and one function:

    from pct.dynamics import Channel, Parameter, define_model

    BOAT = define_model("boat", states=(...), controls=(...), parameters=(...), derivative=derivative)
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

from pct.dynamics.core import MODEL_SPECS, ModelSpec, register_model_spec, unknown_name
from pct.dynamics.variants import with_options
from pct.errors import UsageError

ENTRY_POINTS = "pct.models"


def get_model(name: str) -> ModelSpec:
    """A model by its name, its options behind it with a plus each.

    Raises:
        UsageError: an unknown name or option, with the nearest and all known ones.

    Examples:
        >>> get_model("singletrack-pacejka+combined-slip").parameter("mu_xy").doc
        'friction along over across'
    """
    if name in MODEL_SPECS:
        return MODEL_SPECS[name]
    name, *options = name.split("+")
    if name not in MODEL_SPECS:
        load_installed_models()
    if name not in MODEL_SPECS:
        raise unknown_name("model", name, sorted(MODEL_SPECS))
    return _variant(MODEL_SPECS[name], tuple(options))


@functools.cache
def _variant(spec: ModelSpec, options: tuple[str, ...]) -> ModelSpec:
    """One object for one model, so that caches know it."""
    return with_options(spec, options)


def is_model_file(name_or_path: str | Path) -> bool:
    """Whether this is the path of a file that defines a model, not a name."""
    return str(name_or_path).endswith(".py")


def resolve_model(name_or_path: str | Path) -> ModelSpec:
    """A model by its name, or by the path of the file that defines it (see `is_model_file`).

    Raises:
        UsageError: an unknown name, or a file that defines no model.
    """
    if is_model_file(name_or_path):
        return load_model_file(name_or_path)
    return get_model(str(name_or_path))


def load_model_file(path: str | Path) -> ModelSpec:
    """Run a user's file and register the model that it defines.

    A file that was loaded before is not run again.

    Args:
        path: a Python file; one of its names is a `ModelSpec`, or it registers one.

    Raises:
        UsageError: there is no such file, it cannot be run, or it does not define exactly one new model.
    """
    source = Path(path).resolve()
    if source in _LOADED:
        return MODEL_SPECS.setdefault(_LOADED[source].name, _LOADED[source])
    if not source.is_file():
        raise UsageError(f"`model={path}`: expected a Python file that defines a model, found no such file")
    before = set(MODEL_SPECS)
    module_name = f"pct_model_{source.stem}"
    module_spec = importlib.util.spec_from_file_location(module_name, source)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"`model={path}`: the file cannot be run: {type(error).__name__}: {error}"
        ) from error
    registered = [spec for name, spec in MODEL_SPECS.items() if name not in before]
    own = [v for v in vars(module).values() if isinstance(v, ModelSpec) and v not in MODEL_SPECS.values()]
    defined = registered or list({id(spec): spec for spec in own}.values())
    if len(defined) != 1:
        names = ", ".join(spec.name for spec in defined) or "none"
        raise UsageError(f"`model={path}`: expected a file that defines one model, found {names}")
    (spec,) = defined
    if not registered:
        if spec.name in MODEL_SPECS:
            raise UsageError(
                f"`model={path}`: a model named '{spec.name}' is already registered: rename it, "
                "or ask for that one by its name"
            )
        register_model_spec(spec)
    _LOADED[source] = spec
    return spec


@functools.cache
def load_installed_models() -> None:
    """Load every model that an installed package offers.

    Raises:
        UsageError: a package whose model cannot be loaded.
    """
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            loaded = entry.load()
        except Exception as error:
            raise UsageError(
                f"the installed model '{entry.name}' ({entry.value}) cannot be loaded: {error}"
            ) from error
        if isinstance(loaded, ModelSpec) and loaded.name not in MODEL_SPECS:
            register_model_spec(loaded)


_LOADED: dict[Path, ModelSpec] = {}
