"""What is kept beside the events: the notes of a log, the rows of its read models, and small files of a ledger."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import msgspec

from tallystick.actors.telling import CHANNELS_NOTE, registered_names
from tallystick.ledger.errors import NotProved
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.memory import MemoryLog
from tallystick.owner import LOCK_NAME, OWNER_NOTE, OwnerInfo, OwnerLock, kept_by, live_owner, owner_in_words, owners
from tallystick.projections import acknowledged, attested, checkpoint, pauses, rows, watched
from tallystick.projections.quarantine import Quarantined
from tallystick.runtimes.history import FILE_NAME, RunEnd, RunHistory
from tests.fuzz.target import Target, place
from tests.proofs.parts import ORIGIN, signed
from tests.story import STREAM, Story, created

Looks = Callable[[MemoryLog], object]

_WHO: Final = OwnerInfo(host="here", pid=1, boot_id="b", started_at=2, ticks=3, since=4)
_SHOWN: Final = attested.Attestation(5, signed(5), b"token", (attested.Standing("w+1", 5, 6), attested.Standing("x")))


def _kept(log: MemoryLog) -> None:
    """What a log keeps as its newest checkpoint, to everybody who looks at it."""
    checkpoint.newest(log)
    checkpoint.is_unreadable(log, ORIGIN)
    checkpoint.in_the_way(log, ORIGIN)
    checkpoint.kept(log)


_LOOKS: Mapping[bytes, Looks] = {
    attested.NEWEST: attested.attested,
    attested.SLOTS + b"h\0\0": attested.attestations,
    acknowledged.NOTE + bytes(8): acknowledged.acknowledged,
    pauses.PAUSED_NOTE + bytes(8): pauses.paused,
    watched.WATCHED_NOTE: watched.watched,
    watched.WATCHED_NOTE + b":00": watched.watched,
    OWNER_NOTE + bytes(8): lambda log: (owners(log), kept_by(log)),
    CHANNELS_NOTE: registered_names,
    CHECKPOINT_NOTE: _kept,
}
"""Who reads the notes of each name."""


@cache
def _notes() -> list[bytes]:
    """A note of each kind as this version writes it, behind the number of its kind."""
    damage = Quarantined(3, 4, "broken", STREAM)
    standing = pauses.Standing("webhook/a", 3, 1, 2, "it is gone")
    seen = watched.note_of(0, {STREAM: 5}, {STREAM: watched.Unknown(1, "probe", "detail")})[1]
    values = [
        msgspec.msgpack.encode(_SHOWN),
        msgspec.msgpack.encode(_SHOWN),
        acknowledged.note_of(damage, "me", 1)[1],
        pauses.note_of("webhook/a", standing)[1],
        watched.note_of_all(7)[1],
        seen,
        msgspec.msgpack.encode(_WHO),
        msgspec.msgpack.encode(("a", "b")),
        signed(5),
    ]
    return [bytes([number]) + value for number, value in enumerate(values)]


def _note(data: bytes) -> None:
    name, look = [*_LOOKS.items()][data[0] % len(_LOOKS)]
    log = MemoryLog()
    log.append((), {}, {name: data[1:]})
    look(log)


def _row(data: bytes) -> None:
    assert STREAM == rows.unpack(STREAM, data).stream


@cache
def _rows() -> list[bytes]:
    story = Story(created(run_id="run-1", label="a", metadata={"a": "b"}))
    return [rows.pack(story.record), rows.pack(Story(created(task="x")).record)]


def _files(data: bytes) -> None:
    folder = place("files")
    lock = OwnerLock.take(folder, _WHO)
    try:
        (folder / LOCK_NAME).write_bytes(data)
        owner = live_owner(folder)
        assert owner is None or owner_in_words(owner)
    finally:
        lock.release()


def _runs(data: bytes) -> None:
    folder = place("runs")
    (folder / FILE_NAME).write_bytes(data)
    history = RunHistory(folder)
    assert len(history) <= data.count(b"\n") + data.count(b"\r") + 1
    history.close()


TARGETS = (
    Target(name="note-beside", seeds=_notes, read=_note, refusals=(NotProved, IndexError)),
    Target(name="row", seeds=_rows, read=_row, refusals=(rows.ViewsDamaged,)),
    Target(name="owner", seeds=lambda: [msgspec.json.encode(_WHO)], read=_files, words=("pid", "host", "transient")),
    Target(
        name="runs",
        seeds=lambda: [msgspec.json.encode(RunEnd("run-1", "failed", 5, None, "gone")) + b"\n"],
        read=_runs,
        words=("runId", "status", "endedAt"),
    ),
)
