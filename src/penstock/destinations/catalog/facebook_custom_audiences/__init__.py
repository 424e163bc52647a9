"""Facebook Custom Audiences: the people of an audience, to show them advertising or not."""

from __future__ import annotations

from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.catalog.facebook_custom_audiences.syncing import sync
from penstock.destinations.catalog.facebook_graph.access import ACCESS_TOKEN, GRAPH, authorize
from penstock.destinations.contract import (
    Action,
    Batch,
    Destination,
    Field,
    Json,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_KEY = "{{context.personas.computation_key}}"


def _at_key(of: str) -> Json:
    """The value under the audience's own key."""
    return {"@path": {"@template": f"$.{of}.{_KEY}"}}


_MEMBER = {
    "@if": {
        "exists": path("context.personas.computation_key"),
        "then": {
            "@if": {
                "exists": _at_key("properties"),
                "then": _at_key("properties"),
                "else": _at_key("traits"),
            }
        },
    }
}


def _of(key: str, label: str, where: str, help: str = "Hashed.") -> Field:
    return Field(key, label, help=help, default=either(f"traits.{where}", f"properties.{where}"))


_FIELDS = (
    Field("externalId", "Your id", help="Sent as it is.", default=path("userId")),
    _of("email", "E-mail", "email"),
    _of("phone", "Phone", "phone", "With country code. Hashed as digits without leading zeros."),
    Field(
        "birth",
        "Date of birth",
        "object",
        "Hashed.",
        properties=(
            Field("year", "Year"),
            Field("month", "Month", help="01 to 12, or its English name."),
            Field("day", "Day"),
        ),
    ),
    Field(
        "name",
        "Name",
        "object",
        "Hashed in small letters without punctuation.",
        properties=(
            Field("first", "First name"),
            Field("last", "Last name"),
            Field("firstInitial", "First letter of the first name"),
        ),
        default={
            "first": either("traits.first_name", "properties.first_name"),
            "last": either("traits.last_name", "properties.last_name"),
        },
    ),
    _of("gender", "Gender", "gender", "f, m, or a word for it. Hashed."),
    _of("city", "City", "city"),
    _of("state", "State", "state", "Two letters or the name for the USA. Hashed."),
    _of("zip", "Postal code", "postal_code"),
    _of("country", "Country", "country", "Two letters. Hashed."),
    Field("mobileAdId", "Advertising id of the device", help="Not hashed, as Facebook asks."),
    Field("appId", "Id of the app that the id is of"),
    Field("pageId", "Id of the page that the id is of"),
    Field("igAccountIds", "Id of the Instagram account that the id is of"),
    Field(
        "member",
        "Belongs to the audience",
        "boolean",
        "True adds the person, false removes them.",
        default=_MEMBER,
    ),
    Field(
        "change",
        "What became of the row",
        help="new, updated or deleted: for mode mirror, where member says nothing.",
        default=path("event"),
    ),
    Field(
        "external_audience_id",
        "Audience",
        help="Facebook's id of it, where it is not that of the settings.",
        default=path("context.personas.external_audience_id"),
    ),
)


def _check(settings: Settings) -> Request:
    return Request("GET", f"{GRAPH}/{settings.get('audienceId') or 'me'}", query={"fields": "id"})


DESTINATION = Destination(
    slug="facebook-custom-audiences",
    name="Facebook Custom Audiences",
    aliases=("Facebook Custom Audiences (Actions)",),
    help="Keeps a custom audience of Meta equal to one of yours: who enters is added, who leaves "
    "is removed. Personal data leaves only as SHA-256.",
    website="https://www.facebook.com/business/help/744354708981227",
    settings=(
        ACCESS_TOKEN,
        Setting(
            "audienceId",
            "Audience id",
            help="Of a customer list in Ads Manager, Audiences. Create it there first.",
            pattern="[0-9]+",
            example="6012345678901",
        ),
    ),
    actions=(
        Action(
            "sync",
            "Sync an audience",
            sync,
            help="Adds a person to the audience or removes them.",
            trigger='type = "track" or type = "identify"',
            fields=_FIELDS,
            batch=Batch(10_000, keys=("external_audience_id",), wait=5.0),
            sync_modes=("mirror", "upsert", "delete"),
            internal=("member", "change", "external_audience_id"),
        ),
    ),
    presets=(
        Preset(
            "Members of audiences",
            "sync",
            trigger='(type = "track" or type = "identify") and '
            'context.personas.computation_class = "audience"',
            # a track call about a person carries what is known of them in its context
            fields={
                key: either(f"traits.{name}", f"properties.{name}", f"context.traits.{name}")
                for key, name in {"email": "email", "phone": "phone"}.items()
            },
        ),
    ),
    sources=(
        "https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences",
        "https://developers.facebook.com/docs/marketing-api/reference/custom-audience/users/",
    ),
    authorize=authorize,
    check=_check,
    test_mode="Use an audience that no advertisement uses.",
    limits=(
        "At most 10,000 people a request; an audience may hold any number.",
        "Facebook takes up to 24 hours to change an audience, and wants 100 matched people before "
        "it shows advertising to it.",
        "Of a batch Facebook tells only how many rows it could not read, not which.",
    ),
)
