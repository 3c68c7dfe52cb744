"""Parts for the tests of erasing: what the databases of a ledger's folder have, to the byte, and one that is erased."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Struct

from tallystick import Config
from tallystick.config import Payloads
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.limits import TIME_MS_MAX
from tallystick.ledger.store.disk import DiskLog
from tallystick.sync import Ledger

ASIDE = Config(payloads=Payloads(aside="content"))
"""All content is kept beside the log."""

WRITTEN = '[payloads]\naside = "content"\n'
"""The same as a file."""

SECRET = "s3cret"
WHY = "asked for by the customer"
OWNER = "agent:main:main"

SEARCH = """
import sys
from pathlib import Path

import lmdb
import msgspec

from tallystick.ledger.store.disk import DiskLog

TABLES_MAX = 64


def rows(folder):
    with lmdb.open(str(folder), readonly=True, max_dbs=TABLES_MAX) as env:
        with env.begin() as txn:
            names = list(txn.cursor().iternext(values=False))
        for name in names:
            database = env.open_db(name, create=False)
            with env.begin() as txn:
                for key, value in txn.cursor(database):
                    yield name.decode(), key + b" " + value


def places(ledger):
    for data in sorted(ledger.rglob("data.mdb")):
        for table, row in rows(data.parent):
            yield f"{data.parent.relative_to(ledger)}/{table}", row
    for other in sorted(ledger.rglob("*")):
        if other.is_file() and not other.name.endswith(".mdb"):
            yield str(other.relative_to(ledger)), other.read_bytes()
    with DiskLog.open(ledger / "log", readonly=True) as log:  # what is archived is compressed
        for position, body in log.bodies(0, log.archived()):
            yield "log/archive", body


def found(ledger, secrets, looks=100):
    rows_of = places(ledger)
    try:
        return [[place, secret, row.hex()] for place, row in rows_of for secret in secrets if secret.encode() in row]
    except (lmdb.Error, FileNotFoundError):  # an inbox that is being made was put in its place meanwhile
        if not looks:
            raise
    return found(ledger, secrets, looks - 1)


for line in sys.stdin.buffer:
    ledger, secrets = msgspec.json.decode(line)
    sys.stdout.buffer.write(msgspec.json.encode(found(Path(ledger), secrets)) + b"\\n")
    sys.stdout.buffer.flush()
"""


def asked(ledger: Any, **more: Any) -> Any:
    """Return a task whose every text has the secret."""
    given: dict[str, Any] = {
        "runtime": "subagent",
        "task": f"Write to {SECRET}",
        "label": f"{SECRET}'s mail",
        "owner": OWNER,
        "origin": {"channel": "chat", "to": f"{SECRET}-49"},
        "metadata": {"customer": SECRET, f"{SECRET}-key": "1"},
        "run_id": "run-1",
        "notify": "state_changes",
    }
    return ledger.create(**{**given, **more})


def ended(ledger: Any, **more: Any) -> Any:
    """Return one that has ended well."""
    task = asked(ledger, **more)
    task.progress(f"{SECRET} reads it", phase=f"{SECRET} at work")
    task.succeed(f"{SECRET} is answered", artifacts=[f"file:///{SECRET}"])
    return task


def seal(ledger: Ledger, *, segment_events: int) -> None:
    """Move all whole segments of the log into its archive, small ones, so that there are some soon."""
    log = ledger._house.readings.log  # noqa: SLF001 - a ledger of its own has larger ones
    assert isinstance(log, DiskLog)
    sealing = Sealing(log, segment_events=segment_events)
    try:
        while sealing.due(TIME_MS_MAX, 0) is not None:
            while sealing.step():
                pass
    finally:
        sealing.close()


class Found(Struct, frozen=True):
    """A secret in the value or the key of a database, or in a file: which database, and the whole row."""

    place: str
    secret: str
    row: bytes


class Searcher:
    """A process that looks for secrets in everything that a ledger's folder has.

    In a process of its own, for the ledger is open in this one, and LMDB allows a process to open a folder once.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-c", SEARCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=20)

    def find(self, ledger: Path, *secrets: str) -> list[Found]:
        """Return where these secrets are: in any key or value of any database, or in any other file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode((str(ledger), secrets)) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        return [Found(place, secret, bytes.fromhex(row)) for place, secret, row in msgspec.json.decode(answer)]
