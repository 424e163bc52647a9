"""``penstock bench``: speed, as ratios to limits measured in the same run."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from penstock.bench.events import single_body, templates
from penstock.bench.limits import append_limit, parse_limit
from penstock.bench.parts import accept_rate, append_rate, load_rate, process_rate, sample_block
from penstock.bench.system import accepting, at_rest, end_to_end, freshness
from penstock.cli.options import JsonOption

__all__ = ["bench"]


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    target: str = ""
    limit: str = ""
    ratio: float | None = None
    note: str = ""


def bench(
    seconds: Annotated[float, typer.Option(help="Length of each measurement.")] = 5.0,
    sustain: Annotated[
        float, typer.Option(help="Length of the end-to-end run; 300 for five minutes.")
    ] = 30.0,
    keys: Annotated[
        int, typer.Option(help="Keys in the dedupe index before it is measured.")
    ] = 5_000_000,
    only: Annotated[str, typer.Option(help="Only figures whose name contains this text.")] = "",
    folder: Annotated[
        Path | None, typer.Option(help="Where to write; default: a temporary folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure every step of an event's way on this machine.

    Example: penstock bench --sustain 300 --keys 50000000
    """
    say = Console(stderr=True).print
    with tempfile.TemporaryDirectory(dir=folder, prefix="penstock-bench-") as name:
        figures = _measure(Path(name), seconds, sustain, keys, only, lambda text: say(text))
    facts = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": _processor(),
    }
    if as_json:
        typer.echo(json.dumps({"machine": facts, "figures": [asdict(f) for f in figures]}))
        return
    table = Table(title=f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}")
    for column in ("measured", "value", "unit", "target", "ratio", "to"):
        table.add_column(column, justify="right" if column in ("value", "ratio") else "left")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        digits = 2 if figure.value < 100 else 0
        table.add_row(
            figure.name, f"{figure.value:,.{digits}f}", figure.unit, figure.target, ratio,
            figure.limit or figure.note,
        )  # fmt: skip
    Console().print(table)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def _measure(
    folder: Path, seconds: float, sustain: float, keys: int, only: str,
    say: Callable[[str], None],
) -> list[Figure]:  # fmt: skip
    figures: list[Figure] = []
    cut = templates(60)
    parse = parse_limit([single_body(cut, n, "m") for n in range(500)], min(seconds, 3))
    append = append_limit(folder, *sample_block(), min(seconds, 3))
    figures.append(Figure("limit: orjson parse", parse, "events/s"))
    figures.append(Figure("limit: append + fdatasync", append, "events/s"))

    def sub() -> Path:
        return Path(tempfile.mkdtemp(dir=folder))

    def add(name: str, target: str, limit: str, measure: Callable[[], float]) -> None:
        if only not in name:
            return
        say(f"measuring: {name}")
        value = measure()
        against = parse if limit == "orjson parse" else append
        figures.append(Figure(name, value, "events/s", target, limit, value / against))

    add("decode, stamp, encode", "", "orjson parse", lambda: accept_rate(seconds))
    add("journal append", "", "append + fdatasync", lambda: append_rate(sub(), seconds))
    add("single accepts per core", "15,000", "orjson parse",
        lambda: accepting(sub(), batch=1, connections=128, seconds=seconds).per_core)  # fmt: skip
    add("batched accepts per core", "150,000", "orjson parse",
        lambda: accepting(sub(), batch=100, connections=16, seconds=seconds).per_core)  # fmt: skip
    add(f"process, {keys / 1e6:g} M keys", "", "append + fdatasync",
        lambda: process_rate(sub(), keys, 200_000, say))  # fmt: skip
    add("load, 60 tables", "", "orjson parse", lambda: load_rate(sub(), 60, 3))
    add("load, 500 tables", "", "orjson parse", lambda: load_rate(sub(), 500, 2))
    if only in "end to end":
        say("measuring: end to end")
        whole = end_to_end(sub(), sustain)
        note = f"{whole.seconds:.0f} s"
        figures.append(Figure("end to end", whole.rate, "events/s", "30,000", "orjson parse",
                              whole.rate / parse, note))  # fmt: skip
        figures += [
            Figure(f"memory of {label}", samples[-1], "MB", "flat",
                   note=f"from {samples[0]:.0f}, most {max(samples):.0f}")
            for label, samples in whole.memory_mb.items()
        ]  # fmt: skip
    if only in "freshness":
        say("measuring: freshness")
        median, late = freshness(sub(), 10_000, max(seconds, 20))
        figures.append(Figure("freshness p50 at 10 K/s", median, "s", "< 2"))
        figures.append(Figure("freshness p99 at 10 K/s", late, "s"))
    if only in "at rest":
        say("measuring: memory at rest")
        rest = at_rest(sub())
        note = ", ".join(f"{label} {mb:.0f}" for label, mb in rest.items())
        figures.append(Figure("at rest, all roles", sum(rest.values()), "MB", "< 300", note=note))
    return figures
