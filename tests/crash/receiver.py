"""The receiver: a service on loopback that outlives whoever sends to it, and keeps what arrived. And who sends to it.

It is not a good one: now and then it asks for patience, wants nothing of a message, or keeps one and hangs up.
"""

import socket
import threading
from collections import Counter, defaultdict
from contextlib import suppress
from hashlib import blake2b
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Self

import msgspec
from msgspec import Struct

from tallystick import Delivery, Permanent, Receipt, Retryable

HOST = "127.0.0.1"
PATIENCE_S = 20.0
KEPT, LATER, NEVER, NOTHING = b"kept\n", b"later\n", b"never\n", b""

# Of 256 messages so many meet each bad day, by their id and the attempt: whoever is killed and tries again meets it
# again.
LATER_SHARE, SILENT_SHARE, NEVER_SHARE = 10, 10, 5


class Arrival(Struct, frozen=True):
    """What one attempt brought."""

    id: str
    text: str
    to: str | int
    thread: str | int | None
    attempt: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Arrival).decode


def answer_to(arrival: Arrival) -> bytes:
    """Return how the receiver answers, if it is there."""
    luck = blake2b(f"{arrival.id} {arrival.attempt}".encode(), digest_size=1).digest()[0]
    for share, answer in ((LATER_SHARE, LATER), (SILENT_SHARE, NOTHING), (NEVER_SHARE, NEVER)):
        if luck < share:
            return answer
        luck -= share
    return KEPT


class _Connection(StreamRequestHandler):
    """One line for each attempt, and one for each answer. Half a line is none: its sender was killed."""

    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        with suppress(ConnectionError):
            while (line := self.rfile.readline()).endswith(b"\n"):
                answer = self.server.receiver.take(_decode(line))
                if answer == NOTHING:
                    return
                self.wfile.write(answer)


class _Server(ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, receiver: "Receiver") -> None:
        super().__init__((HOST, 0), _Connection)
        self.receiver = receiver


class Receiver:
    """Keeps every arrival. While it is down it asks everybody for patience."""

    def __init__(self) -> None:
        self.is_down = False
        self.arrivals: defaultdict[str, list[Arrival]] = defaultdict(list)
        self.answers: Counter[bytes] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, arrival: Arrival) -> bytes:
        """Keep what arrived, unless it is answered that it was not kept."""
        answer = LATER if self.is_down else answer_to(arrival)
        with self._lock:
            self.answers[answer] += 1
            if answer in (KEPT, NOTHING):
                self.arrivals[arrival.id].append(arrival)
        return answer

    def duplicates(self) -> int:
        """How many arrivals there were beyond the first of each message."""
        return sum(len(each) - 1 for each in self.arrivals.values())


class Chat:
    """Sends to a receiver, over connections that are kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._resting: list[socket.socket] = []

    def send(self, delivery: Delivery) -> Receipt:
        """Send one message, and understand the answer."""
        route = delivery.route
        assert route.to is not None, "a route is complete"
        line = _encode(Arrival(delivery.id, delivery.text, route.to, route.thread, delivery.attempt)) + b"\n"
        connection = self._connection()
        try:
            connection.sendall(line)
            answer = connection.recv(len(LATER))
        except OSError:
            connection.close()
            raise
        if answer == NOTHING:
            connection.close()
            raise ConnectionResetError("it hung up, and may have kept it")
        self._resting.append(connection)
        if answer == LATER:
            raise Retryable("it asks for patience")
        if answer == NEVER:
            raise Permanent("it does not want it")
        assert answer == KEPT, answer
        return Receipt()

    def _connection(self) -> socket.socket:
        with suppress(IndexError):
            return self._resting.pop()
        try:
            return socket.create_connection((HOST, self._port), PATIENCE_S)
        except OSError as error:
            raise Retryable(f"it is not there: {error}") from error

    def close(self) -> None:
        """Close what rests."""
        while self._resting:
            self._resting.pop().close()
