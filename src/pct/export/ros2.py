"""`ros2`: parameters of any node as ROS 2 reads them, ``/**: ros__parameters:``.

No equations stand behind it: names are those of the model, with what stands between a command and the car
(lag, delay, ratio and offset of the steering) beside them, and stiffness and friction as controllers ask for
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pct.export.actuators import drive_delay, drive_lag, steering_delay, steering_lag
from pct.export.motion import axle_stiffness, grip_of
from pct.export.parameters import Entry, Head, ParameterTarget
from pct.export.source import Source
from pct.export.texts import commented, yaml_lines


class Ros2(ParameterTarget):
    """One YAML file."""

    name = "ros2"
    reader = "rclcpp and rclpy"
    file = "vehicle.param.yaml"
    compared = ()

    def cannot(self, source: Source) -> list[str]:
        """It says any number."""
        if not any(np.ndim(value) == 0 for value in source.values.values()):
            raise self.refused(f"the parameters of {source.spec.name} are arrays")
        return []

    def translate(self, source: Source) -> dict[str, float]:
        """The model's own names, the actuators', and what follows from them."""
        p = source.values
        values = {f"model.{name}": float(value) for name, value in p.items() if np.ndim(value) == 0}
        if {"lf", "lr"} <= set(p):
            values["vehicle.wheelbase"] = float(p["lf"] + p["lr"])
        if "mu" in p or "D_f" in p:
            values["tyres.friction"] = grip_of(source)
        if (stiffness := axle_stiffness(source)) is not None:
            values["tyres.cornering_stiffness_front"], values["tyres.cornering_stiffness_rear"] = stiffness
        found = {
            "steering.time_constant": steering_lag(source),
            "steering.delay": steering_delay(source),
            "steering.ratio": source.measured.get("steering_ratio"),
            "steering.offset": source.measured.get("steering_offset"),
            "drive.time_constant": drive_lag(source),
            "drive.delay": drive_delay(source),
        }
        return {**values, **{key: value for key, value in found.items() if value is not None}}

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """SI units and radians throughout."""
        rows = {row.name: row for row in source.spec.parameters}
        units = [
            f"{row.name} in {row.unit}: {row.doc}" for name, row in rows.items() if f"model.{name}" in values
        ]
        top = commented([*head.lines, "SI units and radians.", *units])
        return {self.file: f"{top}/**:\n  ros__parameters:\n{yaml_lines(entries, 4)}".encode()}


TARGET = Ros2()
export = TARGET.export
