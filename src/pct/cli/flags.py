"""Flags that commands share, how a command reads its flags, and how argument names in messages become flags.

A command's settings are one frozen dataclass. Flags that several commands have are nested dataclasses, taken
in with `tyro.conf.OmitArgPrefixes`, so that their names have no prefix; a command with another default gives
its own instance as the default. Everything else follows from the annotations: a field of type
``tuple[T, ...]`` takes several values, and repeating its flag adds to them.

Each number has its range in its annotation, see `pct.within`.

The library speaks of its arguments: ``"`horizon`: expected a whole number from 1 to 100000, got -1"``.
`as_flags` turns these names into the flags of the command that called it; nothing else does.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import tyro

from pct.cli.console import visible
from pct.errors import UsageError
from pct.within import Within, check_ranges

Config = TypeVar("Config")

# The mark of an argument without a flag in its annotation.
(POSITIONAL,) = typing.get_args(typing.cast(Any, tyro.conf.Positional)[Any])[1:]

# The time step of a rollout or a simulation.
TIME_STEP = Within(1, 6000, "hundredths of a second")

# Arguments of the library whose flag has another name.
ALIASES = {
    "hold": "fixed",
    "drives": "dataset",
    "recordings": "dataset",
    "tracker": "wandb_project",
    "sink": "wandb_project",
    "profiles": "profile",
}


@dataclasses.dataclass(frozen=True)
class DataFlags:
    """Data."""

    dataset: tuple[str, ...] = ()
    """One or more dataset folders, or folders of logs with a signals.toml; found from the
    current folder, else from the repository's root."""

    def validate(self) -> None:
        """Raise UsageError where there is no data."""
        if not self.dataset:
            raise UsageError("`dataset`: expected one folder or more, got none")


@dataclasses.dataclass(frozen=True)
class ModelFlags:
    """Vehicle model."""

    model: str = "singletrack"
    """Dynamics model: a name, or a Python file that defines one; `pct models` lists them with their
    parameters."""
    vehicle: str | None = None
    """Bounds and defaults of a named vehicle, e.g. f1tenth; `pct models` lists them. Default: those of the
    model (a 1:10 car)."""
    fixed: tuple[str, ...] = ()
    """Parameters to hold: NAME at its default, NAME=VALUE at a value in the parameter's unit."""

    def fixed_values(self) -> dict[str, float | None]:
        """``fixed`` as value by name; None holds the default.

        Raises:
            UsageError: an entry is neither NAME nor NAME=NUMBER.
        """
        return fixed_values(self.fixed)


@dataclasses.dataclass(frozen=True)
class DebugFlags:
    """Reporting of errors."""

    debug: bool = False
    """Show the traceback of an error."""


@dataclasses.dataclass(frozen=True)
class ComputeFlags(DebugFlags):
    """Where to compute."""

    device: Literal["auto", "cpu", "gpu"] = "auto"
    """What computes; the choice is printed. auto takes the CPU for fits and evaluations; for a training,
    where there is a GPU, it times one batch on each and remembers which is faster."""


@dataclasses.dataclass(frozen=True)
class RunFlags(ComputeFlags):
    """Output and caches."""

    results: Path | None = None
    """Folder of all runs. Default: results/ in the current folder."""
    compile_cache: bool = True
    """Keep compiled code in the user's cache folder, so that the next run starts at once."""


def parse(
    config: type[Config], argv: Sequence[str] | None = None, *, prog: str, default: Config | None = None
) -> Config:
    """Read and check a command's flags; leaves with exit code 2 and a message where they cannot be read.

    Args:
        config: the command's dataclass; its method ``validate`` and those of its nested dataclasses are
            called.
        argv: the arguments; those of the program when left out.
        prog: name of the command, e.g. ``pct fit``.
        default: values of the flags that are not given, in place of the dataclass's own.

    Raises:
        UsageError: a value cannot be used; the message names the field.
    """
    args = read(config, argv, prog=prog, default=default)
    validate(args)
    return args


def read(
    config: type[Config], argv: Sequence[str] | None = None, *, prog: str, default: Config | None = None
) -> Config:
    """`parse` without the check of values."""
    arguments = merge_repeated(sys.argv[1:] if argv is None else argv, list_flags(config))
    # Who wants the default leaves a flag out: help does not offer None.
    options: dict[str, Any] = {"config": (tyro.conf.DisallowNone,)}
    if default is not None:
        options["default"] = default
    shown = [visible(argument) for argument in arguments]
    if shown == arguments:
        return tyro.cli(config, prog=prog, args=arguments, **options)
    try:
        return tyro.cli(config, prog=prog, args=arguments, console_outputs=False, **options)
    except SystemExit:
        # tyro prints what it cannot read as it is: have it refuse, or help with, what can be shown.
        tyro.cli(config, prog=prog, args=shown, **options)
        raise


def validate(config: Any) -> None:
    """Check the values of a configuration: ranges, then what else nested dataclasses and its own demand."""
    check_ranges(config)
    _validate(config)


def _validate(config: Any) -> None:
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(value := getattr(config, field.name)):
            _validate(value)
    check: Callable[[], None] | None = getattr(config, "validate", None)
    if check is not None:
        check()


def fixed_values(entries: Sequence[str]) -> dict[str, float | None]:
    """``NAME`` and ``NAME=VALUE`` as value by name; None holds the default.

    Raises:
        UsageError: an entry is neither.

    Examples:
        >>> fixed_values(["C_Sf", "m=3.5"])
        {'C_Sf': None, 'm': 3.5}
    """
    values: dict[str, float | None] = {}
    for entry in entries:
        name, equals, text = entry.partition("=")
        try:
            values[name] = float(text) if equals else None
        except ValueError:
            raise UsageError(f"`fixed={entry}`: expected NAME or NAME=NUMBER") from None
    return values


def flag_values(config: Any) -> dict[str, Any]:
    """The values of a configuration by field name, those of nested dataclasses among them.

    Examples:
        >>> flag_values(RunFlags(compile_cache=False))
        {'debug': False, 'device': 'auto', 'results': None, 'compile_cache': False}
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        values |= flag_values(value) if dataclasses.is_dataclass(value) else {field.name: value}
    return values


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with other values, by field name as in `flag_values`; unknown names are passed over.

    Examples:
        >>> with_values(DataFlags(), {"dataset": ("a",)}).dataset
        ('a',)
    """
    known: Any = config
    changes = {}
    for field in dataclasses.fields(known):
        value = getattr(known, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = with_values(value, values)
        elif field.name in values:
            changes[field.name] = values[field.name]
    return dataclasses.replace(known, **changes)


def list_flags(config: type[Any]) -> tuple[str, ...]:
    """Flags that take any number of values: those of fields ``tuple[T, ...]``.

    Examples:
        >>> list_flags(ModelFlags)
        ('--fixed',)
    """
    return tuple(flag_name(name) for name, kind in _fields(config) if _is_list(kind))


def merge_repeated(arguments: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Join the values of a list flag that is given more than once, behind its first mention.

    Examples:
        >>> merge_repeated(["--fixed", "m", "--dt", "5", "--fixed", "I"], ["--fixed"])
        ['--fixed', 'm', 'I', '--dt', '5']
    """
    groups: list[list[str]] = [[]]
    lists: dict[str, list[str]] = {}
    current = groups[0]
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        flag = flag.replace("_", "-")
        if not argument.startswith("--"):
            current.append(argument)
        elif flag in flags:
            if flag not in lists:
                lists[flag] = [flag]
                groups.append(lists[flag])
            current = lists[flag]
            current += [value] if equals else []
        else:
            current = [argument]
            groups.append(current)
    return [argument for group in groups for argument in group]


def as_flags(message: str, config: type) -> str:
    """A message of the library with the names of arguments as the flags of a command.

    Names stand in backticks, alone or with a value: ```horizon```, ```fixed=m```, ```observer=False```.
    What is no field of the command's dataclass stays as it is.

    Args:
        message: of an error or a warning.
        config: the command's dataclass.

    Examples:
        >>> as_flags("`vehicle=f1`: expected one of bmw-320i, f1tenth", ModelFlags)
        '--vehicle f1: expected one of bmw-320i, f1tenth'
        >>> as_flags("`hold=C_Sf`: see `pct models`, or pass `compile_cache=False`", ModelFlags)
        '--fixed C_Sf: see `pct models`, or pass `compile_cache=False`'
    """
    kinds = dict(_fields(config))

    def flag(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        if name not in kinds:
            name = ALIASES.get(name, name)
        if name not in kinds:
            return match[0]
        if _is_positional(kinds[name]):
            return name.upper() if value is None else value
        if value == "False":
            return f"--no-{flag_name(name)[2:]}"
        if value is None or value == "True":
            return flag_name(name)
        return f"{flag_name(name)} {_hundredths(value) if name == 'dt' else value}"

    return re.sub(r"`(?P<name>[A-Za-z_]\w*)(?:=(?P<value>[^`]*))?`", flag, message)


def _hundredths(seconds: str) -> str:
    """A time step as the flag has it: the library's is in seconds."""
    try:
        return f"{100 * float(seconds):g}"
    except ValueError:  # a name that looks like an argument
        return seconds


def _fields(config: type) -> Iterator[tuple[str, Any]]:
    """Name and annotation of each field, those of nested dataclasses among them."""
    for name, kind in typing.get_type_hints(config, include_extras=True).items():
        plain = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
        if dataclasses.is_dataclass(plain):
            yield from _fields(typing.cast(type, plain))
        else:
            yield name, kind


def _is_positional(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Annotated and POSITIONAL in typing.get_args(kind)[1:]


def _is_list(kind: Any) -> bool:
    if _is_positional(kind):
        return False
    plain = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    return typing.get_origin(plain) is tuple and typing.get_args(plain)[-1] is ...


def flag_name(name: str) -> str:
    """The flag of a field, e.g. ``--val-split``."""
    return "--" + name.replace("_", "-")
