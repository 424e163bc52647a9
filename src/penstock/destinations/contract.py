"""What a destination is: data that describes a tool, and a function that words requests for it.

A definition has no I/O. ``Action.build`` is given payloads, which the mappings made of events, and
yields the requests to send. Where a tool must first be asked something, ``build`` uses what a
``yield`` gives back: the answer to that request. So every request can be tested without a network,
and settings forms, reference pages and test data come from the same definition.

A tool in about twenty lines::

    def _send(call: Call) -> Steps:
        yield Request("POST", call.settings["url"], json=call.payload)

    DESTINATION = Destination(
        slug="bell", name="Bell", help="Rings a bell.",
        settings=(Setting("url", "Address", required=True),),
        actions=(Action("ring", "Ring", _send, trigger='event = "Order Completed"',
                        fields=(Field("total", "Total", "number",
                                      default={"@path": "$.properties.total"}),)),),
        presets=(Preset("Orders", "ring"),),
    )
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

__all__ = [
    "Action",
    "Answer",
    "Batch",
    "BuiltRequest",
    "Call",
    "Choice",
    "Destination",
    "Failure",
    "Field",
    "FileWrite",
    "InvalidPayload",
    "OAuth2",
    "Payload",
    "Preset",
    "Refused",
    "Request",
    "RetryLater",
    "Setting",
    "Settings",
    "Skipped",
    "Steps",
    "StreamSend",
]

FieldType = Literal[
    "string", "text", "number", "integer", "datetime", "boolean", "password", "object"
]
Mode = Literal["cloud", "device", "both"]
Json = Any
"""What a JSON document can hold."""
Payload = dict[str, Json]
"""What a mapping made of one event, checked against the action's fields."""
Settings = Mapping[str, Json]
"""Values of a destination's settings, with defaults filled in; secrets in clear."""


@dataclass(frozen=True)
class Choice:
    """One of the values a setting or field may have."""

    value: str | int | float
    label: str = ""


@dataclass(frozen=True)
class Setting:
    """Something a user fills in once for a destination."""

    key: str
    label: str
    type: Literal["string", "text", "number", "integer", "boolean", "object"] = "string"
    help: str = ""
    required: bool = False
    default: Json = None
    secret: bool = False
    """Kept encrypted; never shown again, logged or exported."""
    choices: tuple[Choice, ...] = ()
    pattern: str = ""
    """A regular expression that the whole value must match."""
    example: str = ""
    """A value that works as test data."""


@dataclass(frozen=True)
class Field:
    """Something a mapping fills in for each event."""

    key: str
    label: str
    type: FieldType = "string"
    help: str = ""
    required: bool = False
    multiple: bool = False
    """A list of ``type``; a single value becomes a list of one."""
    allow_null: bool = False
    default: Json = None
    """A mapping: what the field is made of unless the user says otherwise."""
    choices: tuple[Choice, ...] = ()
    format: str = ""
    """date-like, date-time, date, email, uri, hostname, ipv4, ipv6 or uuid."""
    properties: tuple[Field, ...] = ()
    """For objects: those that are known."""
    additional_properties: bool = False
    """For objects with ``properties``: whether others stay."""
    minimum: float | None = None
    maximum: float | None = None
    """Least and most of a number, or of the length of a text."""


@dataclass(frozen=True)
class Request:
    """An HTTP request. At most one of ``json``, ``form`` and ``body`` is given."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] | None = None
    """Appended to the URL, encoded."""
    json: Json = None
    form: Mapping[str, str] | Sequence[tuple[str, str]] | None = None
    body: bytes | None = None
    items: tuple[int, ...] | None = None
    """Indices of the payloads that this request carries; None: all of the call.

    All requests of a payload come one after another: when one is refused and ``build`` does not
    catch that, payloads whose requests were accepted before are taken as delivered, and those that
    no request has carried yet go in another call."""
    accept: tuple[int, ...] = ()
    """Statuses outside 200-299 that ``build`` wants to see rather than to fail by."""
    timeout: float | None = None
    """Seconds, where the tool needs another than the destination's."""


@dataclass(frozen=True)
class FileWrite:
    """Bytes to store under a name in a folder or an object store."""

    store: str
    """``file:///folder`` or ``s3://bucket/prefix``."""
    name: str
    """Below the store; may have slashes."""
    body: bytes
    options: Mapping[str, str] = field(default_factory=dict)
    """Credentials, region and endpoint, by the names of the object store's library."""
    items: tuple[int, ...] | None = None


@dataclass(frozen=True)
class StreamSend:
    """Messages for a topic of a broker."""

    brokers: str
    topic: str
    messages: tuple[tuple[bytes | None, bytes, Mapping[str, str], int | None], ...]
    """(key, value, headers, partition) of each, in the order of ``items``."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the client, such as ``security.protocol``."""
    items: tuple[int, ...] | None = None


BuiltRequest = Request | FileWrite | StreamSend


@dataclass(frozen=True)
class Answer:
    """What came back for a request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""

    def json(self) -> Json:
        """The body, read as JSON; None when it is not."""
        import msgspec

        try:
            return msgspec.json.decode(self.body)
        except msgspec.MsgspecError:
            return None


@dataclass(frozen=True)
class Failure:
    """What became of one payload of a batch that was not taken."""

    status: int
    message: str
    code: str = ""


class Refused(Exception):
    """The tool did not take the payloads. Raised into ``build`` for an answer outside 200-299.

    ``build`` may catch it, or raise one of its own; the status decides whether it is tried again:
    408, 423, 429 and 5xx except 501 are.
    """

    def __init__(self, status: int, message: str, code: str = "", answer: Answer | None = None):
        super().__init__(message)
        self.status = status
        self.code = code or str(status)
        self.answer = answer


class InvalidPayload(Refused):
    """The payload can't be sent as it is; it is never tried again."""

    def __init__(self, message: str, code: str = "PAYLOAD_VALIDATION_FAILED"):
        super().__init__(400, message, code)


class RetryLater(Refused):
    """The tool is not ready for this; it is tried again."""

    def __init__(self, message: str, status: int = 500, code: str = "RETRY"):
        super().__init__(status, message, code)


class Skipped(Exception):
    """There is nothing to send for this payload, and that is right: counted as filtered."""


@dataclass(frozen=True)
class Call:
    """What ``build`` is given."""

    payloads: Sequence[Payload]
    """One, or up to the batch size when the action batches. They may be changed."""
    settings: Settings
    now: datetime
    """Aware, UTC."""
    new_id: Callable[[], str]
    """Gives a new UUID."""
    sync_mode: str = ""
    """add, update, upsert, delete or mirror, where the action has such modes."""
    message_ids: Sequence[str] = ()
    """messageId of the event behind each payload."""
    batched: bool = False
    """Whether the mapping batches: also when the batch has only one payload."""

    @property
    def payload(self) -> Payload:
        """The first payload: the only one when the action does not batch."""
        return self.payloads[0]


Steps = Generator[BuiltRequest, Answer, "Mapping[int, Failure] | None"]
"""Requests, in order. What it returns are the payloads that were not taken, by index; None: all
were. An answer outside 200-299 that the request does not accept is raised at the ``yield`` as
Refused, and fails the call unless it is caught."""


@dataclass(frozen=True)
class Batch:
    """How many payloads may go together."""

    size: int
    bytes: int = 0
    """Most bytes of the payloads' JSON together; 0: no limit."""
    keys: tuple[str, ...] = ()
    """Payload fields whose values must be equal within a batch."""
    wait: float = 1.0
    """Seconds that a batch waits to become full."""
    on: bool = True
    """Whether it is used unless the user says otherwise (``batching: true``)."""


@dataclass(frozen=True)
class Action:
    """One thing that a tool can be told."""

    slug: str
    name: str
    build: Callable[[Call], Steps]
    help: str = ""
    trigger: str = ""
    """Which events, when a mapping does not say; the language of triggers."""
    fields: tuple[Field, ...] = ()
    batch: Batch | None = None
    """None: one payload a call."""
    sync_modes: tuple[str, ...] = ()
    """The first one is the default."""
    internal: tuple[str, ...] = ()
    """Fields that steer the call and are not sent on; for the reference pages."""
    open: bool = False
    """Whether a mapping may have fields beyond those declared; they reach ``build`` untouched."""


@dataclass(frozen=True)
class Preset:
    """A mapping that a new destination has without being asked."""

    name: str
    action: str
    trigger: str = ""
    """Empty: the action's."""
    fields: Mapping[str, Json] = field(default_factory=dict)
    """Laid over the defaults of the action's fields; a field mapped to None is left out."""
    sync_mode: str = ""


@dataclass(frozen=True)
class OAuth2:
    """How an access token is had; it reaches ``authorize`` and is renewed on a 401."""

    token_url: str
    """May name settings in braces, such as ``https://{domain}/token``."""
    grant: Literal["refresh_token", "client_credentials", "password"] = "refresh_token"
    """The settings ``client_id``, ``client_secret`` and, by grant, ``refresh_token`` or
    ``username`` and ``password`` are sent as the form."""
    scope: str = ""
    basic: bool = False
    """Whether client id and secret go as basic authentication rather than in the form."""


@dataclass(frozen=True)
class Destination:
    """A tool."""

    slug: str
    name: str
    """As it stands in the ``integrations`` object."""
    help: str
    actions: tuple[Action, ...]
    settings: tuple[Setting, ...] = ()
    presets: tuple[Preset, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other names it had, which ``integrations`` may use as well."""
    mode: Mode = "cloud"
    website: str = ""
    sources: tuple[str, ...] = ()
    """Addresses of the documentation that the definition was made from."""
    authorize: Callable[[Request, Settings, str], Request] | None = None
    """Adds to each HTTP request what shows who we are; the text is the OAuth access token, empty
    without ``oauth``."""
    oauth: OAuth2 | None = None
    check: Callable[[Settings], Request] | None = None
    """A request that changes nothing and is answered 2xx when the settings are right."""
    test_mode: str = ""
    """What a user does to try it without effect, in a sentence."""
    limits: tuple[str, ...] = ()
    """What the tool allows, in sentences, for the reference page."""
    requests_per_second: float = 0.0
    """0: as many as come."""
    concurrency: int = 10
    timeout: float = 10.0
    off_by_default: bool = False
    """Whether an event must name it in ``integrations`` to be sent."""
    extra: str = ""
    """The optional dependency it needs: ``pip install 'penstock[<extra>]'``."""

    def action(self, slug: str) -> Action:
        """The action of that slug. Raises KeyError."""
        return {action.slug: action for action in self.actions}[slug]
