"""Rollouts and their gradients as generated machine code, from the same equations that JAX reads."""
