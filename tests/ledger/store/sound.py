"""A log that nobody has touched, for the tests that touch it, and what verification finds then."""

from pathlib import Path

from tallystick.ledger.claims import claims_of
from tallystick.ledger.events import Event
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.verify import Kind, Verification, verify
from tests.ledger.store.make import Author, stream_id
from tests.story import created

SIZE = 600  # two full tiles, the second one at 257, and 88 leaves in the last, from 513 on


def history(size: int = SIZE) -> tuple[list[Event], dict[bytes, bytes]]:
    """Tasks of four events each, created one after the other, with the claims of their runs."""
    author = Author()
    events: list[Event] = []
    claims: dict[bytes, bytes] = {}
    for number in range(size // 4):
        creation = created(run_id=f"run-{number}")
        events += author.write(number, data=creation)
        events += author.write(number, number, number)
        claims |= dict.fromkeys(claims_of(creation), stream_id(number))
    return events, claims


def write(path: Path, size: int = SIZE) -> None:
    with DiskLog.open(path) as log:
        log.append(*history(size))


def verified(path: Path) -> Verification:
    with DiskLog.open(path, readonly=True) as log:
        return verify(log)


def found(path: Path) -> list[tuple[int, Kind]]:
    return [(problem.position, problem.kind) for problem in verified(path).problems]
