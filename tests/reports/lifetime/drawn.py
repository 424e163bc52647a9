"""Customers drawn from a model, year by year, with what they do after observation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penstock.reports.lifetime import BgNbd, Customers, FloatArray, MbgNbd, ParetoNbd


@dataclass(frozen=True)
class Drawn:
    """Histories until the end of observation, and the truth after it."""

    customers: Customers
    alive: FloatArray
    """1 for those who had not left."""
    later: FloatArray
    """Purchases within the horizon after it."""


def draw(
    model: BgNbd | MbgNbd | ParetoNbd,
    number: int,
    rng: np.random.Generator,
    *,
    age: tuple[float, float],
    horizon: float,
) -> Drawn:
    """Simulate each customer's purchases, one after another, as the model's story tells it."""
    ages = rng.uniform(*age, number)
    rate = rng.gamma(model.r, 1 / model.alpha, number)
    frequency, recency, later = np.zeros(number), np.zeros(number), np.zeros(number)
    if isinstance(model, ParetoNbd):
        leaves = np.zeros(number)
        leaving_rate = rng.gamma(model.s, 1 / model.beta, number)
        gone_at = rng.exponential(1.0, number) / np.maximum(leaving_rate, 1e-300)
    else:
        leaves = rng.beta(model.a, model.b, number)
        gone_at = np.full(number, np.inf)
    if isinstance(model, MbgNbd):
        gone_at[rng.random(number) < leaves] = 0.0
    here, clock = np.arange(number), np.zeros(number)
    while len(here):
        clock = clock + rng.exponential(1.0, len(here)) / np.maximum(rate[here], 1e-300)
        buys = (clock < gone_at[here]) & (clock <= ages[here] + horizon)
        here, clock = here[buys], clock[buys]
        seen = clock <= ages[here]
        frequency[here[seen]] += 1
        recency[here[seen]] = clock[seen]
        later[here[~seen]] += 1
        goes = rng.random(len(here)) < leaves[here]
        gone_at[here[goes]] = clock[goes]
        here, clock = here[~goes], clock[~goes]
    alive = (gone_at > ages).astype(np.float64)
    return Drawn(Customers.of(frequency, recency, ages), alive, later)
