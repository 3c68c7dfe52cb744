"""The wire: one request over HTTP, and how far it got.

What went wrong before the whole question was out did not arrive, whatever it was: a name that nobody knows, a refused
connection, a certificate, a connection that broke half way. What went wrong afterwards leaves nobody who could tell.
"""

import io
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from functools import cache
from http.client import HTTPS_PORT, HTTPConnection, HTTPException, HTTPResponse
from importlib.metadata import version
from select import POLLIN, poll
from typing import Any
from urllib.parse import urlsplit

from tallystick.channels.answer import Answer, retry_after_ms
from tallystick.channels.speech import Speech
from tallystick.ledger.delivery import Retryable, Unconfirmed

CONNECT_S_MAX = 5.0
REST_S_MAX = 1.0  # a connection that has rested longer may have been closed at the other end, and nobody could tell
ANSWER_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 8  # kept open, as many as threads that send
_PIECE_BYTES = 65_536
_LEFT_S_MIN = 0.001  # none would be no time limit at all


class _Timely(io.RawIOBase):
    """What comes over a socket until a moment of the monotonic clock: each wait is for what is left of the time.

    The socket's own time limit begins again with every byte, and who sends them slowly enough would be heard for ever.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, until: float) -> None:
        self._raw, self._sock, self._until = raw, sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer did not come in time")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimelyResponse(HTTPResponse):
    """An answer that must be there, all of it, at a moment of the monotonic clock."""

    def __init__(self, sock: socket.socket, *given: Any, until: float, **more: Any) -> None:
        super().__init__(sock, *given, **more)
        raw: Any = self.fp
        self.fp = io.BufferedReader(_Timely(raw.detach(), sock, until))


def _connected(host: str, port: int, until: float) -> socket.socket:
    """Return a connection to one of the addresses that a name has, made before a moment of the monotonic clock.

    How long it takes to find them is up to the system. Raises `OSError`.
    """
    failed: OSError | None = None
    for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        left_s = until - time.monotonic()
        if left_s <= 0:
            break
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(left_s)
            made.connect(place)
        except OSError as error:
            made.close()
            failed = failed or error
        else:
            return made
    raise failed or TimeoutError("the name was not found in time")


class _Connection(HTTPConnection):
    """A connection that sends each question in one piece, and knows whether the whole of it is out."""

    is_asked = False
    _pieces: list[bytes] | None = None
    _rests_since = 0.0
    _until = 0.0

    def __init__(self, host: str, port: int, *, answer_s: float) -> None:
        super().__init__(host, port)
        self._answer_s = answer_s

    def connect(self) -> None:
        """Connect, to whichever address answers, within `CONNECT_S_MAX` and no more time than an answer has."""
        until = time.monotonic() + min(self._answer_s, CONNECT_S_MAX)
        self.sock = _connected(self.host, self.port, until)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._secure(max(until - time.monotonic(), _LEFT_S_MIN))

    def _secure(self, left_s: float) -> None:
        """Do what makes the connection private, within so many seconds."""

    def response_class(self, *given: Any, **more: Any) -> HTTPResponse:  # type: ignore[override] # it makes one
        """Return the answer that is to come."""
        return _TimelyResponse(*given, until=self._until, **more)

    def ask(self, target: str, body: bytes, headers: Mapping[str, str]) -> HTTPResponse:
        """Post this and return what is answered; `is_asked` says how far it got.

        Once it is connected there is so much time for the question and the answer together.
        """
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self._answer_s)
        self._until = time.monotonic() + self._answer_s
        self.is_asked, self._pieces = False, []
        self.putrequest("POST", target)
        for name, value in headers.items():
            self.putheader(name, value)
        self.putheader("content-length", str(len(body)))
        self.endheaders(body)
        pieces, self._pieces = self._pieces, None
        self.send(b"".join(pieces))
        self.is_asked = True
        return self.getresponse()

    def send(self, data: Any) -> None:
        """Send it, or keep it until all of a question is there: two pieces would wake everybody twice."""
        if self._pieces is None:
            super().send(data)
        else:
            self._pieces.append(data)

    def rest(self) -> None:
        """Nobody asks anything for a while."""
        self._rests_since = time.monotonic()

    def is_fresh(self) -> bool:
        """Whether the other end keeps it open, as far as anybody can tell: nothing has come, not even an end."""
        if time.monotonic() - self._rests_since >= REST_S_MAX:
            return False
        looking = poll()
        looking.register(self.sock, POLLIN)
        return not looking.poll(0)


@cache
def _trust() -> ssl.SSLContext:
    """Return whose word is taken for who somebody is. Kept, for to read all these certificates takes a while."""
    return ssl.create_default_context()


class _TlsConnection(_Connection):
    """The same, encrypted, with one who can prove who it is."""

    default_port = HTTPS_PORT

    def _secure(self, left_s: float) -> None:
        self.sock.settimeout(left_s)  # of the whole handshake
        self.sock = _trust().wrap_socket(self.sock, server_hostname=self.host)


class Wire:
    """Posts to one service; any number of threads may do so at once. Nothing is sent twice, no redirect followed."""

    def __init__(self, address: str, speech: Speech, *, timeout_ms: int, agent: str = "tallystick/{}") -> None:
        parts = urlsplit(address)
        self._kind = _TlsConnection if parts.scheme == "https" else _Connection
        self._host, self._port = parts.hostname or "", parts.port or self._kind.default_port
        self._speech, self._timeout_s, self._agent = speech, timeout_ms / 1_000, agent.format(version("tallystick"))
        self._prefix = parts.path.rstrip("/")
        self._resting: deque[_Connection] = deque(maxlen=CONNECTIONS_MAX)
        self._is_closed = False

    def post(self, target: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Post JSON and return what was answered, whatever the status.

        `target` is the path below the address, and a query if there is one, spelled as it goes over the wire.
        """
        given = {"content-type": "application/json", "user-agent": self._agent, **(headers or {})}
        connection = self._rested() or self._kind(self._host, self._port, answer_s=self._timeout_s)
        is_whole = False
        try:
            response = connection.ask(f"{self._prefix}{target}", body, given)
            said, is_whole = _body(response)
        except (HTTPException, OSError, ValueError) as error:
            raise self._broken(error, is_asked=connection.is_asked) from None  # inside is what must not be shown
        finally:
            if is_whole and connection.sock is not None and not self._is_closed:
                connection.rest()
                self._resting.append(connection)
            else:
                connection.close()
        return Answer(response.status, said, retry_after_ms(response.headers.get("retry-after"), time.time))

    def close(self) -> None:
        """Close the connections that rest; those at work are closed when they have done it."""
        self._is_closed = True
        while self._resting:
            self._resting.pop().close()

    def _rested(self) -> _Connection | None:
        """Return the connection that has rested least, if it can be trusted."""
        try:
            while not (connection := self._resting.pop()).is_fresh():
                connection.close()
        except IndexError:
            return None
        return connection

    def _broken(self, error: Exception, *, is_asked: bool) -> Exception:
        host, why = f"{self._host}:{self._port}", f"{type(error).__name__}: {error}"
        if is_asked:
            return Unconfirmed(self._speech(f"no answer from {host}: {why}"))
        return Retryable(self._speech(f"not sent to {host}: {why}"))


def _body(response: HTTPResponse) -> tuple[bytes, bool]:
    """Return what comes of a body in time, and whether that is all of it: then the connection can be used again.

    What is missing is no error: the status has been said, and who needs the body sees that it makes no sense.
    """
    said = bytearray()
    try:
        while response.length != 0 and (piece := response.read1(_PIECE_BYTES)):
            said += piece
            if len(said) > ANSWER_BYTES_MAX:
                return bytes(said), False
        is_whole = response.length == 0 or response.isclosed()
    except (HTTPException, OSError, ValueError):
        is_whole = False
    response.close()
    return bytes(said), is_whole
