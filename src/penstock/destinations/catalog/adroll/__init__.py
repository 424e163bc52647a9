"""AdRoll: advertising to people who were on a site; its pixel runs in the page alone."""

from __future__ import annotations

from penstock.destinations.contract import Destination, Setting

__all__ = ["DESTINATION"]

DESTINATION = Destination(
    slug="adroll",
    name="AdRoll",
    help="Shows ads to people who were on your site. AdRoll documents no server interface for "
    "events: its pixel, loaded by the page, tells it what people do there. The settings below "
    "reach analytics.js with the settings document of each source; load AdRoll's integration in "
    "the page (`classicIntegrations`, npm package `@segment/analytics.js-integration-adroll`). "
    "What the page sent, the server does not send. Lists of e-mail addresses are uploaded to "
    "AdRoll as a whole and not event by event, so no action here does that.",
    website="https://www.adroll.com",
    mode="device",
    actions=(),
    settings=(
        Setting(
            "advId",
            "Advertiser ID",
            help="Stands beside `adroll_adv_id` in AdRoll's pixel.",
            required=True,
            pattern="[A-Z0-9]{10,40}",
            example="WYJD6WNIAJC2XG6PT7UK4B",
        ),
        Setting(
            "pixId",
            "Pixel ID",
            help="Stands beside `adroll_pix_id` in AdRoll's pixel.",
            required=True,
            pattern="[A-Z0-9]{10,40}",
            example="4UZ2H3LTLNCZ5BCIPWSVH7",
        ),
        Setting(
            "events",
            "Events",
            "object",
            help="AdRoll's segment id by name of the event. Events that are not named are not "
            "sent, nor is any before the page's first `page` call.",
            example='{"Order Completed": "order_completed"}',
        ),
        Setting("_version", "Version of the integration", "integer", default=2),
    ),
    limits=(
        "Web pages only: neither apps nor servers.",
        "The page's content security policy must allow `https://s.adroll.com`.",
    ),
    test_mode="Open the page with a segment of your own in `events`, and watch that segment in "
    "AdRoll.",
    sources=(
        "https://www.twilio.com/docs/segment/connections/destinations/catalog/adroll",
        "https://www.rudderstack.com/docs/destinations/streaming-destinations/adroll/",
    ),
)
