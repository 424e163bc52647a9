"""Where commands get people and audiences: the API of an engine, or the folder itself.

Both ways give the same JSON.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from penstock.cli.engine_api import EngineApi, local_api, remote_api, with_query
from penstock.errors import NotFound
from penstock.profiles.language.definitions import AudienceSetup
from penstock.profiles.reading.described import (
    show_audience,
    show_members,
    show_preview,
    show_profile,
)
from penstock.profiles.reading.people import ProfileReader, opened_reader
from penstock.settings import Settings, load_settings
from penstock.workspace.store import Workspace

__all__ = ["Access", "opened_access"]

Json = Any
_PREVIEW_LIMIT_S = 60.0
_PAGE = 100


class Access(Protocol):
    """What the commands ask for. Raises NotFound for what there isn't."""

    def audiences(self) -> list[Json]:
        """Each as ``audience`` gives it."""

    def audience(self, slug: str) -> Json:
        """Definition, state, size, sizes, and the first members."""

    def members(self, slug: str, after: int, limit: int) -> Json:
        """A page of members."""

    def preview(self, when: str, space: str, include_anonymous: bool) -> Json:
        """Size and sample."""

    def profile(self, given: str, space: str, why: str | None) -> Json:
        """A person, and why they are in an audience or not."""


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

    def audiences(self) -> list[Json]:
        found = self._api.call("GET", "/audiences")["items"]
        return [self.audience(each["slug"]) for each in found]

    def audience(self, slug: str) -> Json:
        return self._api.call("GET", f"/audiences/{quote(slug, safe='')}")

    def members(self, slug: str, after: int, limit: int) -> Json:
        path = f"/audiences/{quote(slug, safe='')}/members"
        return self._api.call("GET", with_query(path, after=after, limit=limit))

    def preview(self, when: str, space: str, include_anonymous: bool) -> Json:
        body = {"when": when, "space": space, "include_anonymous": include_anonymous}
        content = self._api.fetch("POST", "/audiences/preview", body, timeout=_PREVIEW_LIMIT_S)
        return msgspec.json.decode(content)

    def profile(self, given: str, space: str, why: str | None) -> Json:
        path = f"/profiles/{quote(given, safe='')}"
        return self._api.call("GET", with_query(path, space=space, why=why))


class _InFolder:
    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self._settings = settings
        self._definitions = workspace.definitions

    def audiences(self) -> list[Json]:
        return [self._shown(setup) for setup in self._definitions.audiences()]

    def audience(self, slug: str) -> Json:
        return self._shown(self._definitions.audience(slug))

    def _shown(self, setup: AudienceSetup) -> Json:
        definition = msgspec.to_builtins(setup)
        try:
            with self._reader(setup.space) as reader:
                return _json(show_audience(reader, setup, definition, _PAGE))
        except NotFound:  # nobody is known yet
            return _json(show_audience(None, setup, definition, _PAGE))

    def members(self, slug: str, after: int, limit: int) -> Json:
        with self._reader(self._definitions.audience(slug).space) as reader:
            return _json(show_members(reader, slug, after, limit))

    def preview(self, when: str, space: str, include_anonymous: bool) -> Json:
        from penstock.journal.sqlite import SqliteJournal

        setup = AudienceSetup("preview", when, include_anonymous=include_anonymous, space=space)
        journal = SqliteJournal(self._settings.journal_folder)
        try:
            with self._reader(space) as reader:
                return _json(show_preview(reader, journal, setup, _now_us()))
        finally:
            journal.close()

    def profile(self, given: str, space: str, why: str | None) -> Json:
        asked = [] if why is None else [self._definitions.audience(why)]
        kind, _, value = given.partition(":")
        with self._reader(asked[0].space if asked else space) as reader:
            return _json(show_profile(reader, kind, value, asked, _now_us()))

    @contextmanager
    def _reader(self, space: str) -> Iterator[ProfileReader]:
        spaces = {one.slug: one.trait_strategies for one in self._definitions.spaces()}
        strategies = spaces.get(space, {})
        with opened_reader(self._settings.profiles_folder, space, strategies) as reader:
            yield reader


def _now_us() -> int:
    return time.time_ns() // 1000


def _json(value: Any) -> Json:
    """As the API would send it."""
    return msgspec.json.decode(msgspec.json.encode(value))
