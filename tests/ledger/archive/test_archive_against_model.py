"""However ranges move into the archive, and whatever happens between, the log answers as if it were not archived.

The twin is a log in memory that never had an archive.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.errors import Full
from tallystick.ledger.facts.tasks import TaskFailed
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.verify import Kind, verify
from tests.ledger.archive.shelves import LATER, answers
from tests.ledger.store.make import AT_MS, Author, stream_id
from tests.ledger.store.test_disk_log import files_at_most

STREAMS = range(7)
SEGMENTS = (256, 512, 1_024)

streams = st.lists(st.sampled_from(STREAMS), min_size=1, max_size=8)
IDS = [stream_id(stream) for stream in STREAMS]


class ArchiveAgainstModel(RuleBasedStateMachine):
    """A log that is archived, a handle for reading that saw its beginning, and its twin."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.twin = MemoryLog()
        self.author = Author()

    @initialize(segment=st.sampled_from(SEGMENTS))
    def open(self, segment: int) -> None:
        self.segment = segment
        self.log = DiskLog.open(self.folder)
        self.reader = DiskLog.open(self.folder, readonly=True)
        self.sealing = Sealing(self.log, segment_events=segment)

    def teardown(self) -> None:
        self.sealing.close()
        for log in (self.log, self.reader):
            found = verify(log)
            if log.archive.is_unlisted():
                assert [(0, Kind.ARCHIVE)] == [(problem.position, problem.kind) for problem in found.problems]
            else:
                assert verify(self.twin) == found
        self.reader.close()
        self.log.close()
        shutil.rmtree(self.folder)

    @invariant()
    def all_answer_alike(self) -> None:
        known = list(answers(self.twin, IDS))
        assert known == list(answers(self.log, IDS))
        assert known == list(answers(self.reader, IDS))

    @rule(streams=streams)
    def append(self, streams: list[int]) -> None:
        self._append(streams)

    @rule(count=st.integers(200, 1_100))
    def append_many(self, count: int) -> None:
        self._append([number * number % len(STREAMS) for number in range(count)])

    @rule(size=st.integers(10_000, 60_000))
    def append_what_is_large(self, size: int) -> None:
        batch = self.author.write(1, 1, 1, data=TaskFailed(error="x" * size))
        self.log.append(batch)
        self.twin.append(batch)

    @rule(steps=st.integers(1, 8))
    def move_a_part(self, steps: int) -> None:
        if self.sealing.due(LATER, 0) is not None:
            for _ in range(steps):
                self.sealing.step()

    @rule()
    def move_all_that_is_due(self) -> None:
        while self.sealing.due(LATER, 0) is not None:
            while self.sealing.step():
                pass

    @rule(age=st.integers(0, 3_000))
    def ask_what_is_due(self, age: int) -> None:
        """Never what is younger than it may be, never what has not been written."""
        due = self.sealing.due(AT_MS + self.twin.head(), age)
        if due is not None and self.log.archived() == self.log.archive.end():
            assert due[-1] + age <= self.twin.head()

    @rule()
    def give_up_in_the_middle(self) -> None:
        self.sealing.close()

    @rule(steps=st.integers(1, 8))
    def die_in_the_middle(self, steps: int) -> None:
        """Another process moves a part, and ends without a word."""
        self.sealing.close()
        child = os.fork()
        if not child:
            try:
                with DiskLog.open(self.folder) as log:
                    sealing = Sealing(log, segment_events=self.segment)
                    if sealing.due(LATER, 0) is not None:
                        for _ in range(steps):
                            sealing.step()
                    os._exit(0)
            finally:
                os._exit(1)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    @rule(steps=st.integers(1, 8), room=st.integers(0, 30_000))
    def move_a_part_when_the_disk_is_full(self, steps: int, room: int) -> None:
        self.sealing.close()
        if self.sealing.due(LATER, 0) is not None:
            with files_at_most(room):
                try:
                    for _ in range(steps):
                        self.sealing.step()
                except Full:
                    assert not list(self.folder.glob("archive/*.unfinished"))

    @rule()
    def lose_the_manifest(self) -> None:
        """What it says, the files say, too."""
        if self.log.archive.entries():
            self.sealing.close()
            (self.folder / "archive" / "manifest.json").unlink(missing_ok=True)

    @rule(segment=st.sampled_from(SEGMENTS))
    def close_and_open_again(self, segment: int) -> None:
        self.sealing.close()
        self.reader.close()
        self.log.close()
        self.open(segment)

    def _append(self, streams: list[int]) -> None:
        batch = self.author.write(*streams)
        self.log.append(batch)
        self.twin.append(batch)


TestArchiveAgainstModel = pytest.mark.slow(ArchiveAgainstModel.TestCase)
# Every step asks both logs everything, so fewer examples than elsewhere take long enough.
TestArchiveAgainstModel.settings = settings(max_examples=-(-settings().max_examples // 8))
