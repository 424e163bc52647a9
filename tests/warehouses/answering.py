"""What stands behind a query server in tests: one function."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from penstock.warehouses.running import QueryOptions, RunningQuery


class Answers:
    """Answers every query by a function of its SQL."""

    def __init__(self, answer: Callable[[str], pa.Table]) -> None:
        self._answer = answer

    def run(
        self,
        sql: str,
        dialect: str | None,
        options: QueryOptions = QueryOptions(),  # noqa: B008
    ) -> pa.Table:
        """What the function says."""
        return self._answer(sql)

    def running(self) -> list[RunningQuery]:
        """Nothing runs."""
        return []

    def cancel(self, query_id: str) -> bool:
        """Nothing runs."""
        return False
