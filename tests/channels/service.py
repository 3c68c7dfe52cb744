"""A service on loopback: it answers what the test has said, and remembers to the byte what it was asked."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from msgspec import Struct, field

PATIENCE_S = 20.0


class Question(Struct, frozen=True):
    """One request, as it came; the names of headers in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Reply(Struct, frozen=True, kw_only=True):
    """What is answered: a status, a body (JSON if it is no bytes) and headers."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = {}

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)


class Break(Struct, frozen=True, kw_only=True):
    """Instead of an answer the connection is closed, and what was sent until then."""

    is_read: bool = True
    sent: bytes = b""


class Hold(Struct, frozen=True):
    """No answer until the test says so, or is over."""

    is_over: threading.Event = field(default_factory=threading.Event)


class Service:
    """What a test sees of the service: its address, what it was asked, and what it answers next; the last for good."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.questions: list[Question] = []
        self.answers: deque[Reply | Break | Hold] = deque([Reply()])
        self.lock = threading.Condition()
        self.is_over = threading.Event()

    def says(self, *answers: Reply | Break | Hold) -> None:
        with self.lock:
            self.answers = deque(answers)

    def next(self) -> Reply | Break | Hold:
        with self.lock:
            return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    @property
    def question(self) -> Question:
        """The only one that it was asked; waited for, because a client may give up before it was read."""
        with self.lock:
            self.lock.wait_for(lambda: self.questions, PATIENCE_S)
        [question] = self.questions
        return question


@contextmanager
def serving() -> Iterator[Service]:
    """Run a service on a free port for a while."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    service = Service(server.server_address[1])
    server.service = service  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        service: Service = self.server.service  # type: ignore[attr-defined]
        answer = service.next()
        if isinstance(answer, Break) and not answer.is_read:
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with service.lock:
            question = Question(self.command, self.path, headers, body, self.client_address[1])
            service.questions.append(question)
            service.lock.notify_all()
        if isinstance(answer, Hold):
            while not answer.is_over.wait(0.02) and not service.is_over.is_set():
                pass
            self.close_connection = True
        elif isinstance(answer, Break):
            self.wfile.write(answer.sent)
            self.close_connection = True
        else:
            self._answer(answer)

    def do_GET(self) -> None:  # what a client that follows redirects would ask
        self.do_POST()

    def _answer(self, answer: Reply) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "content-type" not in {name.lower() for name in answer.headers}:
            self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer.raw)))
        self.end_headers()
        self.wfile.write(answer.raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as http.server has it
        pass
