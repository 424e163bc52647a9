"""Who may do what: the table in docs/reference/roles.md, every path, every role, every scope."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from penstock.api.access import client_address
from penstock.api.app import create_app, permissions
from penstock.api.services import Services
from penstock.settings import Settings
from penstock.workspace.roles import ROLES, SCOPES
from tests.api.calling import Client
from tests.project.reference import DOCS
from tests.running import RunningPenstock

Made = Callable[..., Client]
_APP = create_app(cast(Services, SimpleNamespace(settings=Settings(), now=lambda: 0.0,
                                                 read_status=None)))  # fmt: skip
PERMISSIONS = permissions(_APP)
PASSWORD = "correct horse battery"


def _shown(path: str) -> str:
    """A path with names in it of nothing that exists."""
    for part in (
        "{slug:str}",
        "{key:str}",
        "{token_id:str}",
        "{name:str}",
        "{query_id:str}",
        "{space:str}",
        "{profile:str}",
        "{account:str}",
    ):
        path = path.replace(part, "nope")
    return path


def _try(client: Client, method: str, path: str) -> int:
    """What a call gives that changes nothing: wrong body, or a name of nothing."""
    limited = f"{_shown(path)}?seconds=0.01" if path.endswith("/tail") else _shown(path)
    raw = b'{"no_such_field": 1}' if method in ("POST", "PUT", "PATCH") else None
    return client(method, limited, raw=raw).status


def test_every_path_needs_a_scope_or_says_why_not() -> None:
    without = {(method, path) for method, path, scope in PERMISSIONS if scope is None}
    assert without == {("GET", "/api/v1/me"), ("POST", "/api/v1/logout")}
    public = {
        route.path
        for route in _APP.routes
        for handler in getattr(route, "route_handlers", ())
        if "scope" not in handler.opt and handler.http_methods != {"OPTIONS"}
    }
    assert public == {
        "/api/v1/login", "/api/schema", "/api/schema/openapi.json", "/api/schema/docs",
        "/api/schema/{path:str}", "/metrics",
    }  # fmt: skip
    assert {scope for _, _, scope in PERMISSIONS if scope} | {"sql:manage"} == set(SCOPES)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_can_do_what_the_table_says(admin: Client, role: str) -> None:
    table = _documented()
    body = {"name": role, "role": role}
    client = admin.with_token(admin("POST", "/tokens", body).body["secret"])
    for method, path, scope in PERMISSIONS:
        if scope is not None:
            allowed = _try(client, method, path) not in (401, 403)
            assert allowed == (role in table[method, path.replace(":str}", "}")]), (method, path)


def _documented() -> dict[tuple[str, str], set[str]]:
    """Roles by method and path, as the reference page has it."""
    head: list[str] = []
    table = {}
    for line in (DOCS / "reference" / "roles.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "path":
            head = cells
        elif head and cells[0].startswith("`"):
            method, path = cells[0].strip("`").split()
            table[method, path] = {
                role for role, mark in zip(head, cells, strict=True) if mark == "yes"
            }
    assert set(head) >= set(ROLES)
    return table


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope != "sql:manage"])
def test_a_scope_opens_its_paths_and_no_others(with_scopes: Made, scope: str) -> None:
    client = with_scopes(scope)
    for method, path, needed in PERMISSIONS:
        if needed is not None:
            allowed = _try(client, method, path) not in (401, 403)
            assert allowed == (needed == scope), (method, path)


def test_nobody_gets_in_without_a_token(nobody: Client) -> None:
    for method, path, _ in PERMISSIONS:
        raw = b"{}" if method in ("POST", "PUT", "PATCH") else None
        answer = nobody(method, _shown(path), raw=raw)
        profiles = path.startswith("/v1/")
        code = "authentication_error" if profiles else "unauthenticated"
        assert (answer.status, answer.body["error"]["code"]) == (401, code), (method, path)
        asks = answer.headers["www-authenticate"]
        assert asks.startswith("Basic" if profiles else "Bearer")
    for token in ("pst_" + "x" * 43, "nope", "pss_", "psl_" + "y" * 43, "ü"):
        assert nobody.with_token(token.encode().decode("latin-1"))("GET", "/me").status == 401


def test_an_editor_cant_become_more(admin: Client, with_scopes: Made) -> None:
    client = with_scopes("tokens:write", "users:write", "users:read")
    body: dict[str, Any] = {"name": "more", "scopes": ["sql:read"]}
    assert client("POST", "/tokens", body).code == "forbidden"
    body = {"name": "eve", "role": "administrator", "password": PASSWORD}
    assert client("POST", "/users", body).code == "forbidden"
    admin("POST", "/users", {"name": "root", "role": "administrator", "password": PASSWORD})
    for change in ({"password": PASSWORD}, {"role": "viewer"}):
        assert client("PATCH", "/users/root", change).code == "forbidden"
    assert client("DELETE", "/users/root").code == "forbidden"
    assert client("POST", "/tokens", {"name": "same", "scopes": ["users:read"]}).status == 201


def test_a_revoked_token_is_refused_at_once(admin: Client) -> None:
    made = admin("POST", "/tokens", {"name": "short", "role": "viewer"}).body
    client = admin.with_token(made["secret"])
    assert client("GET", "/me").body["role"] is None
    assert client("GET", "/status").status == 200
    assert admin("DELETE", f"/tokens/{made['token']['id']}").status == 204
    assert client("GET", "/status").status == 401
    listed = {each["id"]: each for each in admin("GET", "/tokens").body["items"]}
    assert listed[made["token"]["id"]]["revoked_at"] and "secret" not in listed


def test_a_viewer_sees_keys_masked(admin: Client, with_scopes: Made) -> None:
    assert admin("GET", "/sources/shop").body["write_keys"] == ["shop-key"]
    assert with_scopes("sources:read")("GET", "/sources/shop").body["write_keys"] == ["sh…"]


def test_the_token_of_commands_is_for_the_owner_of_the_folder(
    penstock: RunningPenstock, admin: Client, folder: Path
) -> None:
    file = folder / "run" / "cli.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    me = admin.with_token(file.read_text())("GET", "/me").body
    assert (me["kind"], me["role"], set(me["scopes"])) == ("command", "administrator", set(SCOPES))


def test_the_token_of_the_first_start_is_shown_within_80_columns(
    penstock: RunningPenstock, first_token: str
) -> None:
    greeting = penstock.greeting().partition("Ctrl-C stops")[0]
    assert greeting.count(first_token) == 1
    ours = [line for line in greeting.splitlines() if str(penstock.data) not in line]
    assert max(map(len, ours)) <= 80


def test_a_session(admin: Client, nobody: Client) -> None:
    admin("POST", "/users", {"name": "ada@example.com", "role": "editor", "password": PASSWORD})
    begun = nobody("POST", "/login", {"name": "ada@example.com", "password": PASSWORD})
    assert begun.status == 200 and begun.body["user"]["role"] == "editor"
    cookie = begun.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "secure" not in cookie
    secret = begun.body["session"]
    assert nobody.with_token(secret)("GET", "/me").body["name"] == "ada@example.com"
    by_cookie = Client(admin.url, cookie=secret)
    assert by_cookie("GET", "/sources").status == 200
    new = {"slug": "by_cookie", "name": "x"}
    assert by_cookie("POST", "/sources", new).code == "csrf"
    header = {"X-Penstock-Request": "1"}
    assert by_cookie("POST", "/sources", new, headers=header).status == 201
    assert by_cookie("GET", "/tokens").code == "forbidden"
    assert by_cookie("POST", "/logout", headers=header).status == 204
    assert by_cookie("GET", "/me").status == 401


def test_a_cookie_is_secure_behind_https(admin: Client, nobody: Client) -> None:
    admin("POST", "/users", {"name": "tls", "role": "viewer", "password": PASSWORD})
    login = {"name": "tls", "password": PASSWORD}
    begun = nobody("POST", "/login", login, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in begun.headers["set-cookie"].lower()


def test_logins_are_limited_by_account_and_by_address(admin: Client, nobody: Client) -> None:
    admin("POST", "/users", {"name": "target", "role": "viewer", "password": PASSWORD})

    def attempt(name: str, password: str, address: str) -> Any:
        headers = {"X-Forwarded-For": address}
        return nobody("POST", "/login", {"name": name, "password": password}, headers=headers)

    for number in range(10):
        assert attempt("target", "wrong", f"192.0.2.{number}").code == "wrong_login"
    refused = attempt("target", PASSWORD, "192.0.2.99")
    assert (refused.status, refused.code) == (429, "too_many_logins")
    assert 0 < int(refused.headers["retry-after"]) <= 300
    for number in range(30):
        assert attempt(f"guess{number}", "wrong", "198.51.100.1").code == "wrong_login"
    assert attempt("ada@example.com", "x", "198.51.100.1").code == "too_many_logins"
    assert attempt("ada@example.com", "x", "198.51.100.2").code == "wrong_login"


@pytest.mark.parametrize(
    ("console_host", "one_port", "trusted"),
    [
        ("192.0.2.2", True, True),
        ("192.0.2.2", False, False),
        ("localhost", True, False),
    ],
)
def test_the_collector_is_believed_who_the_sender_is(
    console_host: str, one_port: bool, trusted: bool
) -> None:
    """In one-port mode requests come from the address that the API listens on."""
    settings = Settings(console_host=console_host, one_port=one_port)
    connection: Any = SimpleNamespace(
        app=SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(settings=settings))),
        client=SimpleNamespace(host="192.0.2.2"),
        scope={"headers": [(b"x-forwarded-for", b"198.51.100.7")]},
    )
    assert client_address(connection) == ("198.51.100.7" if trusted else "192.0.2.2")
