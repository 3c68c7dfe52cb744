"""The receiver of the demo: an endpoint as somebody else would run it, in a process of its own.

Started by `told` with a port and the file that it writes what it hears to, a line of JSON each. The secret by which it
knows who signs is in the environment; without one it takes whatever comes.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
READY = "ready"
SECRET_VARIABLE = "DEMO_RECEIVER_SECRET"  # noqa: S105 - the name of a variable


class Receiver(BaseHTTPRequestHandler):
    """Verifies a message as it came, before anything parses it, and writes down what it says."""

    secret: str | None = None
    heard: Path

    def do_POST(self) -> None:
        """Take a message, unless it is not signed as it should be."""
        body = self.rfile.read(int(self.headers["content-length"]))
        message = self._verified(body)
        if message is not None:
            told = {
                "id": message["id"],
                "attempt": int(self.headers["webhook-attempt"]),
                "signed": self.secret is not None,
                "to": message["route"]["to"],
                "text": message["text"],
            }
            with self.heard.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(told)}\n")
        self.send_response(401 if message is None else 204)
        self.end_headers()

    def _verified(self, body: bytes) -> dict[str, Any] | None:
        if self.secret is not None:
            from standardwebhooks import Webhook, WebhookVerificationError

            try:
                Webhook(self.secret).verify(body, dict(self.headers))
            except WebhookVerificationError:
                return None
        said: dict[str, Any] = json.loads(body)["data"]
        return said

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the demo tells what arrived."""


def main(port: str, heard: str) -> None:
    """Listen until somebody ends us."""
    Receiver.secret, Receiver.heard = os.environ.get(SECRET_VARIABLE), Path(heard)
    with HTTPServer((HOST, int(port)), Receiver) as server:
        print(READY, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
