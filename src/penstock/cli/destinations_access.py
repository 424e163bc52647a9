"""Where ``penstock destinations`` gets what it shows: the API of an engine, or the folder itself.

Both ways give the same JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

import msgspec

from penstock.cli.engine_api import EngineApi, local_api, remote_api
from penstock.destinations.contract import Destination
from penstock.destinations.described import destination_body, tool_body, tool_summary
from penstock.destinations.registry import definition, definitions
from penstock.errors import NotFound
from penstock.settings import Settings, load_settings
from penstock.workspace.audit import command_line_actor
from penstock.workspace.store import Workspace

if TYPE_CHECKING:
    from penstock.destinations.delivery.store import DeliveryStore

__all__ = ["Access", "opened_access"]

Json = Any
_TRIAL_LIMIT_S = 300.0


class Access(Protocol):
    """What the commands ask for. Raises NotFound for a destination that there isn't."""

    def tools(self) -> list[Json]:
        """The catalogue: slug, name, help, mode."""

    def tool(self, slug: str) -> Json:
        """One tool, with settings, actions and presets."""

    def every(self) -> list[Json]:
        """All destinations, secrets masked."""

    def one(self, slug: str) -> Json:
        """One of them."""

    def overview(self) -> list[Json]:
        """State and figures of each that was delivered to."""

    def delete(self, slug: str) -> None:
        """Forget it."""

    def trial(self, slug: str, event: Json, source: str, dry_run: bool) -> Json:
        """Send an event, or the newest."""

    def dead_letters(self, slug: str, limit: int, reason: str | None) -> list[Json]:
        """Newest first."""

    def settle(self, slug: str, verb: str, ids: list[int] | None) -> int:
        """``retry`` or ``discard`` dead letters; the events they were for."""

    def replays(self, slug: str) -> list[Json]:
        """Newest first."""

    def replay(self, slug: str, start: datetime, end: datetime, events: list[str]) -> int:
        """Start one; its id."""

    def cancel(self, slug: str, replay: int) -> None:
        """Stop one that has not ended."""


@contextmanager
def opened_access(url: str | None, data: Path | None) -> Iterator[Access]:
    """By the API where an engine is to be had, else directly."""
    settings = load_settings({"data": data})
    api = remote_api(url, data) or local_api(settings)
    if api is not None:
        yield _ByApi(api)
        return
    workspace = Workspace.of(settings)
    try:
        yield _InFolder(settings, workspace)
    finally:
        workspace.close()


class _ByApi:
    def __init__(self, api: EngineApi) -> None:
        self._api = api

    def tools(self) -> list[Json]:
        return self._items("/catalog")

    def tool(self, slug: str) -> Json:
        return self._api.call("GET", f"/catalog/{quote(slug, safe='')}")

    def every(self) -> list[Json]:
        return self._items("/destinations")

    def one(self, slug: str) -> Json:
        return self._api.call("GET", _path(slug))

    def overview(self) -> list[Json]:
        return self._items("/deliveries")

    def delete(self, slug: str) -> None:
        self._api.call("DELETE", _path(slug))

    def trial(self, slug: str, event: Json, source: str, dry_run: bool) -> Json:
        body = {"event": event, "source": source, "dry_run": dry_run}
        content = self._api.fetch("POST", f"{_path(slug)}/test", body, timeout=_TRIAL_LIMIT_S)
        return msgspec.json.decode(content)

    def dead_letters(self, slug: str, limit: int, reason: str | None) -> list[Json]:
        asked = {"limit": str(limit)} | ({"reason": reason} if reason else {})
        return self._items(f"{_path(slug)}/dead-letters?{urlencode(asked)}")

    def settle(self, slug: str, verb: str, ids: list[int] | None) -> int:
        answer = self._api.call("POST", f"{_path(slug)}/dead-letters/{verb}", {"ids": ids})
        return int(answer["events"])

    def replays(self, slug: str) -> list[Json]:
        return self._items(f"{_path(slug)}/replays")

    def replay(self, slug: str, start: datetime, end: datetime, events: list[str]) -> int:
        body = {"start": start, "end": end, "events": events}
        return int(self._api.call("POST", f"{_path(slug)}/replays", body)["id"])

    def cancel(self, slug: str, replay: int) -> None:
        self._api.call("DELETE", f"{_path(slug)}/replays/{replay}")

    def _items(self, path: str) -> list[Json]:
        items: list[Json] = self._api.call("GET", path)["items"]
        return items


class _InFolder:
    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self._settings = settings
        self._workspace = workspace

    def tools(self) -> list[Json]:
        return [_json(tool_summary(tool)) for tool in self._tools().values()]

    def tool(self, slug: str) -> Json:
        return _json(tool_body(definition(slug, self._settings.destinations_folder)))

    def every(self) -> list[Json]:
        found = self._workspace.destinations(secrets=False)
        return [_json(destination_body(each)) for each in found]

    def one(self, slug: str) -> Json:
        return _json(destination_body(self._workspace.destination(slug, secrets=False)))

    def overview(self) -> list[Json]:
        if not self._settings.deliveries_file.exists():
            return []
        with self._deliveries() as store:
            return [_json(each) for each in store.overview()]

    def delete(self, slug: str) -> None:
        self._workspace.delete_destination(slug, command_line_actor())

    def trial(self, slug: str, event: Json, source: str, dry_run: bool) -> Json:
        from penstock.destinations.trial import run_trial
        from penstock.journal.sqlite import SqliteJournal

        setup = self._workspace.destination(slug)
        functions = self._workspace.functions() if setup.functions else []
        journal = SqliteJournal(self._settings.journal_folder)

        async def rotated(token: str) -> None:
            self._workspace.renew_token(slug, token, command_line_actor())

        given = None if event is None else (source, event)
        try:
            trial = asyncio.run(
                run_trial(
                    self._settings,
                    journal,
                    setup,
                    given,
                    dry_run=dry_run,
                    rotated=rotated,
                    functions=functions,
                )
            )
        finally:
            journal.close()
        return _json(trial)

    def dead_letters(self, slug: str, limit: int, reason: str | None) -> list[Json]:
        with self._deliveries() as store:
            return [_json(each) for each in store.dead_letters(slug, limit, None, reason)]

    def settle(self, slug: str, verb: str, ids: list[int] | None) -> int:
        self.one(slug)
        with self._deliveries() as store:
            done = store.retry_dead if verb == "retry" else store.discard_dead
            return done(slug, ids)

    def replays(self, slug: str) -> list[Json]:
        self.one(slug)
        with self._deliveries() as store:
            return [_json(each) for each in store.replays(slug)]

    def replay(self, slug: str, start: datetime, end: datetime, events: list[str]) -> int:
        self.one(slug)
        with self._deliveries() as store:
            return store.request_replay(slug, start, end, events)

    def cancel(self, slug: str, replay: int) -> None:
        with self._deliveries() as store:
            mine = {each.id for each in store.replays(slug)}
            if replay not in mine or not store.cancel_replay(replay):
                raise NotFound(f"no replay {replay} of {slug} waits or runs")

    def _tools(self) -> Mapping[str, Destination]:
        return definitions(self._settings.destinations_folder)

    @contextmanager
    def _deliveries(self) -> Iterator[DeliveryStore]:
        from penstock.destinations.delivery.store import DeliveryStore

        store = DeliveryStore(self._settings.deliveries_file)
        try:
            yield store
        finally:
            store.close()


def _path(slug: str) -> str:
    return f"/destinations/{quote(slug, safe='')}"


def _json(value: Any) -> Json:
    """As the API would send it."""
    return msgspec.json.decode(msgspec.json.encode(value))
