"""What differs between two outcomes, field by field, and whether a difference may be at all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.destinations.reference.driving import Outcome, Sent

__all__ = ["Difference", "Listed", "Tally"]

Json = Any

_ABSENT = "<absent>"
_UNCOMPARED_HEADERS = {"user-agent", "accept", "accept-encoding", "content-length", "connection"}
_EXACT = re.compile(
    r"(^|[._$-])(id|ids|uuid|key|token|sku|e-?mail|em|ph|phone|price|amount|revenue|value|total"
    r"|subtotal|tax|shipping|discount|quantity|currency|time|timestamp|date|hash|sha256|index)"
    r"(s?$|[._\[-])|Id(s?$|[._\[])|(^|_)(at|on|time|timestamp)$",
    re.IGNORECASE,
)
"""Paths of ids, dedupe ids, amounts, hashes, times and e-mail: these may never differ."""


@dataclass(frozen=True)
class Listed:
    """Differences that are meant: in fields whose path matches, with the reason."""

    path: str
    """A regular expression for the whole path, such as ``body\\.events\\[\\d+\\]\\.language``."""
    reason: str
    action: str = ""
    """Only of that action."""
    either: bool = False
    """Whether it covers what may not differ, too: only for a mistake of the reference."""
    values: tuple[Json, Json] | None = None
    """Only when these are the values of the reference and ours."""


@dataclass(frozen=True)
class Difference:
    """A field that differs."""

    action: str
    path: str
    reference: Json
    ours: Json
    exact: bool
    """Whether it is of the kind that may never differ."""

    def __str__(self) -> str:
        return f"{self.action} {self.path}: reference {self.reference!r}, ours {self.ours!r}"


@dataclass
class Tally:
    """Compares outcomes and counts."""

    listed: Sequence[Listed] = ()
    events: int = 0
    requests: int = 0
    equal: int = 0
    """Requests without any difference, listed or not."""
    fields: int = 0
    errors: int = 0
    """Outcomes that are an error on both sides."""
    differing: list[Difference] = field(default_factory=list)
    """Those that are listed."""
    unlisted: list[Difference] = field(default_factory=list)
    used: Counter[Listed] = field(default_factory=Counter)
    """Of each listed difference, in how many fields it was met."""
    sent: Counter[str] = field(default_factory=Counter)
    """By action the outcomes in which the reference sends something and meets no error."""

    def compare(self, reference: Sequence[Outcome], ours: Sequence[Outcome]) -> None:
        """Compare what the mappings of one run made, paired by their place."""
        self.events += 1
        theirs = {outcome.mapping: outcome for outcome in reference}
        own = {outcome.mapping: outcome for outcome in ours}
        for mapping in sorted(theirs.keys() | own.keys()):
            self._pair(theirs.get(mapping), own.get(mapping))

    def _pair(self, reference: Outcome | None, ours: Outcome | None) -> None:
        action = (reference or ours).action  # type: ignore[union-attr]
        if reference is None or ours is None:
            self._differs(action, "mapping", _taken(reference), _taken(ours), exact=True)
            return
        self._field(action, "mapping.action", reference.action, ours.action)
        self._field(action, "error", _error(reference), _error(ours), exact=True)
        self._field(action, "results", reference.results, ours.results, exact=True)
        self.errors += bool(reference.error and ours.error)
        self.sent[action] += bool(reference.requests and not reference.error)
        self._field(action, "requests", len(reference.requests), len(ours.requests), exact=True)
        for number, (theirs, own) in enumerate(
            zip(reference.requests, ours.requests, strict=False)
        ):
            self.requests += 1
            self._request(action, "" if number == 0 else f"{number}.", theirs, own)

    def _request(self, action: str, prefix: str, reference: Sent, ours: Sent) -> None:
        theirs, own = _flat(reference), _flat(ours)
        before = len(self.differing) + len(self.unlisted)
        for path in theirs.keys() | own.keys():
            self._field(action, prefix + path, theirs.get(path, _ABSENT), own.get(path, _ABSENT))
        self.equal += len(self.differing) + len(self.unlisted) == before

    def _field(
        self, action: str, path: str, reference: Json, ours: Json, exact: bool | None = None
    ) -> None:
        self.fields += 1
        if isinstance(reference, bool) != isinstance(ours, bool) or reference != ours:
            known = _is_exact(path) if exact is None else exact
            self._differs(action, path, reference, ours, known)

    def _differs(self, action: str, path: str, reference: Json, ours: Json, exact: bool) -> None:
        difference = Difference(action, path, reference, ours, exact)
        for listed in self.listed:
            if listed.action in ("", action) and re.fullmatch(listed.path, path):
                if (exact and not listed.either) or listed.values not in (None, (reference, ours)):
                    continue
                self.used[listed] += 1
                self.differing.append(difference)
                return
        self.unlisted.append(difference)


def _taken(outcome: Outcome | None) -> str:
    return _ABSENT if outcome is None else "taken"


def _error(outcome: Outcome) -> Json:
    """Whether there was an error, and its status; one without status is a bug: taken as 400."""
    if outcome.error is None:
        return None
    return outcome.error["status"] or 400


def _is_exact(path: str) -> bool:
    inner = re.sub(r"^\d+\.", "", path)
    return not inner.startswith("body") or _EXACT.search(inner) is not None


def _flat(sent: Sent) -> dict[str, Json]:
    parts = urlsplit(sent.url)
    flat: dict[str, Json] = {
        "method": sent.method,
        "url": f"{parts.scheme}://{parts.netloc}{parts.path}",
    }
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        flat[f"query.{name}"] = value
    for name, value in sent.headers.items():
        if name.lower() not in _UNCOMPARED_HEADERS:
            flat[f"header.{name.lower()}"] = value.partition(";")[0]
    flat.update(_leaves("body", _parsed(sent)))
    return flat


def _parsed(sent: Sent) -> Json:
    if not sent.body:
        return _ABSENT
    if sent.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        pairs = parse_qsl(sent.body, keep_blank_values=True)
        return {name: _json_or_text(value) for name, value in pairs}
    return _json_or_text(sent.body)


def _json_or_text(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _leaves(path: str, value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(f"{path}[{index}]", inner)
    else:
        yield path, value
