from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from penstock.destinations.contract import (
    Answer,
    Call,
    Failure,
    InvalidPayload,
    Refused,
    Request,
    RetryLater,
    Skipped,
    Steps,
)
from penstock.destinations.sending import (
    Performed,
    check,
    perform,
    perform_dry,
    show_dry,
)
from tests.destinations.sending.sinks import (
    NOW,
    Answering,
    Asked,
    Sink,
    call,
    reply,
    script,
    senders,
    sink,
    tool,
)


def post(call: Call) -> Steps:
    yield Request("POST", call.settings["url"] + "/in", json=[dict(p) for p in call.payloads])
    return None


def run(
    build: Any, payloads: list[dict[str, Any]], answer: Answering | None = None, **options: Any
) -> tuple[Performed, Sink]:
    settings = options.pop("settings", {})
    definition = tool(build, **options.pop("definition", {}))

    async def go() -> tuple[Performed, Sink]:
        async with sink(answer) as there, senders() as out:
            asked = call(payloads, url=there.url, **settings)
            done = await perform(definition, definition.actions[0], asked, out, **options)
            return done, there

    return asyncio.run(go())


def test_a_request_arrives_and_is_answered() -> None:
    done, there = run(post, [{"a": 1}], record=True)
    (outcome,) = done.outcomes
    assert outcome.delivered and outcome.status == 200
    assert there.asked[0].json() == [{"a": 1}]
    assert there.asked[0].headers["user-agent"].startswith("Penstock/")
    assert outcome.request is not None and outcome.request.answer_body == "{}"
    assert done.exchanges[0].url.endswith("/in")


@pytest.mark.parametrize(
    ("status", "retriable"),
    [
        (301, False), (400, False), (401, False), (403, False), (404, False), (408, True),
        (410, False), (422, False), (423, True), (429, True), (500, True), (501, False),
        (502, True), (503, True), (504, True), (511, True), (598, True), (599, True),
    ],
)  # fmt: skip
def test_which_answers_are_tried_again(status: int, retriable: bool) -> None:
    done, _ = run(post, [{}], script(reply(status, "no thanks")))
    (outcome,) = done.outcomes
    assert (outcome.status, outcome.retriable) == (status, retriable)
    assert "no thanks" in outcome.message
    assert outcome.request is not None and outcome.request.answer_body == "no thanks"
    assert not outcome.delivered


def test_the_wait_that_is_asked_for() -> None:
    done, _ = run(post, [{}], script(reply(429, retry_after="7")))
    assert done.outcomes[0].retry_after == 7
    done, _ = run(post, [{}], script(reply(503, retry_after="Fri, 02 Jan 2026 03:05:05 GMT")))
    assert done.outcomes[0].retry_after == 60
    done, _ = run(post, [{}], script(reply(400, retry_after="7")))
    assert done.outcomes[0].retry_after is None


@pytest.mark.parametrize(
    ("error", "status", "code", "retriable"),
    [
        (InvalidPayload("no"), 400, "PAYLOAD_VALIDATION_FAILED", False),
        (RetryLater("later"), 500, "RETRY", True),
        (RetryLater("later", status=404), 404, "RETRY", True),
        (Refused(403, "no", "NO_RIGHTS"), 403, "NO_RIGHTS", False),
        (KeyError("x"), 500, "INTERNAL", True),
    ],
)
def test_what_build_raises(error: Exception, status: int, code: str, retriable: bool) -> None:
    def build(call: Call) -> Steps:
        raise error
        yield

    done, there = run(build, [{}])
    (outcome,) = done.outcomes
    assert (outcome.status, outcome.code, outcome.retriable) == (status, code, retriable)
    assert not there.asked


def test_nothing_to_send_is_skipped() -> None:
    def build(call: Call) -> Steps:
        raise Skipped("empty")
        yield

    def silent(call: Call) -> Steps:
        yield from ()
        return None

    for each in (build, silent):
        (outcome,) = run(each, [{}])[0].outcomes
        assert outcome.skipped and not outcome.delivered and not outcome.retriable


def test_build_sees_the_answer_and_the_refusal() -> None:
    def build(call: Call) -> Steps:
        url = call.settings["url"]
        found = yield Request("GET", url + "/find", accept=(404,))
        assert found.status == 404
        try:
            yield Request("POST", url + "/make", json={})
        except Refused as error:
            assert error.status == 409 and error.answer is not None
            yield Request("PUT", url + "/make", json=error.answer.json())
        return None

    answers = script(reply(404), reply(409, '{"id": 5}'), reply(201))
    done, there = run(build, [{}], answers)
    assert done.outcomes[0].delivered and done.requests == 3
    assert [(a.method, a.path) for a in there.asked][2] == ("PUT", "/make")
    assert there.asked[2].json() == {"id": 5}


def test_failures_by_payload() -> None:
    def build(call: Call) -> Steps:
        yield Request("POST", call.settings["url"], json=list(call.payloads))
        return {1: Failure(400, "bad"), 2: Failure(503, "busy", "BUSY")}

    done, _ = run(build, [{"n": n} for n in range(3)])
    first, second, third = done.outcomes
    assert first.delivered
    assert (second.status, second.code, second.retriable) == (400, "400", False)
    assert (third.code, third.retriable) == ("BUSY", True)
    assert second.request is not None and second.request.status == 200


def test_invalid_payloads_of_a_batch_do_not_fail_the_rest() -> None:
    def build(call: Call) -> Steps:
        for payload in call.payloads:
            if payload["n"] in (3, 8):
                raise InvalidPayload("no")
            if payload["n"] == 5:
                raise Skipped
            if payload["n"] == 6:
                raise ZeroDivisionError
            payload.pop("extra")
        yield Request("POST", call.settings["url"], json=list(call.payloads))
        return None

    done, there = run(build, [{"n": n, "extra": {}} for n in range(12)])
    states = [(each.code or "OK") for each in done.outcomes]
    assert states[3] == states[8] == "PAYLOAD_VALIDATION_FAILED"
    assert done.outcomes[5].skipped and states[6] == "INTERNAL"
    arrived = sorted(payload["n"] for asked in there.asked for payload in asked.json())
    assert arrived == [0, 1, 2, 4, 7, 9, 10, 11]
    assert all(done.outcomes[n].delivered for n in arrived)


def test_payloads_that_are_no_json_are_kept_as_they_were() -> None:
    def build(call: Call) -> Steps:
        for payload in call.payloads:
            payload["at"] = payload["at"].isoformat()
            if payload["n"] == 2:
                raise InvalidPayload("no")
        yield Request("POST", call.settings["url"], json=list(call.payloads))
        return None

    done, there = run(build, [{"n": n, "at": NOW} for n in range(4)])
    assert [each.delivered for each in done.outcomes] == [True, True, False, True]
    assert all(each["at"].startswith("2026-") for asked in there.asked for each in asked.json())


def in_parts(call: Call) -> Steps:
    for at in range(0, len(call.payloads), 2):
        items = tuple(range(at, min(at + 2, len(call.payloads))))
        yield Request(
            "POST", call.settings["url"], json=[call.payloads[i] for i in items], items=items
        )
    return None


def test_a_part_that_is_refused_fails_alone() -> None:
    def answer(asked: Asked) -> bytes:
        return reply(400 if {"n": 2} in asked.json() else 200)

    done, there = run(in_parts, [{"n": n} for n in range(8)], answer)
    assert [each.delivered for each in done.outcomes] == [True, True, False, False] + [True] * 4
    arrived = [payload["n"] for asked in there.asked for payload in asked.json()]
    assert sorted(arrived) == list(range(8)), "each was sent once"


def test_after_a_part_that_fails_for_now_the_rest_waits() -> None:
    done, there = run(in_parts, [{"n": n} for n in range(8)], script(reply(), reply(503)))
    assert [each.delivered for each in done.outcomes] == [True, True] + [False] * 6
    assert all(each.retriable for each in done.outcomes[2:])
    assert len(there.asked) == 2


class Renewable:
    def __init__(self) -> None:
        self.tokens = ["old", "new", "newer"]

    async def current(self) -> str:
        return self.tokens[0]

    async def renew(self, stale: str) -> str:
        if self.tokens[0] == stale:
            del self.tokens[0]
        return self.tokens[0]


def bearer(request: Request, settings: Any, token: str) -> Request:
    return Request(
        request.method, request.url, {"Authorization": f"Bearer {token}"}, json=request.json
    )


def test_a_401_renews_the_token_once_and_repeats_the_request() -> None:
    options: Any = {"token": Renewable(), "definition": {"authorize": bearer}}
    done, there = run(post, [{}], script(reply(401), reply(200)), **options)
    assert done.outcomes[0].delivered
    assert [a.headers["authorization"] for a in there.asked] == ["Bearer old", "Bearer new"]
    options["token"] = Renewable()
    done, there = run(post, [{}], script(reply(401)), **options)
    assert (done.outcomes[0].status, done.outcomes[0].retriable) == (401, False)
    assert done.outcomes[0].code == "INVALID_AUTHENTICATION"
    assert len(there.asked) == 2


def test_payloads_that_were_answered_401_are_repeated_with_another_token() -> None:
    def build(call: Call) -> Steps:
        answer = yield Request("POST", call.settings["url"], json=list(call.payloads))
        return {at: Failure(401, "expired") for at in answer.json().get("expired", [])}

    answers = script(reply(200, '{"expired": [1]}'), reply(200))
    done, there = run(
        build, [{"n": 0}, {"n": 1}], answers, token=Renewable(), definition={"authorize": bearer}
    )
    assert all(each.delivered for each in done.outcomes)
    assert there.asked[1].json() == [{"n": 1}]
    assert there.asked[1].headers["authorization"] == "Bearer new"


def test_secrets_are_in_no_exchange_and_no_message() -> None:
    secret = 'p"ss wörd/+key'

    def build(call: Call) -> Steps:
        key = call.settings["key"]
        basic = base64.b64encode(f"user:{key}:x".encode()).decode()
        yield Request(
            "POST", call.settings["url"], {"X-Basic": basic, "Authorization": f"Basic {basic}"},
            query={"key": key}, json={"key": key, "basic": basic},
        )  # fmt: skip
        return None

    def echo(asked: Asked) -> bytes:
        return reply(422, b"bad key " + secret.encode() + b" in " + asked.path.encode())

    done, there = run(build, [{}], echo, settings={"key": secret})
    (outcome,) = done.outcomes
    told = repr(outcome) + repr(done.exchanges)
    assert there.asked[0].json()["key"] == secret
    for trace in ("ss w", "%22ss", base64.b64encode(b"user:p").decode()[4:8], "d/+key"):
        assert trace not in told.replace("user", ""), trace
    assert "***" in told and "Basic ***" in told


def test_the_gate_is_passed_before_each_request() -> None:
    passed = []

    async def gate() -> None:
        passed.append(1)

    run(in_parts, [{"n": n} for n in range(6)], gate=gate)
    assert len(passed) == 3


def test_settings_are_checked_by_a_request_of_the_definition() -> None:
    async def go() -> list[Any]:
        async with sink(script(reply(200), reply(403))) as there, senders() as out:
            definition = tool(post, check=lambda settings: Request("GET", settings["url"] + "/me"))
            asked = call([], url=there.url)
            results = [await check(definition, asked, out) for _ in range(2)]
            return [*results, await check(tool(post), asked, out)]

    good, bad, none = asyncio.run(go())
    assert good.outcomes[0].delivered and bad.outcomes[0].status == 403 and none is None


def test_without_sending() -> None:
    def build(call: Call) -> Steps:
        answer = yield Request("GET", "https://bell.example/find", query={"key": "s3cret!"})
        if answer.json().get("id"):
            yield Request("PUT", "https://bell.example/" + answer.json()["id"], json={"a": 1})
        return None

    definition = tool(build, authorize=bearer)
    action = definition.actions[0]
    asked = call([{}], key="s3cret!")
    assert len(perform_dry(action, asked)) == 1
    requests = perform_dry(action, asked, [Answer(200, body=b'{"id": "x"}')])
    assert [request.url for request in requests if isinstance(request, Request)][1].endswith("/x")
    shown = show_dry(definition, asked, requests, "t0ken!")
    assert shown[0].headers["Authorization"] == "Bearer ***"
    assert shown[1].body == '{"a":1}'
    with pytest.raises(Refused):
        perform_dry(action, asked, [Answer(500)])
