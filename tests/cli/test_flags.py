"""Shared flags: list flags follow from annotations, defaults from the command, messages from its fields."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest
import tyro

from pct.cli.flags import (
    DataFlags,
    ModelFlags,
    RunFlags,
    as_flags,
    flag_values,
    list_flags,
    parse,
    with_values,
)
from pct.cli.main import COMMANDS, choose, main
from pct.errors import DataError, UsageError
from pct.optimization.settings import FitSettings


@dataclasses.dataclass(frozen=True)
class Config:
    """A command with every kind of flag."""

    log: tyro.conf.Positional[Path | None] = None
    data: tyro.conf.OmitArgPrefixes[DataFlags] = dataclasses.field(default_factory=DataFlags)
    car: tyro.conf.OmitArgPrefixes[ModelFlags] = dataclasses.field(
        default_factory=lambda: ModelFlags(model="unicycle")
    )
    windows: tyro.conf.OmitArgPrefixes[FitSettings] = dataclasses.field(
        default_factory=lambda: FitSettings(stride=1)
    )
    dt: int | None = None
    place: tyro.conf.OmitArgPrefixes[RunFlags] = dataclasses.field(default_factory=RunFlags)
    speed: tuple[float, float] = (1.0, 2.0)
    at: tuple[float, ...] = ()
    observer: bool = True
    wandb_project: str | None = None

    def validate(self) -> None:
        if self.wandb_project == "":
            raise UsageError("`wandb_project`: expected a name")


def test_nested_flags_have_no_prefix_and_keep_the_commands_defaults() -> None:
    args = parse(Config, ["--dataset", "a", "--vehicle", "f1tenth", "--horizon", "7", "--no-debug"], prog="x")
    assert args.data.dataset == ("a",)
    assert (args.car.model, args.car.vehicle) == ("unicycle", "f1tenth")
    assert (args.windows.horizon, args.windows.stride) == (7, 1)
    assert not args.place.debug


def test_repeating_a_list_flag_adds() -> None:
    argv = ["--at", "1", "--dataset", "a", "--at=2", "--dt", "5", "--dataset", "b", "c", "--dt", "10"]
    args = parse(Config, argv, prog="x")
    assert args.at == (1.0, 2.0)
    assert args.data.dataset == ("a", "b", "c")
    assert args.dt == 10
    assert list_flags(Config) == ("--dataset", "--fixed", "--compare", "--at")


def test_a_pair_is_no_list() -> None:
    args = parse(Config, ["--dataset", "a", "--speed", "3", "4", "--speed", "5", "6"], prog="x")
    assert args.speed == (5.0, 6.0)


def test_a_default_holds_where_the_command_line_is_silent() -> None:
    saved = with_values(Config(), {"dataset": ("a",), "horizon": 3, "observer": False, "unknown": 1})
    args = parse(Config, ["--horizon", "4"], prog="x", default=saved)
    assert flag_values(args) == {**flag_values(saved), "horizon": 4}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "`dataset`: expected one folder or more, got none"),
        (["--dataset", "a", "--horizon", "0"], "`horizon`: expected a whole number from 1 to 100000, got 0"),
        (["--dataset", "a", "--wandb-project", ""], "`wandb_project`: expected a name"),
    ],
)
def test_values_are_checked_at_every_level(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(Config, argv, prog="x")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`horizon`: too long", "--horizon: too long"),
        ("`val_dataset` and `dataset`", "`val_dataset` and --dataset"),
        ("lower `hold=C_Sf` or `hold`", "lower --fixed C_Sf or --fixed"),
        ("`tracker=lab`: no such service", "--wandb-project lab: no such service"),
        ("pass `observer=False`, not `observer=True`", "pass --no-observer, not --observer"),
        ("pass `dt=0.1`", "pass --dt 10"),
        ("`log`: expected a file; see `pct models`", "LOG: expected a file; see `pct models`"),
        ("`log=a.csv`: expected a file", "a.csv: expected a file"),
    ],
)
def test_argument_names_become_flags(message: str, shown: str) -> None:
    assert as_flags(message, Config) == shown


def test_an_error_of_the_library_speaks_of_flags(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(argv: object) -> None:
        raise DataError("`dataset=a`: expected a folder, found nothing")

    monkeypatch.setattr("pct.cli.fit.main", command)
    with pytest.raises(SystemExit) as stop:
        main(["fit"])
    assert stop.value.code == 3
    assert capsys.readouterr().err == "error: --dataset a: expected a folder, found nothing\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_configuration(name: str) -> None:
    module = importlib.import_module(COMMANDS[name][0])
    assert dataclasses.is_dataclass(module.CONFIG)
    assert callable(module.main)
    assert choose([*name.split(), "--help"]) == (name, ["--help"])


def test_a_group_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for argv, code in ((["data", "--help"], 0), (["data"], 2), (["export", "drum"], 2)):
        with pytest.raises(SystemExit) as stop:
            choose(argv)
        assert stop.value.code == code
    shown = capsys.readouterr()
    assert shown.out.count("\n  check   find what is wrong") == 2
    assert shown.err.startswith("pct export: unknown command 'drum'. Commands: c, ")
    with pytest.raises(SystemExit) as stop:
        choose(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("pct ")


def test_the_list_of_commands_is_whole_and_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        choose(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    listed = {line[2:15].strip() for line in lines if line.startswith("  ")}
    assert listed == {name if name.split()[0] != "export" else "export" for name in COMMANDS}
