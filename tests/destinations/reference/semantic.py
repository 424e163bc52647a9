"""The semantic events and what they may hold, as the event specification lists them.

A kind is what a value looks like; `generation` makes values of each kind.
"""

from __future__ import annotations

__all__ = ["EVENTS", "GROUP_TRAITS", "PAGE", "PRODUCT", "SCREEN", "USER_TRAITS"]

Shape = dict[str, str]


def _shape(text: str, kind: str = "text") -> Shape:
    """Names, each with a kind after a colon or the given one."""
    pairs = (word.partition(":") for word in text.split())
    return {name: given or kind for name, _, given in pairs}


PRODUCT = _shape(
    "product_id:id sku:id category name brand variant price:money quantity:count coupon "
    "position:count url:url image_url:url"
)
_CART_ITEM = _shape("cart_id:id") | PRODUCT
_WISH = _shape("wishlist_id:id wishlist_name") | PRODUCT
_PROMOTION = _shape("promotion_id:id creative name position")
_STEP = _shape("checkout_id:id step:count shipping_method payment_method")
_ORDER = _shape(
    "order_id:id affiliation total:money revenue:money shipping:money tax:money discount:money "
    "coupon currency:currency products:products"
)
_COUPON = _shape("order_id:id cart_id:id coupon_id:id")
_SHARED = _shape("share_via share_message recipient:email")
_CAMPAIGN = _shape("campaign:campaign")
_MAIL = _shape("email_id:id email_subject campaign_id:id campaign_name")
_TRIAL = _shape("trial_start_date:date trial_end_date:date trial_plan_name")
_PLAYBACK = _shape(
    "session_id:id content_asset_id:id content_asset_ids:ids content_pod_id:id "
    "content_pod_ids:ids ad_asset_id:id ad_pod_id:id ad_type position:count total_length:count "
    "bitrate:count framerate:number video_player sound:count full_screen:flag ad_enabled:flag "
    "quality livestream:flag method"
)
_CONTENT = _shape(
    "session_id:id asset_id:id pod_id:id title description season episode genre program "
    "publisher channel keywords:words position:count total_length:count bitrate:count "
    "full_episode:flag livestream:flag airdate:date framerate:number"
)
_ADVERT = _shape(
    "session_id:id asset_id:id pod_id:id title publisher pod_position:count pod_length:count "
    "position:count total_length:count type load_type content:object quartile:count"
)
_CHAT = _shape(
    "agent_id:id agent_name agent_username conversation_id:id message_id:id "
    "conversation_duration:number"
)

EVENTS: dict[str, Shape] = {
    "Products Searched": _shape("query"),
    "Product List Viewed": _shape("list_id:id category products:products"),
    "Product List Filtered": _shape(
        "list_id:id category filters:objects sorts:objects products:products"
    ),
    "Promotion Viewed": _PROMOTION,
    "Promotion Clicked": _PROMOTION,
    "Product Clicked": PRODUCT,
    "Product Viewed": PRODUCT | _shape("currency:currency value:money"),
    "Product Added": _CART_ITEM,
    "Product Removed": _CART_ITEM,
    "Cart Viewed": _shape("cart_id:id products:products"),
    "Checkout Started": _ORDER | _shape("value:money"),
    "Checkout Step Viewed": _STEP,
    "Checkout Step Completed": _STEP,
    "Payment Info Entered": _STEP | _shape("order_id:id"),
    "Order Updated": _ORDER,
    "Order Completed": _ORDER | _shape("checkout_id:id subtotal:money"),
    "Order Refunded": _ORDER,
    "Order Cancelled": _ORDER,
    "Coupon Entered": _COUPON,
    "Coupon Applied": _COUPON | _shape("coupon_name discount:money"),
    "Coupon Denied": _COUPON | _shape("coupon_name reason"),
    "Coupon Removed": _COUPON | _shape("coupon_name discount:money"),
    "Product Added to Wishlist": _WISH,
    "Product Removed from Wishlist": _WISH,
    "Wishlist Product Added to Cart": _WISH | _shape("cart_id:id"),
    "Product Shared": _SHARED | PRODUCT,
    "Cart Shared": _SHARED | _shape("cart_id:id products:products"),
    "Product Reviewed": _shape("product_id:id review_id:id review_body rating"),
    "Application Installed": _shape("version build"),
    "Application Opened": _shape(
        "from_background:flag url:url referring_application version build"
    ),
    "Application Updated": _shape("previous_version previous_build version build"),
    "Application Backgrounded": {},
    "Application Foregrounded": {},
    "Application Uninstalled": {},
    "Application Crashed": {},
    "Install Attributed": _CAMPAIGN | _shape("provider"),
    "Push Notification Received": _CAMPAIGN,
    "Push Notification Tapped": _CAMPAIGN | _shape("action"),
    "Push Notification Bounced": _CAMPAIGN | _shape("action"),
    "Deep Link Clicked": _shape("provider url:url"),
    "Deep Link Opened": _shape("provider url:url"),
    "Email Delivered": _MAIL,
    "Email Bounced": _MAIL,
    "Email Opened": _MAIL,
    "Email Link Clicked": _MAIL | _shape("link_id:id link_url:url"),
    "Email Marked as Spam": _MAIL,
    "Unsubscribed": _MAIL | _shape("list_id:id list_name"),
    "Account Created": _shape("account_name"),
    "Account Deleted": _shape("account_name"),
    "Signed Up": _shape("type first_name last_name email:email phone:phone username title"),
    "Signed In": _shape("username"),
    "Signed Out": _shape("username"),
    "Invite Sent": _shape("invitee_email:email invitee_first_name invitee_last_name invitee_role"),
    "Account Added User": _shape("role"),
    "Account Removed User": {},
    "Trial Started": _TRIAL,
    "Trial Ended": _TRIAL,
    **{
        f"Video Playback {step}": _PLAYBACK
        for step in (
            "Started",
            "Paused",
            "Interrupted",
            "Buffer Started",
            "Buffer Completed",
            "Seek Started",
            "Seek Completed",
            "Resumed",
            "Completed",
            "Exited",
        )
    },
    **{f"Video Content {step}": _CONTENT for step in ("Started", "Playing", "Completed")},
    **{f"Video Ad {step}": _ADVERT for step in ("Started", "Playing", "Completed")},
    "Video Quality Updated": _shape(
        "bitrate:count framerate:number startupTime:number droppedFrames:count"
    ),
    **{
        f"Live Chat {step}": _CHAT
        for step in (
            "Conversation Started",
            "Conversation Ended",
            "Message Sent",
            "Message Received",
        )
    },
    "Experiment Viewed": _shape("experiment_id:id experiment_name variation_id:id variation_name"),
}
"""Properties of each semantic track event."""

USER_TRAITS = _shape(
    "address:address age:count avatar:url birthday:date company:object createdAt:date "
    "description email:email firstName lastName gender id:id name phone:phone title username "
    "website:url"
)
GROUP_TRAITS = _shape(
    "address:address avatar:url createdAt:date description email:email employees:count id:id "
    "industry name phone:phone website:url plan"
)
PAGE = _shape("name path referrer:url search title url:url keywords:words")
SCREEN = _shape("name")
