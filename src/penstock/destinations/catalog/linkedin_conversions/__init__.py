"""LinkedIn Conversions: what people did after they saw an ad, online or off."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import path
from penstock.destinations.catalog.linkedin_conversions.events import REST, send
from penstock.destinations.contract import (
    Action,
    Batch,
    Destination,
    Field,
    OAuth2,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    ours = {
        "Authorization": f"Bearer {token}",
        "LinkedIn-Version": str(settings.get("apiVersion") or ""),
        "X-Restli-Protocol-Version": "2.0.0",
    }
    return replace(request, headers={**request.headers, **ours})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{REST}/adAccounts", query={"q": "search"})


_FIELDS = (
    Field(
        "conversion_rule_id",
        "Conversion rule id",
        help="Of a rule whose method is Conversions API: Campaign Manager, Measurement, "
        "Conversion tracking.",
        required=True,
    ),
    mapped(
        "conversionHappenedAt",
        "Time",
        "timestamp",
        required=True,
        help="A time, or milliseconds since 1970; within the past 90 days.",
    ),
    Field(
        "conversionValue",
        "Value",
        "object",
        properties=(
            Field("currencyCode", "Currency", help="Three letters.", required=True),
            Field("amount", "Amount", help="As a decimal text.", required=True),
        ),
        default={
            "currencyCode": path("properties.currency"),
            "amount": path("properties.revenue"),
        },
    ),
    mapped("eventId", "Event id", "messageId", help="The Insight Tag's with it count once."),
    mapped(
        "email",
        "E-mail",
        "traits.email",
        help="Hashed. One of e-mail, LinkedIn's, Acxiom's and Oracle's id is needed.",
    ),
    Field("linkedInUUID", "LinkedIn's id", help="Cookie li_fat_id, or the click id."),
    Field("acxiomID", "Acxiom id"),
    Field("oracleID", "Oracle Moat id"),
    Field(
        "userInfo",
        "Person",
        "object",
        properties=(
            Field("firstName", "First name", required=True),
            Field("lastName", "Last name", required=True),
            Field("companyName", "Company"),
            Field("title", "Title"),
            Field("countryCode", "Country", help="Two letters."),
        ),
    ),
    Field("externalIds", "Your ids", multiple=True, help="LinkedIn takes one: the first."),
)

DESTINATION = Destination(
    slug="linkedin-conversions",
    name="LinkedIn Conversions API",
    aliases=("LinkedIn Conversions",),
    help="Tells LinkedIn which conversions happened, to measure and steer advertising. E-mail "
    "addresses leave only as SHA-256.",
    website="https://business.linkedin.com/marketing-solutions/conversions-api",
    settings=(
        Setting("client_id", "Client id", help="Of your LinkedIn app.", required=True),
        Setting("client_secret", "Client secret", required=True, secret=True),
        Setting(
            "refresh_token",
            "Refresh token",
            help="With the scopes rw_conversions and r_ads, from the token generator of the "
            "developer portal; it is valid for a year.",
            required=True,
            secret=True,
        ),
        Setting(
            "apiVersion",
            "Version of the API",
            help="Year and month; LinkedIn supports a version for a year.",
            default="202603",
            pattern="20[0-9]{4}",
        ),
    ),
    actions=(
        Action(
            "streamConversion",
            "Stream conversion",
            send,
            help="A conversion under one of your rules.",
            trigger='type = "track"',
            fields=_FIELDS,
            batch=Batch(5000),
            internal=("conversion_rule_id",),
        ),
    ),
    sources=(
        "https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api",
        "https://learn.microsoft.com/en-us/linkedin/marketing/conversions/custom-matching-identifiers",
        "https://learn.microsoft.com/en-us/linkedin/shared/authentication/programmatic-refresh-tokens",
        "https://developer.salesforce.com/docs/data/data-cloud-int/guide/c360-a-linkedincapi-connector.html",
    ),
    oauth=OAuth2("https://www.linkedin.com/oauth/v2/accessToken"),
    authorize=_authorize,
    check=_check,
    test_mode="LinkedIn has none. Send to a conversion rule that no campaign uses.",
    limits=(
        "At most 5,000 conversions a request, 600 requests a minute and 300,000 a day.",
        "A conversion may be 90 days old.",
        "Nothing is sent before a mapping names a conversion rule: there are no presets.",
    ),
    requests_per_second=10,
)
