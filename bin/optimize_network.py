#!/usr/bin/env python
"""The documented entry point of training; the same as `pct train`."""

import sys

from pct.cli.main import run
from pct.cli.train import CONFIG, main, parse_args

__all__ = ["main", "parse_args"]

if __name__ == "__main__":
    run(main, CONFIG, debug="--debug" in sys.argv)
