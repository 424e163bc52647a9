"""Makes of a setup what delivers to it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from penstock.destinations.contract import Call, Destination
from penstock.destinations.delivery.target import Made, Make
from penstock.destinations.delivery.unit import Delivery
from penstock.destinations.model import DestinationSetup
from penstock.destinations.route import Functions, Route
from penstock.destinations.sending.oauth import Tokens
from penstock.destinations.sending.outcome import Performed
from penstock.destinations.sending.perform import perform
from penstock.destinations.sending.senders import Senders
from penstock.destinations.setup import check_settings

__all__ = ["Renewed", "maker"]

Renewed = Callable[[str, str], Awaitable[None]]
"""Keeps a new refresh token: called with the destination's slug and the token."""


def maker(
    definition_of: Callable[[str], Destination],
    senders: Senders,
    *,
    renewed: Renewed,
    functions_of: Callable[[DestinationSetup], Functions | None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Make:
    """Compiles setups; ``definition_of`` gives the definition of a tool by its slug."""

    def make(setup: DestinationSetup) -> Made:
        definition = definition_of(setup.type)
        settings = check_settings(definition, setup.settings)
        route = Route(definition, setup, functions=functions_of(setup))
        own: dict[str, Any] = {}

        async def rotated(token: str) -> None:
            own["refresh_token"] = token
            await renewed(setup.slug, token)

        oauth = definition.oauth
        tokens = None if oauth is None else Tokens(oauth, settings, senders.http, rotated=rotated)

        async def send(
            deliveries: Sequence[Delivery], gate: Callable[[], Awaitable[None]]
        ) -> Performed:
            mapped = deliveries[0].mapped
            call = Call(
                [one.payload for one in deliveries],
                settings,
                now(),
                lambda: str(uuid.uuid4()),
                mapped.sync_mode,
                [one.message_id for one in deliveries],
                batched=mapped.batch is not None,
            )
            return await perform(definition, mapped.action, call, senders, tokens,
                                 timeout=setup.delivery.timeout, gate=gate)  # fmt: skip

        return Made(
            route,
            send,
            definition.concurrency,
            definition.requests_per_second,
            max((one.batch.size for one in route.mappings if one.batch), default=1),
            own,
        )

    return make
