"""`av-21`: the Dallara AV-21, full-size race car of the Indy Autonomous Challenge.

References:
    [1] J. Chrosniak, J. Ning, M. Behl, "Deep Dynamics: Vehicle Dynamics Modeling with a
        Physics-Constrained Neural Network for Autonomous Racing", arXiv:2312.04374; configuration for
        the Indy Autonomous Challenge: axle distances, mass, bounds of the yaw inertia.
    [2] "Vehicle Dynamics" of the AWSIM racing simulator, Dallara AV-21R: yaw inertia, steering, tracks. It
        calls 1.638762 m and 1.523969 m half the tracks, which no car of less than 2 m fits: they are whole.
        https://autonomalabs.github.io/AWSIM/RacingSim/VehicleDynamics/
"""

import math

from pct.dynamics.bicycle import straight_line_range
from pct.dynamics.vehicles.ranges import both_axles
from pct.dynamics.vehicles.vehicle import Vehicle, register_vehicle

# Assumed, as not published, from what such cars are like: friction and cornering stiffness of slicks, the
# height of the centre of gravity, where acceleration and speed end, drivetrain, brakes, wheels and roll
# stiffness; wings are none until they are fitted.
AV_21 = register_vehicle(
    "av-21",
    Vehicle(
        "Dallara AV-21, full-size race car of the Indy Autonomous Challenge",
        {
            "mu": (0.2, 1.4, 2.5),
            "C_Sf": (5.0, 20.0, 40.0),
            "C_Sr": (5.0, 20.0, 40.0),
            "lf": (0.8, 1.248, 2.2),
            "lr": (0.8, 1.7328, 2.2),
            "h": 0.3,
            "m": (600.0, 790.0, 1000.0),
            "I": (500.0, 800.0, 2000.0),
            "s_min": -math.radians(240.0 / 15.0),
            "s_max": math.radians(240.0 / 15.0),
            "sv_min": -math.radians(500.0 / 15.0),
            "sv_max": math.radians(500.0 / 15.0),
            "v_switch": 30.0,
            "a_max": 15.0,
            "v_min": -5.0,
            "v_max": 90.0,
            "v_blend_low": 2.0,
            "v_blend_high": 5.0,
            **straight_line_range(25.0, lf=1.248, lr=1.7328),
            **both_axles(1.4, 20.0, 790.0, 1.248, 1.7328, 1.35, 0.0),
            "C_m1": (1000.0, 6000.0, 20000.0),
            "C_m2": (0.0, 10.0, 300.0),
            "C_r0": (0.0, 116.0, 3000.0),  # with the drag of an engine in gear
            "C_r2": (0.0, 0.7, 3.0),
            "C_b": (1000.0, 9000.0, 30000.0),
            "k_b": 0.0,
            "p_kx1": 28.5,
            "p_ky1": -28.0,
            "R_w": 0.31,
            "I_y_w": 2.0,
            "T_sb": 0.6,
            "T_se": 0.0,
            "track_f": 1.638,
            "track_r": 1.523,
            "roll_f": (0.2, 0.5, 0.8),
            "k_mu": (0.0, 0.1, 0.4),
            "C_lf": (0.0, 0.0, 2.0),
            "C_lr": (0.0, 0.0, 3.0),
            "diff_pre": (0.0, 0.0, 20000.0),
            "diff_lock": (0.0, 0.0, 1.0),
        },
        source="J. Chrosniak, J. Ning, M. Behl, Deep Dynamics, arXiv:2312.04374; AWSIM, Dallara AV-21R",
        url="https://github.com/linklab-uva/deep-dynamics",
    ),
)
