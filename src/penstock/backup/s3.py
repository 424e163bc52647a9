"""Backups in S3-compatible storage, through obstore (extra ``s3``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import BackupError

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store
except ImportError as error:
    raise BackupError("backups in S3 need another package: pip install 'penstock[s3]'") from error

__all__ = ["S3Target"]

_LEAST_PART = 8 * 1024 * 1024
_MOST_PARTS = 9_000
_STREAM_BYTES = 8 * 1024 * 1024
_AT_ONCE = 4


class S3Target:
    """A Target in a bucket.

    Key, secret, region and endpoint come from the environment, under the names that AWS's own
    tools use: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL.
    """

    def __init__(self, place: str) -> None:
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        if not bucket:
            raise BackupError(f"{place}: name the bucket, as in s3://bucket/prefix")
        self._place = place
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        with self._translated():
            self._store = S3Store(
                bucket,
                prefix=prefix.strip("/") or None,
                config={"endpoint": endpoint} if endpoint else {},
                client_options={"allow_http": bool(endpoint and endpoint.startswith("http://"))},
            )

    def put(self, name: str, file: Path) -> None:
        """Store a file, in parts when it is large; under its name only when complete."""
        part = max(_LEAST_PART, file.stat().st_size // _MOST_PARTS + 1)
        with self._translated():
            obstore.put(self._store, name, file, chunk_size=part, max_concurrency=_AT_ONCE)

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small file."""
        with self._translated():
            obstore.put(self._store, name, content)

    def get(self, name: str, file: Path) -> bool:
        """Fetch a file, durably; False when there is none of the name."""
        try:
            with self._translated(), file.open("wb") as written:
                for chunk in obstore.get(self._store, name).stream(_STREAM_BYTES):
                    written.write(chunk)
                    written.flush()
                    os.fdatasync(written.fileno())
        except FileNotFoundError:
            file.unlink(missing_ok=True)
            return False
        return True

    def get_bytes(self, name: str) -> bytes:
        """Fetch a small file."""
        with self._translated():
            return bytes(obstore.get(self._store, name).bytes())

    def names(self, prefix: str) -> list[str]:
        """The names that begin with ``prefix``, ascending."""
        with self._translated():
            return sorted(
                entry["path"] for page in obstore.list(self._store, prefix) for entry in page
            )

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""
        with self._translated():
            obstore.delete(self._store, name)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, ValueError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                raise
            first_line = str(error).partition("\n")[0]
            raise BackupError(
                f"{self._place}: {first_line}\nCheck the name of the bucket, and "
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL"
            ) from error
