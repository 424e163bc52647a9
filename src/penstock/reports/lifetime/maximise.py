"""Newton's method on the logarithms of positive parameters, with analytic gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from penstock.reports.lifetime.customers import FloatArray

__all__ = ["Maximum", "Objective", "maximise"]

Objective: TypeAlias = Callable[[FloatArray], tuple[float, FloatArray]]
"""From positive parameters to the log-likelihood and its gradient in these parameters."""

BoolArray: TypeAlias = NDArray[np.bool_]

_ROUNDS = 200
_HALVINGS = 30
_GAIN = 1e-9
_ROUNDING = 1e-14
"""Stop when a step promises less log-likelihood than this, and this share of it."""
_NEARLY = 1e-6
"""A promise that rounding may keep from coming true; a 1,400th of a standard error."""
_LONGEST_STEP = 2.0
"""In logarithms: no parameter moves by more than a factor of 7.4 at once."""
_PROBE = 1e-4
"""Step of the differences of the gradient; their error is of its square."""


@dataclass(frozen=True)
class Maximum:
    """Where the climb ended."""

    point: FloatArray
    log_likelihood: float
    hessian: FloatArray
    """Second derivatives of the log-likelihood in the logarithms of the parameters."""
    at_bound: BoolArray
    """The parameters that would go on beyond what is sought."""
    converged: bool


def maximise(
    objective: Objective,
    starts: Sequence[FloatArray],
    low: FloatArray,
    high: FloatArray,
    *,
    hessian: FloatArray | None = None,
) -> Maximum:
    """Climb from each start within [low, high] and give the highest end.

    ``hessian`` is a good guess at it, as from a sample; it saves most evaluations of a climb that
    starts near the top.
    """
    ends = [_climb(objective, start, low, high, hessian) for start in starts]
    return max(ends, key=lambda end: end.log_likelihood)


def _climb(
    objective: Objective,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
    guess: FloatArray | None,
) -> Maximum:
    floor, ceiling = np.log(low), np.log(high)

    def in_logs(logs: FloatArray) -> tuple[float, FloatArray]:
        point = np.exp(logs)
        value, gradient = objective(point)
        return value, gradient * point

    logs = np.clip(np.log(start), floor, ceiling)
    value, gradient = in_logs(logs)
    exact = guess is None
    hessian = _hessian(in_logs, logs) if guess is None else guess
    promised = before = np.inf
    for _ in range(_ROUNDS):
        step = _newton_step(gradient, hessian, (logs <= floor, logs >= ceiling))
        promised = float(gradient @ step)
        taken = None
        if promised > _GAIN + _ROUNDING * abs(value):
            taken = _line_search(in_logs, logs, value, step, (floor, ceiling))
        if taken is None and exact:
            break
        if taken is not None:
            logs, value, gradient = taken
        exact = taken is None or guess is None or promised > before / 10
        if exact:
            hessian = _hessian(in_logs, logs)
        before = promised
    return Maximum(
        point=np.exp(logs),
        log_likelihood=value,
        hessian=hessian,
        at_bound=(logs <= floor + _PROBE) | (logs >= ceiling - _PROBE),
        converged=promised < _NEARLY,
    )


def _newton_step(
    gradient: FloatArray, hessian: FloatArray, at_bound: tuple[BoolArray, BoolArray]
) -> FloatArray:
    """Uphill whatever the curvature: its sign is dropped where the hill bends upwards."""
    free = ~((at_bound[0] & (gradient < 0)) | (at_bound[1] & (gradient > 0)))
    step = np.zeros_like(gradient)
    if not free.any():
        return step
    curvatures, directions = np.linalg.eigh(-hessian[np.ix_(free, free)])
    sizes = np.maximum(np.abs(curvatures), 1e-12 * max(1.0, float(np.abs(curvatures).max())))
    step[free] = directions @ ((directions.T @ gradient[free]) / sizes)
    longest = float(np.abs(step).max())
    return step * min(1.0, _LONGEST_STEP / longest) if longest > 0 else step


def _line_search(
    in_logs: Objective,
    logs: FloatArray,
    value: float,
    step: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, float, FloatArray] | None:
    """Halve the step until the value rises; None when no step of any size does."""
    for halving in range(_HALVINGS):
        tried = np.clip(logs + step * 0.5**halving, *bounds)
        reached, gradient = in_logs(tried)
        if np.isfinite(reached) and reached > value and bool(np.isfinite(gradient).all()):
            return tried, reached, gradient
    return None


def _hessian(in_logs: Objective, logs: FloatArray) -> FloatArray:
    """Central differences of the analytic gradient, made symmetric."""
    size = len(logs)
    rows = np.empty((size, size))
    for index in range(size):
        probe = np.zeros(size)
        probe[index] = _PROBE
        rows[index] = (in_logs(logs + probe)[1] - in_logs(logs - probe)[1]) / (2 * _PROBE)
    return (rows + rows.T) / 2
