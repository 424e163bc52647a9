"""``penstock tokens``: keys for programs that use the management API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from penstock.cli.engine_api import UrlOption, remote_api
from penstock.cli.options import DataOption, JsonOption, UsageError, printable
from penstock.cli.tables import as_table
from penstock.settings import load_settings
from penstock.workspace.accounts import Accounts, Token
from penstock.workspace.audit import command_line_actor
from penstock.workspace.roles import ROLES, checked_role, role_of
from penstock.workspace.store import Workspace

__all__ = ["opened_accounts", "tokens"]


@contextmanager
def opened_accounts(data: Any) -> Iterator[Accounts]:
    """The accounts in a data folder, whether or not an engine runs on it."""
    workspace = Workspace(load_settings({"data": data}).state_file)
    try:
        yield workspace.accounts
    finally:
        workspace.close()


def create(
    name: Annotated[str, typer.Argument(metavar="<name>", help="What it is for.")],
    role: Annotated[
        str | None,
        typer.Option(metavar="<role>", help="administrator, editor or viewer."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="<scope>", help="A scope such as sql:read; may be repeated."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days until it ends. Default: never.")
    ] = None,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a token and print its secret, which can't be shown again.

    Roles and scopes are listed under Roles in the documentation.

    Example: penstock tokens create "Metabase" --scope sql:read
    """
    if not role and not scope:
        raise UsageError("give --role or --scope")
    remote = remote_api(url, data)
    if remote is not None:
        body = {"name": name, "role": role, "scopes": scope or [], "expires_in_days": days}
        answer = remote.call("POST", "/tokens", body)
        token_id, secret = answer["token"]["id"], answer["secret"]
    else:
        scopes = [*(ROLES[checked_role(role)] if role else ()), *(scope or ())]
        age = None if days is None else timedelta(days=days)
        with opened_accounts(data) as accounts:
            token, secret = accounts.create_token(name, scopes, command_line_actor(), age=age)
        token_id = token.id
    typer.echo(json.dumps({"id": token_id, "secret": secret}) if as_json else secret)


def listed(url: UrlOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List tokens, never their secrets.

    Example: penstock tokens list
    """
    remote = remote_api(url, data)
    if remote is not None:
        tokens = remote.call("GET", "/tokens")["items"]
    else:
        with opened_accounts(data) as accounts:
            tokens = [_told(token) for token in accounts.tokens()]
    if as_json:
        typer.echo(json.dumps(tokens))
        return
    rows = [
        (each["id"], printable(each["name"]), each["role"] or ", ".join(each["scopes"]),
         each["last_used_at"] or "never", _state(each))
        for each in tokens
    ]  # fmt: skip
    typer.echo(as_table(["id", "name", "may", "last used", "state"], rows), nl=False)


def revoke(
    token_id: Annotated[str, typer.Argument(metavar="<id>", help="Id of the token.")],
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Revoke a token: it is refused from now on.

    Example: penstock tokens revoke 596640a857d5fb9f
    """
    remote = remote_api(url, data)
    if remote is not None:
        remote.call("DELETE", f"/tokens/{token_id}")
    else:
        with opened_accounts(data) as accounts:
            accounts.revoke_token(token_id, command_line_actor())
    typer.echo(f"revoked {token_id}")


def _told(token: Token) -> dict[str, Any]:
    """As the API tells it."""
    return {
        "id": token.id,
        "name": token.name,
        "role": role_of(token.scopes),
        "scopes": list(token.scopes),
        "created_at": _instant(token.created_us),
        "created_by": token.created_by,
        "last_used_at": _instant(token.last_used_us),
        "expires_at": _instant(token.expires_us),
        "revoked_at": _instant(token.revoked_us),
    }


def _instant(us: int | None) -> str | None:
    if us is None:
        return None
    moment = datetime.fromtimestamp(us / 1_000_000, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _state(token: dict[str, Any]) -> str:
    if token["revoked_at"]:
        return "revoked"
    expires = token["expires_at"]
    if expires is None:
        return "valid"
    ended = datetime.fromisoformat(expires) <= datetime.now(UTC)
    return "expired" if ended else f"valid until {expires}"


tokens = typer.Typer(
    help="Keys for programs that use the management API.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
tokens.command("create")(create)
tokens.command("list")(listed)
tokens.command("revoke")(revoke)
