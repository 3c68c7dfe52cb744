"""What nobody needed when it was looked at, and somebody does since: it is not pruned by that look."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from tallystick.actors import tasks
from tallystick.ledger.errors import FlowRefused, Full, Refused, WrongVersion
from tallystick.ledger.facts.deliveries import DeliveryDismissed
from tallystick.ledger.facts.flows import FlowPruned, FlowWaitingSet
from tallystick.ledger.facts.tasks import TaskHeld, TaskPruned, TaskSucceeded
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import BLOCKED
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Stored
from tests.actors.flow_parts import FLOW, MIRROR, SECOND, SECOND_ID, TASK, TASK_ID, FlowDesk
from tests.actors.parts import STREAMS, FullLog, folded, full
from tests.story import created


def ended(desk: FlowDesk, task: bytes, **said: object) -> TaskRecord:
    desk.work(task, **said)
    desk.tell(task, TaskSucceeded())
    told = desk.tell(task, DeliveryDismissed()) if said.get("notify") == "done_only" else folded(desk.log, task)
    assert isinstance(told, TaskRecord)
    return told


def below(desk: FlowDesk) -> None:
    """Two that have ended, one below the other, and then a task below these."""
    desk.work(STREAMS[4], parent=SECOND_ID)


def found_again(desk: FlowDesk) -> None:
    """A task that was there is placed below them."""
    desk.work(STREAMS[5], run_id="found")
    desk.tell(desk.directory.newborn(STREAMS[6]), created(run_id="found", parent=SECOND_ID))


def blocks(desk: FlowDesk) -> None:
    """A flow waits for it, which no event of the task says."""
    desk.ask(FLOW, FlowWaitingSet(wait=None, blocked_task=TASK_ID))


@pytest.mark.parametrize("begin", [below, found_again, blocks])
def test_who_is_needed_since_it_was_looked_at_is_not_pruned_by_that_look(
    desk: FlowDesk, begin: Callable[[FlowDesk], None]
) -> None:
    first = ended(desk, TASK)
    ended(desk, SECOND, parent=TASK_ID)
    looked_at = desk.log.head()

    begin(desk)
    refused = desk.tell(TASK, TaskPruned(), expected_version=first.version, as_of=looked_at)

    assert Refused is refused[0]
    assert (TASK_ID, "succeeded", "prune") == tuple(refused[1][name] for name in ("token", "status", "attempted"))
    again = desk.tell(TASK, TaskPruned(), expected_version=first.version, as_of=desk.log.head())
    assert isinstance(again, TaskRecord), "whoever looks then knows all of it"
    assert again.pruned_at is not None


def test_the_first_task_of_a_mirror_is_needed_by_those_that_join_it(desk: FlowDesk) -> None:
    desk.work(notify="done_only")
    desk.tell(TASK, TaskSucceeded(outcome=BLOCKED))
    desk.tell(TASK, DeliveryDismissed())
    looked_at = desk.log.head()

    desk.work(SECOND, notify="done_only", flow=id_text(MIRROR))

    assert Refused is desk.tell(TASK, TaskPruned(), as_of=looked_at)[0]


def test_what_happens_elsewhere_keeps_nobody(desk: FlowDesk) -> None:
    ended(desk, TASK)
    ended(desk, SECOND)
    desk.work(STREAMS[3])
    looked_at = desk.log.head()

    desk.work(STREAMS[4], parent=id_text(STREAMS[3]))
    desk.work(STREAMS[5], parent=SECOND_ID)
    desk.ask(FLOW, FlowWaitingSet(wait=None, blocked_task=SECOND_ID))

    assert isinstance(desk.tell(TASK, TaskPruned(), as_of=looked_at), TaskRecord)


def test_a_look_from_before_this_owner_was_there_prunes_nothing_for_nobody_knows_what_came_after(
    desk: FlowDesk,
) -> None:
    ended(desk, TASK)
    looked_at = desk.log.head()
    below_it = desk.work(SECOND, parent=TASK_ID)
    successor = FlowDesk(desk.log)

    assert below_it.is_active
    assert Refused is successor.tell(TASK, TaskPruned(), as_of=looked_at)[0]
    assert isinstance(successor.tell(TASK, TaskPruned(), as_of=desk.log.head()), TaskRecord)


def test_what_is_remembered_of_needs_is_bounded_and_what_is_forgotten_prunes_nothing(
    desk: FlowDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "NEEDED_MAX", 2)
    olds = [ended(desk, stream) for stream in STREAMS[:4]]
    looked_at = desk.log.head()
    for number, old in enumerate(olds[:3]):
        desk.work(STREAMS[5 + number], parent=old.task_id)

    answers = [desk.tell(old.stream, TaskPruned(), as_of=looked_at) for old in olds]

    assert [Refused] * 4 == [answer[0] for answer in answers], "also the last: nobody can tell any more"
    assert isinstance(desk.tell(olds[3].stream, TaskPruned(), as_of=desk.log.head()), TaskRecord)


def joined(desk: FlowDesk, task: bytes, **said: object) -> None:
    """A task of which somebody is told ends as blocked, and so does the flow that mirrors it."""
    desk.work(task, notify="done_only", **said)
    desk.tell(task, TaskSucceeded(outcome=BLOCKED))
    desk.tell(task, DeliveryDismissed())


def joins(desk: FlowDesk) -> None:
    """Another attempt."""
    joined(desk, STREAMS[3], flow=id_text(MIRROR))


def has_another_below(desk: FlowDesk) -> None:
    """The first task has one below it."""
    desk.work(STREAMS[3], parent=TASK_ID)


def is_held(desk: FlowDesk) -> None:
    """The first task has gone on: it is kept for that."""
    desk.tell(TASK, TaskHeld(reason="evidence"))


@pytest.mark.parametrize("begin", [joins, has_another_below, is_held])
def test_a_mirror_is_there_as_long_as_its_first_task(desk: FlowDesk, begin: Callable[[FlowDesk], None]) -> None:
    joined(desk, TASK)
    joined(desk, SECOND, flow=id_text(MIRROR))
    desk.tell(SECOND, TaskPruned())
    first, looked_at = folded(desk.log, TASK), desk.log.head()
    assert first is not None

    begin(desk)
    mirror = desk.ask(MIRROR, FlowPruned(), as_of=looked_at)
    task = desk.tell(TASK, TaskPruned(), expected_version=first.version, as_of=looked_at)

    assert FlowRefused is mirror[0]
    assert "needed" == mirror[1]["code"]
    assert task[0] in (Refused, WrongVersion)
    again = desk.ask(MIRROR, FlowPruned(), as_of=desk.log.head())
    assert isinstance(again, FlowRecord), "whoever looks then knows all of it"


def test_a_child_that_was_never_written_keeps_nobody_and_forgets_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = FlowDesk(log := FullLog())
    monkeypatch.setattr(tasks, "NEEDED_MAX", 1)
    for stream in (TASK, SECOND, STREAMS[2]):
        ended(desk, stream)
    desk.work(STREAMS[3], parent=SECOND_ID)
    looked_at = desk.log.head()
    log.failures.append(full())

    assert Full is desk.tell(desk.directory.newborn(STREAMS[4]), created(parent=TASK_ID))[0]

    assert isinstance(desk.tell(STREAMS[2], TaskPruned(), as_of=looked_at), TaskRecord), "so much is still remembered"
    assert isinstance(desk.tell(TASK, TaskPruned(), as_of=looked_at), TaskRecord)


def test_what_a_failed_turn_noted_once_more_is_needed_since_it_was_before() -> None:
    desk = FlowDesk(log := FullLog())
    ended(desk, TASK)
    looked_at = desk.log.head()
    desk.work(SECOND, parent=TASK_ID)
    log.failures.append(full())
    desk.tell(desk.directory.newborn(STREAMS[4]), created(parent=TASK_ID))

    assert Refused is desk.tell(TASK, TaskPruned(), as_of=looked_at)[0]
    assert isinstance(desk.tell(TASK, TaskPruned(), as_of=desk.log.head()), TaskRecord)


class ReadLog(FullLog):
    """A log that keeps what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[bytes] = []

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        self.reads.append(stream)
        return super().stream(stream, after_version)


def test_a_creation_below_many_that_have_ended_reads_no_more_than_one_below_few() -> None:
    desk = FlowDesk(log := ReadLog())
    ended(desk, STREAMS[0])
    for above, stream in pairwise(STREAMS[:7]):
        ended(desk, stream, parent=id_text(above))
    log.reads.clear()

    desk.work(STREAMS[8], parent=id_text(STREAMS[6]))

    assert {STREAMS[6], STREAMS[0]} == set(log.reads)


def test_what_is_placed_below_one_at_work_keeps_nobody_else_of_its_tree(desk: FlowDesk) -> None:
    desk.work(TASK)
    ended(desk, SECOND, parent=TASK_ID)
    looked_at = desk.log.head()

    desk.work(STREAMS[3], parent=TASK_ID)

    assert isinstance(desk.tell(SECOND, TaskPruned(), as_of=looked_at), TaskRecord)


def test_a_root_that_was_placed_below_another_one_counts_for_those_that_were_below_it_before(desk: FlowDesk) -> None:
    ended(desk, TASK, run_id="found")
    ended(desk, SECOND, parent=TASK_ID)
    ended(desk, STREAMS[2])
    desk.tell(desk.directory.newborn(STREAMS[3]), created(run_id="found", parent=id_text(STREAMS[2])))
    looked_at = desk.log.head()

    desk.work(STREAMS[4], parent=SECOND_ID)

    for stream in (TASK, SECOND, STREAMS[2]):
        assert Refused is desk.tell(stream, TaskPruned(), as_of=looked_at)[0]
