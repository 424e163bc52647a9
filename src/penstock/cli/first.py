"""What a first start makes: a source and a token, in a process of its own.

``penstock up`` stays in memory as long as it runs; what opens the state store, and may have to
migrate it, takes about 25 MB that it has no use for afterwards.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from penstock.engine import settings_as_json
from penstock.errors import ConfigurationError, PenstockError
from penstock.settings import Settings, load_settings

__all__ = ["First", "first_start"]


class First(msgspec.Struct, frozen=True):
    """What to show to whoever starts Penstock."""

    source: str = ""
    """Slug of a source, made if there was none."""
    write_key: str = ""
    """Empty: it has none."""
    token: str | None = None
    """An administrator's, for a Penstock to which nobody was given access yet."""
    error: str = ""
    """Why there is nothing to show."""


def first_start(settings: Settings) -> First:
    """Make what is missing. Raises ConfigurationError."""
    command = [sys.executable, "-m", "penstock.cli.first"]
    given = settings_as_json(settings).encode()
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=False)
    try:
        first = msgspec.json.decode(done.stdout, type=First)
    except msgspec.DecodeError:
        raise ConfigurationError(
            "the state store can't be opened: see what is said above"
        ) from None
    if first.error:
        raise ConfigurationError(first.error)
    return first


def _made(settings: Settings) -> First:
    from penstock.events.model import Source
    from penstock.workspace.audit import command_line_actor
    from penstock.workspace.store import Workspace, new_write_key

    workspace = Workspace.of(settings)
    try:
        sources = workspace.sources()
        if not sources:
            sources = [Source("web", "My website", "browser", write_keys=(new_write_key(),))]
            workspace.put_sources(sources)
        shown = next((one for one in sources if one.enabled and one.write_keys), sources[0])
        token = workspace.accounts.create_first_token("first start", command_line_actor())
    finally:
        workspace.close()
    return First(shown.slug, shown.write_keys[0] if shown.write_keys else "", token)


def _main() -> None:
    from sqlalchemy.exc import DBAPIError

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it is told, and waits
    given = msgspec.json.decode(sys.stdin.buffer.read())
    try:
        first = _made(load_settings(given, {}, Path(os.devnull)))
    except PenstockError as error:
        first = First(error=str(error))
    except DBAPIError as error:
        first = First(error=f"the state store (state.sqlite in the data folder): {error.orig}")
    sys.stdout.buffer.write(msgspec.json.encode(first))


if __name__ == "__main__":
    _main()
