"""PagerDuty: alerts that call people, and changes that explain alerts."""

from __future__ import annotations

from penstock.destinations.catalog.common.fields import mapped, nested
from penstock.destinations.catalog.pagerduty.events import SEVERITIES, send_alert, send_change
from penstock.destinations.contract import Action, Choice, Destination, Field, Setting

__all__ = ["DESTINATION"]

_SUMMARY = mapped("summary", "Summary", "event", required=True, help="Cut after 1,024 characters.")
_TIME = mapped("timestamp", "Time", "timestamp", type="datetime")
_SOURCE = mapped(
    "source", "Affected system", "properties.source", help="Preferably the name of a host."
)
_MORE = mapped("custom_details", "Details", "properties", type="object")
_LINKS = Field(
    "links",
    "Links",
    "object",
    "Those without href are left out.",
    multiple=True,
    properties=nested("href text"),
)

_ALERT = (
    _SUMMARY,
    _SOURCE,
    mapped(
        "event_action",
        "What to do",
        "properties.action",
        help="trigger, acknowledge or resolve; anything else counts as trigger.",
    ),
    mapped(
        "dedup_key",
        "Key of the alert",
        "properties.dedup_key",
        help="Events with the same key belong to one alert. Needed to acknowledge and resolve; "
        "without one, each event that triggers is an alert of its own.",
        maximum=255,
    ),
    mapped(
        "severity",
        "Severity",
        "properties.severity",
        help=f"{', '.join(SEVERITIES)}; for anything else the settings decide.",
    ),
    _TIME,
    mapped("component", "Component", "properties.component", help="Part of the affected system."),
    mapped("group", "Group", "properties.group", help="Components that belong together."),
    mapped("class", "Kind of problem", "properties.class"),
    _MORE,
    mapped("client", "Name of the monitoring tool", "properties.client"),
    mapped("client_url", "Address of the monitoring tool", "properties.client_url"),
    _LINKS,
    Field(
        "images",
        "Images",
        "object",
        "Those without a src that begins with https:// are left out.",
        multiple=True,
        properties=nested("src href alt"),
    ),
)

DESTINATION = Destination(
    slug="pagerduty",
    name="PagerDuty",
    aliases=("PagerDuty (Actions)", "Pagerduty"),
    help="Triggers, acknowledges and resolves alerts, and tells of changes. There is no alert of "
    "its own accord, since one may wake people: choose the events in a mapping.",
    website="https://www.pagerduty.com",
    settings=(
        Setting(
            "routing_key",
            "Integration key",
            help="Of an Events API V2 integration of a service, or of an event orchestration.",
            required=True,
            secret=True,
            pattern="[A-Za-z0-9]{32}",
            example="0123456789abcdef0123456789abcdef",
        ),
        Setting(
            "region",
            "Service region",
            default="US",
            choices=(Choice("US", "USA"), Choice("EU", "Europe")),
        ),
        Setting(
            "source",
            "Affected system",
            help="For events that name none.",
            default="penstock",
        ),
        Setting(
            "severity",
            "Severity",
            help="For events that name none.",
            default="critical",
            choices=tuple(Choice(each) for each in SEVERITIES),
        ),
    ),
    actions=(
        Action(
            "alert",
            "Send an alert event",
            send_alert,
            help="Opens an alert, or acknowledges or resolves the one with the same key.",
            trigger='type = "track"',
            fields=_ALERT,
        ),
        Action(
            "change",
            "Send a change event",
            send_change,
            help="Tells of a deployment or the like; it calls nobody.",
            trigger='type = "track"',
            fields=(_SUMMARY, _SOURCE, _TIME, _MORE, _LINKS),
        ),
    ),
    sources=(
        "https://developer.pagerduty.com/docs/events-api-v2-overview",
        "https://developer.pagerduty.com/docs/send-alert-event",
        "https://developer.pagerduty.com/docs/send-change-event",
        "https://github.com/PagerDuty/api-schema/blob/main/reference/events-v2/openapiv3.json",
        "https://support.pagerduty.com/main/docs/service-regions",
    ),
    test_mode="Use the integration key of a service whose escalation calls nobody. PagerDuty has "
    "no request that checks a key without an event.",
    limits=(
        "A service takes as many events as its traffic allows; beyond, PagerDuty answers 429 and "
        "the event is tried again.",
        "An event has at most 512 KB, its summary 1,024 characters, its key 255.",
        "Changes are kept for 90 days; older ones are not sent.",
    ),
)
