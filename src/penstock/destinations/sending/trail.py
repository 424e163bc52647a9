"""What happened to the requests of one run of ``build``."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.destinations.contract import Answer, BuiltRequest, Failure, StreamSend
from penstock.destinations.sending.masking import Masker
from penstock.destinations.sending.outcome import Exchange
from penstock.destinations.sending.wire import shown

__all__ = ["Sent", "Trail"]


@dataclass
class Sent:
    """A request that went out, or could not."""

    built: BuiltRequest
    """With what authorises it."""
    answer: Answer | None
    error: str
    duration: float
    _exchange: Exchange | None = None

    def exchange(self, mask: Masker) -> Exchange:
        """For people; made once, and only when somebody wants it."""
        if self._exchange is None:
            self._exchange = shown(
                self.built, mask, answer=self.answer, error=self.error, duration=self.duration
            )
        return self._exchange


@dataclass
class Trail:
    """The requests so far, and which payloads they took along."""

    size: int
    """Payloads of the run."""
    sent: list[Sent] = field(default_factory=list)
    failed: BuiltRequest | None = None
    """The request whose failure is being raised into ``build``."""
    done: dict[int, int] = field(default_factory=dict)
    """Payloads that accepted requests carried by their index, and the status they got."""
    whole: int = 0
    """Status of the last accepted request that carried all payloads; 0: there was none."""
    failures: dict[int, Failure] = field(default_factory=dict)
    """Messages of a stream that were not taken, by payload."""

    def accept(self, built: BuiltRequest, answer: Answer) -> None:
        """A request was answered as it should be."""
        self.failed = None
        streamed = isinstance(built, StreamSend)
        status = 200 if streamed else answer.status
        if built.items is None:
            self.whole = status
        else:
            self.done.update(dict.fromkeys(built.items, status))
        if streamed and answer.status == 207:
            from penstock.destinations.sending.streams import failures_of

            carried = range(self.size) if built.items is None else built.items
            for index, failure in failures_of(answer).items():
                self.failures[carried[index]] = failure

    def deciding(self, index: int) -> Sent | None:
        """The last request that carried a payload."""
        for sent in reversed(self.sent):
            if sent.built.items is None or index in sent.built.items:
                return sent
        return None
