"""What the tests of the archive share: small segments, and logs that were moved into them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.events import Event
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import TILE_WIDTH
from tests.ledger.store.sound import history

SEGMENT = 512  # two blocks
SIZE = 1_400  # two segments, a tile of the log's own, and an incomplete one
LATER = 1 << 50


def seal(log: DiskLog, *, segment_events: int = SEGMENT, segments: int = 1 << 30) -> int:
    """Move whole segments into the archive; return how many positions it has then."""
    sealing = Sealing(log, segment_events=segment_events)
    while segments and sealing.due(LATER, 0) is not None:
        while sealing.step():
            pass
        segments -= 1
    return log.archived()


def write(path: Path, size: int = SIZE) -> MemoryLog:
    """Make an archived log in a folder; return its twin in memory, which never was."""
    twin = MemoryLog()
    events, claims = history(size)
    twin.append(events, claims)
    with DiskLog.open(path) as log:
        log.append(events, claims)
        seal(log)
    return twin


def streams_of(log: EventLog) -> list[bytes]:
    return sorted({record.stream for record in log.read() if isinstance(record, Event)})


def answers(log: EventLog, streams: Sequence[bytes]) -> Iterator[object]:
    """Everything that a log answers, question by question."""
    head = log.head()
    yield head
    yield log.tree_head()
    yield list(log.read())
    yield list(log.read(after=head // 3, until=head // 2))
    yield list(log.bodies())
    yield [log.stream(stream) for stream in streams]
    yield [log.stream(stream, after_version=2) for stream in streams]
    yield log.histories(streams)
    yield log.records(1, head) if head else []
    yield [log.tile(0, index) for index in range(head // TILE_WIDTH)]
    yield sorted(row for rows in log.index() for row in rows)
    yield sorted(row for rows in log.claims() for row in rows)
