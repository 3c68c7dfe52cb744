"""The wire: one request over HTTP, and how far it got.

What went wrong before the whole question was out did not arrive, whatever it was: a name that nobody knows, a refused
connection, a certificate, a connection that broke half way. What went wrong afterwards leaves nobody who could tell.
urllib3 does not say which of the two it was, so the connection notes it.
"""

import threading
import time
from collections.abc import Mapping
from http.client import HTTPException
from importlib.metadata import version
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from tallystick.channels.answer import Answer, retry_after_ms
from tallystick.channels.speech import Speech
from tallystick.ledger.delivery import Retryable, Unconfirmed

CONNECT_S_MAX = 5.0
REST_S_MAX = 1.0  # a connection that has rested longer may have been closed at the other end, and nobody could tell
ANSWER_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 8  # kept open, as many as threads that send
_PIECE_BYTES = 65_536
_SHOWN = "/"  # what urllib3 believes that it asks for: it logs it, and the real one may be a secret


class _Here(threading.local):
    """What this thread asks for, and whether it has asked."""

    target = _SHOWN
    is_asked = False


_here = _Here()


class _Connection(HTTPConnection):
    """A connection that notes when the whole question is out, and trusts nobody who has rested too long."""

    _rests_since = 0.0

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self._rests_since < REST_S_MAX and super().is_connected

    def putrequest(self, method: str, url: str, *rest: bool, **named: bool) -> None:
        del url
        super().putrequest(method, _here.target, *rest, **named)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3 has it
        _here.is_asked = True
        response = super().getresponse()
        self._rests_since = time.monotonic()
        return response


class _TlsConnection(_Connection, HTTPSConnection):
    """The same, encrypted."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Wire:
    """Posts to one service; any number of threads may do so at once. Nothing is sent twice, no redirect followed."""

    def __init__(self, address: str, speech: Speech, *, timeout_ms: int, agent: str = "tallystick/{}") -> None:
        parts = urlsplit(address)
        timeout_s = timeout_ms / 1_000
        make = _TlsPool if parts.scheme == "https" else _Pool
        self._pool = make(
            parts.hostname or "",
            parts.port,
            timeout=Timeout(connect=min(timeout_s, CONNECT_S_MAX), read=timeout_s),
            maxsize=CONNECTIONS_MAX,
        )
        self._speech, self._timeout_s, self._agent = speech, timeout_s, agent.format(version("tallystick"))
        self._prefix = parts.path.rstrip("/")
        self._host = f"{parts.hostname}:{self._pool.port}"

    def post(self, target: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Post JSON and return what was answered, whatever the status.

        `target` is the path below the address, and a query if there is one, spelled as it goes over the wire.
        """
        _here.target, _here.is_asked = f"{self._prefix}{target}", False
        given = {"content-type": "application/json", "user-agent": self._agent, **(headers or {})}
        until = time.monotonic() + self._timeout_s
        try:
            response = self._pool.urlopen(
                "POST", _SHOWN, body=body, headers=given, retries=False, redirect=False, preload_content=False
            )
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise self._broken(error) from None  # what is inside may show what must not be shown
        finally:
            _here.target = _SHOWN
        after_ms = retry_after_ms(response.headers.get("retry-after"), time.time)
        return Answer(response.status, _body(response, until), after_ms)

    def close(self) -> None:
        """Close the connections that rest; those at work are closed when they have done it."""
        self._pool.close()

    def _broken(self, error: Exception) -> Exception:
        inner = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error
        why = f"{type(inner).__name__}: {inner}"
        if _here.is_asked:
            return Unconfirmed(self._speech(f"no answer from {self._host}: {why}"))
        return Retryable(self._speech(f"not sent to {self._host}: {why}"))


def _body(response: BaseHTTPResponse, until: float) -> bytes:
    """Return what comes of a body in time; the connection is used again only if that was all of it.

    What is missing is no error: the status has been said, and who needs the body sees that it makes no sense.
    """
    if getattr(response, "length_remaining", None) == 0:  # as most endpoints answer: to read nothing costs much
        response.release_conn()
        return b""
    kept = bytearray()
    try:
        while piece := response.read1(_PIECE_BYTES):
            kept += piece
            if len(kept) > ANSWER_BYTES_MAX or time.monotonic() > until:
                response.close()
                break
        else:
            response.release_conn()
    except (HTTPError, HTTPException, OSError, ValueError):
        response.close()
    return bytes(kept)
