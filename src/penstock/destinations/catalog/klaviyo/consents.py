"""Consent to marketing by e-mail and by text message: given and taken back."""

from __future__ import annotations

from collections.abc import Callable

from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.klaviyo.requests import attributes, post
from penstock.destinations.contract import Call, Json, Payload, Steps

__all__ = ["subscribe", "unsubscribe"]

_WHO = ("email", "phone_number")


def subscribe(call: Call) -> Steps:
    """Profiles that consent; on a list too when one is named."""
    first = call.payload
    shared = {
        "historical_import": bool(first.get("historical_import")),
        "custom_source": first.get("custom_source") or "-59",
    }
    return _job(call, "create", "profile-subscription-bulk-create-jobs/", shared, _subscribed)


def unsubscribe(call: Call) -> Steps:
    """Profiles that consent no longer."""
    place = "profile-subscription-bulk-delete-jobs"
    return _job(call, "delete", place, {}, _unsubscribed)


def _job(
    call: Call, kind: str, place: str, shared: Payload, make: Callable[[Payload], Json]
) -> Steps:
    made, failures = made_of_each(call, make)
    if not made:
        return failures
    job: dict[str, Json] = {
        "type": f"profile-subscription-bulk-{kind}-job",
        "attributes": {**shared, "profiles": {"data": list(made.values())}},
    }
    if list_id := call.payload.get("list_id"):
        job["relationships"] = {"list": {"data": {"type": "list", "id": list_id}}}
    yield post(place, job, tuple(made))
    return failures


def _subscribed(payload: Payload) -> Json:
    marketing = {"consent": "SUBSCRIBED"}
    if payload.get("historical_import") and payload.get("consented_at"):
        marketing["consented_at"] = payload["consented_at"]
    return _profile(payload, {"marketing": marketing}, {"marketing": marketing})


def _unsubscribed(payload: Payload) -> Json:
    gone = {"consent": "UNSUBSCRIBED"}
    return _profile(payload, {"marketing": gone}, {"marketing": gone, "transactional": gone})


def _profile(payload: Payload, email: Json, sms: Json) -> Json:
    known = attributes(payload, _WHO)
    told = {key: known[key] for key in _WHO if known.get(key)}
    consents = {"email": email} if "email" in told else {}
    if "phone_number" in told:
        consents["sms"] = sms
    return {"type": "profile", "attributes": {**told, "subscriptions": consents}}
