"""The wire, seen from the other end: what comes over which connection, and in how many pieces."""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from tallystick.channels.answer import Answer
from tallystick.channels.speech import Speech
from tallystick.channels.wire import ANSWER_BYTES_MAX, Wire
from tallystick.ledger.delivery import Unconfirmed

PATIENCE_S = 20.0
BODY = b'{"said": "Done"}'
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + SHORT
UNTIL_THE_END = b"HTTP/1.0 200 OK\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
BROKEN_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * ANSWER_BYTES_MAX) + b"x" * 2 * ANSWER_BYTES_MAX


SLOW = b"HTTP/1.1 200 OK\r\nX: " + b"slowly " * 1_000 + b"\r\nContent-Length: 2\r\n\r\nok"
CONTINUED_FOR_EVER = b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000
SLOW_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"slowly " * 1_000


class Listener:
    """Answers questions with bytes, the last for good; notes what it read at once, by connection."""

    def __init__(self, server: socket.socket) -> None:
        self._server, self.port = server, server.getsockname()[1]
        self.answers: deque[tuple[bytes, bool]] = deque([(SHORT, False)])
        self.heard: list[list[bytes]] = []
        """The pieces that came over each connection."""
        self.has_closed = threading.Event()
        self.pause_s = 0.0
        """Between two bytes of an answer."""

    def says(self, *answers: bytes, then_closes: bool = False) -> None:
        self.answers = deque((answer, then_closes) for answer in answers)

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            pieces: list[bytes] = []
            self.heard.append(pieces)
            threading.Thread(target=self._serve, args=(connection, pieces), daemon=True).start()

    def _serve(self, connection: socket.socket, pieces: list[bytes]) -> None:
        with connection, suppress(OSError):  # who asked may have heard enough
            while piece := connection.recv(1 << 16):
                pieces.append(piece)
                answer, then_closes = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
                self._say(connection, answer)
                if then_closes:
                    break
        self.has_closed.set()

    def _say(self, connection: socket.socket, answer: bytes) -> None:
        if not self.pause_s:
            connection.sendall(answer)
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        never = threading.Event()
        for byte in answer:
            connection.sendall(bytes([byte]))
            never.wait(self.pause_s)


@contextmanager
def listening(family: socket.AddressFamily = socket.AF_INET, host: str = "127.0.0.1") -> Iterator[Listener]:
    with closing(socket.create_server((host, 0), family=family)) as server:
        listener = Listener(server)
        thread = threading.Thread(target=listener.run)
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


@contextmanager
def wire_to(listener: Listener, host: str = "127.0.0.1", path: str = "", timeout_ms: int = 10_000) -> Iterator[Wire]:
    wire = Wire(f"http://{host}:{listener.port}{path}", Speech("ops", "webhook"), timeout_ms=timeout_ms)
    try:
        yield wire
    finally:
        wire.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def test_a_question_comes_in_one_piece(listener: Listener) -> None:
    with wire_to(listener, path="/base/") as wire:
        assert Answer(200, b"ok") == wire.post("/hook?key=1", BODY, {"x-id": "7"})

    [[question]] = listener.heard
    head, _, body = question.partition(b"\r\n\r\n")
    assert body == BODY
    assert head.startswith(b"POST /base/hook?key=1 HTTP/1.1\r\n")
    assert b"\r\nx-id: 7" in head


@pytest.mark.parametrize("answer", [NOTHING, SHORT, CHUNKED, REFUSED, CONTINUED])
def test_a_connection_is_used_again_when_all_of_an_answer_was_heard(listener: Listener, answer: bytes) -> None:
    listener.says(answer)
    with wire_to(listener) as wire:
        for _ in range(3):
            wire.post("/", BODY)

    assert [3] == [len(pieces) for pieces in listener.heard]


@pytest.mark.parametrize("answer", [UNTIL_THE_END, CLOSING, BROKEN_OFF, LARGE])
def test_a_connection_is_not_used_again_when_that_may_be_wrong(listener: Listener, answer: bytes) -> None:
    listener.says(answer, then_closes=answer is not LARGE)
    with wire_to(listener) as wire:
        answers = [wire.post("/", BODY) for _ in range(2)]

    assert [1, 1] == [len(pieces) for pieces in listener.heard]
    assert all(each.is_success and len(each.body) <= ANSWER_BYTES_MAX + (1 << 16) for each in answers)


def test_a_connection_that_the_other_end_closed_without_a_word_is_not_used_again(listener: Listener) -> None:
    listener.says(SHORT, then_closes=True)
    with wire_to(listener) as wire:
        wire.post("/", BODY)
        assert listener.has_closed.wait(PATIENCE_S)
        assert wire.post("/", BODY).is_success

    assert [1, 1] == [len(pieces) for pieces in listener.heard]


def test_after_a_question_that_nobody_answered_a_new_connection_is_made(listener: Listener) -> None:
    listener.says(b"", SHORT, then_closes=True)
    with wire_to(listener) as wire:
        with pytest.raises(Unconfirmed, match="no answer from 127"):
            wire.post("/", BODY)
        assert wire.post("/", BODY).is_success


def test_a_closed_wire_lets_go_of_what_rests_and_keeps_nothing_open(listener: Listener) -> None:
    with wire_to(listener) as wire:
        wire.post("/", BODY)
        wire.close()
        assert listener.has_closed.wait(PATIENCE_S)
        listener.has_closed.clear()
        assert wire.post("/", BODY).is_success
        assert listener.has_closed.wait(PATIENCE_S)


@pytest.mark.parametrize("answer", [SLOW, CONTINUED_FOR_EVER], ids=["headers", "continued"])
def test_who_answers_a_byte_at_a_time_is_given_up_when_the_time_is_over(listener: Listener, answer: bytes) -> None:
    listener.says(answer)
    listener.pause_s = 0.01
    began = time.monotonic()
    with wire_to(listener, timeout_ms=200) as wire, pytest.raises(Unconfirmed, match="no answer from 127"):
        wire.post("/", BODY)

    assert 0.2 <= time.monotonic() - began < 2.0  # all of it would take a minute and more
    assert listener.has_closed.wait(PATIENCE_S)


def test_no_single_wait_is_longer_than_what_is_left_of_the_time(listener: Listener) -> None:
    listener.says(SLOW)
    listener.pause_s = 0.5
    began = time.monotonic()
    with wire_to(listener, timeout_ms=600) as wire, pytest.raises(Unconfirmed):
        wire.post("/", BODY)

    assert time.monotonic() - began < 0.9  # the third byte comes after a second


def test_of_a_body_that_comes_too_slowly_there_is_what_came_in_time(listener: Listener) -> None:
    listener.says(SLOW_BODY)
    listener.pause_s = 0.001
    began = time.monotonic()
    with wire_to(listener, timeout_ms=500) as wire:
        answer = wire.post("/", BODY)

    assert time.monotonic() - began < 2.0
    assert 200 == answer.status
    assert len(answer.body) < 7_000


def test_the_time_of_an_answer_begins_with_each_question(listener: Listener) -> None:
    with wire_to(listener, timeout_ms=500) as wire:
        wire.post("/", BODY)
        threading.Event().wait(0.4)
        listener.pause_s = 0.005  # 40 bytes
        assert wire.post("/", BODY).is_success

    assert [2] == [len(pieces) for pieces in listener.heard]


@pytest.mark.skipif(not socket.has_ipv6, reason="the machine has no IPv6")
def test_an_address_of_ipv6_is_reached_and_named_in_brackets() -> None:
    with listening(socket.AF_INET6, "::1") as listener, wire_to(listener, "[::1]") as wire:
        assert wire.post("/", BODY).is_success

    [[question]] = listener.heard
    assert b"\r\nhost: [::1]:" in question.lower()
