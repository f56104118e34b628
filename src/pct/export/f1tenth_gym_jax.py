"""`f1tenth-gym-jax`: ``Param`` of f1tenth_gym_jax, whose keys and equations are those of f1tenth_gym.

It switches from rolling to slipping at another speed.

References:
    f1tenth_gym_jax, ``envs/dynamic_models.vehicle_dynamics_st_switching`` and ``envs/utils.Param``.
    https://github.com/f1tenth/f1tenth_gym_jax
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pct.export.f1tenth_gym import Gym
from pct.export.parameters import Entry, Head
from pct.export.source import Source
from pct.export.texts import commented, python_dict


class JaxGym(Gym):
    """Keyword arguments of ``Param``."""

    name = "f1tenth-gym-jax"
    reader = "f1tenth_gym_jax, vehicle_dynamics_st_switching"
    file = "f1tenth_gym_jax_params.py"
    rolls = 1.5

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """Python: the arguments, and how to use them."""
        use = "# from f1tenth_gym_jax.envs.utils import Param; Param(**params)\n"
        return {self.file: f"{commented(head.lines)}{use}params = {python_dict(entries)}".encode()}


TARGET = JaxGym()
export = TARGET.export
