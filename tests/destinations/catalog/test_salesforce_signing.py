"""Salesforce: sessions end, and are renewed with the refresh token."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from urllib.parse import parse_qs

from penstock.destinations.catalog.salesforce import DESTINATION
from penstock.destinations.contract import Call, OAuth2
from penstock.destinations.sending import Performed, perform
from penstock.destinations.sending.oauth import Tokens
from tests.destinations.fakes.strict import NOW
from tests.destinations.sending.sinks import Answering, Asked, Sink, reply, senders, sink

SETTINGS = {"client_id": "3MVG9", "client_secret": "s3cret", "refresh_token": "5Aep861"}
LEAD = {"last_name": "Li", "company": "Toast"}


class Site:
    """Gives tokens for the refresh token, as the sign-in host does, and takes leads by the last."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, asked: Asked) -> bytes:
        if asked.path == "/services/oauth2/token":
            form = {key: value[0] for key, value in parse_qs(asked.body.decode()).items()}
            if asked.method != "POST" or form != {"grant_type": "refresh_token"} | SETTINGS:
                return reply(400, '{"error":"invalid_grant","error_description":"expired"}')
            self.given += 1
            return reply(200, json.dumps({"access_token": f"t{self.given}", "id": "x"}))
        if asked.headers.get("authorization") != f"Bearer t{max(self.given, 2)}":
            return reply(401, '[{"errorCode":"INVALID_SESSION_ID","message":"expired"}]')
        return reply(201, '{"id":"00Q1","success":true}')


def perform_at(site: Answering, **settings: str) -> tuple[Performed, Sink]:
    """A new lead, sent over the network to a server of our own."""

    async def go() -> tuple[Performed, Sink]:
        async with sink(site) as there, senders() as out:
            here = replace(DESTINATION, oauth=OAuth2("http://{loginHost}/services/oauth2/token"))
            filled = {
                **SETTINGS,
                "instanceUrl": there.url,
                "loginHost": f"127.0.0.1:{there.port}",
                **settings,
            }
            assert here.oauth is not None
            token = Tokens(here.oauth, filled, out.http)
            call = Call([dict(LEAD)], filled, NOW, lambda: "x", "add", ("m1",))
            done = await perform(here, here.action("lead"), call, out, token=token)
            return done, there

    return asyncio.run(go())


def test_an_expired_session_is_renewed_with_the_refresh_token() -> None:
    done, there = perform_at(Site())
    assert done.outcomes[0].delivered
    made = "/services/data/v53.0/sobjects/Lead"
    token = "/services/oauth2/token"
    assert [each.path for each in there.asked] == [token, made, token, made]


def test_somebody_else_renews_the_token_at_the_same_time() -> None:
    def busy(asked: Asked) -> bytes:
        said = {
            "error": "invalid_grant",
            "error_description": "token request is already being processed",
        }
        return reply(400, json.dumps(said))

    done, there = perform_at(busy)
    assert done.outcomes[0].retriable and len(there.asked) == 1


def test_a_refresh_token_that_was_taken_back() -> None:
    done, there = perform_at(Site(), refresh_token="revoked")
    (outcome,) = done.outcomes
    assert not outcome.delivered and not outcome.retriable
    assert "expired" in outcome.message and len(there.asked) == 1
