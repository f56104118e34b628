"""Fits of constant parameters: errors, descent, covariance, verdicts, curves."""
