"""What became of payloads that were sent, and the record of how."""

from __future__ import annotations

import msgspec

from penstock.destinations.contract import Failure, Refused, RetryLater

__all__ = ["Exchange", "Outcome", "Performed", "is_retriable", "outcome_of_failure", "refusal"]

_AGAIN = frozenset({0, 408, 423, 429})
_NEVER = frozenset({501})


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request as it went out and what came back. Secrets are masked; long bodies are cut."""

    kind: str
    """http, file or stream."""
    method: str
    url: str
    headers: dict[str, str] = {}
    body: str = ""
    status: int = 0
    """0: no answer came, or none was asked for."""
    answer_headers: dict[str, str] = {}
    answer_body: str = ""
    error: str = ""
    """Why it failed; empty when it did not."""
    duration: float = 0.0
    """Seconds from the request to the end of the answer."""
    items: list[int] | None = None
    """Indices of the payloads it carried; None: all of the call."""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one payload."""

    status: int
    """The tool's, or the one that says best what happened; 0 when the network failed."""
    code: str = ""
    """A short name such as ``429``, ``ENOTFOUND`` or ``PAYLOAD_VALIDATION_FAILED``."""
    message: str = ""
    retriable: bool = False
    retry_after: float | None = None
    """Seconds the tool asked to wait."""
    skipped: bool = False
    """There was nothing to send, rightly."""
    request: Exchange | None = None
    """The exchange that decided it; for what was delivered only when exchanges were asked for."""

    @property
    def delivered(self) -> bool:
        """Whether the tool took it."""
        return not self.skipped and 200 <= self.status < 300


class Performed(msgspec.Struct, frozen=True):
    """The result of a call."""

    outcomes: tuple[Outcome, ...]
    """One for each payload of the call, in its order."""
    exchanges: tuple[Exchange, ...] = ()
    """In the order they happened: all when they were asked for, else those that failed."""
    requests: int = 0
    """How many were sent."""


def is_retriable(status: int) -> bool:
    """Whether trying again may help: no answer, 408, 423, 429 and 5xx except 501."""
    return status in _AGAIN or (500 <= status < 600 and status not in _NEVER)


def outcome_of_failure(failure: Failure, request: Exchange | None) -> Outcome:
    """The outcome of a payload that ``build`` says was not taken."""
    return Outcome(
        failure.status,
        failure.code or str(failure.status),
        failure.message,
        is_retriable(failure.status),
        request=request,
    )


def refusal(error: Refused, wait: float | None, request: Exchange | None) -> Outcome:
    """The outcome of payloads whose request was refused."""
    again = isinstance(error, RetryLater) or is_retriable(error.status)
    return Outcome(
        error.status, error.code, str(error), again, wait if again else None, request=request
    )
