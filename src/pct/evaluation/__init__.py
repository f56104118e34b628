"""Judges a run on drives that it has not seen: open-loop errors with intervals, beside baselines."""
