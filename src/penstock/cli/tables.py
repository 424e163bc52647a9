"""Rows as text, for a terminal and for a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from penstock.warehouses.rows import plain

__all__ = ["as_table"]

_BETWEEN = " │ "


def as_table(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    right: Sequence[bool] = (),
    width: int | None = None,
) -> str:
    """Lines of text under column names; without names there is no head.

    ``right`` says which columns are aligned to the right. When a table would be wider than
    ``width``, each row becomes a record of its own: a line for each column.
    """
    head = [_lines(name) for name in names]
    cells = [[_lines(plain(value)) for value in row] for row in rows]
    count = len(names) or (len(rows[0]) if rows else 0)
    grid = [head, *cells] if names else cells
    widths = [max((_width(row[i]) for row in grid), default=0) for i in range(count)]
    if width is not None and names and sum(widths) + len(_BETWEEN) * (count - 1) > width:
        return _records(head, cells)
    sides = [*right, *[False] * (count - len(right))]
    lines = [line for row in cells for line in _row(row, widths, sides)]
    if names:
        lines = [*_row(head, widths, sides), "─┼─".join("─" * wide for wide in widths), *lines]
    return "".join(f"{line}\n" for line in lines)


def _row(row: list[list[str]], widths: list[int], right: list[bool]) -> list[str]:
    """The lines of one row; as many as its tallest cell has."""
    lines = []
    for number in range(max(map(len, row), default=0)):
        parts = []
        for cell, wide, to_right in zip(row, widths, right, strict=True):
            text = cell[number] if number < len(cell) else ""
            space = " " * (wide - cell_len(text))
            parts.append(space + text if to_right else text + space)
        lines.append(_BETWEEN.join(parts).rstrip())
    return lines


def _records(head: list[list[str]], cells: list[list[list[str]]]) -> str:
    wide = max(_width(name) for name in head)
    lines = []
    for number, row in enumerate(cells, 1):
        lines.append(f"── row {number} ──")
        for name, cell in zip(head, row, strict=True):
            lines += _row([name, cell], [wide, 0], [False, False])
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str) -> list[str]:
    """The lines of a cell; what would move the cursor or change its colour is shown as code."""
    return [
        "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        for line in text.split("\n")
    ]


def _width(lines: list[str]) -> int:
    return max(map(cell_len, lines))
