"""The conversion uploads of the Google Ads API, refusing what its documentation refuses.

Sources: developers.google.com/google-ads/api/reference/rpc/v24/ClickConversion.md.txt, .../v26/
UploadClickConversionsRequest (partial_failure is needed, validate_only, one identifier each),
.../v24/UploadCallConversionsResponse (partial_failure_error), .../docs/conversions/
upload-adjustments (order id or click id with its time; no value with retractions),
.../docs/best-practices/partial-failures (GoogleAdsFailure, location.fieldPathElements), and
.../docs/best-practices/quotas (2,000 conversions).
"""

from __future__ import annotations

import json
import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    Check,
    Json,
    Wrong,
    boolean,
    list_of,
    nonempty,
    number,
    object_of,
    one_of,
    sha256,
    text,
)

__all__ = ["TOKEN", "uploads"]

TOKEN = "google-token"
_HOST = r"https://googleads\.googleapis\.com/v26/customers"


def _matching(pattern: str) -> Check:
    def check(value: Json, place: str) -> None:
        text(value, place)
        if re.fullmatch(pattern, value) is None:
            raise Wrong(f"{place} is not like {pattern}: {value!r}")

    return check


_TIME = _matching(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d")
_ACTION = _matching("customers/[0-9]+/conversionActions/[0-9]+")


def _possibly_empty(check: Check) -> Check:
    def checked(value: Json, place: str) -> None:
        if value != []:
            list_of(check)(value, place)

    return checked


_ADDRESS = object_of(
    {
        **dict.fromkeys(("hashedFirstName", "hashedLastName", "hashedStreetAddress"), sha256),
        **dict.fromkeys(("city", "state", "countryCode", "postalCode"), nonempty),
    }
)
_PERSON: dict[str, Check] = {"hashedEmail": sha256, "hashedPhoneNumber": sha256}


def _identifiers(*, addresses: bool) -> Check:
    known = _PERSON | ({"addressInfo": _ADDRESS} if addresses else {})

    def check(value: Json, place: str) -> None:
        _possibly_empty(object_of(known))(value, place)
        for index, each in enumerate(value):
            if len(each) != 1:
                raise Wrong(f"{place}[{index}] has not exactly one identifier")
        if len(value) > 5:
            raise Wrong(f"{place} has more than 5 identifiers")

    return check


_CONSENT = one_of("GRANTED", "DENIED", "UNSPECIFIED")
_COMMON: dict[str, Check] = {
    "conversionAction": _ACTION,
    "conversionDateTime": _TIME,
    "conversionValue": number,
    "currencyCode": _matching("[A-Za-z]{3}|"),
    "consent": object_of({"adUserData": _CONSENT, "adPersonalization": _CONSENT}),
    "customVariables": _possibly_empty(
        object_of(
            {
                "conversionCustomVariable": _matching(
                    "customers/[0-9]+/conversionCustomVariables/[0-9]+"
                ),
                "value": nonempty,
            },
            ("conversionCustomVariable", "value"),
        )
    ),
}
_KEYS = (
    "gad_source",
    "gad_campaignid",
    "landing_page_url",
    "session_start_time_usec",
    "landing_page_referrer",
    "landing_page_user_agent",
)
_PAIR = object_of(
    {"sessionAttributeKey": one_of(*_KEYS), "sessionAttributeValue": nonempty},
    ("sessionAttributeKey", "sessionAttributeValue"),
)
_CLICK = object_of(
    _COMMON
    | {
        **dict.fromkeys(("gclid", "gbraid", "wbraid", "userIpAddress"), nonempty),
        "orderId": text,
        "sessionAttributesEncoded": nonempty,
        "sessionAttributesKeyValuePairs": object_of({"keyValuePairs": list_of(_PAIR)}),
        "conversionEnvironment": one_of("APP", "WEB", "UNSPECIFIED"),
        "cartData": object_of(
            {
                **dict.fromkeys(("merchantId", "feedCountryCode", "feedLanguageCode"), nonempty),
                "localTransactionCost": number,
                "items": _possibly_empty(
                    object_of({"productId": text, "quantity": number, "unitPrice": number})
                ),
            }
        ),
        "userIdentifiers": _identifiers(addresses=False),
    },
    ("conversionAction", "conversionDateTime"),
)
_CALL = object_of(
    _COMMON | {"callerId": nonempty, "callStartDateTime": _TIME},
    ("conversionAction", "conversionDateTime", "callerId", "callStartDateTime"),
)
_ADJUSTMENT = object_of(
    {
        "conversionAction": _ACTION,
        "adjustmentType": one_of("RETRACTION", "RESTATEMENT", "ENHANCEMENT"),
        "adjustmentDateTime": _TIME,
        "orderId": nonempty,
        "gclidDateTimePair": object_of({"gclid": nonempty, "conversionDateTime": _TIME}),
        "userIdentifiers": _identifiers(addresses=True),
        "userAgent": nonempty,
        "restatementValue": object_of(
            {"adjustedValue": number, "currencyCode": _matching("[A-Z]{3}")}
        ),
    },
    ("conversionAction", "adjustmentType", "adjustmentDateTime"),
)
_METHODS = {
    "uploadClickConversions": ("conversions", _CLICK),
    "uploadCallConversions": ("conversions", _CALL),
    "uploadConversionAdjustments": ("conversionAdjustments", _ADJUSTMENT),
}


def uploads(request: Request) -> Answer:
    """The three uploads, the custom variables, and the accounts."""
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Wrong("Request had invalid authentication credentials.", 401)
    if not request.headers.get("developer-token"):
        raise Wrong("DEVELOPER_TOKEN_PARAMETER_MISSING", 401)
    if re.fullmatch("[0-9]{10}|", request.headers.get("login-customer-id", "")) is None:
        raise Wrong("login-customer-id must be digits")
    if re.fullmatch(rf"{_HOST}/[0-9]{{10}}/googleAds:searchStream", request.url):
        object_of({"query": nonempty}, ("query",))(request.json, "body")
        name = {"resourceName": "customers/1/conversionCustomVariables/2", "name": "size"}
        return _answer([{"results": [{"conversionCustomVariable": name}]}])
    found = re.fullmatch(rf"{_HOST}/[0-9]{{10}}:(\w+)", request.url)
    if request.method != "POST" or found is None or found[1] not in _METHODS or request.query:
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    name_of_list, check = _METHODS[found[1]]
    sent = request.json
    anything = list_of(lambda value, place: None, 2000)
    body = {name_of_list: anything, "partialFailure": one_of(True), "validateOnly": boolean}
    object_of(body, (name_of_list, "partialFailure"))(sent, "body")
    return _told(sent[name_of_list], name_of_list, check)


def _told(given: list[Json], name: str, check: Check) -> Answer:
    errors = []
    for index, each in enumerate(given):
        try:
            check(each, name)
            if name == "conversionAdjustments":
                _check_adjustment(each)
        except Wrong as wrong:
            place = {"fieldName": name} | ({"index": index} if index else {})
            error = {
                "errorCode": {"conversionUploadError": "INVALID"},
                "message": str(wrong),
                "location": {"fieldPathElements": [place]},
            }
            errors.append(error)
    if not errors:
        return _answer({"results": [{}] * len(given)})
    partial = {"code": 3, "message": errors[0]["message"], "details": [{"errors": errors}]}
    return _answer({"partialFailureError": partial, "results": [{}] * len(given)})


def _check_adjustment(given: dict[str, Json]) -> None:
    pair = given.get("gclidDateTimePair") or {}
    if "orderId" not in given and len(pair) != 2:
        raise Wrong("neither orderId nor a click id with its time")
    if given["adjustmentType"] == "RETRACTION" and "restatementValue" in given:
        raise Wrong("restatementValue does not go with a retraction")


def _answer(body: Json) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())
