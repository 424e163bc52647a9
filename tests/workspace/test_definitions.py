"""Audiences in a workspace, and what they may refer to."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.destinations.model import DestinationSetup
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.profiles.language.definitions import AudienceSetup
from penstock.workspace.audit import command_line_actor
from penstock.workspace.planning import Contents
from penstock.workspace.store import Workspace

HOOK = DestinationSetup("hook", "webhook", settings={"url": "https://example.com/hook"})
BUYERS = AudienceSetup("buyers", 'did "Bought"', destinations=("hook",), space="pub")
PUB = Source("pub", "Pub", write_keys=("k",), space="pub")


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_audience_may_name_what_comes_with_it(tmp_path: Path, dry_run: bool) -> None:
    workspace = Workspace(tmp_path / "state.sqlite")
    try:
        together = Contents(sources=(PUB,), destinations=(HOOK,), audiences=(BUYERS,))
        changes, _ = workspace.apply(together, command_line_actor(), dry_run=dry_run)
        assert [(one.action, one.slug) for one in changes] == [
            ("create", "pub"),
            ("create", "hook"),
            ("create", "buyers"),
        ]
        with pytest.raises(ConfigurationError, match="there is no destination other"):
            other = AudienceSetup("others", 'did "Bought"', destinations=("other",))
            workspace.apply(Contents(audiences=(other,)), command_line_actor(), dry_run=dry_run)
    finally:
        workspace.close()
