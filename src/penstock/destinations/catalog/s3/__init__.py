"""S3: events as files in a bucket of Amazon S3 or a store that speaks its protocol."""

from __future__ import annotations

from penstock.destinations.catalog.common.event_files import FIELDS, SETTINGS, batch_of, writes
from penstock.destinations.contract import (
    Action,
    Call,
    Destination,
    InvalidPayload,
    Preset,
    Setting,
    Settings,
    Steps,
)

__all__ = ["DESTINATION"]

_ALL = " or ".join(
    f'type = "{call}"' for call in ("track", "identify", "page", "screen", "group", "alias")
)


def _write(call: Call) -> Steps:
    settings = call.settings
    bucket = str(settings["bucket"]).strip().removeprefix("s3://").strip("/")
    prefix = str(settings.get("prefix") or "").strip("/")
    store = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
    return writes(call, store, _options(settings))


def _options(settings: Settings) -> dict[str, str]:
    """As the object store's library names them; without keys it looks for the machine's own."""
    key, secret = settings.get("access_key_id"), settings.get("secret_access_key")
    if bool(key) != bool(secret):
        raise InvalidPayload("give both access_key_id and secret_access_key, or neither")
    options = {"region": settings.get("region") or "us-east-1"}
    endpoint = settings.get("endpoint")
    if endpoint:
        options["endpoint"] = endpoint
        options["virtual_hosted_style_request"] = "false"
    if key and secret:
        options.update(access_key_id=key, secret_access_key=secret)
        if settings.get("session_token"):
            options["session_token"] = settings["session_token"]
    return options


DESTINATION = Destination(
    slug="s3",
    name="Amazon S3",
    aliases=("AWS S3", "AWS S3 (Actions)", "S3"),
    help="Writes batches of events as files, JSON lines or Parquet. A file's name follows from the "
    "ids of its events, so a repeated batch replaces its file. Should the batches fall otherwise "
    "after a crash, an event can be in two files, with the same messageId.",
    settings=(
        Setting(
            "bucket", "Bucket", required=True, pattern="(s3://)?[A-Za-z0-9._-]+", example="events"
        ),
        Setting("prefix", "Prefix", help="Folder within the bucket.", example="penstock"),
        Setting("region", "Region", default="us-east-1", example="us-east-1"),
        Setting(
            "endpoint",
            "Endpoint",
            help="For stores other than Amazon's, such as https://minio.example.com. Its address "
            "is checked before each write, but resolved again by the library that writes.",
            pattern="https?://.+",
        ),
        Setting(
            "access_key_id",
            "Access key id",
            help="Without keys the role of the machine is used.",
            example="AKIAEXAMPLE",
        ),
        Setting("secret_access_key", "Secret access key", secret=True, example="secret-key"),
        Setting("session_token", "Session token", help="Of temporary keys.", secret=True),
        *SETTINGS,
    ),
    actions=(
        Action(
            "write",
            "Write",
            _write,
            help="Adds rows to the next file.",
            trigger=_ALL,
            fields=FIELDS,
            batch=batch_of(60.0),
            internal=("received_at",),
        ),
    ),
    presets=(Preset("Every event", "write"),),
    limits=(
        "A file holds at most 10,000 events or 16 MB, and is written after a minute at the latest.",
        "The keys need s3:PutObject, nothing else.",
    ),
    sources=("https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html",),
    concurrency=4,
    timeout=60.0,
    extra="s3",
)
