"""The way of conversions to Google Ads, and what its answer says of each."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    Failure,
    Json,
    Payload,
    Request,
    Settings,
    Steps,
)

__all__ = ["HOST", "customer", "upload"]

HOST = "https://googleads.googleapis.com"
_VARIABLES = (
    "SELECT conversion_custom_variable.id, conversion_custom_variable.name "
    "FROM conversion_custom_variable"
)
_LATER = frozenset({"databaseError", "internalError", "quotaError"})
"""Kinds of errors that pass."""


def customer(call: Call) -> str:
    """The account's id as Google writes it in addresses: only digits."""
    return str(call.settings["customerId"]).replace("-", "")


def upload(
    call: Call,
    method: str,
    name: str,
    make: Callable[[Payload, Call], dict[str, Json]],
    *,
    variables: bool = True,
) -> Steps:
    """All conversions that are as they should be in one request, in which each stands alone."""
    made, failures = made_of_each(call, lambda payload: make(payload, call))
    if not made:
        return failures
    if variables:
        yield from _name_variables(call, made)
    body: dict[str, Json] = {name: list(made.values()), "partialFailure": True}
    if call.settings.get("validateOnly"):
        body["validateOnly"] = True
    answer = yield Request("POST", f"{_account(call)}:{method}", json=body, items=tuple(made))
    return failures | _refused(tuple(made), name, answer)


def _account(call: Call) -> str:
    return f"{_base(call.settings)}/customers/{customer(call)}"


def _base(settings: Settings) -> str:
    return f"{HOST}/{settings['apiVersion']}"


def _name_variables(
    call: Call, made: Mapping[int, dict[str, Json]]
) -> Generator[BuiltRequest, Answer, None]:
    """Google knows custom variables by resource names, which it tells; asked for once a call."""
    having = {
        index: given
        for index in made
        if (given := call.payloads[index].get("custom_variables")) is not None
    }
    if not having:
        return
    url = f"{_account(call)}/googleAds:searchStream"
    answer = yield Request("POST", url, json={"query": _VARIABLES}, items=())
    if not (names := _resource_names(answer.json())):
        return
    for index, given in having.items():
        made[index]["customVariables"] = [
            {"conversionCustomVariable": names[name], "value": value}
            for name, value in given.items()
            if name in names
        ]


def _resource_names(body: Json) -> dict[str, str]:
    parts = body if isinstance(body, list) else []
    rows = [row["conversionCustomVariable"] for part in parts for row in part.get("results", ())]
    return {row["name"]: row["resourceName"] for row in rows}


def _refused(items: tuple[int, ...], name: str, answer: Answer) -> dict[int, Failure]:
    """Of an answer 200 the part that tells what went wrong, by index of the payload."""
    body = answer.json()
    partial = body.get("partialFailureError") if isinstance(body, dict) else None
    if not partial:
        return {}
    found: dict[int, Failure] = {}
    for error in _errors(partial):
        if (place := _place(error, name)) is not None and place < len(items):
            found.setdefault(items[place], _failure(error))
    if found:
        return found
    whole = Failure(400, str(partial.get("message", "Google refused it")), "PARTIAL_FAILURE")
    return dict.fromkeys(items, whole)


def _errors(partial: dict[str, Json]) -> list[dict[str, Json]]:
    return [
        error
        for detail in partial.get("details") or ()
        if isinstance(detail, dict)
        for error in detail.get("errors") or ()
    ]


def _place(error: dict[str, Json], name: str) -> int | None:
    """Which of the conversions sent it is about; Google leaves out an index of 0."""
    for part in (error.get("location") or {}).get("fieldPathElements") or ():
        if part.get("fieldName") in (name, _snake(name)):
            return int(part.get("index", 0))
    return None


def _snake(name: str) -> str:
    return "conversion_adjustments" if name == "conversionAdjustments" else name


def _failure(error: dict[str, Json]) -> Failure:
    kind, code = next(iter((error.get("errorCode") or {}).items()), ("", "PARTIAL_FAILURE"))
    status = 503 if kind in _LATER else 400
    return Failure(status, str(error.get("message", "Google refused it")), str(code))
