"""Which external ids an event carries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from penstock.profiles.identity.rules import DEFAULT_TYPES, Identifier, IdentityRules
from penstock.profiles.observed import Context, Observed

__all__ = ["ExternalId", "Extracted", "Extractor", "Trust"]

_LONGEST = 512
_BLOCKED = frozenset({
    "", "-1", "null", "anonymous", "undefined", "none", "nan", "[object object]", "unknown",
})  # fmt: skip
_ZEROS = re.compile(r"[0-]*")
_DEVICES = ("android", "ios")
_FORMATTED = re.compile(r"[\s().\-/]+")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class ExternalId(msgspec.Struct, frozen=True, gc=False):
    """A value by which somebody is known."""

    type: str
    value: str
    """As it is compared: an e-mail address in lower case, without spaces around it."""
    original: str = ""
    """As it was sent, where that differs."""


class Extracted(msgspec.Struct, gc=False):
    """The ids of one event."""

    ids: list[ExternalId]
    """Most trusted first, each once."""
    blocked: list[ExternalId] = []
    """Values that identify nobody."""


class Trust(msgspec.Struct, frozen=True):
    """What holds for one type."""

    rank: int
    """0 is trusted most."""
    limit: int
    period_us: int | None
    """None: for ever."""


_DAY_US = 86_400_000_000
_PERIODS = {"ever": None, "weekly": 7 * _DAY_US, "monthly": 30 * _DAY_US, "annually": 365 * _DAY_US}
Found = Iterator[tuple[str, Any]]


class Extractor:
    """Reads ids from events by the rules of a space."""

    def __init__(self, rules: IdentityRules) -> None:
        self._rules = rules
        self._trusts: dict[str, Trust] = {}
        self._others: dict[str, int] = {}
        identifiers = rules.identifiers
        off = {kind for kind, one in identifiers.items() if not one.enabled}
        self._known = [kind for kind in (*DEFAULT_TYPES, *identifiers) if kind not in off]
        self._off = off | ({"phone"} - identifiers.keys())
        self._rank()
        self._keys = [
            (kind, _spellings(one.key))
            for kind, one in identifiers.items()
            if one.key and one.enabled
        ]
        self._phone = "phone" in identifiers and identifiers["phone"].enabled
        self._is_blocked = {kind: _blocker(one.blocked) for kind, one in identifiers.items()}
        self._plain = not self._keys and not self._phone

    def _rank(self) -> None:
        """Types with a priority first, user_id and email before all others without one."""

        def key(kind: str) -> tuple[int, str]:
            one = self._rules.identifiers.get(kind)
            if one is not None and one.priority is not None:
                return (one.priority, kind)
            return ({"user_id": 1, "email": 2}.get(kind, 1_000), kind)

        for rank, kind in enumerate(sorted(dict.fromkeys(self._known), key=key)):
            one = self._rules.identifiers.get(kind)
            if one is None:
                one = Identifier(limit=1 if kind == "user_id" else 5)
            self._trusts[kind] = Trust(rank, one.limit, _PERIODS[one.period])

    def trust(self, kind: str) -> Trust:
        """What holds for a type; one that was never named comes into the order by its name."""
        found = self._trusts.get(kind)
        if found is None:
            self._known.append(kind)
            self._rank()
            found = self._trusts[kind]
        return found

    def is_simple(self, event: Observed) -> bool:
        """Whether an event has no ids but its ``userId`` and ``anonymousId``."""
        if not self._plain or event.type in ("identify", "alias"):
            return False
        raw = bytes(event.raw_context)
        return not (
            b'"device"' in raw
            or b'"externalIds"' in raw
            or b'"traits"' in raw
            or b'"integrations"' in raw
        )

    def __call__(self, event: Observed) -> Extracted:
        """The ids of an event."""
        found = _simple(event) if self.is_simple(event) else self._all(event)
        ids: dict[tuple[str, str], ExternalId] = {}
        blocked: list[ExternalId] = []
        for kind, value in found:
            text = _text(value)
            if text is None or kind in self._off:
                continue
            one = _external_id(kind, text)
            if self._blocks(kind, one.value):
                blocked.append(one)
            else:
                ids.setdefault((kind, one.value), one)
        result = list(ids.values())
        if len(result) > 1:
            result.sort(key=lambda one: self.trust(one.type).rank)
        return Extracted(result, blocked)

    def _blocks(self, kind: str, value: str) -> bool:
        if value.lower() in _BLOCKED or _ZEROS.fullmatch(value):
            return True
        more = self._is_blocked.get(kind)
        return more is not None and more(value)

    def _all(self, event: Observed) -> Found:
        yield from _simple(event)
        context = event.context
        traits = event.traits if event.type == "identify" else {}
        yield "email", traits.get("email")
        if context.traits:
            yield "email", context.traits.get("email")
        if self._phone:
            for place in (traits, context.traits or {}):
                yield "phone", _phone(place.get("phone"))
        yield from _of_device(context)
        yield from _of_integrations(context)
        yield from _of_external_ids(context)
        for kind, spellings in self._keys:
            places = (context.traits or {}, traits, event.properties)
            yield kind, _first(places, spellings)


def _simple(event: Observed) -> Found:
    if event.user_id is not None:
        yield "user_id", event.user_id
    if event.anonymous_id is not None:
        yield "anonymous_id", event.anonymous_id


def _of_device(context: Context) -> Found:
    device = context.device
    kind = device.type.lower() if device and isinstance(device.type, str) else ""
    if device is None or kind not in _DEVICES:
        return
    yield f"{kind}.id", device.id
    if device.ad_tracking_enabled is True:
        yield f"{kind}.idfa", device.advertising_id
    yield f"{kind}.push_token", device.token


def _of_integrations(context: Context) -> Found:
    google = (context.integrations or {}).get("Google Analytics")
    if isinstance(google, dict):
        yield "ga_client_id", google.get("clientId")


def _of_external_ids(context: Context) -> Found:
    every = context.external_ids
    if not isinstance(every, list):
        return
    for one in every:
        if not isinstance(one, dict) or one.get("collection") != "users":
            continue
        kind, encoding = one.get("type"), one.get("encoding")
        if isinstance(kind, str) and kind == kind.lower() and kind and encoding == "none":
            yield kind, one.get("id")


def _external_id(kind: str, text: str) -> ExternalId:
    if kind != "email":
        return ExternalId(kind, text)
    value = text.strip().lower()
    return ExternalId(kind, value, text if value != text else "")


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else None
    return None


def _phone(value: Any) -> str | None:
    """E.164; a number without its country's code can't be told from another country's."""
    text = _FORMATTED.sub("", value) if isinstance(value, str) else ""
    return text if _E164.fullmatch(text) else None


def _spellings(key: str) -> tuple[str, ...]:
    """A key as it is written, in camelCase, and in snake_case."""
    first, *rest = key.split("_")
    camel = first + "".join(word.capitalize() for word in rest)
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower()
    return tuple(dict.fromkeys((key, camel, snake)))


def _first(places: Iterable[dict[str, Any]], spellings: tuple[str, ...]) -> Any:
    for place in places:
        for name in spellings:
            if place.get(name) is not None:
                return place[name]
    return None


def _blocker(values: tuple[str, ...]) -> Callable[[str], bool]:
    exact = {value for value in values if not _is_pattern(value)}
    patterns = [re.compile(value[1:-1]) for value in values if _is_pattern(value)]
    return lambda value: value in exact or any(one.search(value) for one in patterns)


def _is_pattern(value: str) -> bool:
    return len(value) > 2 and value.startswith("/") and value.endswith("/")
