"""Rollouts of a model: integration, lanes, histories, generated native code."""
