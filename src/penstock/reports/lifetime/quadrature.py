"""Nodes and weights that turn the models' integrals into sums, exact to rounding."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from penstock.reports.lifetime.customers import FloatArray

__all__ = ["beta_nodes", "legendre_nodes"]


@lru_cache(maxsize=16)
def legendre_nodes(size: int) -> tuple[FloatArray, FloatArray]:
    """Nodes in (0, 1) and their weights, which add up to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(size)
    return (nodes + 1) / 2, weights / 2


def beta_nodes(size: int, a: float, b: float) -> tuple[FloatArray, FloatArray]:
    """Nodes in (0, 1) and weights adding up to 1: the mean of f(p) over Beta(a, b) is their sum.

    Golub and Welsch (1969): eigenvalues of the tridiagonal matrix of the Jacobi polynomials,
    whose entries are Abramowitz and Stegun 22.7.1, so that neither a nor b can overflow.
    """
    from scipy.linalg import eigh_tridiagonal

    left, right = a - 1, b - 1
    index = np.arange(1, size, dtype=np.float64)
    total = 2 * index + left + right
    diagonal = np.empty(size)
    diagonal[0] = (left - right) / (left + right + 2)
    diagonal[1:] = (left - right) * (left + right) / (total * (total + 2))
    square = 4 * index * (index + left) * (index + right) / (total**2 * (total + 1))
    square[1:] *= (index[1:] + left + right) / (total[1:] - 1)
    # For index 1 the last two factors cancel, and may both be 0: a + b = 1.
    values, vectors = eigh_tridiagonal(diagonal, np.sqrt(square))
    return np.maximum((values + 1) / 2, 1e-300), vectors[0] ** 2
