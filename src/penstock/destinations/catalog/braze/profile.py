"""Fields that tell who a person is and what is known of them."""

from __future__ import annotations

from penstock.destinations.catalog.common.fields import mapped, nested
from penstock.destinations.catalog.common.paths import path
from penstock.destinations.contract import Choice, Field, FieldType

__all__ = ["BRAZE_ID", "EXISTING_ONLY", "EXTERNAL_ID", "PROFILE_FIELDS", "USER_ALIAS"]

EXTERNAL_ID = mapped("external_id", "External id", "userId")
BRAZE_ID = mapped("braze_id", "Braze id", "properties.braze_id", allow_null=True)
USER_ALIAS = Field(
    "user_alias",
    "User alias",
    "object",
    help="Name and label of an alias.",
    properties=nested("alias_name alias_label"),
)
EXISTING_ONLY = Field(
    "_update_existing_only",
    "Only known persons",
    "boolean",
    default=False,
    help="Creates no profiles. With an alias Braze never does.",
)


def _date(key: str, label: str) -> Field:
    return Field(key, label, "datetime", allow_null=True)


def _counts(text: str) -> dict[str, FieldType]:
    return dict.fromkeys(text.split(), "integer")


PROFILE_FIELDS: tuple[Field, ...] = (
    EXTERNAL_ID,
    USER_ALIAS,
    BRAZE_ID,
    mapped("country", "Country", "context.location.country", allow_null=True, help="ISO code."),
    Field(
        "current_location",
        "Place",
        "object",
        allow_null=True,
        properties=nested("latitude longitude", latitude="number", longitude="number"),
        default={
            "latitude": path("context.location.latitude"),
            "longitude": path("context.location.longitude"),
        },
    ),
    _date("date_of_first_session", "First session"),
    _date("date_of_last_session", "Last session"),
    _date("dob", "Date of birth"),
    mapped("email", "E-mail", "traits.email", allow_null=True),
    Field("email_subscribe", "E-mail", help="opted_in, unsubscribed or subscribed."),
    Field("email_open_tracking_disabled", "No tracking of opened e-mails", "boolean"),
    Field("email_click_tracking_disabled", "No tracking of clicks in e-mails", "boolean"),
    Field(
        "facebook",
        "Facebook",
        "object",
        properties=(
            Field("id", "Id"),
            Field("likes", "Likes", multiple=True),
            Field("num_friends", "Friends", "integer"),
        ),
    ),
    mapped("first_name", "First name", "traits.firstName", allow_null=True),
    mapped("gender", "Gender", "traits.gender", allow_null=True, help="M, F, O, N, P or a word."),
    mapped("home_city", "Home city", "traits.address.city", allow_null=True),
    mapped("image_url", "Picture", "traits.avatar", allow_null=True, format="uri"),
    Field("language", "Language", allow_null=True, help="ISO code."),
    mapped("last_name", "Last name", "traits.lastName"),
    _date("marked_email_as_spam_at", "E-mail marked as spam"),
    mapped("phone", "Phone", "traits.phone", allow_null=True),
    Field("push_subscribe", "Push", help="opted_in, unsubscribed or subscribed."),
    Field(
        "push_tokens",
        "Push tokens",
        "object",
        multiple=True,
        properties=(
            Field("app_id", "App id", required=True),
            Field("token", "Token", required=True),
            Field("device_id", "Device id"),
        ),
    ),
    Field("time_zone", "Time zone", help="Such as Europe/Oslo."),
    Field(
        "twitter",
        "Twitter",
        "object",
        properties=nested(
            "id screen_name followers_count friends_count statuses_count",
            **_counts("followers_count friends_count statuses_count"),
        ),
    ),
    Field(
        "subscription_groups",
        "Subscription groups",
        "object",
        multiple=True,
        properties=(
            Field("subscription_group_id", "Group", required=True),
            Field(
                "subscription_state",
                "State",
                required=True,
                choices=(Choice("subscribed"), Choice("unsubscribed")),
            ),
        ),
    ),
    mapped("custom_attributes", "Custom attributes", "traits", type="object"),
    EXISTING_ONLY,
)
