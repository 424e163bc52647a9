"""Does what an action says: drives ``build``, sends its requests, tells each payload's fate."""

from __future__ import annotations

import marshal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import lru_cache

import msgspec

from penstock import logs
from penstock.destinations.contract import (
    Action,
    Answer,
    BuiltRequest,
    Call,
    Destination,
    Failure,
    InvalidPayload,
    Payload,
    Refused,
    Request,
    Skipped,
    Steps,
)
from penstock.destinations.sending.backoff import retry_after
from penstock.destinations.sending.dry import is_accepted, refused_by
from penstock.destinations.sending.masking import Masker, masker
from penstock.destinations.sending.oauth import TokenSource
from penstock.destinations.sending.outcome import (
    Exchange,
    Outcome,
    Performed,
    is_retriable,
    outcome_of_failure,
    refusal,
)
from penstock.destinations.sending.senders import Senders
from penstock.destinations.sending.trail import Sent, Trail

__all__ = ["check", "perform"]

_log = logs.get(__name__)
_MARSHAL = 2
"""Later formats look for objects that come twice, which takes as long again."""

Fate = tuple[dict[int, Outcome], list[list[int]]]
"""Outcomes by index in the call, and the groups of indices that are to be run on their own."""


async def perform(
    definition: Destination,
    action: Action,
    call: Call,
    senders: Senders,
    token: TokenSource | None = None,
    *,
    timeout: float | None = None,
    gate: Callable[[], Awaitable[None]] | None = None,
    record: bool = False,
) -> Performed:
    """Perform the action for the call's payloads.

    Nothing that the tool, the network or ``build`` does wrong is raised: it is an outcome. What
    is wrong with one payload of a batch does not fail the others; they go out without it. A 401
    has the token renewed once, and the request repeated.

    ``timeout`` is for each request, in seconds; None: the definition's. ``gate`` is awaited before
    each request. ``record`` keeps the exchanges that went well, too.
    """
    run = _Run(definition, action, call, senders, token, timeout, gate, record)
    outcomes = await run.all()
    kept = [sent for sent in run.sent if record or sent.error]
    if record:
        outcomes = {index: run.with_request(index, each) for index, each in outcomes.items()}
    return Performed(
        tuple(outcomes[index] for index in range(len(call.payloads))),
        tuple(sent.exchange(run.mask) for sent in kept),
        len(run.sent),
    )


async def check(
    definition: Destination, call: Call, senders: Senders, token: TokenSource | None = None
) -> Performed | None:
    """Whether the settings of ``call`` are right, by the definition's request that changes nothing.

    One outcome; None when the definition has no such request.
    """
    ask = definition.check
    if ask is None:
        return None

    def build(call: Call) -> Steps:
        yield ask(call.settings)
        return None

    action = Action("check", "Check", build)
    asked = replace(call, payloads=({},), message_ids=())
    return await perform(definition, action, asked, senders, token, record=True)


@dataclass
class _Run:
    """One call, until every payload has an outcome."""

    definition: Destination
    action: Action
    call: Call
    senders: Senders
    token: TokenSource | None
    timeout: float | None
    gate: Callable[[], Awaitable[None]] | None
    record: bool
    sent: list[Sent] = field(default_factory=list)
    deciding: dict[int, Sent | None] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    renewed: bool = False

    @property
    def mask(self) -> Masker:
        """Of the settings' secrets and the tokens so far."""
        return self._mask()

    def _mask(self) -> Masker:
        return masker(self.definition, self.call.settings, *self.tokens)

    async def all(self) -> dict[int, Outcome]:
        """The outcomes, by index."""
        size = len(self.call.payloads)
        pristine = _keep(self.call.payloads) if size > 1 else list
        outcomes: dict[int, Outcome] = {}
        groups = [list(range(size))] if size else []
        first = True
        while groups:
            group = groups.pop(0)
            call = self.call if first else _part(self.call, pristine, group)
            found, more = await self._attempt(call, group)
            outcomes.update(found)
            groups[:0] = more
            first = False
        return outcomes

    def with_request(self, index: int, outcome: Outcome) -> Outcome:
        """The outcome with the exchange that decided it."""
        sent = self.deciding.get(index)
        if sent is None or outcome.request is not None:
            return outcome
        return _with(outcome, sent.exchange(self.mask))

    async def _attempt(self, call: Call, group: list[int]) -> Fate:
        trail = Trail(len(group))
        try:
            failures = await self._drive(call, trail)
        except Skipped as error:
            outcome = Outcome(0, "SKIPPED", str(error), skipped=True)
            fate = self._after(trail, outcome, alone=True)
        except Refused as error:
            fate = self._after(trail, self._refused(error, trail), alone=_blames_payload(error))
        except Exception as error:  # noqa: BLE001 - what a definition raises
            _log.exception(
                "the code of a destination failed",
                destination=self.definition.slug,
                action=self.action.slug,
            )
            message = self.mask.text(f"{type(error).__name__}: {error}")
            outcome = Outcome(500, "INTERNAL", message, True, request=self._last(trail))
            fate = self._after(trail, outcome, alone=True)
        else:
            fate = await self._returned(trail, {**trail.failures, **failures})
        outcomes, more = fate
        if self.record:
            self.deciding.update({group[at]: trail.deciding(at) for at in outcomes})
        return (
            {group[at]: outcome for at, outcome in outcomes.items()},
            [[group[at] for at in part] for part in more],
        )

    async def _drive(self, call: Call, trail: Trail) -> Mapping[int, Failure]:
        """Run ``build`` to its end, or to what it raises."""
        steps = self.action.build(call)
        try:
            built = next(steps)
            while True:
                try:
                    answer = await self._send(built, trail)
                except Refused as error:
                    trail.failed = built
                    built = steps.throw(error)
                else:
                    trail.accept(built, answer)
                    built = steps.send(answer)
                trail.failed = None
        except StopIteration as end:
            trail.failed = None
            return end.value or {}
        finally:
            steps.close()

    async def _send(self, built: BuiltRequest, trail: Trail) -> Answer:
        """The answer, when it is one that ``build`` is given. Raises Refused."""
        trail.failed = built
        answer = await self._exchange(built, trail)
        if answer.status == 401 and await self._renew():
            answer = await self._exchange(built, trail)
        if not is_accepted(built, answer):
            refused = refused_by(answer)
            trail.sent[-1].error = str(refused)
            raise refused
        return answer

    async def _exchange(self, built: BuiltRequest, trail: Trail) -> Answer:
        if self.gate is not None:
            await self.gate()
        built = await self._authorized(built)
        began = time.perf_counter()
        answer, error = None, ""
        try:
            answer = await self.senders.send(built, self._timeout(built), self._mask)
        except Refused as refused:
            answer, error = refused.answer, str(refused)
            raise
        finally:
            sent = Sent(built, answer, error, time.perf_counter() - began)
            trail.sent.append(sent)
            self.sent.append(sent)
        return answer

    async def _authorized(self, built: BuiltRequest) -> BuiltRequest:
        authorize = self.definition.authorize
        if not isinstance(built, Request):
            return built
        token = ""
        if self.token is not None:
            token = await self.token.current()
            if token not in self.tokens:
                self.tokens.append(token)
        return authorize(built, self.call.settings, token) if authorize else built

    async def _renew(self) -> bool:
        """Whether there is another token than the one that was answered 401."""
        if self.token is None or self.renewed or not self.tokens:
            return False
        self.renewed = True
        stale = self.tokens[-1]
        return await self.token.renew(stale) != stale

    def _timeout(self, built: BuiltRequest) -> float:
        own = built.timeout if isinstance(built, Request) else None
        return own or self.timeout or self.definition.timeout

    async def _returned(self, trail: Trail, failures: Mapping[int, Failure]) -> Fate:
        """``build`` came to its end and named the payloads that were not taken."""
        if not failures and trail.whole and not trail.done:
            return dict.fromkeys(range(trail.size), _delivered(trail.whole)), []
        again = [at for at, failure in failures.items() if failure.status == 401]
        if again and await self._renew():
            failures = {at: each for at, each in failures.items() if at not in again}
        else:
            again = []
        outcomes = {}
        for at in set(range(trail.size)).difference(again):
            if at in failures:
                sent = trail.deciding(at)
                request = sent.exchange(self.mask) if sent else None
                outcomes[at] = outcome_of_failure(failures[at], request)
            elif trail.sent:
                outcomes[at] = _delivered(trail.done.get(at) or trail.whole or 200)
            else:
                outcomes[at] = Outcome(0, "SKIPPED", "there was nothing to send", skipped=True)
        return outcomes, [again] if again else []

    def _after(self, trail: Trail, outcome: Outcome, *, alone: bool) -> Fate:
        """``build`` was ended by an exception, whose outcome is given.

        ``alone``: the exception may be about one payload only.
        """
        everything = range(trail.size)
        if trail.failed is not None:
            carried = trail.failed.items
            if carried is None:
                return dict.fromkeys(everything, outcome), []
            outcomes = {at: _delivered(status) for at, status in trail.done.items()}
            outcomes.update(dict.fromkeys(carried, outcome))
            rest = [at for at in everything if at not in outcomes]
            if outcome.retriable:
                return {**outcomes, **dict.fromkeys(rest, outcome)}, []
            return outcomes, [rest] if rest else []
        outcomes = {at: _delivered(status) for at, status in trail.done.items()}
        rest = [at for at in everything if at not in outcomes]
        if not alone or len(rest) <= 1 or trail.whole:
            return {**outcomes, **dict.fromkeys(rest or everything, outcome)}, []
        half = len(rest) // 2
        return outcomes, [rest[:half], rest[half:]]

    def _refused(self, error: Refused, trail: Trail) -> Outcome:
        answer = error.answer
        wait = retry_after(answer.headers, self.call.now) if answer else None
        outcome = refusal(error, wait, self._last(trail))
        return _masked(outcome, self.mask)

    def _last(self, trail: Trail) -> Exchange | None:
        return trail.sent[-1].exchange(self.mask) if trail.sent else None


def _keep(payloads: Sequence[Payload]) -> Callable[[], list[Payload]]:
    """Gives copies of payloads as they are now: quickly where they are plain JSON."""
    try:
        kept = marshal.dumps(list(payloads), _MARSHAL)
    except ValueError:
        copied = deepcopy(list(payloads))
        return lambda: deepcopy(copied)
    return lambda: marshal.loads(kept)


def _part(call: Call, pristine: Callable[[], list[Payload]], group: Sequence[int]) -> Call:
    """The call with some of its payloads, as they were before ``build`` changed them."""
    payloads = pristine()
    ids = call.message_ids
    return replace(
        call,
        payloads=[payloads[at] for at in group],
        message_ids=[ids[at] for at in group] if ids else (),
    )


def _blames_payload(error: Refused) -> bool:
    return isinstance(error, InvalidPayload) or not is_retriable(error.status)


@lru_cache(maxsize=128)
def _delivered(status: int) -> Outcome:
    return Outcome(status if 200 <= status < 300 else 200)


def _masked(outcome: Outcome, mask: Masker) -> Outcome:
    return msgspec.structs.replace(outcome, message=mask.text(outcome.message))


def _with(outcome: Outcome, request: Exchange) -> Outcome:
    return msgspec.structs.replace(outcome, request=request)
