"""Models with known parameters as code for other programs: one file a target.

`pct.export.source` says what is exported, `pct.export.check` compares any target with JAX.
"""
