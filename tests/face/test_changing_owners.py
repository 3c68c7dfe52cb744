"""Whoever comes and goes, and whoever owns the ledger then: each task has what was reported of it, in that order."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import tallystick
from tallystick import Ledger, Task
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskCreated, TaskProgressed, TaskStarted
from tallystick.owner import live_owner
from tests.face.parts import ORDINARY

SEATS = range(3)

seats = st.sampled_from(SEATS)


def report_of(event: Event) -> str | None:
    """What was reported, in a word; None for what an owner concludes by itself."""
    words = {TaskCreated: "created", TaskStarted: "started"}
    return event.data.message if isinstance(event.data, TaskProgressed) else words.get(type(event.data))


class ChangingOwners(RuleBasedStateMachine):
    """A gateway that opens the ledger now and then, and up to three others that join it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "ledger"
        tallystick.open(self.folder).close()
        self.joined: dict[int, Ledger] = {}
        self.gateway: Ledger | None = None
        self.handles: dict[int, dict[str, Task]] = {}
        self.told: dict[str, list[str]] = {}
        """What was reported of each task, and answered."""

    def teardown(self) -> None:
        for ledger in (*self.joined.values(), *filter(None, [self.gateway])):
            ledger.close()
        with tallystick.open(self.folder, read_only=True) as reader:
            written = {
                task_id: [told for event in reader.timeline(task_id) if (told := report_of(event)) is not None]
                for task_id in self.told
            }
            assert self.told == written
            assert sum(map(len, self.told.values())) == len([1 for event in reader.events() if report_of(event)])
            assert reader.verify().ok
        assert live_owner(self.folder) is None
        shutil.rmtree(self.folder.parent)

    @rule(seat=seats)
    def join(self, seat: int) -> None:
        if seat not in self.joined:
            self.joined[seat], self.handles[seat] = tallystick.join(self.folder, actor=f"seat {seat}"), {}

    @precondition(lambda self: self.joined)
    @rule(seat=seats)
    def leave(self, seat: int) -> None:
        if seat in self.joined:
            self.joined.pop(seat).close()

    @rule()
    def open_or_close(self) -> None:
        if self.gateway is None:
            self.gateway = tallystick.open(self.folder, actor="gateway")
        else:
            self.gateway.close()
            self.gateway = None

    @precondition(lambda self: self.joined)
    @rule(seat=seats, count=st.integers(1, 20))
    def create_in_a_batch(self, seat: int, count: int) -> None:
        if seat in self.joined:
            with self.joined[seat].batch() as batch:
                tasks = [batch.create(**ORDINARY) for _ in range(count)]
            self.told |= {task.id: ["created"] for task in tasks}

    @precondition(lambda self: self.joined)
    @rule(seat=seats, said=st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=5))
    def report(self, seat: int, said: list[str]) -> None:
        """Through a handle that is kept, whoever owned the ledger when it was made."""
        if seat not in self.joined:
            return
        if not self.told:
            task_id = self.joined[seat].create(**ORDINARY).id
            self.told[task_id] = ["created"]
        task_id = min(self.told)
        task = self.handles[seat].setdefault(task_id, self.joined[seat].get(task_id))
        if self.joined[seat].get(task_id).record.status == "queued":
            task.start()
            self.told[task_id].append("started")
        for message in said:
            record = task.progress(message, force=True)
            self.told[task_id].append(message)
            progress = sum(word not in {"created", "started"} for word in self.told[task_id])
            assert (progress, message) == (record.progress_count, record.progress_summary)

    @precondition(lambda self: self.told)
    @rule()
    def one_owner_at_most_and_the_gateway_if_there_is_one(self) -> None:
        owner = live_owner(self.folder)
        if self.gateway is not None:
            assert owner is not None
            assert not owner.transient
        elif owner is not None:
            assert owner.transient


@pytest.mark.slow
class TestChangingOwners(ChangingOwners.TestCase):  # type: ignore[misc,valid-type]
    """Real ledgers in one process: their locks exclude each other as those of processes do."""

    settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
