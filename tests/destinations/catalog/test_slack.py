"""Slack: what the comparison with the reference does not show."""

from __future__ import annotations

from penstock.destinations import registry
from penstock.destinations.contract import Answer, Call, InvalidPayload, Payload, Request
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.strict import NOW, Driven, drive

SLACK = registry.definition("slack")
HOOK = "https://hooks.slack.com/services/T0/B0/x"
OK = Answer(200, {}, b"ok")


def _post(payload: Payload, answer: Answer = OK, hook: str = HOOK) -> Driven:
    settings = check_settings(SLACK, {"url": hook} if hook else {})
    call = Call([payload], settings, NOW, lambda: "id")
    return drive(SLACK, "postToChannel", call, lambda request: answer)


def test_the_address_of_the_settings_is_used() -> None:
    driven = _post({"text": "hello"})
    assert driven.requests == [Request("POST", HOOK, json={"text": "hello"})]
    assert driven.error is None


def test_a_mapping_may_post_elsewhere() -> None:
    other = "https://hooks.slack-gov.com/services/T1/B1/y"
    assert _post({"text": "hello", "url": other}).requests[0].url == other


def test_only_slack_is_posted_to() -> None:
    for url in (
        "https://slack.com.evil.test/x",
        "https://hooks.slackXcom/x",
        "http://a.slack.com/x",
    ):
        driven = _post({"text": "hello", "url": url})
        assert isinstance(driven.error, InvalidPayload)
        assert driven.requests == []


def test_no_address_is_an_error_that_says_so() -> None:
    assert "webhook address" in str(_post({"text": "hello"}, hook="").error)


def test_the_word_that_slack_answers_is_the_reason() -> None:
    error = _post({"text": "hello"}, Answer(410, {}, b"channel_is_archived")).error
    assert error is not None
    assert (error.status, error.code) == (410, "channel_is_archived")


def test_too_many_messages_are_tried_again_when_slack_says() -> None:
    error = _post({"text": "hello"}, Answer(429, {"retry-after": "30"}, b"rate_limited")).error
    assert error is not None
    assert error.status == 429
    assert error.answer is not None
    assert error.answer.headers["retry-after"] == "30"
