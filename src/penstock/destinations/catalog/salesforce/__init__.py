"""Salesforce: leads, contacts, accounts, opportunities, cases and any other object."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.salesforce.actions import ACTIONS
from penstock.destinations.catalog.salesforce.syncing import api
from penstock.destinations.contract import (
    Destination,
    OAuth2,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{api(settings)}/limits")


DESTINATION = Destination(
    slug="salesforce",
    name="Salesforce",
    aliases=("Salesforce (Actions)",),
    help="Keeps records of Salesforce up to date. It is off by default: only events that name "
    "Salesforce in their integrations are sent, since each costs requests of the daily allowance.",
    website="https://www.salesforce.com",
    settings=(
        Setting(
            "instanceUrl",
            "Address of your Salesforce",
            help="From Setup, My Domain.",
            required=True,
            pattern=r"https://[A-Za-z0-9.-]+\.(salesforce|force)\.(com|mil)/?",
            example="https://toastmates.my.salesforce.com",
        ),
        Setting(
            "loginHost",
            "Host for signing in",
            help="test.salesforce.com for a sandbox; your own domain works as well.",
            default="login.salesforce.com",
            pattern=r"[A-Za-z0-9.-]+\.salesforce\.(com|mil)",
            example="login.salesforce.com",
        ),
        Setting(
            "client_id",
            "Consumer key",
            help="Of a connected app with the scopes api and refresh_token.",
            required=True,
            example="3MVG9example",
        ),
        Setting("client_secret", "Consumer secret", required=True, secret=True, example="1234"),
        Setting(
            "refresh_token",
            "Refresh token",
            help="What the connected app is given when a user allows it in.",
            required=True,
            secret=True,
            example="5Aep861example",
        ),
    ),
    actions=ACTIONS,
    presets=(
        Preset(
            "Upsert a lead",
            "lead",
            'type = "identify" and traits.email != null',
            fields={"traits": {"Email": {"@path": "$.traits.email"}}},
            sync_mode="upsert",
        ),
        Preset(
            "Upsert an account",
            "account",
            fields={"traits": {"AccountNumber": {"@path": "$.groupId"}}},
            sync_mode="upsert",
        ),
    ),
    sources=(
        "https://developer.salesforce.com/docs/platform/api-rest/guide/dome-upsert.html",
        "https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections.html",
        "https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections-upsert.html",
        "https://developer.salesforce.com/docs/platform/api-rest/guide/resources-query.html",
        "https://developer.salesforce.com/docs/platform/api-rest/guide/errorcodes.html",
        "https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_refresh_token_flow.htm",
        "https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_lead.htm",
    ),
    authorize=_authorize,
    oauth=OAuth2("https://{loginHost}/services/oauth2/token"),
    check=_check,
    test_mode="Use a sandbox: its address, test.salesforce.com for signing in, and a connected "
    "app there.",
    limits=(
        "An allowance of requests a day, 100,000 and more by edition and licences; beyond, "
        "Salesforce answers REQUEST_LIMIT_EXCEEDED and the event is tried again.",
        "Where the mapping batches, up to 200 records go in one request, and each is answered for "
        "itself: new ones, those told by an external id, and those told by Salesforce's id. Others "
        "take a search and a change each.",
        "25 requests at a time that take longer than 20 seconds.",
    ),
    concurrency=5,
    timeout=30.0,
    off_by_default=True,
)
