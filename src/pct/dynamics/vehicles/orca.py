"""`orca`: the 1:43 race car of ETH Zurich, as in BayesRace.

References:
    A. Liniger, A. Domahidi, M. Morari, "Optimization-based autonomous racing of 1:43 scale RC cars", Optimal
    Control Applications and Methods 36 (2015): the ORCA car. Figures of the BayesRace simulator, A. Jain,
    M. O'Kelly, P. Chaudhari, M. Morari, "BayesRace: Learning to race autonomously using prior experience",
    CoRL 2020; bounds of J. Chrosniak, J. Ning, M. Behl, "Deep Dynamics", arXiv:2312.04374, for it.
"""

from pct.dynamics.bicycle import straight_line_range
from pct.dynamics.vehicles.ranges import around, axle
from pct.dynamics.vehicles.vehicle import Vehicle, register_vehicle

# BayesRace has one tyre formula an axle: friction and stiffness follow from it under the static load. It
# limits neither steering nor its rate. Not published: what the wheels are like, and speeds beyond 4 m/s.
ORCA = register_vehicle(
    "orca",
    Vehicle(
        "1:43 race car of ETH Zurich (ORCA), as in BayesRace",
        {
            **axle("f", 2.579, 1.2, 0.192),
            **axle("r", 3.3852, 1.2691, 0.1737),
            "C_m1": around(0.287, 2.0),
            "C_m2": around(0.0545, 2.0),
            "C_r0": around(0.0518, 2.0),
            "C_r2": around(0.00035, 2.0),
            "C_b": (0.0, 0.0, 0.5),
            "mu": 0.91,
            "C_Sf": 2.579 * 1.2,
            "C_Sr": 3.3852 * 1.2691,
            "lf": (0.015, 0.029, 0.06),
            "lr": (0.015, 0.033, 0.06),
            "h": 0.0,
            "m": around(0.041, 2.0),
            "I": around(27.8e-6, 2.0),
            "s_min": -0.6,
            "s_max": 0.6,
            "sv_min": -60.0,
            "sv_max": 60.0,
            "v_switch": 5.0,
            "a_max": 5.0,
            "v_min": -1.0,
            "v_max": 5.0,
            "v_blend_low": (0.01, 0.05, 1.0),
            "v_blend_high": (0.02, 0.1, 2.0),
            **straight_line_range(1.5, lf=0.029, lr=0.033),
            "p_kx1": 3.4,
            "p_ky1": -3.4,
            "R_w": 0.0125,
            "I_y_w": 1.5e-7,
            "T_sb": 0.0,
            "T_se": 0.0,
            "track_f": 0.03,
            "track_r": 0.03,
            "C_lf": (0.0, 0.0, 0.005),
            "C_lr": (0.0, 0.0, 0.005),
            "diff_pre": (0.0, 0.0, 1.0),
        },
        source="A. Jain et al., BayesRace, CoRL 2020; A. Liniger et al., OCAM 36 (2015)",
        url="https://github.com/jainachin/bayesrace",
    ),
)
