"""The replayers: processes that fold a large log together, each its share of the tasks.

The events of a task follow each other, those of different tasks do not; so each process reads all of the log, decodes
and folds what belongs to its share, and the shares put together are the whole. This process folds one of them itself.
Each opens the log for itself: what one process has opened in LMDB, no other may use.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from tallystick.ledger.errors import UNREADABLE, Corrupt
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import EventLog
from tallystick.moments import When
from tallystick.replaying import Misplaced, Progress, Replayed, Share, folded

_CODE = "from tallystick.replayers import main; main()"
RECORDS_AT_ONCE = 4_096  # of a share that are told together: what is packed twice is short
_LENGTH_BYTES = 8


class _Job(Struct, frozen=True, array_like=True):
    """What a process is asked."""

    log: str
    when: When
    until: int
    share: Share


class _Some(Struct, frozen=True, array_like=True):
    """Some tasks of a share: their ids one behind the other, and their records."""

    streams: bytes
    records: list[TaskRecord]


class _Rest(Struct, frozen=True, array_like=True):
    """What else a share has come to, and what says that all of it was told."""

    flows: list[tuple[bytes, FlowRecord]]
    skipped: list[tuple[bytes, str, int | None]]
    damaged: list[int]


_pack = msgspec.msgpack.Encoder().encode
_unpack_job = msgspec.msgpack.Decoder(_Job).decode
_unpack_some = msgspec.msgpack.Decoder(_Some).decode
_unpack_rest = msgspec.msgpack.Decoder(_Rest).decode


def together(
    log: EventLog, when: When, until: int, *, folder: Path, processes: int, progress: Progress | None
) -> Replayed | None:
    """Fold a log up to a position with so many processes, this one among them.

    None when the shares cannot be folded apart, or another process could not do its part: then somebody does it alone.
    """
    with ExitStack() as after:
        others = []
        try:
            for number in range(1, processes):
                others.append(_asked(_Job(str(folder), when, until, Share(number, processes))))
                after.callback(_end, others[-1])
            told = folded(log, when, until, share=Share(0, processes), progress=progress)
            for other in others:
                _take(other, told)
        except (Misplaced, OSError, EOFError, *UNREADABLE):
            return None
    told.damaged.sort()
    return told


def _asked(job: _Job) -> "subprocess.Popen[bytes]":
    # What this process imports, that one does too.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    other = subprocess.Popen(
        [sys.executable, "-P", "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert other.stdin is not None, "it is a pipe"
    with other.stdin as asked:
        asked.write(_pack(job))
    return other


def _end(other: "subprocess.Popen[bytes]") -> None:
    other.kill()
    if other.stdout is not None:
        other.stdout.close()
    other.wait()


def _take(other: "subprocess.Popen[bytes]", told: Replayed) -> None:
    """Take in what another process has folded. Raises `EOFError` when it ended early."""
    assert other.stdout is not None, "it is a pipe"
    while True:
        some = _unpack_some(_frame(other.stdout))
        if not some.records:
            break
        streams = some.streams
        told.records.update(
            (streams[start : start + ID_BYTES], record)
            for start, record in zip(range(0, len(streams), ID_BYTES), some.records, strict=True)
        )
    rest = _unpack_rest(_frame(other.stdout))
    told.flows.update(rest.flows)
    told.skipped.update((stream, Corrupt(detail, position=position)) for stream, detail, position in rest.skipped)
    told.damaged.extend(rest.damaged)


def _frame(pipe: IO[bytes]) -> bytes:
    length = pipe.read(_LENGTH_BYTES)
    frame = pipe.read(int.from_bytes(length))
    if len(length) < _LENGTH_BYTES or len(frame) < int.from_bytes(length):
        raise EOFError("another process ended before it had told everything")
    return frame


def main() -> None:
    """Fold a share as another process wants it, and tell it on standard output."""
    job = _unpack_job(sys.stdin.buffer.read())
    with DiskLog.open(Path(job.log), readonly=True, create=False) as log:
        told = folded(log, job.when, job.until, share=job.share)
    streams = list(told.records)
    for start in range(0, len(streams), RECORDS_AT_ONCE):
        some = streams[start : start + RECORDS_AT_ONCE]
        _tell(_Some(b"".join(some), [told.records[stream] for stream in some]))
    _tell(_Some(b"", []))
    skipped = [(stream, error.detail, error.position) for stream, error in told.skipped.items()]
    _tell(_Rest(list(told.flows.items()), skipped, told.damaged))
    sys.stdout.buffer.flush()


def _tell(what: Struct) -> None:
    frame = _pack(what)
    sys.stdout.buffer.write(len(frame).to_bytes(_LENGTH_BYTES))
    sys.stdout.buffer.write(frame)
