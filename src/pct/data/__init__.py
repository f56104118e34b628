"""Driving logs to trajectories, windows and features."""
