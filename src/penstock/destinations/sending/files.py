"""Files in a folder of this machine, or in an object store that speaks S3."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.destinations.contract import Answer, FileWrite, Refused
from penstock.destinations.sending.addresses import check_host

if TYPE_CHECKING:
    from obstore.store import S3Store

__all__ = ["FileSender"]

_WRITERS = 8
_STORES = 32
"""Object stores whose connections are kept."""
_STATUS = re.compile(r"status(?: code)?:? (\d{3})\b")
_PORTS = {"http": 80, "https": 443}


class FileSender:
    """Stores files whole: under their name there is all of a file, or what was there before."""

    def __init__(self, *, folder: Path | None = None, allow_private: bool = False) -> None:
        """``folder`` holds everything that is written to this machine; None: nothing may be.

        Stores named ``file:<path>`` are below it; an absolute path must be.
        """
        self._folder = folder
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_WRITERS, thread_name_prefix="files")
        self._stores: OrderedDict[tuple[object, ...], S3Store] = OrderedDict()

    async def send(self, built: FileWrite, timeout: float) -> Answer:
        """Store it. Raises Refused; 408 when time is up."""
        kind, _, place = built.store.partition(":")
        if kind == "file":
            await self._write(self._path(place, built.name), built.body)
        elif kind == "s3":
            try:
                async with asyncio.timeout(timeout):
                    await self._put(built, timeout)
            except TimeoutError as error:
                raise Refused(408, f"not stored within {timeout:g} s", "ETIMEDOUT") from error
        else:
            raise Refused(400, f"{built.store!r} is no store: file: or s3://", "INVALID_ADDRESS")
        return Answer(200)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    def _path(self, place: str, name: str) -> Path:
        if self._folder is None:
            raise Refused(400, "files may not be written to this machine", "INVALID_SETTINGS")
        root = self._folder.resolve()
        inside = place.removeprefix("//") if place.startswith("///") else place
        path = (root / inside / _proper(name)).resolve()
        if root not in path.parents:
            raise Refused(
                400,
                f"{inside}: the folder must be below {root} (exports_folder)",
                "INVALID_SETTINGS",
            )
        return path

    async def _write(self, path: Path, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, _replace, path, body)
        except OSError as error:
            raise Refused(507, f"{path} can't be written: {error.strerror}", "EIO") from error

    async def _put(self, built: FileWrite, timeout: float) -> None:
        import obstore
        from obstore.exceptions import BaseError

        endpoint = built.options.get("endpoint", "")
        if endpoint and not self._allow_private:
            parts = urlsplit(endpoint)
            if not parts.hostname or parts.scheme not in _PORTS:
                raise Refused(400, f"{endpoint!r} is no address of a store", "INVALID_ADDRESS")
            port = parts.port or _PORTS[parts.scheme]
            await check_host(parts.hostname, port, self._threads)
        try:
            await obstore.put_async(self._store(built, timeout), _proper(built.name), built.body)
        except (BaseError, OSError) as error:
            raise _refused(error) from error

    def _store(self, built: FileWrite, timeout: float) -> S3Store:
        key = (built.store, timeout, *sorted(built.options.items()))
        store = self._stores.get(key) or _opened(built, timeout)
        self._stores[key] = store
        self._stores.move_to_end(key)
        while len(self._stores) > _STORES:
            self._stores.popitem(last=False)
        return store


def _opened(built: FileWrite, timeout: float) -> S3Store:
    """A store that tries nothing again by itself: that is for who delivers to decide."""
    from datetime import timedelta

    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    bucket, _, prefix = built.store.removeprefix("s3://").partition("/")
    if not bucket:
        raise Refused(400, f"{built.store}: name the bucket, as in s3://bucket/prefix", "NO_BUCKET")
    try:
        return S3Store(
            bucket,
            prefix=prefix.strip("/") or None,
            config=dict(built.options),  # type: ignore[arg-type]  # its keys are literals
            client_options={
                "allow_http": built.options.get("endpoint", "").startswith("http://"),
                "timeout": timedelta(seconds=timeout),
            },
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=timeout)},
        )
    except BaseError as error:
        raise Refused(400, f"{built.store}: {_first_line(error)}", "INVALID_SETTINGS") from error


def _proper(name: str) -> str:
    """The name, when it stays below its store."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise Refused(400, f"{name!r} is no name of a file below a store", "INVALID_NAME")
    return name


def _replace(path: Path, body: bytes) -> None:
    """Write beside it, make it durable, then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o640)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refused(error: Exception) -> Refused:
    """By the type of the library's error, else by the status that its text tells."""
    from obstore.exceptions import NotFoundError, PermissionDeniedError, UnauthenticatedError

    text = _first_line(error)
    if isinstance(error, PermissionDeniedError):
        return Refused(403, text)
    if isinstance(error, UnauthenticatedError):
        return Refused(401, text, "INVALID_AUTHENTICATION")
    if isinstance(error, NotFoundError | FileNotFoundError):
        return Refused(404, text)
    found = _STATUS.search(str(error))
    return Refused(int(found[1]), text) if found else Refused(0, text, "ECONNRESET")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:500]
