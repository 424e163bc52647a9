"""What pages are told of tools that run in the browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.destinations.model import DestinationSetup
from penstock.ingest.settings_document import settings_document
from penstock.workspace.browser import browser_settings

PIXEL = """
from penstock.destinations.contract import Choice, Destination, Setting

DESTINATION = Destination(
    slug="pixel", name="Ad Pixel", help="Ads.", actions=(), mode="{mode}",
    settings=(
        Setting("account", "Account", required=True),
        Setting("region", "Region", default="eu"),
        Setting("token", "Token", secret=True),
        Setting("connection_mode", "Where", choices=(Choice("device"), Choice("cloud")),
                default="cloud"),
    ),
)
"""
SETTINGS = {"account": "a1", "token": "********"}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    for mode in ("device", "both", "cloud"):
        text = PIXEL.replace("{mode}", mode).replace('"pixel"', f'"pixel-{mode}"')
        (tmp_path / f"{mode}.py").write_text(text.replace("Ad Pixel", f"Ad {mode}"))
    return tmp_path


def test_a_tool_of_the_page_is_bundled_and_its_secrets_stay(tools: Path) -> None:
    setup = DestinationSetup("ads", "pixel-device", settings=SETTINGS, consent=("ads",))
    found = browser_settings([setup], ["web", "app"], tools)
    entry = {
        "account": "a1",
        "region": "eu",
        "bundlingStatus": "bundled",
        "type": "browser",
        "versionSettings": {"componentTypes": ["browser"]},
        "consentSettings": {"categories": ["ads"]},
    }
    assert found == {"web": {"Ad device": entry}, "app": {"Ad device": entry}}
    document = settings_document("k", "https", "cdp.test", found["web"])
    assert list(document["integrations"]) == ["Segment.io", "Ad device"]


def test_where_a_tool_of_both_modes_runs_is_a_setting(tools: Path) -> None:
    def status(**settings: str) -> str:
        setup = DestinationSetup("ads", "pixel-both", settings={**SETTINGS, **settings})
        found = browser_settings([setup], ["web"], tools)["web"]["Ad both"]
        assert ("type" in found) is (found["bundlingStatus"] == "bundled")
        return str(found["bundlingStatus"])

    assert status() == "unbundled", "the server sends, unless the page is said to"
    assert status(connection_mode="device") == "bundled"


@pytest.mark.parametrize(
    "setup",
    [
        DestinationSetup("ads", "pixel-cloud", settings=SETTINGS),
        DestinationSetup("ads", "pixel-device", settings=SETTINGS, enabled=False),
        DestinationSetup("ads", "pixel-device", settings=SETTINGS, sources=("app",)),
        DestinationSetup("ads", "pixel-gone", settings=SETTINGS),
    ],
)
def test_what_pages_are_not_told(tools: Path, setup: DestinationSetup) -> None:
    assert "web" not in browser_settings([setup], ["web"], tools)
