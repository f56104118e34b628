"""Simulated drives whose parameters are known."""
