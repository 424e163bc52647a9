"""Our definition of a tool words requests for the same runs; nothing is sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from penstock.destinations.contract import (
    Answer,
    Call,
    InvalidPayload,
    Refused,
    Request,
    Skipped,
)
from penstock.destinations.fql import compile_trigger
from penstock.destinations.model import DestinationSetup, MappingSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.sending.dry import is_accepted, refused_by
from penstock.destinations.setup import check_settings, mappings_of
from tests.destinations.reference.driving import FROZEN, NEW_ID, Outcome, Run, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.destinations.contract import Action, Destination, Failure, Payload

__all__ = ["Ours"]

Json = Any


@dataclass(frozen=True)
class _Mapping:
    index: int
    action: Action
    matches: Callable[[dict[str, Json]], bool]
    payload: Callable[[dict[str, Json]], Payload]
    sync_mode: str


class Ours:
    """A tool as a user set it up; ``mappings`` None: its presets."""

    def __init__(
        self,
        definition: Destination,
        settings: Mapping[str, Json],
        mappings: Sequence[MappingSetup] | None = None,
        token: str = "",
    ) -> None:
        self._definition = definition
        self._settings = check_settings(definition, settings)
        self._token = token
        setup = DestinationSetup(
            slug="compared",
            type=definition.slug,
            settings=dict(settings),
            mappings=None if mappings is None else tuple(mappings),
        )
        self._mappings = [
            self._compiled(index, mapping)
            for index, mapping in enumerate(mappings_of(definition, setup))
        ]

    @property
    def count(self) -> int:
        """How many mappings there are."""
        return len(self._mappings)

    def batching(self) -> list[int]:
        """Indices of the mappings whose action takes several events at once."""
        return [mapping.index for mapping in self._mappings if mapping.action.batch]

    def matching(self, event: dict[str, Json]) -> list[int]:
        """Indices of the mappings whose trigger takes the event."""
        return [mapping.index for mapping in self._mappings if mapping.matches(event)]

    def run(self, run: Run) -> list[Outcome]:
        """The outcomes of the mappings that take any of the run's events."""
        outcomes = []
        for mapping in self._mappings:
            if run.mapping not in (None, mapping.index):
                continue
            taken = [event for event in run.events if mapping.matches(event)]
            if taken:
                outcomes.append(self._outcome(mapping, taken, run.answers))
        return outcomes

    def _compiled(self, index: int, mapping: MappingSetup) -> _Mapping:
        action = self._definition.action(mapping.action)
        return _Mapping(
            index,
            action,
            compile_trigger(mapping.trigger or action.trigger),
            compile_payload(action, mapping.fields),
            mapping.sync_mode or next(iter(action.sync_modes), ""),
        )

    def _outcome(
        self, mapping: _Mapping, events: list[dict[str, Json]], answers: Sequence[dict[str, Json]]
    ) -> Outcome:
        payloads: dict[int, Payload] = {}
        statuses = [200] * len(events)
        for index, event in enumerate(events):
            try:
                payloads[index] = mapping.payload(event)
            except InvalidPayload as refused:
                statuses[index] = refused.status
                if len(events) == 1:
                    return _refused(mapping, (), refused)
        call = Call(
            payloads=list(payloads.values()),
            settings=self._settings,
            now=FROZEN,
            new_id=lambda: NEW_ID,
            sync_mode=mapping.sync_mode,
            message_ids=[events[index]["messageId"] for index in payloads],
            batched=len(events) > 1,
        )
        if not payloads:
            return Outcome(mapping.index, mapping.action.slug, (), None, tuple(statuses))
        sent, failures, error = self._drive(mapping.action, call, answers)
        if len(events) == 1:
            if failures:
                error = Refused(failures[0].status, failures[0].message)
            if error is not None:
                return _refused(mapping, sent, error)
            return Outcome(mapping.index, mapping.action.slug, sent)
        for position, index in enumerate(payloads):
            if error is not None:
                statuses[index] = error.status
            elif failures and position in failures:
                statuses[index] = failures[position].status
        return Outcome(mapping.index, mapping.action.slug, sent, None, tuple(statuses))

    def _drive(
        self, action: Action, call: Call, answers: Sequence[dict[str, Json]]
    ) -> tuple[tuple[Sent, ...], Mapping[int, Failure] | None, Refused | None]:
        """All requests up to the end or the first failure that `build` does not catch."""
        left = [_answer(one) for one in answers]
        sent: list[Sent] = []
        steps = action.build(call)
        try:
            built = next(steps)
            while True:
                assert isinstance(built, Request)
                sent.append(self._shown(built, call))
                answer = left.pop(0) if left else Answer(200, {}, b"{}")
                if is_accepted(built, answer):
                    built = steps.send(answer)
                else:
                    built = steps.throw(refused_by(answer))
        except StopIteration as done:
            return tuple(sent), done.value, None
        except Refused as refused:
            return tuple(sent), None, refused
        except Skipped:
            return tuple(sent), None, None

    def _shown(self, request: Request, call: Call) -> Sent:
        if self._definition.authorize is not None:
            request = self._definition.authorize(request, call.settings, self._token)
        url = request.url
        if request.query:
            url += ("&" if "?" in url else "?") + urlencode(request.query)
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = ""
        if request.json is not None:
            body = json.dumps(request.json)
            headers.setdefault("content-type", "application/json")
        elif request.form is not None:
            body = urlencode(request.form)
            headers.setdefault("content-type", "application/x-www-form-urlencoded")
        elif request.body is not None:
            body = request.body.decode()
        return Sent(request.method, url, headers, body)


def _answer(raw: dict[str, Json]) -> Answer:
    body = raw.get("body", {})
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {"content-type": "application/json", **raw.get("headers", {})}
    return Answer(raw["status"], headers, text.encode())


def _refused(mapping: _Mapping, sent: tuple[Sent, ...], error: Refused) -> Outcome:
    told = {"name": error.code, "status": error.status, "message": str(error)}
    return Outcome(mapping.index, mapping.action.slug, sent, told)
