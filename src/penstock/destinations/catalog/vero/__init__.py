"""Vero: messages by e-mail and push, started by what users do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.vero.users import (
    alias_user,
    edit_tags,
    put_user,
    tell,
    tell_event,
)
from penstock.destinations.contract import (
    Action,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_ID = mapped("id", "User id", "userId", "anonymousId", help="At most 254 characters.")


def _email(*where: str) -> Field:
    return mapped(
        "email", "E-mail", *where, help="Left out when it is no address; one of both is needed."
    )


_OF_EVENT = (_ID, _email("context.traits.email", "properties.email"))
_TAGS = tuple(
    Field(
        f"{verb}_tags",
        label,
        help="What an event says under `integrations.Vero.tags`.",
        multiple=True,
        default={"@path": f"$.integrations.Vero.tags.{verb}"},
    )
    for verb, label in (("add", "Tags to add"), ("remove", "Tags to remove"))
)

_USER = (
    _ID,
    _email("traits.email", "context.traits.email"),
    Field("phone", "Phone", help="With + and the country code, such as +614123456789."),
    mapped("data", "Properties", "traits", type="object"),
    mapped("timezone", "Time zone", "traits.timezone", "context.timezone"),
    mapped("language", "Language", "traits.language", "context.locale"),
    mapped("user_agent", "User agent", "context.userAgent"),
    mapped("push_token", "Push token", "context.device.token"),
    mapped(
        "platform",
        "Platform of the token",
        "context.device.type",
        "context.os.name",
        help="Without ios or android no token is sent.",
    ),
    *_TAGS,
)

_EVENT = (
    *_OF_EVENT,
    mapped(
        "event_name",
        "Event name",
        "event",
        required=True,
        help="Vero takes small and capital letters, spaces and underscores for the same.",
    ),
    mapped("data", "Properties", "properties", type="object"),
    mapped("created_at", "Time", "timestamp", type="datetime"),
    *_TAGS,
)

_STOP = '(event = "Unsubscribe" or event = "Unsubscribed")'
_START = '(event = "Resubscribe" or event = "Resubscribed")'
_NEITHER = " and ".join(
    f'event != "{name}"' for name in ("Unsubscribe", "Unsubscribed", "Resubscribe", "Resubscribed")
)


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    return replace(request, json={**request.json, "auth_token": settings["auth_token"]})


DESTINATION = Destination(
    slug="vero",
    name="Vero",
    aliases=("Vero (Actions)",),
    help="Keeps users up to date and tells their events. Tags go with an event that names them: "
    '`integrations: {Vero: {tags: {add: ["vip"], remove: ["lead"]}}}`.',
    website="https://www.getvero.com",
    settings=(
        Setting(
            "auth_token",
            "Auth token",
            help="From Settings, API keys.",
            required=True,
            secret=True,
            example="0123456789abcdef0123456789abcdef",
        ),
    ),
    actions=(
        Action(
            "identify",
            "Add or update a user",
            put_user,
            trigger='type = "identify"',
            fields=_USER,
        ),
        Action(
            "track",
            "Tell an event",
            tell_event,
            help="Users whom Vero does not know are added.",
            trigger=f'type = "track" and {_NEITHER}',
            fields=_EVENT,
        ),
        Action(
            "alias",
            "Change a user's id",
            alias_user,
            trigger='type = "alias"',
            fields=(
                mapped("previous_id", "Old id", "previousId", required=True),
                mapped("id", "New id", "userId", required=True),
            ),
        ),
        Action(
            "unsubscribe",
            "Unsubscribe a user",
            partial(tell, what="unsubscribe"),
            trigger=f'type = "track" and {_STOP}',
            fields=_OF_EVENT,
        ),
        Action(
            "resubscribe",
            "Subscribe a user again",
            partial(tell, what="resubscribe"),
            trigger=f'type = "track" and {_START}',
            fields=_OF_EVENT,
        ),
        Action("editTags", "Tag a user", edit_tags, trigger='type = "track"', fields=(_ID, *_TAGS)),
        Action(
            "delete",
            "Delete a user",
            partial(tell, what="delete"),
            help="For good, with all that Vero knows of the user.",
            trigger='type = "track" and event = "User Deleted"',
            fields=_OF_EVENT,
        ),
    ),
    presets=(
        Preset("Add or update a user", "identify"),
        Preset("Tell an event", "track"),
        Preset("Unsubscribe a user", "unsubscribe"),
        Preset("Subscribe a user again", "resubscribe"),
        Preset("Change a user's id", "alias"),
        Preset(
            "Pages",
            "track",
            'type = "page"',
            {"event_name": {"@template": "Viewed {{category}} {{name}} Page"}},
        ),
        Preset(
            "Screens",
            "track",
            'type = "screen"',
            {"event_name": {"@template": "Viewed {{category}} {{name}} Screen"}},
        ),
    ),
    sources=(
        "https://help.getvero.com/api-reference/track/users/identity",
        "https://help.getvero.com/api-reference/users/alias",
        "https://help.getvero.com/api-reference/tags/edit",
        "https://help.getvero.com/api-reference/events/track",
        "https://developers.getvero.com/",
        "https://help.getvero.com/vero-2/account-settings/project-send-modes",
        "https://github.com/getvero/vero",
    ),
    authorize=_authorize,
    test_mode="Set the project to Test under Project settings: all mail goes to one address.",
    limits=(
        "An id, an e-mail and the name of an event have at most 254 characters.",
        "Vero takes events of one user with the same name and the same properties within three "
        "minutes for one; map a property that differs, such as the message id, to keep them apart.",
    ),
)
