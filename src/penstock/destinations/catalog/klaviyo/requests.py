"""What all requests to Klaviyo share: addresses, and who a profile is."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.destinations.catalog.common.phones import e164
from penstock.destinations.contract import Answer, InvalidPayload, Json, Payload, Refused, Request

__all__ = ["EXTERNAL_ID_LENGTH", "ROOT", "attributes", "data_of", "post", "to_list"]

ROOT = "https://a.klaviyo.com/api"
EXTERNAL_ID_LENGTH = 255
_STEERING = frozenset({"list_id", "override_list_id", "country_code"})


def post(place: str, data: Json, items: tuple[int, ...] | None = None) -> Request:
    """A request with a JSON:API document."""
    return Request("POST", f"{ROOT}/{place}", json={"data": data}, items=items)


def to_list(list_id: str, profile: str) -> Request:
    """Puts a profile, by Klaviyo's id, on a list."""
    place = f"lists/{list_id}/relationships/profiles/"
    return post(place, [{"type": "profile", "id": profile}])


def attributes(payload: Payload, identifiers: Sequence[str]) -> Payload:
    """What a payload tells of a profile, its telephone number in full.

    Raises InvalidPayload for a number that can't be read, an external id that is too long, and a
    profile that has none of the identifiers.
    """
    told = {key: value for key, value in payload.items() if key not in _STEERING}
    if not told.get("phone_number"):
        told.pop("phone_number", None)
    else:
        number = e164(told["phone_number"], payload.get("country_code") or "")
        if number is None:
            raise InvalidPayload(
                f"phone_number: {told['phone_number']!r} is no E.164 number such as +14155550123, "
                "and country_code does not make it one"
            )
        told["phone_number"] = number
    if not any(told.get(key) for key in identifiers):
        raise InvalidPayload(f"a profile needs one of {', '.join(identifiers)}")
    if len(told.get("external_id") or "") > EXTERNAL_ID_LENGTH:
        raise InvalidPayload(f"external_id: longer than {EXTERNAL_ID_LENGTH} characters")
    return told


def data_of(answer: Answer, kind: type[dict[str, Json]] | type[list[Json]]) -> Json:
    """The ``data`` of Klaviyo's answer. Raises Refused when there is none of that kind."""
    body = answer.json()
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, kind):
        raise Refused(400, "Klaviyo's answer tells no profile", "UNEXPECTED_ANSWER", answer)
    return data
