"""The benchmark of profiles measures what it says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from penstock.bench.people import Visitors, narrow_setups, wide_setups
from penstock.bench.profiles import audience_cost, streamed
from penstock.profiles.observed import observe


def test_a_few_do_most() -> None:
    visitors = Visitors(1_000)
    everybody = list(visitors.each())
    assert len({msgspec.json.decode(one.payload)["userId"] for one in everybody}) == 1_000
    assert len({one.message_id for one in everybody}) == 1_000
    some = [observe("web", one.received_us, one.payload) for one in visitors.skewed(2_000)]
    busiest = sum(int(str(event.user_id).removeprefix("u")) < 10 for event in some)
    assert 0.15 < busiest / 2_000 < 0.28
    assert all(event.type == "track" for event in some)


def test_setups_are_as_many_as_wanted() -> None:
    wide = wide_setups()
    assert (len(wide.traits), len(wide.audiences)) == (50, 100)
    assert len({one.kind for one in wide.traits.values()}) == 10
    assert len(narrow_setups(1_000).audiences) == 1_000


def test_every_rate_is_measured(tmp_path: Path) -> None:
    found = streamed(tmp_path / "a", people=50, events=200)
    assert min(found.new, found.cold, found.warm) > 0
    assert found.bytes_per_profile > 100
    assert 0 < found.told < 20
    assert set(audience_cost(tmp_path / "b", people=20, events=50)) == {10, 100, 1_000}
