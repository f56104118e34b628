"""Nothing that only Linux has is needed to import PCT."""

from __future__ import annotations

import subprocess
import sys

# As on macOS and Windows, once the libraries, which have code of their own for those, are in.
ELSEWHERE = """
import importlib, os, pkgutil, signal, sys
import matplotlib.pyplot, msgspec, numpy, polars, rich.console, scipy.optimize, scipy.signal, tyro
import concurrent.futures.process, multiprocessing, subprocess, tempfile, jax.numpy, flax.linen, optax
import pct

for name in ("geteuid", "sched_getaffinity", "O_NOFOLLOW", "O_NONBLOCK", "killpg", "fork"):
    delattr(os, name)
for name in ("SIGHUP", "SIGALRM", "SIGXCPU", "setitimer", "pthread_sigmask"):
    delattr(signal, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
failed = []
for module in pkgutil.walk_packages(pct.__path__, "pct."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except Exception as error:
        failed.append(f"{module.name}: {error!r}")
from pct.files import private_folder, write_atomic
from pct.interpreter import cores
print(len(failed), *failed, cores() >= 1, sep="\\n")
"""


def test_imports_without_what_linux_alone_has() -> None:
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\nTrue\n", "")
