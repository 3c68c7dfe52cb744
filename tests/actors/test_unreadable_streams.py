"""What cannot be read any more: a pruning says what was pruned, and what was deleted is no damage."""

import pytest

from tallystick.actors.stream import AwaitEnd
from tallystick.ledger.errors import Corrupt, Pruned
from tallystick.ledger.facts.flows import FlowFinished, FlowPruned, FlowResumed
from tallystick.ledger.facts.tasks import TaskPruned, TaskStarted, TaskSucceeded
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Damaged, Deleted, Stored
from tests.actors.flow_parts import FLOW, FLOW_ID, OTHER, SECOND, TASK, TASK_ID, FlowDesk
from tests.actors.parts import STREAMS
from tests.actors.test_pruned_streams import KEPT, code, in_vain
from tests.story import created


class CutLog(MemoryLog):
    """A log in which earlier records cannot be read any more."""

    cut, is_deleted = 0, False

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        return [
            self._cut(each) if each.position <= self.cut else each for each in super().stream(stream, after_version)
        ]

    def _cut(self, stored: Stored) -> Stored:
        if self.is_deleted:
            return Deleted(stored.position, "deleted", by="ada", at=9, reason="the law")
        return Damaged(stored.position, "cut off")


@pytest.mark.parametrize("readable", [1, 2])
def test_what_was_pruned_answers_that_when_nothing_else_of_it_can_be_read(readable: int) -> None:
    log = CutLog()
    desk = FlowDesk(log)
    desk.begin()
    desk.work()
    desk.tell(TASK, TaskStarted())
    desk.tell(TASK, TaskSucceeded())
    desk.ask(FLOW, FlowFinished())
    task, flow = desk.tell(TASK, TaskPruned()), desk.ask(FLOW, FlowPruned())
    log.cut = log.head() - readable

    after = FlowDesk(log)
    of_task = [after.tell(TASK, fact) for fact in (TaskStarted(), created(), AwaitEnd())]
    of_flow = [after.tell(after.flows.actor(FLOW), fact) for fact in (FlowResumed(), AwaitEnd())]

    assert isinstance(task, TaskRecord)
    assert isinstance(flow, FlowRecord)
    if readable == 2:
        assert [(Pruned, was(TASK_ID, task))] * 3 == of_task
    else:
        assert [Corrupt] * 3 == [kind for kind, _ in of_task]
    assert [(Pruned, was(FLOW_ID, flow))] * 2 == of_flow
    assert "Pruned" == code(in_vain(after, flow=FLOW_ID))


def was(token: str, record: TaskRecord | FlowRecord) -> dict[str, object]:
    """What those hear who ask for what was pruned and whose history is there."""
    ended, pruned = record.ended_at, record.pruned_at
    return {"token": token, "status": record.status.value, "ended_at": ended, "pruned_at": pruned, **KEPT}


@pytest.mark.parametrize("readable", [0, 1, 2])
def test_what_was_deleted_answers_that_and_is_no_damage(readable: int) -> None:
    log = CutLog()
    desk = FlowDesk(log)
    desk.begin()
    desk.work(run_id="the same")
    desk.tell(TASK, TaskSucceeded())
    desk.ask(FLOW, FlowFinished())
    task, flow = desk.tell(TASK, TaskPruned()), desk.ask(FLOW, FlowPruned())
    log.cut, log.is_deleted = log.head() - readable, True

    after = FlowDesk(log)
    of_task = [after.tell(TASK, fact) for fact in (TaskStarted(), created(), AwaitEnd())]
    of_task.append(after.tell(after.directory.newborn(SECOND), created(run_id="the same")))
    after.begin(OTHER)
    of_task.append(after.link(OTHER, TASK))
    of_flow = [after.ask(FLOW, FlowResumed()), after.tell(after.flows.actor(FLOW), AwaitEnd()), in_vain(after, FLOW_ID)]
    below_it = after.work(STREAMS[6], parent=TASK_ID)

    nothing = {"status": "unknown", "ended_at": None, "pruned_at": None}
    deleted = {"deleted_by": "ada", "deleted_at": 9, "deleted_reason": "the law"}
    assert [(Pruned, {**was(TASK_ID, task), **(nothing if readable < 2 else {}), **deleted})] * 5 == of_task
    assert [(Pruned, {**was(FLOW_ID, flow), **(nothing if readable < 1 else {}), **deleted})] * 3 == of_flow
    assert (TASK_ID, TASK_ID) == (below_it.parent_task_id, below_it.root_task_id), "as below any that was pruned"


def test_the_read_models_tell_what_was_deleted() -> None:
    log = CutLog()
    told = Pruned(TASK_ID, status="succeeded", ended_at=7, pruned_at=8, deleted_by="ada", deleted_at=9)
    desk = FlowDesk(log)
    desk.work()
    desk.tell(TASK, TaskSucceeded())
    desk.tell(TASK, TaskPruned())
    log.cut, log.is_deleted = log.head(), True

    after = FlowDesk(log)
    after.directory.epitaph = {TASK: told}.get

    assert (Pruned, told.data) == after.tell(TASK, created())


def test_who_awaits_the_end_of_what_was_pruned_is_given_its_record_while_it_can_be_read(desk: FlowDesk) -> None:
    desk.work()
    desk.tell(TASK, TaskSucceeded())
    pruned = desk.tell(TASK, TaskPruned())

    assert pruned == desk.tell(TASK, AwaitEnd()) == FlowDesk(desk.log).tell(TASK, AwaitEnd())
