"""The wire over TLS: with one who can prove who it is, and within the time that there is to connect."""

import datetime as dt
import ipaddress
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tallystick.channels.speech import Speech
from tallystick.channels.wire import Wire
from tallystick.ledger.delivery import Retryable

HOST = "127.0.0.1"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ASK = """
import sys
from tallystick.channels.speech import Speech
from tallystick.channels.wire import Wire
wire = Wire(f"https://{sys.argv[1]}:{sys.argv[2]}", Speech("ops", "webhook"), timeout_ms=10_000)
try:
    print([wire.post("/", b"{}").body for _ in range(2)])
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of this host that signed itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "here.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """Where somebody answers who has this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def run() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                while secured.recv(1 << 16):
                    secured.sendall(ANSWER)

    with socket.create_server((HOST, 0)) as server:
        thread = threading.Thread(target=run)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def asked(port: int, trusted: Path | None) -> str:
    """What a process hears that trusts this certificate alone."""
    environment = {"SSL_CERT_FILE": str(trusted or "/nowhere"), "SSL_CERT_DIR": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, HOST, str(port)], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout


@pytest.mark.slow
def test_who_can_prove_who_it_is_is_asked_over_one_connection(port: int, certificate: Path) -> None:
    assert "[b'ok', b'ok']\n" == asked(port, certificate)


@pytest.mark.slow
def test_who_cannot_is_asked_nothing(port: int) -> None:
    said = asked(port, None)

    assert said.startswith("Retryable")
    assert "CERTIFICATE_VERIFY_FAILED" in said


def test_who_takes_a_connection_and_says_nothing_is_given_up_when_the_time_is_over() -> None:
    with socket.create_server((HOST, 0)) as server:
        wire = Wire(f"https://{HOST}:{server.getsockname()[1]}", Speech("ops", "webhook"), timeout_ms=200)
        began = time.monotonic()
        with pytest.raises(Retryable, match="not sent"):
            wire.post("/", b"{}")

    assert 0.2 <= time.monotonic() - began < 2.0
