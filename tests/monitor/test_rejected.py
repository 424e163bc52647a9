"""The list of what was refused."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.monitor import rejected as module
from penstock.monitor.rejected import list_rejected, original_of
from tests.monitor.journals import START_US, Journals, refused


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Journals]:
    made = Journals(tmp_path)
    yield made
    made.close()


def test_newest_first_across_partitions_and_page_by_page(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WINDOW", 3)
    for n in range(20):
        source = "web" if n % 2 else "shop"
        record = refused(f"c{n % 3}", START_US + n, source, f"{n}".encode())
        journals.reject(record, part=(0, 1, 10_000)[n % 3])
    seen: list[str] = []
    before = None
    for _ in range(10):
        page = list_rejected(journals.journal, limit=3, before=before)
        seen += [entry.original for entry in page.items]
        before = page.before
        if before is None:
            break
    assert seen == [str(n) for n in reversed(range(20))]
    web = list_rejected(journals.journal, source="web", code="c0", limit=99)
    assert [entry.original for entry in web.items] == ["15", "9", "3"]
    assert web.before is None
    for entry in web.items:
        assert original_of(journals.journal, entry.id) == entry.original.encode()


def test_originals_are_kept_as_they_came(journals: Journals) -> None:
    text = '{"event":"Ä","messageId":"m1"}'.encode()
    journals.reject(refused("too_large", original=text, path="/v1/track"))
    journals.reject(refused("invalid_json", START_US + 1, "", b"\x1f\x8b\xff", "/v1/batch"))
    packed, plain = list_rejected(journals.journal).items
    assert (plain.event, plain.message_id, plain.encoding) == ("Ä", "m1", "text")
    assert (packed.event, packed.message_id, packed.encoding) == ("$unknown", None, "base64")
    assert base64.b64decode(packed.original) == b"\x1f\x8b\xff"
    assert packed.size == 3


@pytest.mark.parametrize("entry", ["", "x", "0-9", "7-0", "0-", "-1", "0-0-0"])
def test_an_entry_that_is_not_there(journals: Journals, entry: str) -> None:
    journals.reject(refused("too_large"))
    assert original_of(journals.journal, entry) is None


def test_a_place_that_is_none(journals: Journals) -> None:
    with pytest.raises(ValueError, match="before"):
        list_rejected(journals.journal, before="yesterday")
