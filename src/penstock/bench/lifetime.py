"""Lifetime value: BG/NBD fitted to a million customers, beside other libraries on the same data.

Each library fits in a process of its own, by its own Python where it needs one, and times only
its fit and its forecasts (expected purchases within 90 days and the probability of being alive,
for every customer); reading the data and importing are not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from penstock.errors import PenstockError
from penstock.reports.lifetime import BgNbd, Customers, FloatArray

__all__ = ["RIVALS", "TRUTH", "Race", "Rival", "Timing", "race", "simulated"]

TRUTH = BgNbd(r=0.6, alpha=40.0, a=0.8, b=3.0)
"""What the customers are drawn from: about one in two comes back within a year."""
HORIZON = 90.0
_LONGEST = 365

_PENSTOCK = """
import scipy.linalg, scipy.special
from penstock.reports.lifetime import Customers, fit_purchases
customers = Customers.of(x, t_x, T)
began = time.perf_counter()
fit = fit_purchases("bg-nbd", customers)
fitted = time.perf_counter()
histories = customers.histories
alive = fit.model.alive(histories)
frequency, age, position = histories.without_recency()
expected = (alive * fit.model.purchases_if_alive(frequency, age, HORIZON)[position])
expected, alive = expected[histories.position], alive[histories.position]
values = fit.model.values()
"""
_LIFETIMES = """
import warnings; warnings.simplefilter("ignore")
from lifetimes import BetaGeoFitter
began = time.perf_counter()
model = BetaGeoFitter().fit(x, t_x, T)
fitted = time.perf_counter()
expected = model.conditional_expected_number_of_purchases_up_to_time(HORIZON, x, t_x, T)
alive = model.conditional_probability_alive(x, t_x, T)
values = [float(model.params_[name]) for name in ("r", "alpha", "a", "b")]
"""
_PYMC = """
import warnings; warnings.simplefilter("ignore")
import pandas
from pymc_extras.prior import Prior
from pymc_marketing.clv import BetaGeoModel
data = pandas.DataFrame({"customer_id": np.arange(len(x)), "frequency": x, "recency": t_x, "T": T})
flat = {name: Prior("HalfFlat") for name in ("r", "alpha", "a", "b")}
began = time.perf_counter()
model = BetaGeoModel(data=data, model_config=flat)
model.fit(method="map", progressbar=False)
fitted = time.perf_counter()
expected = model.expected_purchases(data=data, future_t=HORIZON).to_numpy().ravel()
alive = model.expected_probability_alive(data=data).to_numpy().ravel()
found = model.idata.posterior
values = [float(np.ravel(found[name].values)[0]) for name in ("r", "alpha", "a", "b")]
"""
_PROGRAM = """
import json, sys, time
import numpy as np
HORIZON = float(sys.argv[2])
x, t_x, T = np.load(sys.argv[1])
{body}
ended = time.perf_counter()
print(json.dumps([fitted - began, ended - fitted, values, float(expected.sum()),
                  float(alive.sum())]))
"""


@dataclass(frozen=True)
class Timing:
    """What one library took, in seconds, and what it found."""

    fit: float
    forecast: float
    values: tuple[float, ...]
    """r, alpha, a and b."""
    log_likelihood: float
    """Of these values, always computed by Penstock: libraries leave out other constants."""
    expected: float
    """Sum of the expected purchases."""
    alive: float

    @property
    def seconds(self) -> float:
        """Fit and forecasts together."""
        return self.fit + self.forecast


@dataclass(frozen=True)
class Rival:
    """Another library, and where to find a Python that can import it."""

    name: str
    module: str
    variable: str
    """The environment variable that names a Python; default: the one that runs this."""
    body: str

    def python(self) -> str | None:
        """A Python with the library, or None."""
        named = os.environ.get(self.variable)
        return named or (sys.executable if find_spec(self.module) else None)


@dataclass(frozen=True)
class Race:
    """Penstock beside the libraries that were there, on the same customers."""

    penstock: Timing
    others: Mapping[str, Timing]

    def ratio(self, name: str) -> float:
        """How many times as long the other library took."""
        return self.others[name].seconds / self.penstock.seconds

    def ahead(self, name: str) -> float:
        """By how much Penstock's log-likelihood is the higher, give or take rounding."""
        return self.penstock.log_likelihood - self.others[name].log_likelihood


RIVALS = (
    Rival("lifetimes", "lifetimes", "PENSTOCK_BENCH_LIFETIMES", _LIFETIMES),
    Rival("pymc-marketing MAP", "pymc_marketing", "PENSTOCK_BENCH_PYMC", _PYMC),
)
"""pymc-marketing's maximum a posteriori is with flat priors, which makes it maximum likelihood."""


def simulated(
    model: BgNbd, customers: int, rng: np.random.Generator, *, whole_days: bool = True
) -> Customers:
    """Draw customers from the model, their first orders spread evenly over a year.

    ``whole_days`` rounds times up, as dates do.
    """
    age = rng.uniform(1, _LONGEST, customers)
    age = np.ceil(age) if whole_days else age
    rate = rng.gamma(model.r, 1 / model.alpha, customers)
    leaves = rng.beta(model.a, model.b, customers)
    frequency = np.zeros(customers)
    recency = np.zeros(customers)
    here = np.arange(customers)
    clock = np.zeros(customers)
    while len(here):
        clock = clock + rng.exponential(1.0, len(here)) / np.maximum(rate[here], 1e-300)
        bought = clock <= age[here]
        here, clock = here[bought], clock[bought]
        frequency[here] += 1
        recency[here] = clock
        stays = rng.random(len(here)) >= leaves[here]
        here, clock = here[stays], clock[stays]
    return Customers.of(frequency, np.ceil(recency) if whole_days else recency, age)


def race(folder: Path, customers: int, say: Callable[[str], None]) -> Race:
    """Time all libraries that are there on the same customers; Penstock thrice, for the median."""
    drawn = simulated(TRUTH, customers, np.random.default_rng(1))
    say(f"lifetime: {customers:,} customers, {len(drawn.histories.age):,} different histories")
    ours = sorted(
        (_timed(_PENSTOCK, sys.executable, folder, drawn) for _ in range(3)),
        key=lambda timing: timing.seconds,
    )[1]
    others = {}
    for rival in RIVALS:
        python = rival.python()
        if python is None:
            say(f"lifetime: no {rival.name} here; {rival.variable} may name a Python that has it")
            continue
        say(f"lifetime: {rival.name}")
        others[rival.name] = _timed(rival.body, python, folder, drawn)
    return Race(ours, others)


def _timed(body: str, python: str, folder: Path, customers: Customers) -> Timing:
    file = folder / "customers.npy"
    columns: FloatArray = np.stack(
        [customers.frequency.astype(np.float64), customers.recency, customers.age]
    )
    np.save(file, columns)
    done = subprocess.run(
        [python, "-c", _PROGRAM.format(body=body), file, str(HORIZON)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PenstockError(f"{python} could not fit: {done.stderr.strip()[-500:]}")
    fit, forecast, values, expected, alive = json.loads(done.stdout.splitlines()[-1])
    likelihood, _ = BgNbd.objective(customers.histories)(np.array(values))
    return Timing(fit, forecast, tuple(values), float(likelihood), expected, alive)
