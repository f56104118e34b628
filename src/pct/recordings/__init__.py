"""Recordings: columns to uninterrupted trajectories, derived channels, checks."""
