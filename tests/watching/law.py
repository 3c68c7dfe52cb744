"""What is true of every history, whatever happened: one end, a loss only by evidence, a correction only of a loss."""

from tallystick.ledger.events import Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.facts.tasks import TaskLost, TaskRecovered
from tallystick.ledger.lifecycle import TERMINAL
from tallystick.ledger.record import TaskRecord


def hold_to_the_law(history: list[Event], *, grace_ms: int) -> None:
    """Each end once; a recovery corrects the loss before it; no loss by grace without a miss that lasted."""
    record: TaskRecord | None = None
    ended: Event | None = None
    for each in history:
        before, record = record, fold([each], record)
        assert record is not None
        if before is None or before.status is record.status:
            continue
        if record.status in TERMINAL:
            if ended is not None:
                assert isinstance(ended.data, TaskLost) or ended.type == "task-settled.1"
                assert isinstance(each.data, TaskRecovered)
                assert ended.position == each.data.corrects
            ended = each
        if isinstance(each.data, TaskLost) and each.data.rule == "gone for the whole grace":
            assert before.backing_missed_at is not None
            assert each.recorded_at >= before.backing_missed_at + grace_ms
