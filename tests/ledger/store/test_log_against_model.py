"""Whatever happens to it, the log on disk has what the log in memory has: after each step, and after every bad day."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.ledger.errors import Corrupt, Full, TallystickError
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskErased, TaskFailed
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import NO_PAYLOADS
from tallystick.ledger.store.verify import verify
from tests.ledger.store.environment_support import PAGE
from tests.ledger.store.log_contract import contents
from tests.ledger.store.make import Author, event, facts, kept_aside, stream_id
from tests.ledger.store.test_disk_log import files_at_most

STREAMS = range(6)
MAPS = (48, 64, 128, 4_096)  # pages that the map may have at most; only the last one is enough

streams = st.lists(st.sampled_from(STREAMS), min_size=1, max_size=8)
claims = st.dictionaries(st.sampled_from([b"c" * 16, b"d" * 16]), st.sampled_from(STREAMS).map(stream_id))


class KillsTheWriter(dict[bytes, bytes]):
    """Claims that end the process when they are written: in the middle of the transaction."""

    def items(self) -> NoReturn:
        os._exit(0)


class LogAgainstModel(RuleBasedStateMachine):
    """The log on disk, its twin in memory, and a handle for reading."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.twin = MemoryLog()
        self.versions: dict[int, int] = {}
        self.pages = 0

    @initialize(pages=st.sampled_from(MAPS))
    def open(self, pages: int) -> None:
        self.pages = pages
        self.log = DiskLog.open(self.folder, map_bytes=32 * PAGE, map_bytes_max=pages * PAGE)
        self.reader = DiskLog.open(self.folder, readonly=True)

    def teardown(self) -> None:
        self.reader.close()
        self.log.close()
        with DiskLog.open(self.folder) as log:
            assert contents(self.twin) == contents(log)
            assert verify(self.twin) == verify(log)
            for stream in STREAMS:
                assert self.twin.stream(stream_id(stream)) == log.stream(stream_id(stream))
            all_of_them = [stream_id(stream) for stream in STREAMS]
            one_by_one = {stream: log.stream(stream) for stream in all_of_them if log.stream(stream)}
            assert one_by_one == log.histories(all_of_them) == self.twin.histories(all_of_them)
        shutil.rmtree(self.folder)

    @invariant()
    def both_have_the_same(self) -> None:
        known = contents(self.twin)
        assert known == contents(self.log)
        assert known == contents(self.reader)

    # Appending.

    @rule(streams=streams, claims=claims, data=facts())
    def append(self, streams: list[int], claims: Mapping[bytes, bytes], data: Any) -> None:
        self._append(self._author().write(*streams, data=data), claims)

    @rule(count=st.integers(1, 600))
    def append_many(self, count: int) -> None:
        self._append(self._author().write(*(number % len(STREAMS) for number in range(count))))

    @rule(size=st.integers(20_000, 60_000), count=st.integers(1, 20))
    def append_much(self, size: int, count: int) -> None:
        self._append(self._author().write(*[0] * count, data=TaskFailed(error="x" * size)))

    @rule(streams=streams, at=st.integers(0, 7), position=st.integers(-2, 2), version=st.integers(-2, 2))
    def append_what_does_not_follow(self, streams: list[int], at: int, position: int, version: int) -> None:
        """Both logs take it, or both refuse it and say the same."""
        batch = self._author().write(*streams)
        wrong = batch[at % len(batch)]
        batch[at % len(batch)] = event(wrong.position + position, int.from_bytes(wrong.stream), wrong.version + version)
        told: list[tuple[object, ...]] = []
        for log in (self.log, self.twin):
            try:
                log.append(batch, {b"e" * 16: stream_id(0)})
            except Full:
                return  # so the twin, which always has room, must not take it either
            except TallystickError as error:
                told.append((type(error), error.data, str(error)))
            else:
                told.append(())
        assert told[0] == told[1]
        if not told[0]:
            self._count(batch)

    @rule(streams=streams)
    def append_what_is_too_long(self, streams: list[int]) -> None:
        batch = self._author().write(*streams, data=TaskFailed(error="x" * 66_000))
        for log in (self.twin, self.log):
            try:
                log.append(batch)
            except TallystickError as error:
                assert "at most 65535 bytes" in str(error)  # noqa: PT017 - both must raise
            else:
                raise AssertionError

    # What is kept beside it.

    @rule(streams=streams, data=facts(), number=st.integers(0, 2**64))
    def append_what_is_kept_beside_it(self, streams: list[int], data: Any, number: int) -> None:
        batch, payloads = kept_aside(self._author().write(*streams, data=data), number)
        self._append(batch, payloads=payloads)

    @rule(stream=st.sampled_from(STREAMS), beside=streams, number=st.integers(0, 2**64))
    def erase(self, stream: int, beside: list[int], number: int) -> None:
        """In the middle of a batch: what of the stream comes behind it stays."""
        author = self._author()
        batch = author.write(*beside, data=TaskFailed(error="x"))
        batch += author.write(stream, data=TaskErased(reason="why"))
        batch += author.write(*beside, data=TaskFailed(error="x"))
        batch, payloads = kept_aside(batch, number)
        self._append(batch, payloads=payloads)

    # Bad days.

    @rule(count=st.integers(1, 40))
    def append_when_the_disk_is_full(self, count: int) -> None:
        with files_at_most((self.folder / "data.mdb").stat().st_size):
            self._append(self._author().write(*[1] * count, data=TaskFailed(error="x" * 1_000)))

    @rule(streams=streams)
    def crash_in_the_middle_of_a_transaction(self, streams: list[int]) -> None:
        self._in_another_process(self._author().write(*streams), KillsTheWriter({b"f" * 16: stream_id(0)}))

    @rule(streams=streams)
    def crash_after_a_commit(self, streams: list[int]) -> None:
        """What another process committed before it died is there, and our writer finds out."""
        batch = self._author().write(*streams)
        if not self._in_another_process(batch, {}):
            return
        self.twin.append(batch)
        self._count(batch)
        try:
            self.log.append([event(self.twin.head(), 77)])
        except (Corrupt, Full):
            return
        raise AssertionError

    @rule(pages=st.sampled_from(MAPS))
    def close_and_open_again(self, pages: int) -> None:
        self.reader.close()
        self.log.close()
        self.open(max(pages, self.pages))

    def _append(
        self,
        batch: Sequence[Event],
        claims: Mapping[bytes, bytes] | None = None,
        payloads: Mapping[int, Payloads] = NO_PAYLOADS,
    ) -> None:
        """Let the log take it, or refuse it for want of room; the twin has always room."""
        try:
            self.log.append(batch, claims or {}, payloads=payloads)
        except Full:
            return
        self.twin.append(batch, claims or {}, payloads=payloads)
        self._count(batch)

    def _count(self, batch: Sequence[Event]) -> None:
        for each in batch:
            self.versions[int.from_bytes(each.stream)] = each.version

    def _author(self) -> Author:
        author = Author(self.twin.head())
        author.versions = dict(self.versions)
        return author

    def _in_another_process(self, batch: Sequence[Event], claims: Mapping[bytes, bytes]) -> bool:
        """Append in a fork that ends without a word; whether it came to the end of the commit."""
        child = os.fork()
        if not child:
            status = 1
            try:
                log = DiskLog.open(self.folder, map_bytes=32 * PAGE, map_bytes_max=self.pages * PAGE)
                log.append(batch, claims)
                status = 42
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) == 42


TestLogAgainstModel = pytest.mark.slow(LogAgainstModel.TestCase)
# Every step reads both logs, so half as many examples as elsewhere take long enough.
TestLogAgainstModel.settings = settings(max_examples=-(-settings().max_examples // 4))
