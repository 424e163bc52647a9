"""How many people took the steps of a funnel, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from penstock.errors import ConfigurationError
from penstock.reports.contract import Answer, Catalog, Identity
from penstock.reports.people import Reading, literal, name

__all__ = ["Funnel", "Step", "funnel"]

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")


@dataclass(frozen=True, slots=True)
class Step:
    """An event that counts."""

    table: str
    """Of the warehouse, such as ``order_completed`` or ``screens``."""
    where: tuple[tuple[str, str], ...] = ()
    """Columns and the values they must have, as text; ``20`` is the number 20.0 too."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """What to count."""

    sources: tuple[str, ...]
    steps: tuple[Step, ...]
    window_days: int = 30
    """All steps happen before the first of them is this many days old."""
    after: Step | None = None
    """Only people with this event, and what they do from its first time on."""
    identity: Identity = "resolved"


def funnel(asked: Funnel, catalog: Catalog) -> Answer:
    """Rows ``step, event, people``, in order of the steps.

    A step counts when it is later than the one before, at an instant of its own. Every first step
    is tried as a beginning: people who came back later are not lost. Raises ConfigurationError
    when there is no step.
    """
    if not asked.steps:
        raise ConfigurationError("a funnel needs a step at least")
    reading = Reading(catalog, asked.sources, asked.identity)
    parts = [f"people as ({reading.people()})"]
    if asked.after is not None:
        begun = _events(reading, asked.after)
        parts.append(
            f"begun as (select person, min(happened) as happened from ({begun}) b group by person)"
        )
    for number, step in enumerate(asked.steps, start=1):
        parts.append(f"events_{number} as ({_events(reading, step)})")
        parts.append(f"step_{number} as ({_reached(number, asked)})")
    counted = " union all ".join(
        f"select {number} as step, {literal(step.table)} as event, "
        f"count(distinct person) as people from step_{number}"
        for number, step in enumerate(asked.steps, start=1)
    )
    return Answer(f"with {', '.join(parts)} {counted} order by step", tuple(reading.missing))


def _events(reading: Reading, step: Step) -> str:
    columns = tuple(dict.fromkeys(column for column, _ in step.where))
    where = [
        f"cast(t.{name(column)} as varchar) in ({', '.join(map(literal, _spellings(value)))})"
        for column, value in step.where
    ]
    return reading.events(step.table, columns, " and ".join(where) or "1 = 1")


def _spellings(value: str) -> tuple[str, ...]:
    """How a column of text, of whole numbers or of fractions writes a value."""
    if not _NUMBER.fullmatch(value):
        return (value,)
    written = repr(float(value))
    return tuple(dict.fromkeys((value, written, written.removesuffix(".0"))))


def _reached(number: int, asked: Funnel) -> str:
    """``person, began, happened``: the earliest a step was reached from each beginning.

    Of beginnings that reach it at one instant the last is kept: its window ends last. From late to
    early, the least event seen so far is the next one; a beginning stands before the events of its
    instant, and so does not see them. This sorts, where a join would pair all of a person's events.
    """
    if number == 1:
        within = "" if asked.after is None else " join begun b on b.person = e.person"
        later = "" if asked.after is None else " where e.happened >= b.happened"
        return (
            "select distinct e.person, e.happened as began, e.happened "
            f"from events_1 e{within}{later}"
        )
    return (
        "select person, max(began) as began, reached as happened from ("
        "select person, began, min(event) over (partition by person order by happened desc, kind "
        "rows between unbounded preceding and current row) as reached from ("
        "select person, began, happened, cast(null as timestamp) as event, 0 as kind "
        f"from step_{number - 1} union all "
        "select person, cast(null as timestamp) as began, happened, happened as event, 1 as kind "
        f"from events_{number}) m) n "
        f"where reached < began + interval '{int(asked.window_days)}' day group by person, reached"
    )
