"""``penstock rejected``: what was refused, and why."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import typer

from penstock.cli.engine_api import EngineApi, UrlOption, remote_api, with_query
from penstock.cli.options import DataOption, JsonOption, UsageError, command_line, printable
from penstock.errors import PenstockError
from penstock.journal.contract import Journal
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.rejected import Refused, RejectedPage, list_rejected, original_of
from penstock.settings import load_settings

__all__ = ["rejected"]

_FIRST = 120
_MOST_OF_A_PAGE = 1_000
_encode = msgspec.json.Encoder().encode


def rejected(
    source: Annotated[
        str | None, typer.Option(help='Only this source; "" for unknown write keys.')
    ] = None,
    code: Annotated[str | None, typer.Option(help="Only this code, such as too_large.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to list.")] = 20,
    raw: Annotated[
        str | None, typer.Option(metavar="<id>", help="Print the original bytes of this entry.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="<file>", help="With --raw: write them to a file.")
    ] = None,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List events and requests that were refused, newest first, with the reason of each.

    The codes are listed in the reference. The originals are kept for rejected_retention, as they
    came. Works without a running engine.

    Example: penstock rejected --source web --limit 5
    """
    if out is not None and raw is None:
        raise UsageError("--out needs --raw <id>")
    with ExitStack() as opened:
        remote = remote_api(url, data)
        kept: _Kept = _Remote(remote) if remote else opened.enter_context(_in_folder(data))
        if raw is not None:
            _write_original(kept, raw, out)
            return
        page = kept.page(source, code, limit)
    if as_json:
        typer.echo(_encode(page.items))
        return
    for entry in page.items:
        typer.echo(_entry(entry))
    if not page.items:
        typer.echo("nothing was refused", err=True)
    elif page.before is not None:
        typer.echo("there are older ones: --limit shows more", err=True)


class _Kept(Protocol):
    """Where refused entries are read from."""

    def page(self, source: str | None, code: str | None, limit: int) -> RejectedPage: ...
    def original(self, entry: str) -> bytes | None: ...


@dataclass(frozen=True)
class _Local:
    journal: Journal

    def page(self, source: str | None, code: str | None, limit: int) -> RejectedPage:
        return list_rejected(self.journal, source=source, code=code, limit=limit)

    def original(self, entry: str) -> bytes | None:
        return original_of(self.journal, entry)


@dataclass(frozen=True)
class _Remote:
    api: EngineApi

    def page(self, source: str | None, code: str | None, limit: int) -> RejectedPage:
        found: list[Refused] = []
        before = None
        while len(found) < limit:
            most = min(limit - len(found), _MOST_OF_A_PAGE)
            path = with_query("/rejected", limit=most, before=before, source=source, code=code)
            told = self.api.call("GET", path)
            found += msgspec.convert(told["items"], list[Refused])
            before = told["next"]
            if before is None:
                break
        return RejectedPage(found, before)

    def original(self, entry: str) -> bytes | None:
        before = None
        while True:
            path = with_query("/rejected", limit=_MOST_OF_A_PAGE, before=before)
            told = self.api.call("GET", path)
            for item in msgspec.convert(told["items"], list[Refused]):
                if item.id == entry:
                    text = item.original
                    return base64.b64decode(text) if item.encoding == "base64" else text.encode()
            before = told["next"]
            if before is None:
                return None


@contextmanager
def _in_folder(data: Path | None) -> Iterator[_Local]:
    settings = load_settings({"data": data})
    if not settings.journal_folder.is_dir():
        start = command_line("up", settings)
        raise PenstockError(f"no journal in {settings.data}: start `{start}` first")
    journal = SqliteJournal(settings.journal_folder)
    try:
        yield _Local(journal)
    finally:
        journal.close()


def _write_original(kept: _Kept, entry: str, out: Path | None) -> None:
    original = kept.original(entry)
    if original is None:
        raise PenstockError(f"no refused entry {entry!r}; `penstock rejected` lists their ids")
    if out is not None:
        out.write_bytes(original)
        return
    sys.stdout.buffer.write(original)
    sys.stdout.buffer.flush()


def _entry(entry: Refused) -> str:
    at = entry.received_at.strftime("%Y-%m-%d %H:%M:%S")
    head = f"{at}  {entry.source or '(unknown source)'}  {entry.code}: {entry.reason}"
    facts = [f"id {entry.id}", entry.path, entry.event]
    if entry.message_id is not None:
        facts.append(f"messageId {entry.message_id}")
    first = f"{entry.original[:_FIRST]}{'…' if len(entry.original) > _FIRST else ''}"
    lines = (head, f"    {'  '.join(filter(None, facts))}", f"    {first}")
    return "\n".join(printable(line) for line in lines)
