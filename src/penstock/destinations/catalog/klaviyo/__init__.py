"""Klaviyo: profiles, lists, consent and events."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.paths import path
from penstock.destinations.catalog.klaviyo import consents, events, fields, profiles
from penstock.destinations.catalog.klaviyo.requests import ROOT
from penstock.destinations.contract import (
    Action,
    Batch,
    Destination,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_REVISION = "2025-01-15"
_IMPORT = Batch(10_000, bytes=4_500_000, keys=("list_id",))


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    headers = {
        "Authorization": f"Klaviyo-API-Key {settings['api_key']}",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "revision": _REVISION,
    }
    return replace(request, headers={**request.headers, **headers})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{ROOT}/accounts/")


_ACTIONS = (
    Action(
        "upsertProfile",
        "Create or update a profile",
        profiles.upsert,
        help="Sets properties of a profile, and puts it on a list when one is named.",
        trigger='type = "identify"',
        fields=fields.UPSERTED,
        batch=replace(_IMPORT, keys=("list_id", "override_list_id"), on=False),
        internal=("list_id", "override_list_id", "country_code"),
    ),
    Action(
        "addProfileToList",
        "Add a profile to a list",
        profiles.add_to_list,
        help="For the members of an audience.",
        trigger='event = "Audience Entered"',
        fields=fields.ADDED,
        batch=_IMPORT,
        internal=("list_id", "country_code"),
    ),
    Action(
        "removeProfileFromList",
        "Remove a profile from an audience's list",
        profiles.remove_from_list,
        trigger='event = "Audience Exited"',
        fields=fields.REMOVED_BY_AUDIENCE,
        batch=Batch(100, keys=("list_id",)),
        internal=("country_code",),
    ),
    Action(
        "trackEvent",
        "Track an event",
        events.track,
        trigger='type = "track"',
        fields=fields.EVENT,
        batch=Batch(1000, bytes=4_500_000),
    ),
    Action(
        "orderCompleted",
        "Track an order",
        events.order,
        help="An event for the order, and one for each product when products are mapped.",
        trigger='type = "track" and event = "Order Completed"',
        fields=fields.ORDER,
        internal=("products",),
    ),
    Action(
        "subscribeProfile",
        "Subscribe a profile",
        consents.subscribe,
        help="To marketing by e-mail, by text message, or both: by what is mapped.",
        trigger='type = "track" and event = "User Subscribed"',
        fields=fields.SUBSCRIBED,
        batch=Batch(100, keys=("list_id", "custom_source", "historical_import"), on=False),
        internal=("country_code",),
    ),
    Action(
        "unsubscribeProfile",
        "Unsubscribe a profile",
        consents.unsubscribe,
        trigger='type = "track" and event = "User Unsubscribed"',
        fields=fields.UNSUBSCRIBED,
        batch=Batch(100, keys=("list_id",), on=False),
        internal=("country_code",),
    ),
    Action(
        "removeProfile",
        "Remove a profile from a list",
        profiles.remove_from_list,
        trigger='type = "identify"',
        fields=fields.REMOVED,
        batch=Batch(100, keys=("list_id",)),
        internal=("country_code",),
    ),
)

DESTINATION = Destination(
    slug="klaviyo",
    name="Klaviyo",
    aliases=("Klaviyo (Actions)",),
    help="Marketing by e-mail and text message: profiles, lists, consent, events and orders.",
    website="https://www.klaviyo.com",
    sources=(
        "https://developers.klaviyo.com/en/reference/create_profile",
        "https://developers.klaviyo.com/en/reference/create_event",
        "https://developers.klaviyo.com/en/reference/bulk_create_events",
        "https://developers.klaviyo.com/en/reference/bulk_import_profiles",
        "https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling",
    ),
    settings=(
        Setting(
            "api_key",
            "Private API key",
            help="Klaviyo, Settings, API keys. It needs full access to events, lists, profiles "
            "and subscriptions, and may read accounts.",
            required=True,
            secret=True,
            example="pk_example",
        ),
    ),
    actions=_ACTIONS,
    presets=(
        Preset("Profiles", "upsertProfile"),
        Preset("Events", "trackEvent", 'type = "track" and event != "Order Completed"'),
        Preset("Orders", "orderCompleted", fields={"products": path("properties.products")}),
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use the key of a test account: Klaviyo has no dry run.",
    limits=(
        "Events alone: 350 requests a second and 3,500 a minute; profiles alone: 75 a second and "
        "700 a minute; jobs: 10 a second and 150 a minute. Beyond, Klaviyo answers 429.",
        "1,000 events or 10,000 profiles a job, and 5 MB; 100 profiles a change of consent here.",
        "An external id has at most 255 characters.",
        "Klaviyo answers 202 before it has looked into an event: what it then refuses is only "
        "seen in Klaviyo.",
    ),
    requests_per_second=58.0,
)
