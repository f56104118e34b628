"""The program as the shell sees it: help, exit codes, Ctrl-C, output off a terminal."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pct.cli.edge import run
from pct.cli.main import COMMANDS, main
from pct.cli.stopping import Stopping
from pct.runs import checkpoint
from pct.runs.model_files import load_network

ROOT = Path(__file__).parents[2]


def leaves_with(code: int, *arguments: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == code


# Help.


@pytest.mark.parametrize("arguments", [["--help"], *([*name.split(), "--help"] for name in COMMANDS)])
def test_help_loads_nothing_slow(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from pct.cli.main import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0, stop.code\n"
        "slow = {'jax', 'flax', 'optax', 'matplotlib', 'polars', 'scipy', 'pint', 'wandb'}\n"
        "print('slow:', *slow & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "slow:"
    assert "usage: pct" in done.stdout


def test_nothing_waits_for_what_draws_before_there_is_a_result() -> None:
    code = (
        "import sys\n"
        "slow = {'matplotlib', 'PIL', 'flax', 'optax', 'orbax', 'scipy.stats', 'scipy.optimize', 'jinja2'}\n"
        "import pct.cli.fit, pct.api.fits, pct.runs.fits, pct.evaluation.fit_report\n"
        "print('fit:', *slow & set(sys.modules))\n"
        "import pct.cli.train_tables, pct.evaluation.scenarios, pct.evaluation.report, pct.api.scores\n"
        "print('others:', *{'matplotlib', 'PIL', 'orbax', 'jinja2', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fit:", "others:"]


def test_the_documented_entry_point_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / "optimize_network.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for flag in (
        *("--dataset", "--val-dataset", "--model", "--feature-mode", "--samples", "--val-samples", "--dt"),
        *("--horizon", "--history", "--stride", "--epochs", "--batch-size", "--lr", "--lr-patience"),
        *("--lr-factor", "--min-lr", "--curriculum-batches", "--curriculum-timesteps", "--model-hidden"),
        *("--dynamics-hidden-size", "--dataset-cache", "--val-dataset-cache", "--refresh-cache"),
        *("--summary-chunk-size", "--seed", "--output", "--wandb-project", "--integrator", "--fixed"),
        "--no-analysis",
    ):
        assert flag in done.stdout, flag


def test_without_a_command_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    leaves_with(2)
    shown = capsys.readouterr().out
    names = {"export" if name.startswith("export ") else name for name in COMMANDS}
    assert all(f"\n  {name} " in shown for name in names)
    leaves_with(0, "-h")


def test_an_unknown_command_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    leaves_with(2, "drive")
    told = capsys.readouterr().err.strip()
    names = ", ".join(dict.fromkeys(name.split()[0] for name in COMMANDS))
    assert told == f"pct: unknown command 'drive'. Commands: {names}"
    assert names.startswith("demo, run, data, simulate, fit, train, sweep, fleet, evaluate, ")
    leaves_with(2, "trian")
    assert "unknown command 'trian': did you mean 'train'? Commands: demo" in capsys.readouterr().err


# Errors.


@pytest.mark.parametrize("debug", [False, True])
def test_a_traceback_is_shown_on_request_only(capsys: pytest.CaptureFixture[str], debug: bool) -> None:
    flags = ["--debug"] if debug else []
    leaves_with(3, "train", "--dataset", "no/such/folder", *flags)
    told = capsys.readouterr().err
    assert ("Traceback" in told) == debug
    assert told.splitlines()[-1].startswith("error: --dataset no/such/folder: expected a folder")


# Ctrl-C, off a terminal.


def test_an_interrupt_while_modules_load_says_nothing() -> None:
    code = """
import signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "pct.cli.edge":
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored where the tests run
sys.meta_path.insert(0, Interrupting())
from pct.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code, "models"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_signal_may_come_while_something_is_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Busy(io.StringIO):
        def write(self, text: str) -> int:
            raise RuntimeError("reentrant call")

    monkeypatch.setattr(sys, "stderr", Busy())
    with Stopping() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping()
    assert "stopping after this step" in capfd.readouterr().err


def test_an_interrupt_saves_what_was_learned(data: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    command = [
        *(sys.executable, str(ROOT / "bin" / "optimize_network.py"), "--dataset", str(data / "train")),
        *(
            "--model",
            "unicycle",
            "--model-hidden",
            "8",
            "--horizon",
            "3",
            "--history",
            "4",
            "--samples",
            "12",
        ),
        *("--integrator", "euler", "--substeps", "1", "--no-history-fit", "--no-analysis"),
        *("--epochs", "1000000", "--results", str(tmp_path)),
    ]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith("epoch 3/"):
                process.send_signal(signal.SIGINT)
                break
        _, rest = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, "".join([*told, rest])
    last = rest.splitlines()
    (run,) = (tmp_path / "unicycle").iterdir()
    assert last[-3:] == [
        f"What was learned until then is in {run}",
        f"Resume with: pct train --resume {run}",
        "interrupted",
    ]
    assert "Traceback" not in rest
    assert json.loads((run / "FAILED").read_text())["reason"] == "interrupted"
    assert not (run / "DONE").exists()
    network = load_network(run)
    checkpoint.load_params(run / checkpoint.MODEL_PARAMS, network.params)
    assert (run / checkpoint.OPTIMIZER_STATE).is_file()
    curves = json.loads((run / "pct_network_loss.json").read_text())
    assert curves["epoch_step"][:3] == [1, 2, 3]
    assert (run / "pct_network_loss.png").is_file()


def test_sigterm_is_an_interrupt(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    former = signal.getsignal(signal.SIGTERM)
    request.addfinalizer(lambda: signal.signal(signal.SIGTERM, former))
    cleared = []

    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleared.append(True)

    with pytest.raises(SystemExit) as caught:
        run(command)
    assert (caught.value.code, capsys.readouterr().err, cleared) == (130, "interrupted\n", [True])
