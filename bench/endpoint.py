"""The endpoint: a receiver of webhooks in a process of its own, which notes when each message was there.

As cheap as a correct one can be, for it shares the machine with what is measured: one thread, sockets without a
library above them, connections that stay. CLOCK_MONOTONIC is the same in all processes of a machine.
"""

import re
import selectors
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

import msgspec

HOST = "127.0.0.1"
PIECE_BYTES = 1 << 16
BACKLOG = 64
END_OF_HEAD = b"\r\n\r\n"
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: *([^\r]+)", re.IGNORECASE)
_SERVE = "import sys; from tallystick.bench.endpoint import serve; serve(int(sys.argv[1]))"


class Endpoint:
    """Has its port from the beginning, and refuses connections until it is told to listen."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind((HOST, 0))
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/messages"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(self._socket.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._socket.fileno()],
        )
        self._ask("there")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._socket.close()

    def listen(self) -> None:
        """Take messages from now on."""
        self._ask("listen")

    def arrivals(self) -> dict[str, list[float]]:
        """Return when each message came (`time.monotonic()`), by its id."""
        found: dict[str, list[float]] = self._ask("arrivals")
        return found

    def _ask(self, word: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline())


class _Server:
    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._selector = selectors.DefaultSelector()
        self._arrivals: dict[str, list[float]] = {}

    def run(self) -> None:
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._told)
        while True:
            for key, _events in self._selector.select():
                key.data()

    def _told(self) -> None:
        word = sys.stdin.readline().strip()
        if not word:
            sys.exit()
        if word == "listen":
            self._listening.listen(BACKLOG)
            self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        answer = self._arrivals if word == "arrivals" else word
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        sys.stdout.flush()

    def _accept(self) -> None:
        connection, _address = self._listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(connection, buffer))

    def _read(self, connection: socket.socket, buffer: bytearray) -> None:
        try:
            piece = connection.recv(PIECE_BYTES)
        except OSError:
            piece = b""
        now = time.monotonic()
        if not piece:
            self._selector.unregister(connection)
            connection.close()
            return
        buffer += piece
        while (head := buffer.find(END_OF_HEAD)) >= 0:
            length, name = _LENGTH.search(buffer, 0, head), _ID.search(buffer, 0, head)
            end = head + len(END_OF_HEAD) + (int(length[1]) if length else 0)
            if len(buffer) < end:
                return
            assert name is not None, "a message has an id"
            self._arrivals.setdefault(name[1].decode(), []).append(now)
            del buffer[:end]
            connection.sendall(ANSWER)


def serve(listening: int) -> None:
    """Serve on a socket that was bound, until nobody says any more what to do."""
    _Server(socket.socket(fileno=listening)).run()
