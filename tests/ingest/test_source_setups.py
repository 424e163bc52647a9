"""The collector's own look at the state store gives what the workspace gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.destinations.model import DestinationSetup
from penstock.events.model import Source
from penstock.glance import SourceSetups
from penstock.ingest.directory import SourceDirectory
from penstock.workspace.store import Workspace

WEB = Source("web", "Web", "browser", space="shop", write_keys=("k1", "k2"), rate_limit=5)
APP = Source("app", "App", "mobile", enabled=False, write_keys=("k3",))


@pytest.fixture
def opened() -> list[Workspace]:
    return []


@pytest.fixture
def setups(tmp_path: Path, opened: list[Workspace]) -> SourceSetups:
    file = tmp_path / "state.sqlite"

    def open_whole() -> Workspace:
        opened.append(Workspace(file))
        return opened[-1]

    return SourceSetups(file, open_whole)


def test_sources_are_those_of_the_workspace(tmp_path: Path, setups: SourceSetups) -> None:
    workspace = Workspace(tmp_path / "state.sqlite")
    before = setups.revision()
    workspace.put_sources([WEB, APP])
    assert setups.sources() == workspace.sources() == [APP, WEB]
    assert setups.revision() == workspace.revision() > before
    assert SourceDirectory(setups).find("k2") == WEB
    workspace.close()


def test_the_workspace_is_opened_only_for_destinations(
    tmp_path: Path, setups: SourceSetups, opened: list[Workspace]
) -> None:
    workspace = Workspace(tmp_path / "state.sqlite")
    workspace.put_sources([WEB])
    assert setups.browser_settings() == {} and not opened
    hook = DestinationSetup("hook", "webhook", settings={"url": "https://example.com"})
    workspace.put_destinations([hook])
    assert setups.browser_settings() == workspace.browser_settings() and len(opened) == 1
    for each in (workspace, *opened):
        each.close()


def test_who_comes_first_makes_the_store(setups: SourceSetups, opened: list[Workspace]) -> None:
    assert setups.sources() == [] and setups.revision() == 0 and len(opened) == 1
    opened[0].close()
