"""The certificate of an HTTPS server, and its renewal while the server runs."""

from __future__ import annotations

import ssl
from pathlib import Path

from penstock import logs
from penstock.errors import ConfigurationError
from penstock.settings import Settings

__all__ = ["Certificate", "certificate"]

log = logs.get("penstock.ingest")
_Seen = tuple[tuple[int, int, int], ...]
"""Time, inode and size of both files."""


class Certificate:
    """A certificate and its key, in PEM files. ``refresh`` is called every second.

    ``context`` is for the server; it stays the same object. A handshake that begins after a
    renewal has the new certificate, and connections made before keep theirs.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises ConfigurationError when the files can't be used, saying why."""
        self._files = certificate, key
        self._seen = self._look()
        self._warned: _Seen = ()
        self._current = _load(certificate, key)
        self.context = _load(certificate, key)
        self.context.sni_callback = self._choose

    def refresh(self) -> None:
        """Read the files again if they changed; what can't be used is logged, not served."""
        seen = self._look()
        if seen == self._seen:
            return
        try:
            current = _load(*self._files)
        except ConfigurationError as error:
            if seen != self._warned:
                log.warning("the new certificate can't be used; the one before stays", error=error)
            self._warned = seen
            return
        self._current, self._seen = current, seen
        log.info("the certificate was renewed", file=self._files[0])

    def _choose(self, connection: object, _name: object, _context: ssl.SSLContext) -> None:
        """Called in each handshake, also of clients that name no host."""
        if isinstance(connection, ssl.SSLObject | ssl.SSLSocket):
            connection.context = self._current

    def _look(self) -> _Seen:
        try:
            states = [file.stat() for file in self._files]
        except OSError:
            return ()
        return tuple((state.st_mtime_ns, state.st_ino, state.st_size) for state in states)


def certificate(settings: Settings) -> Certificate | None:
    """The certificate that the settings name. Raises ConfigurationError when it can't be used."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    texts = [_read("tls_cert", certificate), _read("tls_key", key)]
    if "-----BEGIN CERTIFICATE-----" not in texts[0]:
        raise ConfigurationError(f"tls_cert: {certificate} holds no certificate in PEM form")
    if "PRIVATE KEY-----" not in texts[1]:
        raise ConfigurationError(f"tls_key: {key} holds no private key in PEM form")
    if "ENCRYPTED" in texts[1]:
        raise ConfigurationError(
            f"tls_key: {key} is protected by a password; write it without one, readable by the "
            "user of Penstock alone"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None)
        if reason == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(
                f"tls_key: {key} is not the key of the certificate in {certificate}"
            ) from error
        raise ConfigurationError(
            f"tls_cert: {certificate} and tls_key {key} can't be used: {reason or error}"
        ) from error
    return context


def _read(setting: str, file: Path) -> str:
    try:
        return file.read_text(encoding="latin-1")
    except OSError as error:
        raise ConfigurationError(f"{setting}: can't read {file}: {error.strerror}") from error


def _no_password() -> str:
    """Instead of asking at the terminal."""
    return ""
