"""The channel, unit and axle that a column name indicates."""

from __future__ import annotations

import re

from pct.logs.readers.computed import formula_of
from pct.logs.units import WRITTEN

# Names of signals in German, as on the buses of many cars, and how they are called here; the longest first.
GERMAN = {
    "lenkradwinkel": "steering_wheel_angle",
    "radlenkwinkel": "wheel_angle",
    "lenkwinkel": "steering_angle",
    "gierwinkel": "yaw",
    "giergeschwindigkeit": "yaw_rate",
    "gierrate": "yaw_rate",
    "schwimmwinkel": "slip_angle",
    "radgeschwindigkeit": "wheel_speed",
    "raddrehzahl": "wheel_speed",
    "laengsgeschwindigkeit": "longitudinal_velocity",
    "quergeschwindigkeit": "lateral_velocity",
    "geschwindigkeit": "speed",
    "laengsbeschleunigung": "longitudinal_acceleration",
    "querbeschleunigung": "lateral_acceleration",
    "fahrpedal": "throttle",
    "gaspedal": "throttle",
    "bremspedal": "brake",
    "breitengrad": "latitude",
    "laengengrad": "longitude",
    "zeitstempel": "timestamp",
}
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_PEDAL = r"(_(ped|pedal|pos|position|cmd|command|input|pct|percent|pwm|pulse|norm|normalized))*"
# Patterns over the words of a name, in lower case and joined by one underscore.
NAMES = {
    "time": r"(^|_)(t|time|timestamp|stamp|times|secs?|seconds|elapsed|clock)(_(s|sec|ms|us|ns))?$"
    r"|(^|_)(utc|tod|time_of_day|hhmmss(cc|mmm)?)$",
    "x": r"(^|_)(x|px|pos_x|x_pos|x_position|east|easting)$",
    "y": r"(^|_)(y|py|pos_y|y_pos|y_position|north|northing)$",
    "psi": r"(^|_)(psi|yaw|heading|theta|phi|course|yaw_angle|heading_angle|azimuth)$"
    r"|(^|_)(euler(_angles)?|rotation)_y$|(^|_)(hdg|cog|bearing|true_track|track_angle|course_over_ground)$",
    "psi_dot": r"yaw_?(rate|speed)|(psi|yaw|theta|heading)_dot|(^|_)d_?(psi|yaw)$"
    r"|(^|_)(omega(_z)?|wz|w_z|r|yaw_vel)$|(angular|ang)(_vel|_velocity|_rate)?_z$|heading_rate|ang(ular)?_rate_down|yaw_velocity|gyr(o|oscope)?_?z$",
    "vx": r"(^|_)(vx|v_x|linear_x|v_?lon|v_?long)$|(^|_)(vel|velocity|speed)(_[a-z]+)?_x$"
    r"|(^|_)(longitudinal|long|lon|forward|fwd)_(velocity|speed|vel)$"
    r"|(^|_)(vel|velocity|speed)_(longitudinal|long|lon|forward|fwd)$",
    "vy": r"(^|_)(vy|v_y|linear_y|v_?lat)$|(^|_)(vel|velocity|speed)(_[a-z]+)?_y$"
    r"|(^|_)(lateral|lat)_(velocity|speed|vel)$|(^|_)(vel|velocity|speed)_(lateral|lat)$",
    "v": r"(^|_)(v|speed|velocity|vel|vehicle_speed|spd|erpm|sog|speed_over_ground|v_ego)$",
    "ax": r"(^|_)(ax|a_x|a_?lon|a_?long|a_ego)$|(^|_)(acc|accel|acceleration|accelerometer)(_[a-z]+)?_?x$"
    r"|(^|_)lon(g|gitudinal)?_?(g|g_force|acc(el(eration)?)?)$"
    r"|(^|_)(acc|accel|acceleration|g|g_force)_(longitudinal|long|lon|forward|fwd)$",
    "ay": r"(^|_)(ay|a_y|a_?lat)$|(^|_)(acc|accel|acceleration|accelerometer)(_[a-z]+)?_?y$"
    r"|(^|_)lat(eral)?_?(g|g_force|acc(el(eration)?)?)$"
    r"|(^|_)(acc|accel|acceleration|g|g_force)_(lateral|lat)$",
    "delta": r"(^|_)(delta(_f)?|steer(ing|ed)?|steer(ing|ed)?_?(tire_|tyre_|wheel_)?angle|wheel_angle)$"
    rf"|(^|_)steer(ing)?{_PEDAL}$|(^|_)(rwa|steer(ing)?_road(_wheel)?(_angle)?|steer(ing)?_ang|servo(_(pos|position|pwm|pulse|angle))?)$|(^|_)(swa|(hand_?|steer_?|steering_?)wheel(_(angle|position|pos))?)$",
    # Names of PCT's own channels, beside those above.
    "accel": r"^(accel|acceleration)$",
    "beta": r"^(beta|slip|slip_angle|side_?slip(_angle)?)$",
    "delta_dot": r"^(delta_dot|steer(ing)?_rate)$",
    "throttle": rf"(^|_)(throttle|gas|accelerator|apps){_PEDAL}$",
    "brake": rf"(^|_)brakes?{_PEDAL}$",
    "drive": rf"(^|_)(drive|duty(_cycle)?){_PEDAL}$",
}
# Units at the end of a name; those of a rate make the rate of what stands before them.
_ENDINGS = sorted((word for word in WRITTEN if re.fullmatch(r"\w+", word)), key=len, reverse=True)
_TURNING = [
    word
    for word in _ENDINGS
    if WRITTEN[word].partition("/")[0] in ("rad", "deg", "mrad") and "/s" in WRITTEN[word]
]
TURNS = re.compile(rf"_({'|'.join(_TURNING)})$")
UNITS = re.compile(rf"_({'|'.join(word for word in _ENDINGS if word not in _TURNING)})$")
# Words at the end of a name that say how a value came about.
TRAILING = re.compile(r"_(signal|sig|value|val|meas(ured)?|actual|act|filt(ered)?|est(imated?)?)$")
AXLE = re.compile(r"(^|_)(wheel_?)?(f|r|front|rear)(_?(l|r|left|right))?(_?(wheel|axle|axis))?$")
WHEEL = re.compile(
    r"wheel_?(speed|vel|velocity|rpm|omega|spd)|(speed|vel|v|omega|n|spd)_?(wheel_?)?[fr][lr]$"
)
STEERING_WHEEL = re.compile(r"(^|_)(swa|sw_angle|(hand|steer|steering)_?wheel(_(angle|position|pos))?)$")
ANGLE = re.compile(r"(^|_)(delta(_f)?|.*ang(le)?|tire|tyre|road_?wheel)(_|$)|_(rad|deg)$")
ROTATION = re.compile(r"(^|_)(orientation|rot|rotation|quat|quaternion|q)_?[wxyz0-3]$")
# Which axis of ISO 8855 an axis of Unity is.
UNITY = {"x": "y", "y": "z", "z": "x"}
# Words of columns that are no state of the vehicle itself.
OTHERS = re.compile(
    r"(^|_)(goal|target|ref|reference|desired|des|waypoints?|wp|wypt|nearest|next|lookahead|pred(icted)?|error|err|cov"
    r"|covariance|std|var|sigma|mag|compass|wheel_[fr][lr]|lidar|scan|cos|sin|calculated)(_|$)"
)
# Words of another quantity behind which stands a coordinate's name, or of another place than the vehicle's.
OTHER_THAN_A_PLACE = re.compile(
    r"(^|_)(v|vel|velocity|speed|a|acc|accel|acceleration|g|force|slip|jerk|err|error|std|sigma|cov|target|goal|home|dist)(_|$)"
)
ALTITUDE = re.compile(
    r"(^|_)(alt(itude)?|height|elevation|hae|hmsl|h_?msl|h_ell)(_(msl|ell|wgs84|hae|ellipsoid))?$"
)
COMMANDS = re.compile(
    r"(^|_)(cmd|command|commands|control|ctrl|set|setpoint|input|inputs|drive|demand|servo)(_|$)"
)


def words(name: str) -> str:
    """The words of a name.

    Examples:
        >>> words("/odom.twist.twist.linear.x"), words("linearVelX [m/s]"), words("states[3]")
        ('odom_twist_twist_linear_x', 'linear_vel_x', 'states_3')
        >>> words("yaw(q[1], q[2], q[3], q[0])"), words("/steering_angle.data"), words("Längsbeschleunigung")
        ('yaw', 'steering_angle', 'longitudinal_acceleration')
    """
    if formula := formula_of(name):
        return formula.kind
    # A message that holds one value only is named by its topic.
    name = re.sub(r"(?<=.)\.(data|value)$", "", name)
    bare = re.sub(r"\s*[\[(][^\[\]()]*[^\[\]()\d][^\[\]()]*[\])]\s*$", "", name)
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", bare)
    text = parted.lower().translate(_UMLAUTS)
    if german := next((word for word in GERMAN if word in text), None):
        text = text.replace(german, f"_{GERMAN[german]}_")
    text = re.sub(r"[^a-z0-9]+", "_", text).strip("_")
    return "time" if text == "zeit" else text


def means(name: str, channel: str) -> bool:
    """Whether the name is one for the channel.

    Examples:
        >>> means("pose_x", "x"), means("goal_x", "x"), means("yaw_rate", "psi"), means("yawRate", "psi_dot")
        (True, False, False, True)
        >>> means("yaw_deg_s", "psi"), means("yaw_deg_s", "psi_dot"), means("accX", "ax")
        (False, True, True)
        >>> means("imu1_a_x", "x"), means("a_x", "x"), means("imu1_a_x", "ax")
        (False, False, True)
    """
    text = words(name)
    if channel in ("ax", "ay") and re.search(NAMES[channel], text) and not OTHERS.search(text):
        return True  # lat_g: what stands at its end is no unit alone
    text = TRAILING.sub("", text)
    if channel != "time":
        turns = TURNS.search(text)
        text = text[: turns.start()] if turns else UNITS.sub("", text)
        if turns and channel in ("psi", "delta"):
            return False
        if turns and channel == "psi_dot" and means(text, "psi"):
            return True
    if channel == "psi_dot" and axle_of(name):
        return False
    if channel in ("vx", "vy") and re.search(r"(^|_)(angular|ang)(_|$)", text):
        return False
    if channel in ("x", "y") and re.search(
        r"(^|_)(v|vel|velocity|a|acc|accel|acceleration|linear|angular|imu\d*|orientation|rot|rotation|euler|q|quat|quaternion"
        r"|twist|gyro|gyr|mag|magnet(ic|ometer)?|force)(_|$)",
        text,
    ):
        return False
    return bool(re.search(NAMES[channel], text)) and not OTHERS.search(text)


def is_rotation_part(name: str) -> bool:
    """Whether the name is one for a component of a rotation, which is no signal by itself.

    Examples:
        >>> is_rotation_part("/odom.pose.pose.orientation.w"), is_rotation_part("qz"), is_rotation_part("q")
        (True, True, False)
    """
    return bool(ROTATION.search(words(name)))


def is_altitude(name: str) -> bool:
    """Whether the name is one for how high the vehicle is.

    Examples:
        >>> is_altitude("GPS Altitude [m]"), is_altitude("alt_msl"), is_altitude("ride_height")
        (True, True, False)
    """
    text = UNITS.sub("", words(name))
    return bool(ALTITUDE.search(text)) and not re.search(r"(^|_)(ride|susp(ension)?|damper)(_|$)", text)


def from_unity(name: str) -> str:
    """The words of a name with the axis at their end as ISO 8855 calls it.

    Examples:
        >>> from_unity("rigidbody.localVelocity.z"), from_unity("vx"), from_unity("speed")
        ('rigidbody_local_velocity_x', 'vy', 'speed')
    """
    return re.sub(r"(?<=[_vwa])[xyz](?=$|_)", lambda axis: UNITY[axis[0]], UNITS.sub("", words(name)))


def other_axis(name: str, axis: str, other: str) -> str:
    """A name with its last letter of an axis changed; empty where it has none.

    Examples:
        >>> other_axis("PosX", "x", "z"), other_axis("pos.x", "x", "y"), other_axis("speed", "x", "y")
        ('PosZ', 'pos.y', '')
    """
    at = name.lower().rfind(axis)
    return "" if at < 0 else name[:at] + (other.upper() if name[at].isupper() else other) + name[at + 1 :]


def is_wheel(name: str) -> bool:
    """Whether the name is one for the speed of a single wheel.

    Examples:
        >>> is_wheel("WheelSpeed_FL"), is_wheel("v_rr"), is_wheel("steering_wheel_angle")
        (True, True, False)
    """
    return bool(WHEEL.search(UNITS.sub("", words(name))))


def axle_of(name: str) -> str:
    """``front`` or ``rear`` for how fast a wheel turns, ``axle`` behind it for both wheels; else empty.

    Examples:
        >>> axle_of("omega_fl [rad/s]"), axle_of("wheel_speed_rear_rpm"), axle_of("yaw_rate"), axle_of("r")
        ('front', 'rear axle', '', '')
    """
    text = words(name)
    match = AXLE.search(UNITS.sub("", TURNS.sub("", text)))
    if not match or not re.search(r"wheel|(^|_)(omega|rpm|w)(_|$)", text):
        return ""
    return ("front" if match[3].startswith("f") else "rear") + ("" if match[4] else " axle")


def turning_unit(name: str) -> str:
    """The unit of turning at the end of a name; empty where there is none.

    Examples:
        >>> turning_unit("wheel_rpm"), turning_unit("omega_f_rad_s"), turning_unit("omega_f")
        ('rpm', 'rad/s', '')
    """
    unit = unit_in(name)
    return unit if unit == "rpm" or TURNS.search(words(name)) else ""


def unit_in(name: str) -> str:
    """The unit at the end of a name; empty where there is none.

    Examples:
        >>> unit_in("speed_kmh"), unit_in("Yaw Rate deg/s"), unit_in("yaw_rate"), unit_in("x_cm")
        ('km/h', 'deg/s', '', 'cm')
    """
    text = words(name)
    end = TURNS.search(text) or UNITS.search(text)
    return WRITTEN[end[1]] if end else ""


def is_steering_wheel(name: str) -> bool:
    """Whether the name is one for the angle of a steering wheel.

    Examples:
        >>> is_steering_wheel("SteeringWheelAngle_deg"), is_steering_wheel("road_wheel_angle")
        (True, False)
    """
    return bool(STEERING_WHEEL.search(UNITS.sub("", words(name))))


def is_angle(name: str) -> bool:
    """Whether the name of a steering column says that it is an angle.

    Examples:
        >>> is_angle("steering_angle"), is_angle("delta"), is_angle("steer_deg"), is_angle("steering")
        (True, True, True, False)
    """
    return bool(ANGLE.search(words(name)))


def is_command(name: str) -> bool:
    """Whether the name says that the value was asked for.

    Examples:
        >>> is_command("/drive.drive.steering_angle"), is_command("steer_angle")
        (True, False)
    """
    return bool(COMMANDS.search(words(name)))


def is_asked(name: str) -> bool:
    """Whether a value acts as it stands until the next one: a command, a pedal.

    Examples:
        >>> is_asked("steer_cmd"), is_asked("Throttle Pos"), is_asked("steer_angle")
        (True, True, False)
    """
    return is_command(name) or any(means(name, channel) for channel in ("throttle", "brake", "drive"))


def partners(first: str, second: str) -> bool:
    """Whether two names differ in one letter at the same place, as those of an x and a y do.

    Examples:
        >>> partners("pose_x", "pose_y"), partners("pose_x", "goal_y")
        (True, False)
    """
    return len(first) == len(second) and sum(a != b for a, b in zip(first, second, strict=True)) == 1
