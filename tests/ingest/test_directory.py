"""The collector's view of the sources: what it finds, and what it says of a change."""

from __future__ import annotations

import logging

import pytest

from penstock.events import Source
from penstock.ingest.directory import SourceDirectory


class Kept:
    """Sources that a test changes."""

    def __init__(self, *sources: Source) -> None:
        self.changes = 0
        self.kept = list(sources)

    def put(self, *sources: Source) -> None:
        self.changes += 1
        self.kept = list(sources)

    def revision(self) -> int:
        return self.changes

    def sources(self) -> list[Source]:
        return self.kept

    def browser_settings(self) -> dict[str, dict[str, dict[str, str]]]:
        return {"web": {"Ads": {"id": str(self.changes)}}}


def source(*keys: str) -> Source:
    return Source("web", "Web", "browser", write_keys=keys)


def test_a_change_is_followed_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "penstock.ingest")
    kept = Kept(source("a"))
    directory = SourceDirectory(kept)
    directory.refresh()
    kept.put(source("a", "b"))
    directory.refresh()
    kept.put(source("a", "b"))
    directory.refresh()
    kept.put(source("b"))
    directory.refresh()

    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("DEBUG", "1 write key in force"),
        ("INFO", "2 write keys in force"),
        ("INFO", "1 write key in force"),
    ]
    assert directory.find("a") is None
    assert directory.find("b") == source("b")


def test_no_sources_at_first(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock.ingest")
    kept = Kept()
    directory = SourceDirectory(kept)
    kept.put(source("a"))
    directory.refresh()

    assert caplog.messages == ["1 write key in force"]
    assert directory.find("a") == source("a")


def test_tools_of_the_pages_follow_too() -> None:
    kept = Kept(source("a"))
    directory = SourceDirectory(kept)
    web = source("a")
    assert directory.browser_settings(web) == {"Ads": {"id": "0"}}
    kept.put(web)
    directory.refresh()
    assert directory.browser_settings(web) == {"Ads": {"id": "1"}}
    assert directory.browser_settings(Source("app", "App")) == {}
