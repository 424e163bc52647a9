"""Adjust's events endpoint, refusing what its documentation refuses.

Sources: dev.adjust.com/en/api/s2s-api/events/ (form, required parameters, device ids),
dev.adjust.com/en/api/s2s-api/ (errors: tokens, revenue, authorization).
"""

from __future__ import annotations

import json
import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import Check, Json, Wrong, nonempty, object_of, one_of

__all__ = ["TOKEN", "event"]

TOKEN = "s2s-token"


def _matching(pattern: str) -> Check:
    def check(value: Json, place: str) -> None:
        nonempty(value, place)
        if re.fullmatch(pattern, value) is None:
            raise Wrong(f"{place} is wrong: {value!r}")

    return check


def _texts(value: Json, place: str) -> None:
    nonempty(value, place)
    given = json.loads(value)
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise Wrong(f"{place}: Invalid callback parameters")


_FORM = object_of(
    {
        "app_token": _matching("[a-z0-9]{12}"),
        "event_token": _matching("[a-z0-9]{6}"),
        "s2s": one_of("1"),
        "environment": one_of("production", "sandbox"),
        "created_at_unix": _matching("[0-9]{10}"),
        **dict.fromkeys(("idfa", "idfv", "gps_adid", "android_id"), nonempty),
        **dict.fromkeys(("ip_address", "user_agent"), nonempty),
        "revenue": _matching(r"-?[0-9]+(\.[0-9]+)?"),
        "currency": _matching("[A-Za-z]{3}"),
        **dict.fromkeys(("callback_params", "partner_params"), _texts),
    },
    ("app_token", "event_token", "s2s"),
)


def event(request: Request) -> Answer:
    """POST /event with a form."""
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Wrong("Failed to authorize request", 401)
    if (request.method, request.url) != ("POST", "https://s2s.adjust.com/event"):
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    if request.form is None:
        raise Wrong("the body is no form")
    form = dict(request.form)
    _FORM(form, "form")
    if not {"idfa", "idfv", "gps_adid", "android_id"} & set(form):
        raise Wrong("Device not found", 404)
    return Answer(200, {}, b"OK")
