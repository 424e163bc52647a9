"""LinkedIn's Conversions API, refusing what its documentation refuses.

Sources: learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api
(headers, schema, milliseconds, decimal text, 90 days, 5,000 events in a BATCH_CREATE, statuses of
each), .../marketing/conversions/custom-matching-identifiers (one external id), and
developer.salesforce.com/docs/data/data-cloud-int/guide/c360-a-linkedincapi-connector.html
(limits).
"""

from __future__ import annotations

import json
import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    NOW,
    Json,
    Wrong,
    list_of,
    nonempty,
    object_of,
    one_of,
    sha256,
)

__all__ = ["TOKEN", "conversion_events"]

TOKEN = "linkedin-token"
_DAY = 86_400_000


def _rule(value: Json, place: str) -> None:
    nonempty(value, place)
    if re.fullmatch("urn:lla:llaPartnerConversion:[0-9]+", value) is None:
        raise Wrong(f"{place} is no conversion: {value!r}", 422)


def _milliseconds(value: Json, place: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong(f"{place} is no whole number: {value!r}", 422)
    now = int(NOW.timestamp() * 1000)
    if not now - 90 * _DAY <= value <= now + _DAY:
        raise Wrong(f"{place} is not of the past 90 days: {value}", 422)


def _decimal(value: Json, place: str) -> None:
    nonempty(value, place)
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) is None:
        raise Wrong(f"{place} is no decimal text: {value!r}", 422)


def _currency(value: Json, place: str) -> None:
    nonempty(value, place)
    if re.fullmatch("[A-Za-z]{3}", value) is None:
        raise Wrong(f"{place} is no currency: {value!r}", 422)


def _id(value: Json, place: str) -> None:
    object_of({"idType": nonempty, "idValue": nonempty}, ("idType", "idValue"))(value, place)
    kinds = (
        "SHA256_EMAIL",
        "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID",
        "AXCIOM_ID",
        "ORACLE_MOAT_ID",
    )
    one_of(*kinds)(value["idType"], f"{place}.idType")
    if value["idType"] == "SHA256_EMAIL":
        sha256(value["idValue"], f"{place}.idValue")


_PERSON = object_of(
    dict.fromkeys(("firstName", "lastName", "companyName", "title", "countryCode"), nonempty),
    required=("firstName", "lastName"),
)
_EVENT = object_of(
    {
        "conversion": _rule,
        "conversionHappenedAt": _milliseconds,
        "conversionValue": object_of(
            {"currencyCode": _currency, "amount": _decimal}, ("currencyCode", "amount")
        ),
        "eventId": nonempty,
        "user": object_of(
            {"userIds": list_of(_id), "userInfo": _PERSON, "externalIds": list_of(nonempty, 1)},
            required=("userIds",),
        ),
    },
    required=("conversion", "conversionHappenedAt", "user"),
)


def conversion_events(request: Request) -> Answer:
    """POST /rest/conversionEvents, of one or of many."""
    headers = request.headers
    if headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Wrong("Invalid access token", 401)
    if headers.get("X-Restli-Protocol-Version") != "2.0.0":
        raise Wrong("X-Restli-Protocol-Version is missing")
    if re.fullmatch("20[0-9]{4}", headers.get("LinkedIn-Version", "")) is None:
        raise Wrong("A version must be present. Please specify a version", 426)
    url = "https://api.linkedin.com/rest/conversionEvents"
    if (request.method, request.url) != ("POST", url) or request.query:
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    if headers.get("X-RestLi-Method") != "BATCH_CREATE":
        _EVENT(request.json, "body")
        return Answer(201)
    object_of({"elements": lambda value, place: None}, ("elements",))(request.json, "body")
    elements = request.json["elements"]
    list_of(lambda value, place: None, 5000)(elements, "body.elements")
    told = {"elements": [_told(each) for each in elements]}
    return Answer(200, {"content-type": "application/json"}, json.dumps(told).encode())


def _told(event: Json) -> dict[str, Json]:
    try:
        _EVENT(event, "element")
    except Wrong as wrong:
        return {"status": wrong.status, "message": str(wrong)}
    return {"status": 201}
