"""Customer.io: people, their devices and events, and the objects they belong to."""

from __future__ import annotations

import base64
from dataclasses import replace

from penstock.destinations.catalog.customer_io.actions import ACTIONS
from penstock.destinations.catalog.customer_io.entities import host
from penstock.destinations.contract import Choice, Destination, Preset, Request, Setting, Settings

__all__ = ["DESTINATION"]


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    pair = f"{settings['siteId']}:{settings['apiKey']}".encode()
    basic = {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return replace(request, headers={**request.headers, **basic})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{host(settings)}/auth")


DESTINATION = Destination(
    slug="customer-io",
    name="Customer.io",
    aliases=("Customer.io Actions", "Actions Customerio", "Customerio"),
    help="Keeps people, their devices and the objects they belong to up to date in Customer.io, "
    "and tells it their events, pages and screens.",
    website="https://customer.io",
    settings=(
        Setting(
            "siteId",
            "Site id",
            help="From Settings, Account Settings, API Credentials.",
            required=True,
            secret=True,
            example="0a1b2c3d4e",
        ),
        Setting(
            "apiKey",
            "API key",
            help="Of the Track API, from the same page.",
            required=True,
            secret=True,
            example="5f6a7b8c9d",
        ),
        Setting(
            "accountRegion",
            "Region",
            help="Where Customer.io keeps your data.",
            default="US",
            choices=(Choice("US", "USA"), Choice("EU", "Europe")),
        ),
    ),
    actions=ACTIONS,
    presets=tuple(Preset(action.name, action.slug) for action in ACTIONS),
    sources=(
        "https://docs.customer.io/integrations/api/track/",
        "https://docs.customer.io/journeys/invalid-api-requests",
        "https://docs.customer.io/accounts-and-workspaces/data-centers/",
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use the credentials of a workspace made for tests.",
    limits=(
        "A batch has at most 500 KB, an item in it 32 KB.",
        "An identify call has at most 300 attributes with names of 150 and values of 1,000 bytes; "
        "an event's name has at most 100 bytes, its data 100,000.",
        "Customer.io asks for at most 100 requests of the Track API a second.",
    ),
    requests_per_second=100.0,
)
