"""`f1tenth`: the 1:10 race car of the f1tenth gym, and the models' defaults.

References:
    M. O'Kelly et al., "F1TENTH: An Open-source Evaluation Environment for Continuous Control and
    Reinforcement Learning", PMLR 123 (2020); default parameters of f1tenth_gym.
"""

from pct.dynamics.bicycle import GEOMETRY, SINGLE_TRACK, straight_line_range
from pct.dynamics.limits import LIMITS
from pct.dynamics.vehicles.vehicle import Vehicle, register_vehicle

F1TENTH = register_vehicle(
    "f1tenth",
    Vehicle(
        "1:10 race car of the f1tenth gym; the models' defaults",
        {
            **{row.name: (row.low, row.default, row.high) for row in (*SINGLE_TRACK, *LIMITS)},
            **straight_line_range(3.0, *(row.default for row in GEOMETRY)),
        },
        source="f1tenth_gym, default parameters; M. O'Kelly et al., PMLR 123 (2020)",
        url="https://github.com/f1tenth/f1tenth_gym",
    ),
)
