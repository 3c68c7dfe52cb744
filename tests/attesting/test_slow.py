"""Who answers slowly holds the thread that waits no longer than there is time, however its bytes come."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tallystick.ledger.limits import ATTEST_TIMEOUT_MS
from tallystick.testing import HandClock
from tests.attesting.witness import Witness
from tests.notary.parts import ORDINARY, Place

pytestmark = pytest.mark.slow

PAUSE_S = 0.05
HEADERS = b"HTTP/1.1 200 OK\r\nX: " + b"slowly " * 1_000


@pytest.fixture
def slow() -> Iterator[str]:
    """The address of somebody who begins to answer, and goes on a byte at a time until nobody listens any more."""
    is_over = threading.Event()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in HEADERS:
                    connection.sendall(bytes([byte]))
                    is_over.wait(PAUSE_S)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/at"
        is_over.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_witness_that_answers_a_byte_at_a_time_is_given_up_and_the_ledger_goes_on(tmp_path: Path, slow: str) -> None:
    place = Place(tmp_path)
    place.new_key()
    with place.open(0, clock=HandClock(), witness=f"{Witness().key.text} {slow}") as ledger:
        ledger.create(**ORDINARY)
        began = time.monotonic()
        [standing] = ledger.attest().standings
        took_ms = (time.monotonic() - began) * 1_000

    assert "no answer" in (standing.failure or "")
    assert took_ms < 2 * ATTEST_TIMEOUT_MS  # all of it would take six minutes
