"""Constant parameters of a whole log: errors, descent, covariance, verdicts, curves."""
