"""Who may use the management API: users, their sessions, and tokens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from penstock.errors import AlreadyExists, ConfigurationError, NotFound
from penstock.workspace.audit import Actor, write
from penstock.workspace.credentials import (
    SESSION_PREFIX,
    TOKEN_PREFIX,
    hashed,
    hashed_password,
    new_id,
    new_secret,
    password_matches,
)
from penstock.workspace.database import writing
from penstock.workspace.roles import ROLES, checked_role, checked_scopes
from penstock.workspace.tables import sessions, tokens, users

__all__ = ["Accounts", "Identity", "Session", "Token", "User"]

SESSION_AGE = timedelta(hours=12)
_USED_EVERY_US = 60_000_000
_USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
_LONGEST_NAME = 100
_LAST_ADMINISTRATOR = "this is the last administrator; make another user one first"


class User(msgspec.Struct, frozen=True):
    """A person."""

    id: str
    name: str
    """What they log in with, such as a mail address."""
    role: str
    created_us: int
    last_login_us: int | None


class Token(msgspec.Struct, frozen=True):
    """A key for programs; its secret was shown once."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_us: int
    created_by: str
    last_used_us: int | None
    """To the minute."""
    expires_us: int | None
    revoked_us: int | None


class Session(msgspec.Struct, frozen=True):
    """A login."""

    id: str
    user: User
    expires_us: int


class Identity(msgspec.Struct, frozen=True):
    """Whom a secret belongs to, and what they may do."""

    kind: str
    """``token`` or ``user``."""
    id: str
    """Of the token or the session."""
    name: str
    scopes: frozenset[str]
    role: str | None = None


def _now_us() -> int:
    return time.time_ns() // 1000


class Accounts:
    """Users, sessions and tokens in the state store; every change is in the audit log."""

    def __init__(self, engine: Engine, now_us: Callable[[], int] = _now_us) -> None:
        self._engine = engine
        self._now_us = now_us

    def identify(self, secret: str) -> Identity | None:
        """Whom a secret belongs to, unless it has expired or was revoked."""
        now = self._now_us()
        if secret.startswith(SESSION_PREFIX):
            return self._session_identity(secret, now)
        if not secret.startswith(TOKEN_PREFIX):
            return None
        with self._engine.connect() as connection:
            row = connection.execute(select(tokens).where(tokens.c.hash == hashed(secret))).first()
        if row is None or row.revoked_us is not None:
            return None
        if row.expires_us is not None and row.expires_us <= now:
            return None
        if row.last_used_us is None or now - row.last_used_us > _USED_EVERY_US:
            with writing(self._engine) as connection:
                connection.execute(
                    update(tokens).where(tokens.c.id == row.id).values(last_used_us=now)
                )
        return Identity("token", row.id, row.name, frozenset(row.scopes))

    def _session_identity(self, secret: str, now: int) -> Identity | None:
        with self._engine.connect() as connection:
            row = connection.execute(
                select(sessions.c.id, sessions.c.expires_us, users.c.name, users.c.role)
                .join(users, users.c.id == sessions.c.user_id)
                .where(sessions.c.hash == hashed(secret))
            ).first()
        if row is None or row.expires_us <= now:
            return None
        return Identity("user", row.id, row.name, ROLES[row.role], row.role)

    # Tokens ---------------------------------------------------------------------------------

    def tokens(self) -> list[Token]:
        """All tokens, oldest first, the revoked ones too."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(tokens).order_by(tokens.c.created_us, tokens.c.id))
            return [_token(dict(row)) for row in rows.mappings()]

    def token(self, token_id: str) -> Token:
        """One token. Raises NotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).mappings()
            found = row.first()
        if found is None:
            raise NotFound(f"no token {token_id}")
        return _token(dict(found))

    def create_token(
        self, name: str, scopes: Iterable[str], by: Actor, *, age: timedelta | None = None
    ) -> tuple[Token, str]:
        """A token, and its secret, which can't be shown again. Raises ConfigurationError."""
        with writing(self._engine) as connection:
            return self._create_token(connection, name, scopes, by, age)

    def create_first_token(self, name: str, by: Actor) -> str | None:
        """The secret of an administrator's token, if nobody was ever given access before."""
        with writing(self._engine) as connection:
            known = sum(
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (users, tokens)
            )
            if known:
                return None
            return self._create_token(connection, name, ROLES["administrator"], by, None)[1]

    def _create_token(
        self,
        connection: Connection,
        name: str,
        scopes: Iterable[str],
        by: Actor,
        age: timedelta | None,
    ) -> tuple[Token, str]:
        if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
            raise ConfigurationError(f"a token's name has 1 to {_LONGEST_NAME} characters")
        wanted = checked_scopes(scopes)
        if not wanted:
            raise ConfigurationError("a token needs at least one scope")
        secret, now = new_secret(TOKEN_PREFIX), self._now_us()
        expires = None if age is None else now + int(age.total_seconds() * 1_000_000)
        token = Token(new_id(), name, tuple(wanted), now, by.name, None, expires, None)
        values = {**msgspec.structs.asdict(token), "scopes": wanted, "hash": hashed(secret)}
        connection.execute(insert(tokens).values(**values))
        write(
            connection,
            by,
            "create",
            f"token:{token.id}",
            after={"name": name, "scopes": wanted, "expires_us": expires},
        )
        return token, secret

    def revoke_token(self, token_id: str, by: Actor) -> Token:
        """End a token at once; again has no effect. Raises NotFound."""
        with writing(self._engine) as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).mappings()
            found = row.first()
            if found is None:
                raise NotFound(f"no token {token_id}")
            token = _token(dict(found))
            if token.revoked_us is not None:
                return token
            now = self._now_us()
            connection.execute(update(tokens).where(tokens.c.id == token_id).values(revoked_us=now))
            write(connection, by, "revoke", f"token:{token_id}", before={"name": token.name})
            return msgspec.structs.replace(token, revoked_us=now)

    # Users ----------------------------------------------------------------------------------

    def users(self) -> list[User]:
        """All users, by name."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(users).order_by(users.c.name)).mappings()
            return [_user(dict(row)) for row in rows]

    def user(self, name: str) -> User:
        """One user. Raises NotFound."""
        with self._engine.connect() as connection:
            return _found_user(connection, name)

    def add_user(self, name: str, role: str, password: str, by: Actor) -> User:
        """A new user. Raises AlreadyExists, or ConfigurationError for a short password."""
        if not _USER_NAME.fullmatch(name):
            raise ConfigurationError(
                "a user's name has up to 100 letters, digits and . _ @ + -, such as ada@example.com"
            )
        checked_role(role)
        kept = hashed_password(password)
        user = User(new_id(), name, role, self._now_us(), None)
        with writing(self._engine) as connection:
            if _row(connection, name) is not None:
                raise AlreadyExists(f"there is a user {name} already")
            values = {**msgspec.structs.asdict(user), "password": kept}
            connection.execute(insert(users).values(**values))
            write(connection, by, "create", f"user:{name}", after={"role": role})
        return user

    def set_role(self, name: str, role: str, by: Actor) -> User:
        """Give a user another role. Raises NotFound; ConfigurationError for the last one."""
        checked_role(role)
        with writing(self._engine) as connection:
            user = _found_user(connection, name)
            if role != "administrator":
                _keep_an_administrator(connection, user)
            connection.execute(update(users).where(users.c.id == user.id).values(role=role))
            write(
                connection,
                by,
                "update",
                f"user:{name}",
                before={"role": user.role},
                after={"role": role},
            )
            self._revoke_beyond(connection, name, ROLES[role], by)
            return msgspec.structs.replace(user, role=role)

    def set_password(self, name: str, password: str, by: Actor) -> User:
        """Give a user another password, and end the user's sessions. Raises NotFound."""
        kept = hashed_password(password)
        with writing(self._engine) as connection:
            user = _found_user(connection, name)
            connection.execute(update(users).where(users.c.id == user.id).values(password=kept))
            connection.execute(delete(sessions).where(sessions.c.user_id == user.id))
            write(connection, by, "update", f"user:{name}", after={"password": "changed"})
            return user

    def remove_user(self, name: str, by: Actor) -> None:
        """Delete a user and the user's sessions. Raises NotFound, ConfigurationError."""
        with writing(self._engine) as connection:
            user = _found_user(connection, name)
            _keep_an_administrator(connection, user)
            connection.execute(delete(sessions).where(sessions.c.user_id == user.id))
            connection.execute(delete(users).where(users.c.id == user.id))
            write(connection, by, "delete", f"user:{name}", before={"role": user.role})
            self._revoke_beyond(connection, name, frozenset(), by)

    def _revoke_beyond(
        self, connection: Connection, maker: str, scopes: frozenset[str], by: Actor
    ) -> None:
        """End the tokens of this maker that have more than these scopes."""
        made = select(tokens).where(tokens.c.created_by == maker, tokens.c.revoked_us.is_(None))
        for row in connection.execute(made).all():
            if set(row.scopes) - scopes:
                ended = update(tokens).where(tokens.c.id == row.id)
                connection.execute(ended.values(revoked_us=self._now_us()))
                write(connection, by, "revoke", f"token:{row.id}", before={"name": row.name})

    # Sessions -------------------------------------------------------------------------------

    def log_in(self, name: str, password: str, address: str) -> tuple[Session, str] | None:
        """A session and its secret; None for a wrong name or password, which take as long."""
        with self._engine.connect() as connection:
            row = _row(connection, name)
        if not password_matches(row["password"] if row else None, password) or row is None:
            return None
        secret, now = new_secret(SESSION_PREFIX), self._now_us()
        expires = now + int(SESSION_AGE.total_seconds() * 1_000_000)
        with writing(self._engine) as connection:
            current = _row(connection, name)
            if current is None or any(current[key] != row[key] for key in ("id", "password")):
                return None
            user = _user(current)
            session = Session(new_id(), user, expires)
            connection.execute(delete(sessions).where(sessions.c.expires_us <= now))
            connection.execute(
                insert(sessions).values(
                    id=session.id,
                    hash=hashed(secret),
                    user_id=user.id,
                    created_us=now,
                    expires_us=expires,
                )
            )
            connection.execute(update(users).where(users.c.id == user.id).values(last_login_us=now))
            write(connection, Actor("user", name, address), "login", f"user:{name}")
        return session, secret

    def log_out(self, session_id: str, by: Actor) -> None:
        """End a session; again has no effect."""
        with writing(self._engine) as connection:
            ended = connection.execute(delete(sessions).where(sessions.c.id == session_id))
            if ended.rowcount:
                write(connection, by, "logout", f"user:{by.name}")


def _row(connection: Connection, name: str) -> dict[str, Any] | None:
    row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
    return dict(row) if row else None


def _found_user(connection: Connection, name: str) -> User:
    row = _row(connection, name)
    if row is None:
        raise NotFound(f"no user {name}")
    return _user(row)


def _keep_an_administrator(connection: Connection, user: User) -> None:
    """Among users somebody must be able to manage the others."""
    others = connection.execute(
        select(func.count())
        .select_from(users)
        .where(users.c.role == "administrator", users.c.id != user.id)
    ).scalar_one()
    if user.role == "administrator" and not others:
        raise ConfigurationError(_LAST_ADMINISTRATOR)


def _user(row: dict[str, Any]) -> User:
    return User(**{name: row[name] for name in User.__struct_fields__})


def _token(row: dict[str, Any]) -> Token:
    values = {name: row[name] for name in Token.__struct_fields__}
    return Token(**{**values, "scopes": tuple(row["scopes"])})
