"""A witness on loopback, as C2SP tlog-witness has it: it keeps the newest tree of a log, and cosigns what goes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.ledger.errors import InvalidInput, NotProved
from tallystick.ledger.proofs.checkpoint import open_checkpoint
from tallystick.ledger.proofs.keys import COSIGNATURE, VerifierKey, parse_vkey
from tallystick.ledger.proofs.note import Signature
from tallystick.ledger.proofs.proving import verify_consistency
from tallystick.ledger.proofs.tlog_proof import claimed, parse_consistency_proof
from tallystick.ledger.store.tree import EMPTY_ROOT

SEEN_AT = 1_790_000_123


class Witness:
    """What it knows: the keys of one log, and the tree that it cosigned last."""

    def __init__(self, *log_keys: str, name: str = "witness.example/w1") -> None:
        self._secret = Ed25519PrivateKey.generate()
        self.key = VerifierKey(name, COSIGNATURE, self._secret.public_key().public_bytes_raw())
        self.log_keys = tuple(map(parse_vkey, log_keys))
        self.size, self.root = 0, EMPTY_ROOT
        self.asked: list[bytes] = []
        self.answers: list[int] = []
        self.address = ""
        self.instead: tuple[int, bytes] | None = None
        """What it answers whatever it is asked, if anything."""
        self.hangs = threading.Event()
        """While it is set, nobody gets an answer."""
        self.goes_on = threading.Event()

    @property
    def configured(self) -> str:
        return f"{self.key.text} {self.address}"

    def cosignature(self, text: bytes, at: int = SEEN_AT) -> Signature:
        signed = self._secret.sign(f"cosignature/v1\ntime {at}\n".encode() + text)
        return Signature(self.key.name, self.key.key_id, at.to_bytes(8) + signed)

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Do what the specification says, in its order."""
        self.asked.append(body)
        if self.instead is not None:
            return self.instead
        try:
            proof = parse_consistency_proof(body)
        except InvalidInput:
            return 400, b""
        tree = claimed(proof)
        if tree.origin not in {key.name for key in self.log_keys}:
            return 404, b""
        try:
            opened = open_checkpoint(proof.checkpoint, *self.log_keys)
        except NotProved:
            return 403, b""
        if proof.old > tree.size:
            return 400, b""
        if proof.old != self.size:
            return 409, b"%d\n" % self.size
        if proof.old == tree.size and tree.root_hash != self.root:
            return 409, b"%d\n" % self.size
        if proof.old == 0 and proof.hashes:
            return 422, b""
        try:
            verify_consistency(proof, (self.size, self.root), *self.log_keys)
        except NotProved:
            return 422, b""
        self.size, self.root = tree.size, tree.root_hash
        return 200, f"{self.cosignature(opened.note.text.encode()).line}\n".encode()


@contextmanager
def serving(witness: Witness) -> Iterator[Witness]:
    """Let a witness answer on loopback until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if witness.hangs.is_set():
                witness.asked.append(body)
                witness.goes_on.wait(60)
                return
            status, said = witness.answer(body) if self.path == "/at/add-checkpoint" else (404, b"")
            witness.answers.append(status)
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    witness.address = f"http://127.0.0.1:{server.server_address[1]}/at"
    try:
        yield witness
    finally:
        witness.goes_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
