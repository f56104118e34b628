"""Sums of weighted products of derivatives by window, and by groups of windows."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from pct.types import Array, Float, Int


class NormalEquations(NamedTuple):
    """Sums of weighted products of derivatives; K counts the free states of a window's start.

    Attributes:
        matrix: of the parameters by window, (P, P, B); of all windows of each group, (P, P, G), from
            `AllWindows.normal`.
        gradient: of the parameters by window, (P, B).
        cross: of the parameters with each window's start, (P, K, B).
        block: of each window's start, (K, K, B).
        start_gradient: of each window's start, (K, B).
    """

    matrix: Float[Array, "P P _"]
    gradient: Float[Array, "P B"]
    cross: Float[Array, "P K B"]
    block: Float[Array, "K K B"]
    start_gradient: Float[Array, "K B"]


def equations_by_window(
    error: Float[Array, "C T B"],
    jacobian: Float[Array, "C T Q B"],
    weight: Float[Array, "C T B"],
    parameters: int,
) -> NormalEquations:
    """The normal equations by window.

    Args:
        error: in units of each channel's size.
        jacobian: its derivatives by the parameters, then by the free states of the window's start.
        weight: of each squared error.
        parameters: number of them, P.
    """
    weighted = jacobian * weight[:, :, None]
    gradient = jnp.einsum("ctpb,ctb->pb", weighted, error)
    by_start = jnp.einsum("ctpb,ctkb->pkb", weighted, jacobian[:, :, parameters:])
    return NormalEquations(
        matrix=jnp.einsum("ctpb,ctqb->pqb", weighted[:, :, :parameters], jacobian[:, :, :parameters]),
        gradient=gradient[:parameters],
        cross=by_start[:parameters],
        block=by_start[parameters:],
        start_gradient=gradient[parameters:],
    )


def sums_by_group(
    values: Float[np.ndarray, "... W"], groups: Int[np.ndarray, " W"]
) -> tuple[Int[np.ndarray, " G"], Float[np.ndarray, "... G"]]:
    """Numbers of the groups that there are, and the sum of each over its windows.

    Examples:
        >>> sums_by_group(np.array([1.0, 2.0, 3.0]), np.array([7, 4, 7]))
        (array([4, 7]), array([2., 4.]))
    """
    order = np.argsort(groups, kind="stable")
    numbers, firsts = np.unique(groups[order], return_index=True)
    return numbers, np.add.reduceat(values[..., order], firsts, axis=-1)
