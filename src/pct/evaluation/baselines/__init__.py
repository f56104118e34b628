"""What a model is compared with, on the very same windows; see `pct.evaluation.baselines.base`."""
