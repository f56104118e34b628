"""`bmw-320i`: the BMW 320i of CommonRoad.

References:
    M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, vehicle 2, with the unit
    conversions of its implementation.
"""

from pct.dynamics.bicycle import straight_line_range
from pct.dynamics.vehicles.ranges import around, both_axles
from pct.dynamics.vehicles.vehicle import Vehicle, register_vehicle

FOOT = 0.3048
POUND_FORCE = 4.4482216152605
SLUG = POUND_FORCE / FOOT
"""Foot, pound-force and their mass (lbf s^2/ft) in m, N and kg."""

BMW_320I = register_vehicle(
    "bmw-320i",
    Vehicle(
        "BMW 320i, vehicle 2 of CommonRoad",
        {
            "mu": 1.0489,
            "C_Sf": (5.0, 21.92 / 1.0489, 40.0),
            "C_Sr": (5.0, 21.92 / 1.0489, 40.0),
            "lf": (0.8, FOOT * 3.793293, 1.8),
            "lr": (0.8, FOOT * 4.667707, 1.8),
            "h": FOOT * 2.01355,
            "m": around(SLUG * 74.91452, 2.0),
            "I": around(POUND_FORCE * FOOT * 1321.416, 2.0),
            "s_min": -1.066,
            "s_max": 1.066,
            "sv_min": -0.4,
            "sv_max": 0.4,
            "v_switch": 7.319,
            "a_max": 11.5,
            "v_min": -13.6,
            "v_max": 50.8,
            "v_blend_low": 2.0,
            "v_blend_high": 5.0,
            **straight_line_range(15.0, lf=FOOT * 3.793293, lr=FOOT * 4.667707),
            # The tyre of the drift model, read as one of pure slip.
            **both_axles(
                1.0489, 21.92 / 1.0489, SLUG * 74.91452, FOOT * 3.793293, FOOT * 4.667707, 1.3507, -0.0074722
            ),
            # Not published: a drivetrain that reaches the top speed, and brakes as strong as the tyres.
            "C_m1": (1000.0, 5000.0, 15000.0),
            "C_m2": (0.0, 72.0, 300.0),
            "C_r0": (0.0, 160.0, 1000.0),
            "C_r2": (0.0, 0.45, 3.0),
            "C_b": (1000.0, 11000.0, 30000.0),
            "k_b": 0.0,
            "p_kx1": 22.303,
            "p_ky1": -21.92,
            "R_w": 0.344,
            "I_y_w": 1.7,
            "T_sb": 0.66,
            "T_se": 0.0,
            "track_f": FOOT * 4.55,
            "track_r": FOOT * 4.475,
            # Springs over half the track squared, and the bars, of CommonRoad's multi-body model.
            "roll_f": (0.2, 0.593, 0.9),
            "k_mu": (0.0, 0.1, 0.4),
            "C_lf": (0.0, 0.0, 1.0),
            "C_lr": (0.0, 0.0, 1.0),
            "diff_pre": (0.0, 0.0, 30000.0),
            "tau_w": 0.0,
        },
        source="M. Althoff, G. Würsching, CommonRoad: Vehicle Models, TU Munich, 2020, vehicle 2",
        url="https://gitlab.lrz.de/tum-cps/commonroad-vehicle-models",
    ),
)
