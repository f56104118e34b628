#!/usr/bin/env python
"""The documented entry point of training; the same as `pct train`."""

from types import SimpleNamespace

from pct.cli.main import main


def parse_args(argv: list[str] | None = None) -> SimpleNamespace:
    """The settings by flag, each an attribute, e.g. ``args.batch_size``."""
    from pct.cli.flags import flag_values, validate
    from pct.cli.train_config import parse_args as parse_config

    config = parse_config(argv)
    validate(config)
    return SimpleNamespace(**flag_values(config))


if __name__ == "__main__":
    main(command="train")
