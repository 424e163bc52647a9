"""Has requests built without sending any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.destinations.contract import (
    Action,
    Answer,
    BuiltRequest,
    Call,
    Destination,
    Refused,
    Request,
)
from penstock.destinations.sending.masking import masker
from penstock.destinations.sending.outcome import Exchange
from penstock.destinations.sending.wire import shown

__all__ = ["is_accepted", "perform_dry", "refused_by", "show_dry"]

_SAID = 300
"""Characters of an answer that an error quotes."""


def perform_dry(action: Action, call: Call, answers: Iterable[Answer] = ()) -> list[BuiltRequest]:
    """The requests that would go out, if they were answered so; 200 ``{}`` when none is left.

    They are as ``build`` made them, without what ``authorize`` adds. What ``build`` raises, for
    the payload or for an answer, is raised.
    """
    given = iter(answers)
    steps = action.build(call)
    requests: list[BuiltRequest] = []
    try:
        built = next(steps)
        while True:
            requests.append(built)
            answer = next(given, Answer(200, {"content-type": "application/json"}, b"{}"))
            if is_accepted(built, answer):
                built = steps.send(answer)
            else:
                built = steps.throw(refused_by(answer))
    except StopIteration:
        return requests
    finally:
        steps.close()


def show_dry(
    definition: Destination, call: Call, requests: Sequence[BuiltRequest], token: str = ""
) -> list[Exchange]:
    """The requests of ``perform_dry`` as they would be sent, secrets masked."""
    mask = masker(definition, call.settings, token)
    authorize = definition.authorize
    return [
        shown(
            authorize(built, call.settings, token)
            if authorize and isinstance(built, Request)
            else built,
            mask,
        )
        for built in requests
    ]


def is_accepted(built: BuiltRequest, answer: Answer) -> bool:
    """Whether ``build`` is given the answer rather than an exception."""
    accepted = built.accept if isinstance(built, Request) else ()
    return 200 <= answer.status < 300 or answer.status in accepted


def refused_by(answer: Answer) -> Refused:
    """The exception for an answer that is not accepted; it quotes the start of the body."""
    said = answer.body[: 4 * _SAID].decode(errors="replace").strip()[:_SAID]
    message = f"answered {answer.status}" + (f": {said}" if said else "")
    code = "INVALID_AUTHENTICATION" if answer.status == 401 else ""
    return Refused(answer.status, message, code, answer)
