"""The same training in eager PyTorch: network, equations, RK4 and loss written by hand on tensors.

The equations are those of `pct.dynamics.singletrack_augmented` and `pct.dynamics.bicycle`, term by term.
`engine.py` compares the loss and gradient with the documented loop's before it times anything.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pct.dynamics.bicycle import RELAXATION_TIME
from pct.dynamics.core import flatten_bounds
from pct.dynamics.limits import GRAVITY
from pct.optimization.network.mlp import CLIP
from peers.problem import LEARNING_RATE, TIMESTEP_HUNDREDTHS, WEIGHT_DECAY, Problem


def make_epoch(problem: Problem, batch_size: int) -> Callable[[], int]:
    """``epoch()`` trains on all windows once and returns their number."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = Network(problem)
    loss_fn = make_loss_fn(problem)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    windows = to_tensors(problem)

    def epoch() -> int:
        losses = []
        for rows in torch.randperm(len(windows[0])).split(batch_size):
            optimizer.zero_grad()
            loss = loss_fn(network, *(tensor[rows] for tensor in windows))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert math.isfinite(sum(losses))
        return len(windows[0])

    return epoch


def first_gradient(problem: Problem, batch_size: int) -> tuple[float, list[np.ndarray]]:
    """Loss of the first windows at the start, and its gradient by each weight, in the JAX network's order."""
    network = Network(problem)
    loss = make_loss_fn(problem)(network, *(tensor[:batch_size] for tensor in to_tensors(problem)))
    loss.backward()
    gradient = {name: weight.grad.numpy() for name, weight in network.named_parameters()}
    layers = [
        {"bias": gradient[f"layers.{i}.bias"], "kernel": gradient[f"layers.{i}.weight"].T} for i in (0, 2, 4)
    ]
    return loss.item(), [layer[name] for layer in layers for name in ("bias", "kernel")]


def to_tensors(problem: Problem) -> list[Tensor]:
    """Features, controls, initial states and targets."""
    return [torch.from_numpy(np.array(leaf)) for leaf in problem.windows[:4]]


class Network(torch.nn.Module):
    """`ParameterMLP` with the problem's start: normalised features to bounded parameters, (B, P)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        spec = problem.spec
        dense = [problem.params["params"][f"Dense_{i}"] for i in range(3)]
        layers: list[Any] = []
        for part in dense:
            layer = torch.nn.Linear(*part["kernel"].shape)
            layer.weight.data = torch.from_numpy(np.array(part["kernel"]).T.copy())
            layer.bias.data = torch.from_numpy(np.array(part["bias"]))
            layers += [layer, torch.nn.Tanh()]
        self.layers = torch.nn.Sequential(*layers[:-1])
        low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
        constants = (low, high, problem.network.feature_mean, problem.network.feature_std)
        self.low, self.high, self.mean, self.std = (torch.tensor(c, dtype=torch.float32) for c in constants)

    def forward(self, features: Tensor) -> Tensor:
        normalised = ((features - self.mean) / self.std).clamp(-CLIP, CLIP)
        return self.low + (self.high - self.low) * torch.sigmoid(self.layers(normalised))


def make_loss_fn(problem: Problem) -> Callable[..., Tensor]:
    """``loss_fn(network, features, controls, initial_states, targets)``: mean over the windows."""
    spec = problem.spec
    constants = spec.build_base_params(TIMESTEP_HUNDREDTHS)
    dt = constants.pop("dt")
    # As tensors: with Python numbers each operation would convert them anew.
    constants = {name: torch.tensor(value, dtype=torch.float32) for name, value in constants.items()}
    angles = torch.from_numpy(spec.angle_mask)
    scales = torch.tensor(spec.scales, dtype=torch.float32)

    def loss_fn(
        network: Network, features: Tensor, controls: Tensor, initial_states: Tensor, targets: Tensor
    ) -> Tensor:
        car = {**constants, **dict(zip(spec.param_keys, network(features).unbind(-1), strict=True))}
        state, states = initial_states, []
        for control in controls.unbind(1):
            state = integrate_rk4(state, control, car, dt)
            states.append(state)
        residual = torch.stack(states, dim=1) - targets
        wrapped = torch.remainder(residual + math.pi, 2 * math.pi) - math.pi
        return ((torch.where(angles, wrapped, residual) / scales) ** 2).mean()

    return loss_fn


def integrate_rk4(x: Tensor, u: Tensor, p: Mapping[str, Tensor], dt: float) -> Tensor:
    """One step of the classical Runge-Kutta method, the control held."""
    k1 = derivative(x, u, p)
    k2 = derivative(x + 0.5 * dt * k1, u, p)
    k3 = derivative(x + 0.5 * dt * k2, u, p)
    k4 = derivative(x + dt * k3, u, p)
    return x + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def derivative(x: Tensor, u: Tensor, p: Mapping[str, Tensor]) -> Tensor:
    """Time derivative of the shown ``[x, y, delta, v, psi, psi_dot, beta]``, (B, 7)."""
    _, _, delta, v, psi, psi_dot, beta = x.unbind(-1)
    delta_dot, accel = u.unbind(-1)
    # Shown to physical.
    delta = p["alpha_delta"] * delta + p["beta_delta"]
    psi_dot = p["alpha_psi_dot"] * psi_dot + p["beta_psi_dot"]
    beta = p["alpha_beta"] * beta + p["beta_beta"]
    delta_dot = p["alpha_delta"] * delta_dot
    accel = p["alpha_accel"] * accel + p["beta_accel"]
    # Limits.
    delta_dot = stop(delta, delta_dot.clamp(p["sv_min"], p["sv_max"]), p["s_min"], p["s_max"])
    most = p["a_max"] * p["v_switch"] / v.clamp(min=p["v_switch"])
    accel = torch.minimum(accel.clamp(min=-p["a_max"]), most)
    accel = stop(v, accel, p["v_min"], p["v_max"])
    grip = p["mu"] * GRAVITY
    accel = torch.minimum(torch.maximum(accel, -grip), grip)
    # Linear tyres.
    wheelbase = p["lf"] + p["lr"]
    moving = v.clamp(min=p["v_blend_low"])
    load_front = (GRAVITY * p["lr"] - accel * p["h"]) / wheelbase
    load_rear = (GRAVITY * p["lf"] + accel * p["h"]) / wheelbase
    front = p["mu"] * p["C_Sf"] * load_front * (delta - beta - p["lf"] * psi_dot / moving)
    rear = p["mu"] * p["C_Sr"] * load_rear * (-beta + p["lr"] * psi_dot / moving)
    psi_ddot = p["m"] / p["I"] * (p["lf"] * front - p["lr"] * rear)
    beta_dot = (front + rear) / moving - psi_dot
    # Rolling without slip.
    tan_delta = torch.tan(delta)
    beta_roll = torch.atan(p["lr"] * tan_delta / wheelbase)
    cos_roll, sin_roll = torch.cos(beta_roll), torch.sin(beta_roll)
    curvature = cos_roll * tan_delta / wheelbase
    tan_delta_dot = delta_dot * (1.0 + tan_delta**2)
    beta_roll_dot = p["lr"] / wheelbase * tan_delta_dot * cos_roll**2
    curvature_dot = (cos_roll * tan_delta_dot - sin_roll * beta_roll_dot * tan_delta) / wheelbase
    psi_ddot_roll = accel * curvature + v * curvature_dot + (v * curvature - psi_dot) / RELAXATION_TIME
    beta_dot_roll = beta_roll_dot + (beta_roll - beta) / RELAXATION_TIME
    # Blend by speed.
    s = ((v - p["v_blend_low"]) / (p["v_blend_high"] - p["v_blend_low"])).clamp(0.0, 1.0)
    weight = s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
    psi_ddot = weight * psi_ddot + (1.0 - weight) * psi_ddot_roll
    beta_dot = weight * beta_dot + (1.0 - weight) * beta_dot_roll
    course = psi + beta
    rates = (
        v * torch.cos(course),
        v * torch.sin(course),
        delta_dot / p["alpha_delta"],
        accel,
        psi_dot,
        psi_ddot / p["alpha_psi_dot"],
        beta_dot / p["alpha_beta"],
    )
    return torch.stack(rates, dim=-1)


def stop(value: Tensor, rate: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The rate, without the part that pushes the value further out of [low, high]."""
    rate = torch.where(value <= low, rate.clamp(min=0.0), rate)
    return torch.where(value >= high, rate.clamp(max=0.0), rate)
