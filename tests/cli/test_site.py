"""The documentation site: its pages come from the code, and all its links lead somewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pct.cli.main import COMMANDS
from pct.dynamics import MODEL_SPECS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_site_builds_without_a_warning() -> None:
    pytest.importorskip("zensical", reason="make docs installs it")
    subprocess.run([sys.executable, ROOT / "docs/site/generate.py"], check=True)
    config = ROOT / "build/docs/zensical.toml"
    subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict", "-f", config], check=True
    )
    reference = ROOT / "build/docs/site/reference"
    assert all((reference / "models" / f"{name}.html").is_file() for name in MODEL_SPECS)
    assert all((reference / "commands" / f"{name.replace(' ', '_')}.html").is_file() for name in COMMANDS)
    model = (reference / "models" / "unicycle.html").read_text()
    assert model.count("<math") == len(MODEL_SPECS["unicycle"].states)
