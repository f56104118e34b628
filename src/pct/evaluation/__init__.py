"""Evaluation of a run on unseen recordings: open-loop errors with intervals, beside baselines."""
