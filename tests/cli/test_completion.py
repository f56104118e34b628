"""The script that completes commands, as the shell runs it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pct.cli.completion import script

# Completes the words of the arguments after the script.
ASK = """source /dev/stdin
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
$(complete -p pct | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("tra",), {"train"}),
        (("data", ""), {"-h", "--help", "check", "import", "map"}),
        (("fit", "--data"), {"--dataset"}),
        (("train", "--integrator", ""), {"rk4", "heun", "euler"}),
    ],
)
def test_bash_completes(words: tuple[str, ...], expected: set[str]) -> None:
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", "pct", *words],
        input=script("bash"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) >= expected
    assert all(word.startswith(words[-1]) for word in done.stdout.split())


def test_zsh_names_the_program() -> None:
    assert script("zsh").startswith("#compdef pct\n")
