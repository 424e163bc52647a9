"""What is measured, and how the figures of all processes come together in one page.

Each role counts in plain numbers and writes them, once a second, into a file of its own below
``run/metrics``. Whoever is asked for ``/metrics`` reads all of these files: with several collectors
on one port, a scrape reaches any one of them.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

__all__ = [
    "METRICS",
    "STALE_S",
    "Distribution",
    "Histogram",
    "Metric",
    "Page",
    "Snapshot",
    "SnapshotFile",
    "Value",
    "forget_snapshots",
    "read_snapshots",
    "render",
]

STALE_S = 15.0
"""A role whose file is older does not answer, or is gone."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_REQUESTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


@dataclass(frozen=True)
class Metric:
    """One name on the page, and what it means."""

    name: str
    kind: str
    """counter, gauge or histogram. Counters begin at 0 when their role starts."""
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, ascending, without infinity."""


_COLLECTOR = "penstock_collector_"
_WAREHOUSE = "penstock_warehouse_"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(f"{_COLLECTOR}accepted_events_total", "counter",
               "Events written to the journal and acknowledged.", ("worker",)),
        Metric(f"{_COLLECTOR}rejected_events_total", "counter",
               "Events, or whole requests, that were refused and kept, by ingest code.",
               ("worker", "code")),
        Metric(f"{_COLLECTOR}turned_away_requests_total", "counter",
               "Requests answered with 429 or 503: too much waited, or the disk was nearly full.",
               ("worker",)),
        Metric(f"{_COLLECTOR}rate_limited_requests_total", "counter",
               "Requests answered with 429 because their source sent more than its rate_limit.",
               ("worker", "source")),
        Metric(f"{_COLLECTOR}refused_connections_total", "counter",
               "Connections closed at once because too many were open.", ("worker",)),
        Metric(f"{_COLLECTOR}lost_pixels_total", "counter",
               "Pixel calls whose event could not be kept; a pixel is never asked to come again.",
               ("worker",)),
        Metric(f"{_COLLECTOR}commits_total", "counter",
               "Group commits, each with one fsync.", ("worker",)),
        Metric(f"{_COLLECTOR}failed_commits_total", "counter",
               "Group commits that failed; nothing of them was acknowledged.", ("worker",)),
        Metric(f"{_COLLECTOR}commit_seconds", "histogram",
               "Duration of a group commit, with its fsync.", ("worker",), _SECONDS),
        Metric(f"{_COLLECTOR}commit_requests", "histogram",
               "Requests that one group commit answered.", ("worker",), _REQUESTS),
        Metric(f"{_COLLECTOR}queue_bytes", "gauge",
               "Bytes of requests that wait for the disk.", ("worker",)),
        Metric(f"{_COLLECTOR}queue_limit_bytes", "gauge",
               "Setting queue_bytes: beyond it the collector answers 429.", ("worker",)),
        Metric(f"{_COLLECTOR}ready", "gauge",
               "1 while /ready answers 200.", ("worker",)),
        Metric("penstock_profiles_events_total", "counter", "Events resolved to people."),
        Metric("penstock_profiles_merges_total", "counter",
               "Profiles that became part of another."),
        Metric("penstock_profiles_told_total", "counter",
               "Events that say of a change of audiences or computed traits."),
        Metric("penstock_profiles_history_events", "gauge",
               "Events that audiences and traits in preparation still have to be shown."),
        Metric("penstock_process_events_total", "counter",
               "Events read from `received`."),
        Metric("penstock_process_duplicates_total", "counter",
               "Events dropped because their messageId was seen within the dedupe window."),
        Metric(f"{_WAREHOUSE}loaded_events_total", "counter",
               "Events loaded into the warehouse."),
        Metric(f"{_WAREHOUSE}filtered_events_total", "counter",
               "Events kept out by integrations.Warehouses."),
        Metric(f"{_WAREHOUSE}discards_total", "counter",
               "Values that did not fit their column and went to the table `discards`."),
        Metric(f"{_WAREHOUSE}load_seconds", "histogram",
               "Duration of one load.", (), _SECONDS),
        Metric(f"{_WAREHOUSE}compacted_rows_total", "counter",
               "Rows removed because their id had been loaded before the dedupe window."),
        Metric("penstock_deliver_events_total", "counter",
               "Outcomes at a destination: delivered, filtered, retried, failed or discarded.",
               ("destination", "step")),
        Metric("penstock_deliver_behind_events", "gauge",
               "Events of the journal that a destination has not passed yet.", ("destination",)),
        Metric("penstock_deliver_waiting_events", "gauge",
               "Deliveries that wait to be tried again.", ("destination",)),
        Metric("penstock_deliver_up", "gauge",
               "1 while a destination takes events; 0 while it is down, full or can't be used.",
               ("destination",)),
        Metric("penstock_lag_events", "gauge",
               "Events of the journal that a reader has not read yet.", ("reader",)),
        Metric("penstock_lag_seconds", "gauge",
               "Age of the oldest event that a reader has not read yet; 0 when there is none.",
               ("reader",)),
        Metric("penstock_journal_bytes", "gauge",
               "Bytes of a journal topic on disk.", ("topic",)),
        Metric("penstock_disk_free_bytes", "gauge",
               "Free bytes on the disk of the data folder."),
        Metric("penstock_ledger_missing_events", "gauge",
               "Events that the loss ledger misses at a stage; anything but 0 is a loss.",
               ("stage",)),
        Metric("penstock_role_up", "gauge",
               "1 when the role reported within the last 15 seconds.", ("role",)),
        Metric("penstock_role_started_seconds", "gauge",
               "When the role was started, in seconds since 1970.", ("role",)),
        Metric("penstock_role_memory_bytes", "gauge",
               "Resident memory of the role.", ("role",)),
        Metric("penstock_role_cpu_seconds_total", "counter",
               "Processor time the role took.", ("role",)),
    )
}  # fmt: skip
"""Every metric by name, in the order of the page."""


class Histogram:
    """Counts of observations by size. One thread observes; any may read."""

    def __init__(self, metric: str) -> None:
        self.bounds = METRICS[metric].buckets
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Value(msgspec.Struct, array_like=True, frozen=True):
    """One number."""

    metric: str
    value: float
    labels: tuple[str, ...] = ()
    """In the order of ``Metric.labels``."""


class Distribution(msgspec.Struct, array_like=True, frozen=True):
    """What a Histogram holds."""

    metric: str
    counts: tuple[int, ...]
    """By bucket, not cumulative; the last is of what is larger than every bound."""
    sum: float
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, metric: str, histogram: Histogram, *labels: str) -> Distribution:
        """The state of a histogram."""
        return cls(metric, tuple(histogram.counts), histogram.sum, labels)


class Page(msgspec.Struct, frozen=True):
    """The figures that a role reports."""

    values: tuple[Value, ...] = ()
    distributions: tuple[Distribution, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """The figures of one role at one moment."""

    role: str
    at: float
    """Seconds since 1970."""
    page: Page


_decode = msgspec.json.Decoder(Snapshot).decode


class SnapshotFile:
    """Where a role leaves its figures; ``write`` adds what every process can tell of itself."""

    def __init__(self, run_folder: Path, role: str) -> None:
        self._folder = run_folder / "metrics"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / f"{role}.json"
        self._role = role
        self._started = time.time()

    def remove(self) -> None:
        """The role ended because there was nothing more for it to do."""
        self._path.unlink(missing_ok=True)

    def write(self, page: Page) -> Snapshot:
        """Replace the figures at once; a disk that is full leaves the ones before."""
        own = (
            Value("penstock_role_started_seconds", round(self._started, 3), (self._role,)),
            Value("penstock_role_memory_bytes", float(_resident_bytes()), (self._role,)),
            Value("penstock_role_cpu_seconds_total", _cpu_seconds(), (self._role,)),
        )
        page = Page((*page.values, *own), page.distributions)
        snapshot = Snapshot(self._role, time.time(), page)
        draft = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            draft.write_bytes(msgspec.json.encode(snapshot))
            draft.replace(self._path)
        return snapshot


def read_snapshots(run_folder: Path) -> list[Snapshot]:
    """The newest figures of every role, by name; files that can't be read are left out."""
    found = []
    for path in sorted((run_folder / "metrics").glob("*.json")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            found.append(_decode(path.read_bytes()))
    return found


def forget_snapshots(run_folder: Path) -> None:
    """Remove the figures of an engine that ended."""
    for path in (run_folder / "metrics").glob("*"):
        path.unlink(missing_ok=True)


def render(snapshots: Iterable[Snapshot], now: float) -> str:
    """The page in Prometheus' text format 0.0.4.

    The registries of prometheus-client belong to one process, and its mode for several keeps files
    that are written for each count; what is left to do for this format is these few lines.
    """
    lines: dict[str, list[str]] = {}
    for snapshot in snapshots:
        up = float(0 <= now - snapshot.at < STALE_S or snapshot.at > now)
        for value in (*snapshot.page.values, Value("penstock_role_up", up, (snapshot.role,))):
            labels = _labels(value.metric, value.labels)
            lines.setdefault(value.metric, []).append(
                f"{value.metric}{labels} {_number(value.value)}"
            )
        for distribution in snapshot.page.distributions:
            lines.setdefault(distribution.metric, []).extend(_buckets(distribution))
    return "".join(
        f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n"
        + "".join(f"{line}\n" for line in lines[name])
        for name, metric in METRICS.items()
        if name in lines
    )


def _buckets(distribution: Distribution) -> Iterable[str]:
    name = distribution.metric
    total = 0
    bounds = [f"{bound:g}" for bound in METRICS[name].buckets]
    for bound, count in zip([*bounds, "+Inf"], distribution.counts, strict=True):
        total += count
        yield f"{name}_bucket{_labels(name, distribution.labels, {'le': bound})} {total}"
    labels = _labels(name, distribution.labels)
    yield f"{name}_sum{labels} {distribution.sum:.9g}"
    yield f"{name}_count{labels} {total}"


def _labels(metric: str, values: tuple[str, ...], more: Mapping[str, str] | None = None) -> str:
    named = {**dict(zip(METRICS[metric].labels, values, strict=True)), **(more or {})}
    if not named:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in named.items()) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu_seconds() -> float:
    times = os.times()
    return round(times.user + times.system, 3)
