"""HTTPS on the collector's port: real handshakes, renewal while running, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from penstock.errors import ConfigurationError
from penstock.ingest.tls import Certificate
from tests.running import PenstockDiedError, RunningPenstock

WORKSPACE = "sources:\n  web: {type: browser, write_keys: [web-key]}\n"


class Files:
    """A certificate and its key on disk, as a certificate authority renews them."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        self.certificate = folder / "fullchain.pem"
        self.key = folder / "key.pem"
        self._authority = authority

    def issue(self, *, days: int = 30, names: tuple[str, ...] = ("127.0.0.1", "localhost")) -> None:
        """Write a new pair, each file replaced at once."""
        issued = self._authority.issue_cert(
            *names, not_after=datetime.now(UTC) + timedelta(days=days)
        )
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        self.put(chain, issued.private_key_pem.bytes())

    def put(self, certificate: bytes, key: bytes) -> None:
        for file, content in ((self.certificate, certificate), (self.key, key)):
            new = file.with_suffix(".new")
            new.write_bytes(content)
            new.rename(file)

    def open(self) -> Certificate:
        return Certificate(self.certificate, self.key)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    files = Files(tmp_path, authority)
    files.issue()
    return files


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("no certificate", r"tls_cert: can't read .*fullchain.pem: No such file"),
        ("no key", r"tls_key: can't read .*key.pem: No such file"),
        ("folder", r"tls_key: can't read .*: Is a directory"),
        ("swapped", r"tls_cert: .*fullchain.pem holds no certificate in PEM form"),
        ("binary", r"tls_cert: .*fullchain.pem holds no certificate in PEM form"),
        ("key is text", r"tls_key: .*key.pem holds no private key in PEM form"),
        ("other key", r"tls_key: .*key.pem is not the key of the certificate in .*fullchain.pem"),
        ("password", r"tls_key: .*key.pem is protected by a password"),
        ("cut short", r"tls_cert: .*fullchain.pem and tls_key .*key.pem can't be used"),
    ],
)
def test_what_can_not_be_used_is_named(
    files: Files, authority: trustme.CA, broken: str, says: str
) -> None:
    certificate, key = files.certificate.read_bytes(), files.key.read_bytes()
    if broken == "no certificate":
        files.certificate.unlink()
    elif broken == "no key":
        files.key.unlink()
    elif broken == "folder":
        files.key.unlink()
        files.key.mkdir()
    elif broken == "swapped":
        files.put(key, certificate)
    elif broken == "binary":
        files.put(ssl.PEM_cert_to_DER_cert(certificate.decode().split("-----END")[0]
                  + "-----END CERTIFICATE-----\n"), key)  # fmt: skip
    elif broken == "key is text":
        files.put(certificate, b"secret")
    elif broken == "other key":
        files.put(certificate, authority.issue_cert("x.test").private_key_pem.bytes())
    elif broken == "password":
        files.put(certificate, key.replace(b"RSA PRIVATE", b"ENCRYPTED PRIVATE")
                  .replace(b"EC PRIVATE", b"ENCRYPTED PRIVATE"))  # fmt: skip
    else:
        files.put(certificate[: len(certificate) // 3], key)
    with pytest.raises(ConfigurationError, match=says):
        files.open()


def test_a_renewal_is_seen_and_a_half_written_one_is_not_served(
    files: Files, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = files.open()
    first = served(certificate, authority)
    certificate.refresh()
    assert served(certificate, authority) == first
    old_key = files.key.read_bytes()
    files.issue()
    new_certificate, new_key = files.certificate.read_bytes(), files.key.read_bytes()
    files.put(new_certificate, old_key)
    certificate.refresh()
    certificate.refresh()
    assert served(certificate, authority) == first
    assert len([r for r in caplog.records if "the one before stays" in r.getMessage()]) == 1
    files.key.unlink()
    certificate.refresh()
    assert served(certificate, authority) == first
    files.put(new_certificate, new_key)
    certificate.refresh()
    assert served(certificate, authority) != first


def test_old_protocols_are_refused(files: Files) -> None:
    assert files.open().context.minimum_version == ssl.TLSVersion.TLSv1_2


def served(certificate: Certificate, authority: trustme.CA) -> bytes:
    """The certificate that a client gets, by a handshake in memory."""
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    client = trusting.wrap_bio(client_in, client_out, server_hostname="localhost")
    server = certificate.context.wrap_bio(client_out, client_in, server_side=True)
    for _ in range(4):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    binary = client.getpeercert(binary_form=True)
    assert binary is not None
    return binary


class SecurePenstock(RunningPenstock):
    """The same, asked by HTTPS."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


class Running:
    """A Penstock that speaks HTTPS with a certificate that can be renewed."""

    def __init__(self, penstock: SecurePenstock, files: Files, trusting: ssl.SSLContext) -> None:
        self.penstock = penstock
        self.files = files
        self.trusting = trusting

    def certificate(self) -> bytes:
        """What a new connection is shown."""
        with (
            socket.create_connection(("127.0.0.1", self.penstock.port), timeout=60) as plain,
            self.trusting.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            binary = secure.getpeercert(binary_form=True)
        assert binary is not None
        return binary

    def track(self, message_id: str) -> int:
        body = json.dumps({"userId": "u1", "event": "Tea", "messageId": message_id}).encode()
        request = urllib.request.Request(f"{self.penstock.url}/v1/track?writeKey=web-key", body)
        with urllib.request.urlopen(request, timeout=60, context=self.trusting) as answer:
            return int(answer.status)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tls")
    files = Files(folder, authority)
    files.issue()
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    penstock = SecurePenstock(
        folder,
        settings={
            "PENSTOCK_TLS_CERT": str(files.certificate),
            "PENSTOCK_TLS_KEY": str(files.key),
            "PENSTOCK_BODY_TIMEOUT": "3s",
        },
    )
    penstock.apply(WORKSPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(trusted))
        try:
            penstock.start()
            yield Running(penstock, files, trusting)
        finally:
            penstock.close()


def test_an_event_by_https_is_stored(running: Running) -> None:
    assert running.track("by-https") == 200
    running.penstock.wait_for("select id from web.tea where id = 'by-https'")
    greeting = running.penstock.greeting()
    assert greeting.startswith(f"Penstock is up: https://127.0.0.1:{running.penstock.port}")


def test_browsers_are_sent_back_by_https(running: Running) -> None:
    url = f"{running.penstock.url}/v1/projects/web-key/settings"
    with urllib.request.urlopen(url, timeout=60, context=running.trusting) as answer:
        document = json.loads(answer.read())
    assert document["integrations"]["Segment.io"]["protocol"] == "https"


def test_a_renewed_certificate_is_served_without_a_restart(running: Running) -> None:
    first = running.certificate()
    pid = running.penstock.pid
    with (
        socket.create_connection(("127.0.0.1", running.penstock.port), timeout=60) as plain,
        running.trusting.wrap_socket(plain, server_hostname="127.0.0.1") as before,
    ):
        running.files.issue(days=60)
        deadline = time.monotonic() + 60
        while running.certificate() == first:
            assert time.monotonic() < deadline, running.penstock.log_tail()
            time.sleep(0.1)
        before.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert before.recv(1000).startswith(b"HTTP/1.1 200")
    assert running.track("after-renewal") == 200
    assert running.penstock.pid == pid


def test_plain_http_on_the_port_is_no_5xx_and_does_no_harm(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.penstock.port), timeout=60) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(1000).startswith(b"HTTP/1.1 5")
    assert running.track("after-plain") == 200


def test_a_handshake_that_does_not_end_is_cut(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.penstock.port), timeout=60) as plain:
        plain.sendall(b"\x16\x03\x01")
        assert plain.recv(1000) == b""


def test_nothing_was_logged_as_an_error(running: Running) -> None:
    log = running.penstock.log.read_text()
    collector = [line for line in log.splitlines() if "collector" in line]
    assert not [line for line in collector if '"level": "error"' in line or "Traceback" in line]


def test_up_says_at_once_what_is_wrong_with_the_files(tmp_path: Path, files: Files) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for settings, says in (
        ({"PENSTOCK_TLS_CERT": str(files.certificate)}, "tls_cert, tls_key: give both, or neither"),
        (
            {"PENSTOCK_TLS_CERT": os.devnull, "PENSTOCK_TLS_KEY": str(files.key)},
            "tls_cert: /dev/null holds no certificate in PEM form",
        ),
    ):
        penstock = RunningPenstock(other, settings=settings)
        with pytest.raises(PenstockDiedError, match=says):
            penstock.start()
        penstock.close()
