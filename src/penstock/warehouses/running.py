"""Which queries run now: listed, limited in number, and stopped on request."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from penstock.errors import QueryRefused

__all__ = [
    "MOST_STATEMENT",
    "Interruptible",
    "QueryOptions",
    "Running",
    "RunningQuery",
    "Ticket",
    "check_length",
]

MOST_STATEMENT = 65_536
"""Longest statement, in characters: its syntax tree takes some thousand times the memory."""


def check_length(statement: str) -> None:
    """Raise QueryRefused when a statement is too long to be looked at."""
    if len(statement) > MOST_STATEMENT:
        raise QueryRefused(
            f"the statement has {len(statement):,} characters, more than {MOST_STATEMENT:,}; "
            "shorten it, such as a long list of values",
            "sql_too_large",
        )


class Interruptible(Protocol):
    """A cursor."""

    def interrupt(self) -> None:
        """Make what it executes end with an error."""

    def close(self) -> None:
        """Release it."""


class QueryOptions(msgspec.Struct, frozen=True):
    """What a query may take, and whose it is."""

    id: str = ""
    """By which it is cancelled; may be empty."""
    owner: str = ""
    max_rows: int | None = None
    """Rows after which the result is cut, which its schema's metadata say (``truncated``)."""
    timeout_s: float | None = None
    """Shortens the limit of the warehouse; can't lengthen it."""
    internal: bool = False
    """Penstock's own: not listed, and never refused because others run."""


class RunningQuery(msgspec.Struct, frozen=True):
    """A query that runs now."""

    id: str
    owner: str
    sql: str
    started_us: int
    """Microseconds since 1970 UTC."""


@dataclass(eq=False)
class Ticket:
    """A query from its begin to its end."""

    sql: str
    options: QueryOptions
    cursor: Interruptible
    deadline: float
    """On the monotonic clock."""
    started_us: int
    halt: threading.Event = field(default_factory=threading.Event)
    """Set when it has ended, and when it is to be interrupted."""
    ended: bool = False
    cancelled: bool = False


class Running:
    """The queries that run; safe in all threads."""

    def __init__(self, parallel: int) -> None:
        self._parallel = parallel
        self._tickets: set[Ticket] = set()
        self.changed = threading.Condition()

    def check_room(self, options: QueryOptions) -> None:
        """Raise QueryRefused when as many run as may; call with ``changed`` held."""
        others = sum(not ticket.options.internal for ticket in self._tickets)
        if not options.internal and others >= self._parallel:
            raise QueryRefused(
                f"{others} queries run already, as many as may (sql_parallel); try again when one "
                "has ended",
                "sql_busy",
            )
        if options.id and any(ticket.options.id == options.id for ticket in self._tickets):
            raise QueryRefused(f"a query {options.id} runs already")

    def add(
        self, sql: str, options: QueryOptions, cursor: Interruptible, deadline: float
    ) -> Ticket:
        """Take a query in; call with ``changed`` held."""
        ticket = Ticket(sql, options, cursor, deadline, time.time_ns() // 1000)
        self._tickets.add(ticket)
        return ticket

    def remove(self, ticket: Ticket) -> None:
        """Forget a query that has ended, and close its cursor."""
        with self.changed:
            ticket.ended = True
            ticket.halt.set()
            self._tickets.discard(ticket)
            ticket.cursor.close()
            self.changed.notify_all()

    def tickets(self) -> list[Ticket]:
        """Those that run; call with ``changed`` held."""
        return list(self._tickets)

    def listed(self) -> list[RunningQuery]:
        """Queries of users, oldest first."""
        with self.changed:
            shown = [
                RunningQuery(t.options.id, t.options.owner, t.sql, t.started_us)
                for t in self._tickets
                if not t.options.internal
            ]
        return sorted(shown, key=lambda query: query.started_us)

    def cancel(self, query_id: str) -> bool:
        """Stop a query; False when none of that id runs."""
        with self.changed:
            for ticket in self._tickets:
                if query_id and ticket.options.id == query_id:
                    ticket.cancelled = True
                    ticket.halt.set()
                    return True
        return False
