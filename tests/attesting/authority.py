"""A timestamp authority on loopback: `openssl ts` behind a small server, with certificates made for the test."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")

CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *map(str, arguments)], capture_output=True, check=False)


class Authority:
    """Its folder, with `root.pem`, which everybody may know; and what it answers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.address = folder, folder / "root.pem", ""
        self.instead: tuple[int, bytes] | None = None
        self.answers: list[bytes] = []
        folder.mkdir()
        (folder / "serial").write_text("01\n", "ascii")
        for name in ("root", "tsa"):
            text = CONFIGURATION.format(name=f"{name} of a test", folder=folder)
            (folder / f"{name}.cnf").write_text(text, "utf-8")
            made = openssl(
                "req", "-new", "-newkey", "rsa:2048", "-nodes", "-config", folder / f"{name}.cnf",
                "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr",
            )  # fmt: skip
            assert made.returncode == 0, made.stderr
        self._sign("root", "root", "-signkey", folder / "root.key")
        self._sign("tsa", "leaf", "-CA", self.root, "-CAkey", folder / "root.key", "-CAcreateserial")

    def _sign(self, name: str, kind: str, *by: str | Path) -> None:
        folder = self.folder
        made = openssl(
            "x509", "-req", "-days", "30", "-in", folder / f"{name}.csr", "-out", folder / f"{name}.pem",
            "-extfile", folder / f"{name}.cnf", "-extensions", kind, *by,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def answer(self, question: bytes) -> tuple[int, bytes]:
        if self.instead is not None:
            return self.instead
        asked, said = self.folder / "query.tsq", self.folder / "reply.tsr"
        asked.write_bytes(question)
        openssl(
            "ts", "-reply", "-config", self.folder / "tsa.cnf", "-section", "here", "-queryfile", asked, "-out", said
        )
        return 200, said.read_bytes()

    def verifies(self, token: Path, data: Path) -> bool:
        """Whether openssl says that a token is one of this authority over these bytes."""
        done = openssl("ts", "-verify", "-in", token, "-data", data, "-CAfile", self.root)
        return done.returncode == 0 and b"Verification: OK" in done.stdout + done.stderr


@contextmanager
def serving(authority: Authority) -> Iterator[Authority]:
    """Let an authority answer on loopback until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/timestamp-query"
            status, said = authority.answer(question)
            authority.answers.append(said)
            self.send_response(status)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    authority.address = f"http://127.0.0.1:{server.server_address[1]}/tsr"
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
