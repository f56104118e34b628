"""Simulated drives whose parameters are known."""

from pct.simulation.drive import simulate as simulate
