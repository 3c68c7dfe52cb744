"""Those who are told in the demo: a webhook that is down at first, and an agent that sleeps until it is woken."""

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError

import tallystick
from tallystick.cli.demo import receiver
from tallystick.messages import SessionEvent

CHANNEL = "hook"
PATIENCE_S = 20.0
LOOK_S = 0.05
_LIBRARY = "standardwebhooks"  # of the extra `notify`
_KEY_BYTES = 32
_TIMEOUT_S = 5.0


class Endpoint:
    """A webhook on this machine. Nobody listens there until its receiver is `up`."""

    def __init__(self, folder: Path, *, is_signed: bool | None = None) -> None:
        self._heard = folder / "received.ndjson"
        self._port = _free_port()
        self.url = f"http://{receiver.HOST}:{self._port}/tasks"
        self.is_signed = find_spec(_LIBRARY) is not None if is_signed is None else is_signed
        self._secret = f"whsec_{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"

    def settings(self) -> dict[str, Any]:
        """Return what the configuration of a ledger says of it."""
        if self.is_signed:
            return {"kind": "webhook", "url": self.url, "secret": self._secret}
        return {"kind": "registered"}

    def serve(self, ledger: tallystick.Ledger) -> None:
        """Bring the sender along, where the libraries for one from the configuration are not installed."""
        if not self.is_signed:
            ledger.channel(CHANNEL, self.post)

    def post(self, delivery: tallystick.Delivery) -> tallystick.Receipt:
        """Send a message as a plain POST: what a channel of one's own looks like."""
        data = {"id": delivery.id, "text": delivery.text, "route": {"to": delivery.route.to}}
        headers = {"content-type": "application/json", "webhook-attempt": str(delivery.attempt)}
        request = urllib.request.Request(self.url, json.dumps({"data": data}).encode(), headers)  # noqa: S310 - ours
        try:
            urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()  # noqa: S310 - our own URL
        except URLError as error:
            if isinstance(error.reason, ConnectionRefusedError):
                raise tallystick.Retryable("connection refused") from error
            raise
        return tallystick.Receipt()

    @contextmanager
    def up(self) -> Iterator[None]:
        """Run the receiver while the block runs."""
        words = [sys.executable, "-m", receiver.__name__, str(self._port), str(self._heard)]
        secret = {receiver.SECRET_VARIABLE: self._secret} if self.is_signed else {}
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **secret}) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                yield
            finally:
                process.kill()

    def received(self) -> list[Mapping[str, Any]]:
        """Return what the receiver has heard so far, in order."""
        if not self._heard.exists():
            return []
        return [json.loads(line) for line in self._heard.read_text("utf-8").splitlines()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((receiver.HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Agent:
    """An agent that does not poll: it is woken, and takes what waits in its session."""

    def __init__(self, ledger: tallystick.Ledger, session: str) -> None:
        self.session = session
        self.taken: list[SessionEvent] = []
        self.wakes = 0
        self._ledger = ledger
        self._queue = ledger.session(session)
        self._woken: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ledger.on_wake(self._woken.put)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._woken.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (session := self._woken.get()) is not None:
            if session != self.session:
                continue
            self.wakes += 1
            while events := self._queue.take():
                self.taken.extend(events)
                self._queue.ack(events[-1].position)


def wait_until_told(ledger: tallystick.Ledger) -> None:
    """Wait until every message has arrived, but not for ever."""
    waiting = threading.Event()
    for _ in range(round(PATIENCE_S / LOOK_S)):
        outbox = ledger.status().outbox
        if not outbox.pending and not outbox.queued:
            return
        waiting.wait(LOOK_S)
