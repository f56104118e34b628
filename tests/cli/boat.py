"""A boat of three degrees of freedom: no name of its states, controls and parameters is one of a car's.

m du/dt = T - d_u u |u| + m v r       m dv/dt = -d_v v - m u r + F       I dr/dt = -d_r r - a F
F = -k u |u| rudder
"""

from typing import Any

from pct.dynamics import Channel, Parameter, define_model

STATES = (
    Channel("east", "E", "m", scale=0.5, noise=0.2, typical=50.0),
    Channel("north", "N", "m", scale=0.5, odd=True, noise=0.2, typical=50.0),
    Channel("compass", r"\chi", "rad", angle=True, odd=True, scale=0.05, noise=0.005, typical=4.0),
    Channel("surge", "u", "m/s", scale=0.1, limit=40.0, noise=0.03, typical=8.0),
    Channel("sway", "v", "m/s", scale=0.1, odd=True, limit=20.0, noise=0.03, typical=2.0),
    Channel(
        "turn", "r", "rad/s", scale=0.05, odd=True, limit=5.0, noise=0.005, typical=0.6, rate_of="compass"
    ),
    Channel("rudder", r"\rho", "rad", scale=0.05, odd=True, limit=1.5, noise=0.002, typical=0.5),
)
CONTROLS = (
    Channel(
        "rudder_rate", r"\dot\rho", "rad/s", scale=0.2, odd=True, limit=5.0, typical=0.4, held=True,
        rate_of="rudder",
    ),
    Channel("thrust", "T", "kN", scale=0.5, limit=50.0, typical=4.0, held=True),
)  # fmt: skip
PARAMETERS = (
    Parameter("displacement", "m", "t", 0.5, 5.0, 1.5, "mass of the boat and its water", scope="fixed"),
    Parameter("turning", "I", "t m^2", 0.5, 10.0, 3.0, "yaw inertia", role="yaw inertia"),
    Parameter("hull", "d_u", "t/m", 0.01, 0.5, 0.08, "drag along", role="drag"),
    Parameter("keel", "d_v", "t/s", 0.5, 10.0, 3.0, "drag across"),
    Parameter("wake", "d_r", "t m^2/s", 0.5, 20.0, 6.0, "drag of turning", log=True),
    Parameter("blade", "k", "t/m", 0.01, 0.5, 0.12, "lift of the rudder"),
    Parameter("stern", "a", "m", 0.5, 4.0, 2.0, "rudder behind the centre of gravity", scope="fixed"),
)


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[east, north, compass, surge, sway, turn, rudder]``."""
    cos, sin = xp.cos(x.compass), xp.sin(x.compass)
    force = -p.blade * x.surge * xp.abs(x.surge) * x.rudder
    drag = p.hull * x.surge * xp.abs(x.surge)
    return x._replace(
        east=x.surge * cos - x.sway * sin,
        north=x.surge * sin + x.sway * cos,
        compass=x.turn,
        surge=(u.thrust - drag) / p.displacement + x.sway * x.turn,
        sway=(force - p.keel * x.sway) / p.displacement - x.surge * x.turn,
        turn=(-p.wake * x.turn - p.stern * force) / p.turning,
        rudder=u.rudder_rate - 0.5 * x.rudder,
    )


BOAT = define_model(
    "boat",
    states=STATES,
    controls=CONTROLS,
    parameters=PARAMETERS,
    derivative=derivative,
    pose=("east", "north", "compass"),
)
