"""Google Ads: conversions of clicks and calls, and what became of them later."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.google_ads import conversions
from penstock.destinations.catalog.google_ads.fields import ADJUSTMENT, CALL, CLICK
from penstock.destinations.catalog.google_ads.uploads import HOST
from penstock.destinations.contract import (
    Action,
    Batch,
    Destination,
    OAuth2,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_BATCH = Batch(2000)


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    ours = {
        "Authorization": f"Bearer {token}",
        "developer-token": str(settings["developer_token"]),
    }
    if manager := str(settings.get("loginCustomerId") or "").strip().replace("-", ""):
        ours["login-customer-id"] = manager
    return replace(request, headers={**request.headers, **ours})


def _check(settings: Settings) -> Request:
    version = settings.get("apiVersion")
    return Request("GET", f"{HOST}/{version}/customers:listAccessibleCustomers")


_ACTIONS = (
    Action(
        "uploadClickConversion",
        "Upload click conversion",
        conversions.send_clicks,
        help="A conversion after a click, found by its click id or, as an enhanced conversion for "
        "leads, by e-mail or telephone number.",
        fields=CLICK,
        batch=_BATCH,
    ),
    Action(
        "uploadCallConversion",
        "Upload call conversion",
        conversions.send_calls,
        help="A conversion after a call.",
        fields=CALL,
        batch=_BATCH,
    ),
    Action(
        "uploadConversionAdjustment",
        "Upload conversion adjustment",
        conversions.send_adjustments,
        help="Takes a conversion back, changes its value, or adds who it was (enhanced conversions "
        "for web).",
        fields=ADJUSTMENT,
        batch=_BATCH,
    ),
)

DESTINATION = Destination(
    slug="google-ads",
    name="Google Ads Conversions",
    aliases=("Google Ads", "Google Enhanced Conversions", "Google Ads Offline Conversions"),
    help="Tells Google Ads of conversions that its tag can't see, and of those that were returned. "
    "Personal data leaves only as SHA-256.",
    website="https://ads.google.com",
    settings=(
        Setting(
            "customerId",
            "Customer id",
            help="Of the account that the conversions belong to.",
            required=True,
            pattern="[0-9]{3}-?[0-9]{3}-?[0-9]{4}",
            example="123-456-7890",
        ),
        Setting(
            "loginCustomerId",
            "Login customer id",
            help="Of the manager account, when access is through one.",
            pattern="[0-9]{3}-?[0-9]{3}-?[0-9]{4}",
        ),
        Setting(
            "developer_token",
            "Developer token",
            help="From the API Center of a manager account.",
            required=True,
            secret=True,
        ),
        Setting("client_id", "Client id", help="Of an OAuth client.", required=True),
        Setting("client_secret", "Client secret", required=True, secret=True),
        Setting(
            "refresh_token",
            "Refresh token",
            help="With the scope https://www.googleapis.com/auth/adwords.",
            required=True,
            secret=True,
        ),
        Setting(
            "validateOnly",
            "Only validate",
            "boolean",
            help="Google checks what is sent and forgets it.",
            default=False,
        ),
        Setting(
            "apiVersion",
            "Version of the API",
            help="Google ends a version about a year after it came out.",
            default="v26",
            pattern="v[0-9]+",
        ),
    ),
    actions=_ACTIONS,
    sources=(
        "https://developers.google.com/google-ads/api/reference/rpc/v24/ClickConversion.md.txt",
        "https://developers.google.com/google-ads/api/reference/rpc/v26/UploadClickConversionsRequest",
        "https://developers.google.com/google-ads/api/reference/rpc/v24/UploadCallConversionsResponse",
        "https://developers.google.com/google-ads/api/docs/conversions/upload-adjustments",
        "https://developers.google.com/google-ads/api/docs/conversions/enhanced-conversions/leads",
        "https://developers.google.com/google-ads/api/docs/best-practices/partial-failures",
        "https://developers.google.com/google-ads/api/docs/best-practices/quotas",
        "https://developers.google.com/google-ads/api/docs/deprecations",
        "https://developers.google.com/ads/blog/posts/2026/03/changes-to-customer-match-support-in",
        "https://developers.google.com/ads/blog/posts/2026/09/google-ads-api-v22-sunset-reminder",
    ),
    oauth=OAuth2("https://oauth2.googleapis.com/token"),
    authorize=_authorize,
    check=_check,
    test_mode='Turn on "Only validate": Google answers as it would, and keeps nothing.',
    limits=(
        "At most 2,000 conversions a request; each is accepted or refused alone.",
        "A conversion must be uploaded within 90 days of the click, an enhancement within 24 hours "
        "of the conversion and a restatement or retraction within 55 days.",
        "Google takes click conversions by this interface only from developer tokens that had sent "
        "some between 17 December 2025 and 15 June 2026; others get "
        "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE and need Google's Data Manager API.",
        "Audiences (Customer Match) are not sent: since April 2026 Google takes no newcomers here.",
        "Nothing is sent before a mapping names a conversion action: there are no presets.",
    ),
)
