#!/usr/bin/env python
"""The documented entry point of training; the same as `pct train`."""

import sys
from types import SimpleNamespace

from pct.cli.flags import flag_values, validate
from pct.cli.main import run
from pct.cli.train import CONFIG, main
from pct.cli.train_config import parse_args as parse_config


def parse_args(argv: list[str] | None = None) -> SimpleNamespace:
    """The settings by flag, each an attribute, e.g. ``args.batch_size``."""
    config = parse_config(argv)
    validate(config)
    return SimpleNamespace(**flag_values(config))


if __name__ == "__main__":
    run(main, CONFIG, debug="--debug" in sys.argv)
