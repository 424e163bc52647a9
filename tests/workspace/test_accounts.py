"""Users, tokens, sessions, and the audit log of what is done to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError, NotFound
from penstock.events.model import Source
from penstock.workspace.accounts import SESSION_AGE, Accounts
from penstock.workspace.audit import Actor
from penstock.workspace.credentials import hashed_password, password_matches
from penstock.workspace.roles import ROLES, SCOPES, role_of
from penstock.workspace.store import Workspace

BY = Actor("user", "root@example.com", "192.0.2.1")
PASSWORD = "correct horse battery"


class _Clock:
    def __init__(self) -> None:
        self.us = 1_767_607_200_000_000

    def __call__(self) -> int:
        return self.us

    def pass_by(self, time: timedelta) -> None:
        self.us += int(time.total_seconds() * 1_000_000)


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "state.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def accounts(workspace: Workspace, clock: _Clock) -> Accounts:
    return Accounts(workspace._engine, clock)


def test_a_token_is_known_until_it_is_revoked(accounts: Accounts) -> None:
    token, secret = accounts.create_token("bi", ["sql:read"], BY)
    identity = accounts.identify(secret)
    assert identity is not None
    assert (identity.kind, identity.id, identity.scopes) == (
        "token",
        token.id,
        frozenset({"sql:read"}),
    )
    assert accounts.identify(secret[:-1]) is None
    assert accounts.identify("pst_") is None
    accounts.revoke_token(token.id, BY)
    assert accounts.identify(secret) is None
    assert accounts.revoke_token(token.id, BY).revoked_us is not None
    with pytest.raises(NotFound):
        accounts.revoke_token("nope", BY)


def test_a_token_expires(accounts: Accounts, clock: _Clock) -> None:
    _, secret = accounts.create_token("bi", ["sql:read"], BY, age=timedelta(days=1))
    clock.pass_by(timedelta(hours=23))
    assert accounts.identify(secret) is not None
    clock.pass_by(timedelta(hours=1))
    assert accounts.identify(secret) is None


def test_the_last_use_is_kept_to_the_minute(accounts: Accounts, clock: _Clock) -> None:
    _, secret = accounts.create_token("bi", ["sql:read"], BY)
    first = clock()
    for _ in range(3):
        accounts.identify(secret)
        clock.pass_by(timedelta(seconds=25))
    assert accounts.tokens()[0].last_used_us == first
    accounts.identify(secret)
    assert accounts.tokens()[0].last_used_us == clock()


def test_nothing_secret_is_in_the_file(accounts: Accounts, tmp_path: Path) -> None:
    _, token = accounts.create_token("bi", ["sql:read"], BY)
    accounts.add_user("ada", "editor", PASSWORD, BY)
    begun = accounts.log_in("ada", PASSWORD, "")
    assert begun is not None
    accounts.set_password("ada", f"{PASSWORD} 2", BY)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"$argon2id$" in stored
    for secret in (token, token[4:], begun[1], PASSWORD):
        assert secret.encode() not in stored


def test_only_the_first_start_gives_a_token(accounts: Accounts) -> None:
    secret = accounts.create_first_token("first", BY)
    assert secret is not None
    identity = accounts.identify(secret)
    assert identity is not None and role_of(identity.scopes) == "administrator"
    assert accounts.create_first_token("first", BY) is None
    accounts.revoke_token(identity.id, BY)
    assert accounts.create_first_token("first", BY) is None


@pytest.mark.parametrize(
    ("name", "scopes", "says"),
    [("", ["sql:read"], "name"), ("a\nb", ["sql:read"], "name"), ("x", [], "at least one"),
     ("x", ["sql:all"], "unknown scope 'sql:all'")],
)  # fmt: skip
def test_a_wrong_token_is_refused(
    accounts: Accounts, name: str, scopes: list[str], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        accounts.create_token(name, scopes, BY)
    assert accounts.tokens() == []


def test_a_login_and_its_end(accounts: Accounts, clock: _Clock) -> None:
    accounts.add_user("ada", "editor", PASSWORD, BY)
    assert accounts.log_in("ada", "wrong", "") is None
    assert accounts.log_in("bob", PASSWORD, "") is None
    begun = accounts.log_in("ada", PASSWORD, "192.0.2.7")
    assert begun is not None
    session, secret = begun
    identity = accounts.identify(secret)
    assert identity is not None
    assert (identity.name, identity.role, identity.scopes) == ("ada", "editor", ROLES["editor"])
    accounts.set_role("ada", "viewer", BY)
    changed = accounts.identify(secret)
    assert changed is not None and changed.scopes == ROLES["viewer"]
    accounts.log_out(session.id, Actor("user", "ada"))
    assert accounts.identify(secret) is None
    again = accounts.log_in("ada", PASSWORD, "")
    assert again is not None
    clock.pass_by(SESSION_AGE)
    assert accounts.identify(again[1]) is None


@pytest.mark.parametrize("how", ["password", "remove"])
def test_sessions_end_with_the_password_and_the_user(accounts: Accounts, how: str) -> None:
    accounts.add_user("root", "administrator", PASSWORD, BY)
    accounts.add_user("ada", "editor", PASSWORD, BY)
    begun = accounts.log_in("ada", PASSWORD, "")
    assert begun is not None
    if how == "password":
        accounts.set_password("ada", f"{PASSWORD} 2", BY)
    else:
        accounts.remove_user("ada", BY)
    assert accounts.identify(begun[1]) is None
    assert accounts.log_in("ada", PASSWORD, "") is None


def test_the_last_administrator_stays(accounts: Accounts) -> None:
    accounts.add_user("root", "administrator", PASSWORD, BY)
    for change in (lambda: accounts.remove_user("root", BY),
                   lambda: accounts.set_role("root", "viewer", BY)):  # fmt: skip
        with pytest.raises(ConfigurationError, match="last administrator"):
            change()
    accounts.add_user("ada", "administrator", PASSWORD, BY)
    accounts.remove_user("root", BY)


@pytest.mark.parametrize(
    ("name", "role", "password", "says"),
    [("ada", "editor", PASSWORD, "already"), ("a b", "editor", PASSWORD, "name"),
     ("bob", "owner", PASSWORD, "unknown role"), ("bob", "editor", "short", "12 to")],
)  # fmt: skip
def test_a_wrong_user_is_refused(
    accounts: Accounts, name: str, role: str, password: str, says: str
) -> None:
    accounts.add_user("ada", "editor", PASSWORD, BY)
    with pytest.raises(ConfigurationError, match=says):
        accounts.add_user(name, role, password, BY)


def test_passwords(accounts: Accounts) -> None:
    stored = hashed_password(PASSWORD)
    assert stored.startswith("$argon2id$")
    assert stored != hashed_password(PASSWORD), "each has a salt of its own"
    assert password_matches(stored, PASSWORD)
    assert not password_matches(stored, PASSWORD + " ")
    assert not password_matches(None, PASSWORD)


def test_every_change_is_in_the_audit_log(accounts: Accounts, workspace: Workspace) -> None:
    token, _ = accounts.create_token("bi", ["sql:read"], BY)
    accounts.revoke_token(token.id, BY)
    accounts.add_user("root", "administrator", PASSWORD, BY)
    accounts.add_user("ada", "editor", PASSWORD, BY)
    accounts.set_role("ada", "viewer", BY)
    accounts.set_password("ada", f"{PASSWORD} 2", BY)
    accounts.remove_user("ada", BY)
    web = Source("web", "Web", write_keys=("a-secret-key",))
    workspace.put_sources([web], BY)
    workspace.put_sources([web], BY)
    workspace.change_source("web", lambda source: Source("web", "Site"), BY)
    workspace.delete_source("web", BY)
    entries = list(reversed(workspace.audit.entries()))
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("create", f"token:{token.id}"), ("revoke", f"token:{token.id}"),
        ("create", "user:root"), ("create", "user:ada"), ("update", "user:ada"),
        ("update", "user:ada"), ("delete", "user:ada"),
        ("create", "source:web"), ("update", "source:web"), ("delete", "source:web"),
    ]  # fmt: skip
    assert {entry.actor for entry in entries} == {BY}
    update = entries[8]
    assert update.before is not None and update.after is not None
    assert (update.before["name"], update.after["name"]) == ("Web", "Site")
    assert (update.before["write_keys"], update.after["write_keys"]) == (["a-se…"], [])
    newest = workspace.audit.entries(limit=2)
    older = workspace.audit.entries(limit=2, before=newest[-1].id)
    assert [entry.id for entry in (*newest, *older)] == [10, 9, 8, 7]
    assert len(workspace.audit.entries(subject="source:web")) == 3


def test_a_change_that_fails_leaves_no_trace(workspace: Workspace) -> None:
    workspace.put_sources([Source("web", "Web", write_keys=("k",))], BY)
    with pytest.raises(ConfigurationError, match="belongs to web already"):
        workspace.put_sources([Source("app", "App", write_keys=("k",))], BY)
    assert [source.slug for source in workspace.sources()] == ["web"]
    assert len(workspace.audit.entries()) == 1
    assert workspace.revision() == 1


def test_every_role_is_made_of_known_scopes() -> None:
    assert set().union(*ROLES.values()) <= set(SCOPES)
    assert ROLES["viewer"] < ROLES["editor"] < ROLES["administrator"]


def test_a_login_that_a_new_password_overtakes(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add_user("ada", "editor", PASSWORD, BY)

    def overtaken(stored: str | None, password: str) -> bool:
        accounts.set_password("ada", f"{PASSWORD} 2", BY)
        return password_matches(stored, password)

    monkeypatch.setattr("penstock.workspace.accounts.password_matches", overtaken)
    assert accounts.log_in("ada", PASSWORD, "") is None


def test_tokens_never_have_more_than_their_maker(accounts: Accounts) -> None:
    accounts.add_user("root", "administrator", PASSWORD, BY)
    accounts.add_user("ada", "editor", PASSWORD, BY)
    ada = Actor("user", "ada")
    _, more = accounts.create_token("more", ["sources:write"], ada)
    _, same = accounts.create_token("same", ["sql:read"], ada)
    _, other = accounts.create_token("other", ["sources:write"], BY)
    accounts.set_role("ada", "viewer", BY)
    assert accounts.identify(more) is None and accounts.identify(same)
    accounts.remove_user("ada", BY)
    assert accounts.identify(same) is None and accounts.identify(other)
