"""Datadog: events of the event stream."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import path
from penstock.destinations.catalog.datadog.events import ALERT_TYPES, SITES, post_event, root
from penstock.destinations.contract import (
    Action,
    Choice,
    Destination,
    Field,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_EVENT = (
    mapped("title", "Title", "event", required=True),
    Field(
        "text",
        "Text",
        "text",
        "At most 4,000 characters, the rest is cut. As Markdown between two lines of %%%. The "
        "title if there is none.",
        default={"@json": {"mode": "encode", "value": path("properties")}},
    ),
    mapped(
        "alert_type",
        "Kind",
        "properties.alert_type",
        help=f"{', '.join(ALERT_TYPES)}; anything else is left out, which means info.",
    ),
    Field("priority", "Priority", choices=(Choice("normal"), Choice("low"))),
    Field("tags", "Tags", help="key:value each, besides those of the settings.", multiple=True),
    Field(
        "aggregation_key",
        "Key of aggregation",
        help="Events with the same one are shown together; its first 100 characters count.",
    ),
    mapped("date_happened", "Time", "timestamp", type="datetime"),
    Field("host", "Host", help="Its tags are added by Datadog."),
    Field("device_name", "Device"),
    Field("source_type_name", "Source", help="One of the sources that Datadog knows."),
    Field("related_event_id", "Id of the parent event", "integer"),
)


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    return replace(request, headers={**request.headers, "DD-API-KEY": settings["apiKey"]})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{root(settings)}/validate")


DESTINATION = Destination(
    slug="datadog",
    name="Datadog",
    help="Posts events to the event stream of Datadog, beside metrics and deployments. There is "
    "no event of its own accord: choose them in a mapping.",
    website="https://www.datadoghq.com",
    settings=(
        Setting(
            "apiKey",
            "API key",
            help="From Organization Settings, API Keys; not an application key.",
            required=True,
            secret=True,
            pattern="[0-9a-f]{32}",
            example="0123456789abcdef0123456789abcdef",
        ),
        Setting(
            "site",
            "Site",
            help="Where Datadog keeps your data: what stands in the address of the web page.",
            default="datadoghq.com",
            choices=tuple(Choice(site, place) for site, place in SITES.items()),
        ),
        Setting(
            "tags",
            "Tags of each event",
            help="Separated by commas.",
            example="env:production,team:shop",
        ),
    ),
    actions=(
        Action(
            "postEvent",
            "Post an event",
            post_event,
            trigger='type = "track"',
            fields=_EVENT,
        ),
    ),
    sources=(
        "https://docs.datadoghq.com/api/latest/events/post-an-event/",
        "https://docs.datadoghq.com/api/latest/authentication/#validate-api-key",
        "https://docs.datadoghq.com/getting_started/site/",
        "https://docs.datadoghq.com/api/latest/rate-limits/",
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use the API key of an organization made for tests; Datadog has no mode for it.",
    limits=(
        "An event may be 18 hours old; older ones are not sent.",
        "The text has at most 4,000 characters, the key of aggregation 100.",
        "Datadog answers 429 when there are too many events, and knows no key against duplicates.",
    ),
)
