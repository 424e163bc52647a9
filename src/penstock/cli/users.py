"""``penstock users``: people who log in."""

from __future__ import annotations

import json
import secrets
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from penstock.cli.engine_api import UrlOption, remote_api
from penstock.cli.options import DataOption, JsonOption, printable
from penstock.cli.tables import as_table
from penstock.cli.tokens import opened_accounts
from penstock.workspace.audit import command_line_actor

__all__ = ["users"]

NameArgument = Annotated[
    str, typer.Argument(metavar="<name>", help="What they log in with: a mail address, say.")
]
RoleOption = Annotated[
    str, typer.Option("--role", metavar="<role>", help="administrator, editor or viewer.")
]
_PASSWORD_LINE = "their password, to be changed: {}"


def add(
    name: NameArgument,
    role: RoleOption = "viewer",
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Add a user. The password is asked for, or read from a pipe.

    An empty password stands for one that Penstock makes and prints.

    Example: penstock users add ada@example.com --role editor
    """
    secret, made = _password()
    remote = remote_api(url, data)
    if remote is not None:
        remote.call("POST", "/users", {"name": name, "role": role, "password": secret})
    else:
        with opened_accounts(data) as accounts:
            accounts.add_user(name, role, secret, command_line_actor())
    typer.echo(f"added {name}, {role}")
    if made:
        typer.echo(_PASSWORD_LINE.format(secret))


def listed(url: UrlOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List users and their roles.

    Example: penstock users list
    """
    remote = remote_api(url, data)
    if remote is not None:
        users = remote.call("GET", "/users")["items"]
    else:
        with opened_accounts(data) as accounts:
            users = [{"name": user.name, "role": user.role} for user in accounts.users()]
    if as_json:
        typer.echo(json.dumps(users))
        return
    rows = [(printable(each["name"]), each["role"]) for each in users]
    typer.echo(as_table(["name", "role"], rows), nl=False)


def remove(name: NameArgument, url: UrlOption = None, data: DataOption = None) -> None:
    """Remove a user and end the user's sessions.

    Example: penstock users remove ada@example.com
    """
    remote = remote_api(url, data)
    if remote is not None:
        remote.call("DELETE", f"/users/{quote(name, safe='')}")
    else:
        with opened_accounts(data) as accounts:
            accounts.remove_user(name, command_line_actor())
    typer.echo(f"removed {name}")


def role(
    name: NameArgument,
    role: Annotated[str, typer.Argument(metavar="<role>", help="administrator, editor or viewer.")],
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Give a user another role.

    Example: penstock users role ada@example.com administrator
    """
    _patch(name, {"role": role}, url, data)
    typer.echo(f"{name} is {role} now")


def password(name: NameArgument, url: UrlOption = None, data: DataOption = None) -> None:
    """Give a user another password, which ends the user's sessions.

    It is asked for, or read from a pipe; an empty one stands for one that Penstock makes.

    Example: penstock users password ada@example.com
    """
    secret, made = _password()
    _patch(name, {"password": secret}, url, data)
    typer.echo(f"changed the password of {name}")
    if made:
        typer.echo(_PASSWORD_LINE.format(secret))


def _patch(name: str, change: dict[str, str], url: str | None, data: Any) -> None:
    remote = remote_api(url, data)
    if remote is not None:
        remote.call("PATCH", f"/users/{quote(name, safe='')}", change)
        return
    with opened_accounts(data) as accounts:
        if "role" in change:
            accounts.set_role(name, change["role"], command_line_actor())
        else:
            accounts.set_password(name, change["password"], command_line_actor())


def _password() -> tuple[str, bool]:
    """A password from the terminal or a pipe; or one that is made, and True."""
    if sys.stdin.isatty():
        given = typer.prompt(
            "password", default="", show_default=False, hide_input=True, confirmation_prompt=True
        )
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    return (given, False) if given else (secrets.token_urlsafe(15), True)


users = typer.Typer(
    help="People who log in.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
users.command("add")(add)
users.command("list")(listed)
users.command("remove")(remove)
users.command("role")(role)
users.command("password")(password)
