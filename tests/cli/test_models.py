"""`pct models` prints every table, readable in 100 columns, and does not load JAX."""

import subprocess
import sys
from pathlib import Path

import pytest

from pct.cli.models import check, main, run
from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
from pct.simulation.laws import LAWS


def test_every_parameter_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 100
    text = "\n" + "\n".join(lines)
    for name, spec in MODEL_SPECS.items():
        section = text.split(f"\n{name}  (")[1].split("\n\n")[0]
        for row in spec.parameters:
            (line,) = [line for line in section.splitlines() if line.split()[:1] == [row.name]]
            assert row.unit in line
            assert row.scope in line
        for channel in (*spec.states, *spec.controls):
            assert f"{channel.name} ({channel.unit})" in " ".join(section.split())
        for option, added in spec.options.items():
            section = text.split(f"\n{name}+{option}: {added.doc}\n")[1].split("\n\n")[0]
            names = [line.split()[0] for line in section.splitlines() if line.split()]
            assert {row.name for row in added.parameters} <= {*names}
    assert "bmw-320i" in text


def test_one_model_is_printed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run("unicycle")
    text = capsys.readouterr().out
    assert "unicycle" in text
    assert "singletrack" not in text
    assert "-0.3" in text


def test_the_vehicles_are_printed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--vehicles"])
    text = capsys.readouterr().out
    assert "bmw-320i" in text
    assert "unicycle" not in text


def test_a_model_of_a_file_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "point.py"
    path.write_text(
        "from pct.dynamics import Channel, Parameter, define_model\n"
        "POINT = define_model('printed-point', \n"
        "    states=(Channel('x', 'x', 'm'), Channel('y', 'y', 'm'), Channel('psi', 'p', 'rad')),\n"
        "    controls=(Channel('vx', 'v_x', 'm/s'),),\n"
        "    parameters=(Parameter('slip', 's', '1', 0.0, 0.5, 0.1, 'share of the speed that is lost'),),\n"
        "    derivative=lambda x, u, p, xp: x._replace(x=u.vx * (1 - p.slip), y=0 * x.y, psi=0 * x.psi))\n"
    )
    try:
        main([str(path)])
    finally:
        MODEL_SPECS.pop("printed-point", None)
    text = capsys.readouterr().out
    assert "printed-point" in text
    assert "share of the speed that is lost" in text


def test_channels_that_need_two_lines_stay_indented(capsys: pytest.CaptureFixture[str]) -> None:
    run("singletrack-drift")
    lines = capsys.readouterr().out.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("  states"))
    start = lines[first].index("x (m)")
    assert "omega_r" in lines[first + 1]
    assert lines[first + 1][:start].isspace()


def test_an_unknown_model_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"unknown model 'bike'\. Known: double-track, kinematic"):
        run("bike")


def test_it_does_not_load_jax() -> None:
    code = "import sys; from pct.cli.models import run; run('unicycle'); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_command_takes_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    main(["unicycle"])
    assert "tv-linear" not in capsys.readouterr().out
    main([])
    assert "tv-linear" in capsys.readouterr().out


def test_a_model_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["unicycle", "--check"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(LAWS)
    assert all(line.startswith("ok ") for line in lines)
    path = tmp_path / "wind.py"
    path.write_text(
        "import dataclasses\n"
        "from pct.dynamics import get_model\n"
        "plain = get_model('unicycle')\n"
        "def derivative(x, u, p, xp):\n"
        "    rates = plain.derivative(x, u, p, xp)\n"
        "    return rates._replace(x=rates.x + 1.0)\n"
        "WIND = dataclasses.replace(plain, name='checked-wind', derivative=derivative)\n"
    )
    try:
        with pytest.raises(SystemExit) as stop:
            main([str(path), "--check"])
    finally:
        MODEL_SPECS.pop("checked-wind", None)
    assert stop.value.code == 1
    text = capsys.readouterr().out
    assert "FAILED  the pose does not matter\n        the rate of x: expected" in text
    with pytest.raises(UsageError, match="`check`: expected the model"):
        check(None)
