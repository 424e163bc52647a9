"""What a collector worker tells of itself: its figures, and whether it can take events."""

from __future__ import annotations

import time

from penstock.ingest.committer import GroupCommitter
from penstock.ingest.disk import Disk
from penstock.ingest.door import Door
from penstock.ingest.rate import RateLimits
from penstock.metrics import Distribution, Page, SnapshotFile, Value, read_snapshots, render
from penstock.settings import Settings

__all__ = ["Figures"]

_PREFIX = "penstock_collector_"


class Figures:
    """The figures of one worker; ``report`` is called every second."""

    def __init__(
        self,
        settings: Settings,
        worker: int,
        committer: GroupCommitter,
        disk: Disk,
        door: Door,
        limits: RateLimits,
    ) -> None:
        self._settings = settings
        self._worker = str(worker)
        self._committer = committer
        self._disk = disk
        self._door = door
        self._limits = limits
        self._file = SnapshotFile(settings.run_folder, f"collector-{worker}")

    def unready(self) -> str:
        """Why an event that comes now could not be made durable; empty when it could."""
        if not self._disk.has_room:
            return "the disk is nearly full"
        return self._committer.trouble()

    def report(self) -> None:
        """Leave the figures where every role's are."""
        self._file.write(self._page())

    def page(self) -> str:
        """The figures of all roles, with this worker's as they are now."""
        self.report()
        return render(read_snapshots(self._settings.run_folder), time.time())

    def _page(self) -> Page:
        worker = (self._worker,)
        tally = self._committer.tally
        counts = {
            "accepted_events_total": tally.accepted,
            "turned_away_requests_total": tally.turned_away,
            "refused_connections_total": self._door.limits.turned_away,
            "lost_pixels_total": tally.lost_pixels,
            "commits_total": tally.commits,
            "failed_commits_total": tally.failed_commits,
            "queue_bytes": self._committer.waiting_bytes,
            "queue_limit_bytes": self._settings.queue_bytes,
            "ready": not self.unready(),
        }
        limited = dict(self._limits.turned_away)
        codes = dict(tally.codes)
        return Page(
            (
                *(Value(_PREFIX + name, float(count), worker) for name, count in counts.items()),
                *_by(f"{_PREFIX}rejected_events_total", self._worker, codes),
                *_by(f"{_PREFIX}rate_limited_requests_total", self._worker, limited),
            ),
            (
                Distribution.of(f"{_PREFIX}commit_seconds", tally.commit_seconds, self._worker),
                Distribution.of(f"{_PREFIX}commit_requests", tally.commit_requests, self._worker),
            ),
        )


def _by(metric: str, worker: str, counts: dict[str, int]) -> tuple[Value, ...]:
    return tuple(Value(metric, float(count), (worker, name)) for name, count in counts.items())
