"""A log of which things are kept beside it, as somebody with a tool that writes to LMDB sees and changes it."""

from pathlib import Path

from tallystick.ledger.claims import claims_in
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.store import keys
from tallystick.ledger.store.disk import DiskLog
from tests.aside import marked
from tests.ledger.store import raw
from tests.ledger.store.make import Author, stream_id
from tests.ledger.store.sound import verified

ERASED = TaskErased(reason="the customer asked for it")
Rows = dict[bytes, bytes]


def claims_of(events: list[Event]) -> dict[bytes, bytes]:
    """The claims that a log has of what was created, the newest of each."""
    return {claim: event.stream for event in events for claim in claims_in(event.data) if event.version == 1}


def write(path: Path, events: list[Event], payloads: dict[int, Payloads], claims: dict[bytes, bytes]) -> None:
    with DiskLog.open(path) as log:
        log.append(events, claims, {}, payloads)


def tell(path: Path, *told: tuple[int, AnyFact], taken_over: dict[bytes, int] | None = None) -> None:
    """Write a history, each fact of the stream with this number and all its content aside, with claims that fit.

    But for those that were taken over by another stream.
    """
    author = Author()
    events, payloads = marked([event for number, data in told for event in author.write(number, data=data)])
    others = {claim: stream_id(number) for claim, number in (taken_over or {}).items()}
    write(path, events, payloads, claims_of(events) | others)


def rows_of(path: Path) -> Rows:
    with raw.opened(path) as database:
        return dict(database(keys.PAYLOADS).rows())


def put_rows(path: Path, rows: Rows) -> None:
    with raw.opened(path) as database:
        payloads = database(keys.PAYLOADS)
        for key, _ in payloads.rows():
            del payloads[key]
        for key, value in rows.items():
            payloads[key] = value


def details(path: Path) -> list[str]:
    return [problem.detail for problem in verified(path).problems]
