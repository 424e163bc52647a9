"""Live tails end with the right to them, and nobody takes them all."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from penstock.api.errors import ApiError
from penstock.api.routes import events
from penstock.api.services import Services
from penstock.monitor.tail import Polled, Tail


def test_a_tail_ends_when_its_token_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_EVERY_S", 0)
    now, asked, left = [0.0], [0.0], [0]
    rights = iter([True, True, False])

    def poll() -> Polled:
        now[0] += 1
        return Polled(items=[], skipped=1)

    async def may() -> bool:
        asked.append(now[0])
        return next(rights)

    def leave() -> None:
        left[0] += 1

    services = cast(Services, SimpleNamespace(now=lambda: now[0], stopping=threading.Event()))
    tail = cast(Tail, SimpleNamespace(poll=poll))

    async def follow() -> list[bytes]:
        followed: Any = events._followed(services, tail, None, may=may, leave=leave)
        return [text async for text in followed]

    texts = asyncio.run(follow())
    assert asked == [0, 5, 10, 15]
    assert len(texts) == 1 + 15 and left == [1]


def test_nobody_takes_all_tails() -> None:
    tails = events.Tails(most=3, most_of_one=2)
    for owner in ("a", "a", "b"):
        tails.enter(owner)
    for owner, why in (("a", "you have 2"), ("c", "as many")):
        with pytest.raises(ApiError, match=why):
            tails.enter(owner)
    tails.leave("a")
    tails.enter("c")
