"""What is told when a person enters or leaves an audience, or a computed trait changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from penstock import __version__
from penstock.profiles.stream.profile import fitting

__all__ = ["Message", "Subject", "Told", "addresses", "messages"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode
_LIBRARY = {"name": "penstock", "version": __version__}
_EXIT = "Audience Exited"


class Subject(msgspec.Struct, frozen=True):
    """Of whom it is told."""

    space: str
    profile: str
    """Public id of the profile."""
    ids: tuple[tuple[str, str], ...]
    """External ids (type, value), in order of attachment."""
    traits: Mapping[str, Any]
    """Traits that may go along, custom and computed, by name."""


class Told(msgspec.Struct, frozen=True):
    """One change, and who is to learn of it."""

    kind: str
    """audience or trait."""
    key: str
    """Slug of the audience or trait; the name under which it is told."""
    value: Any
    """True on entering, False on leaving; of a trait its value, None when it has none any more."""
    mode: str = "identify"
    """identify or track."""
    event: str = ""
    """Name of the track event; empty: ``Audience Entered``, ``Audience Exited``,
    ``Trait Computed``."""
    destinations: tuple[str, ...] = ()
    """Slugs; none: it stands in the warehouse alone."""
    extra: tuple[str, ...] = ()
    """Names of further traits to send along."""


class Message(msgspec.Struct, frozen=True):
    """An event to be appended to ``received``."""

    message_id: str
    payload: bytes


def addresses(ids: Sequence[tuple[str, str]]) -> list[tuple[str, str, str | None]]:
    """How a person is named to others: (``userId`` or ``anonymousId``, its value, e-mail or None).

    One for each user id, or for each anonymous id of somebody without; times each e-mail.
    """
    names = [("userId", value) for kind, value in ids if kind == "user_id"]
    if not names:
        names = [("anonymousId", value) for kind, value in ids if kind == "anonymous_id"]
    emails: list[str | None] = [value for kind, value in ids if kind == "email"]
    if not names and emails:
        names = [("userId", email) for email in emails if email is not None]
    return [(field, value, email) for field, value in names for email in emails or [None]]


def messages(
    subject: Subject, told: Told, turn: int, now_us: int, only: Iterable[tuple[str, str]] = ()
) -> Iterator[Message]:
    """The events that tell it. ``only``: just the addresses in which one of these ids occurs.

    ``turn`` differs each time that something is told of this profile: with it the message id is
    the same when the same decision is taken again after a crash, and another one the next time.
    """
    wanted = set(only)
    for field, value, email in addresses(subject.ids):
        named = {("user_id" if field == "userId" else "anonymous_id", value)}
        if email is not None:
            named.add(("email", email))
        if wanted and not wanted & named:
            continue
        seed = "\x1f".join(
            [subject.space, subject.profile, told.kind, told.key, told.mode, value, email or "",
             *told.destinations, str(turn)]
        )  # fmt: skip
        message_id = "penstock-" + hashlib.blake2b(seed.encode(), digest_size=16).hexdigest()
        yield Message(
            message_id, _payload(subject, told, (field, value, email), message_id, now_us)
        )


def _payload(
    subject: Subject,
    told: Told,
    address: tuple[str, str, str | None],
    message_id: str,
    now_us: int,
) -> bytes:
    field, value, email = address
    now = _EPOCH + timedelta(microseconds=now_us)
    along = {name: subject.traits[name] for name in told.extra if name in subject.traits}
    event: dict[str, Any] = {"type": told.mode, "messageId": message_id, field: value}
    context: dict[str, Any] = {
        "library": _LIBRARY,
        "personas": {
            "computation_class": told.kind if told.kind == "audience" else "trait",
            "computation_id": f"{told.kind[:3]}_{told.key}",
            "computation_key": told.key,
            "namespace": f"spa_{subject.space}",
            "space_id": f"spa_{subject.space}",
        },
    }
    if told.mode == "identify":
        event["traits"] = {**along, **({} if email is None else {"email": email}),
                           told.key: told.value}  # fmt: skip
    else:
        event["event"] = told.event or _event_name(told)
        name = "audience_key" if told.kind == "audience" else "trait_key"
        event["properties"] = {**along, name: told.key, told.key: told.value}
        if email is not None:
            context["traits"] = {"email": email}
    event["context"] = context
    event["integrations"] = {"All": False, **dict.fromkeys(told.destinations, True)}
    event |= dict.fromkeys(("timestamp", "originalTimestamp", "sentAt", "receivedAt"), now)
    try:
        return _encode(event)
    except OverflowError:
        return _encode(fitting(event))


def _event_name(told: Told) -> str:
    if told.kind == "trait":
        return "Trait Computed"
    return "Audience Entered" if told.value else _EXIT
