"""Progress of one task is written once a second; what comes in between is answered, merged and never lost."""

import pytest

from tallystick.ledger.errors import Refused
from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.facts.tasks import TaskAmended, TaskNotifyChanged, TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.lifecycle import NotifyPolicy
from tallystick.ledger.limits import PROGRESS_MS_MIN, USAGE_KEYS_MAX
from tests.actors.parts import STREAMS, Desk, FullLog, facts, folded, full, history, outcome, refusal
from tests.story import created

ONE, TWO = STREAMS[:2]
START, DONE = TaskStarted(), TaskSucceeded(summary="done")
TOLD = TaskNotifyChanged(policy=NotifyPolicy.STATE_CHANGES)
FIRST = TaskProgressed(message="first")
FULL = refusal(full())


def step(number: int, *, tool: str | None = None, count: int = 1) -> TaskProgressed:
    return TaskProgressed(message=f"step {number}", step=number, tool=tool, tools=int(tool is not None), count=count)


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def desk(log: FullLog) -> Desk:
    """A task that runs and has just written its first progress, at version 3."""
    desk = Desk(log)
    desk.create(ONE, created())
    desk.tell(ONE, START)
    desk.tell(ONE, FIRST)
    return desk


def written(desk: Desk) -> list[object]:
    """What was written of the task after its first progress."""
    return list(facts(desk.log, ONE)[3:])


def progress(desk: Desk) -> list[tuple[int, int]]:
    """When each progress was written, counted from now back, and how many updates it stands for."""
    return [
        (event.recorded_at - desk.clock(), event.data.count)
        for event in history(desk.log, ONE)
        if isinstance(event.data, TaskProgressed)
    ]


def test_the_first_progress_is_durable_at_once_and_the_next_a_second_later_too(desk: Desk) -> None:
    desk.clock.advance(PROGRESS_MS_MIN)
    record = desk.tell(ONE, step(1))

    assert (4, 1) == (record.version, record.progress_step)
    assert [step(1)] == written(desk)


def test_what_comes_too_soon_is_answered_and_not_written(desk: Desk, log: FullLog) -> None:
    known = folded(log, ONE)
    desk.clock.advance(PROGRESS_MS_MIN - 1)
    answers = [desk.tell(ONE, step(number)) for number in (1, 2)]

    assert [known, known] == answers
    assert [] == written(desk)


def test_when_the_second_is_over_all_of_it_is_written_as_one_event(desk: Desk, log: FullLog) -> None:
    for number, tool in [(1, "grep"), (2, None), (3, "sed")]:
        desk.tell(ONE, step(number, tool=tool, count=number), f"agent-{number}")
    desk.clock.advance(PROGRESS_MS_MIN - 1)
    desk.dispatcher.turn()
    before = written(desk)
    desk.clock.advance(1)
    desk.dispatcher.turn()
    desk.dispatcher.turn()

    assert [] == before
    assert [TaskProgressed(message="step 3", step=3, tool="sed", tools=2, count=6)] == written(desk)
    record, event = folded(log, ONE), history(log, ONE)[-1]
    assert record is not None
    assert (7, 2, "agent-3") == (record.progress_count, record.tool_use_count, event.actor)


def test_what_is_held_back_is_written_before_the_next_event(desk: Desk) -> None:
    desk.tell(ONE, step(1))
    record = desk.tell(ONE, TOLD)

    assert [step(1), TOLD] == written(desk)
    assert (5, 1) == (record.version, record.progress_step)


def test_a_repeated_creation_that_adds_something_writes_it_too(desk: Desk) -> None:
    desk.tell(ONE, step(1))
    desk.tell(ONE, created(kind="tally"))

    assert [step(1), TaskAmended(kind="tally")] == written(desk)


def test_what_changes_nothing_and_what_is_refused_leaves_it_held_back(desk: Desk) -> None:
    desk.tell(ONE, step(1))
    desk.tell(ONE, START)
    desk.tell(ONE, TOLD, expected_version=1)

    assert [] == written(desk)


def test_an_end_comes_after_all_that_was_reported(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, step(1))
    desk.tell(ONE, step(2))
    ended = desk.tell(ONE, DONE)
    desk.clock.advance(PROGRESS_MS_MIN)
    desk.dispatcher.turn()

    assert [TaskProgressed(message="step 2", step=2, count=2), DONE] == written(desk)
    assert folded(log, ONE) == ended
    assert 3 == ended.progress_count


def test_who_forces_it_gets_an_event_of_his_own(desk: Desk) -> None:
    desk.tell(ONE, step(1))
    record = desk.tell(ONE, step(2), force=True)

    assert [step(1), step(2)] == written(desk)
    assert (5, 2) == (record.version, record.progress_step)


def test_the_expected_version_is_that_of_what_was_written(desk: Desk) -> None:
    held = desk.tell(ONE, step(1), expected_version=3)
    stale = desk.tell(ONE, step(2), expected_version=2)
    record = desk.tell(ONE, TOLD, expected_version=held.version)

    assert (3, 5) == (held.version, record.version)
    assert (2, 3) == (stale[1]["expected"], stale[1]["actual"])
    assert [step(1), TOLD] == written(desk)


def test_a_progress_that_starts_a_queued_task_is_not_held_back(log: FullLog) -> None:
    desk = Desk(log)
    desk.create(ONE, created())
    record = desk.tell(ONE, step(1))

    assert [created(), TaskStarted(implied=True), step(1)] == facts(log, ONE)
    assert 3 == record.version


def test_a_progress_after_the_end_is_a_late_signal_at_once(desk: Desk) -> None:
    desk.tell(ONE, DONE)
    late = desk.tell(ONE, step(1))

    assert (Refused, 5) == (late[0], late[1]["position"])


def test_two_in_one_turn_are_too_close_to_each_other(desk: Desk) -> None:
    desk.clock.advance(PROGRESS_MS_MIN)
    for number in (1, 2, 3):
        desk.send(ONE, step(number))
    desk.dispatcher.run()

    assert [step(1)] == written(desk)


def test_a_clock_that_was_set_back_holds_nothing_back(desk: Desk) -> None:
    desk.tell(ONE, step(1))
    desk.clock.advance(-1)
    desk.tell(ONE, step(2))

    assert [step(1), step(2)] == written(desk)


def test_the_timer_of_what_was_written_already_does_not_come_for_what_is_held_now(desk: Desk) -> None:
    desk.clock.advance(200)
    desk.tell(ONE, step(1))  # to be written in 800 ms
    desk.tell(ONE, TOLD)  # writes it now
    desk.clock.advance(100)
    desk.tell(ONE, step(2))  # to be written in 900 ms
    desk.clock.advance(700)
    desk.dispatcher.turn()
    after_the_first_timer = written(desk)
    desk.clock.advance(200)
    desk.dispatcher.turn()

    assert [step(1), TOLD] == after_the_first_timer
    assert [(-1_200, 1), (-1_000, 1), (0, 1)] == progress(desk)


def test_each_task_waits_for_itself(desk: Desk, log: FullLog) -> None:
    desk.create(TWO, created())
    desk.clock.advance(500)
    desk.tell(TWO, FIRST)
    for stream in (ONE, TWO):
        desk.tell(stream, step(1))
    desk.clock.advance(500)
    desk.dispatcher.turn()
    first = (written(desk), facts(log, TWO)[3:])
    desk.clock.advance(500)
    desk.dispatcher.turn()

    assert ([step(1)], []) == first
    assert [step(1)] == facts(log, TWO)[3:]


def test_what_one_event_cannot_say_is_not_merged(desk: Desk) -> None:
    usages: list[Usage] = [{f"amount {number}": 1 for number in range(USAGE_KEYS_MAX)}, {"another": 1}]
    for usage in usages:
        desk.tell(ONE, TaskProgressed(usage=usage))
    desk.tell(ONE, TOLD)

    assert [*[TaskProgressed(usage=usage) for usage in usages], TOLD] == written(desk)


def test_everything_can_be_released_at_once(desk: Desk) -> None:
    desk.tell(ONE, step(1))
    desk.directory.release_all()
    desk.dispatcher.turn()
    desk.tell(ONE, step(2))

    assert [step(1)] == written(desk)


def test_what_comes_when_nothing_may_be_held_back_any_more_is_written_at_once(desk: Desk) -> None:
    desk.tell(ONE, step(1))
    desk.directory.hold_no_more()
    desk.dispatcher.turn()
    desk.tell(ONE, step(2))

    assert [step(1), step(2)] == written(desk)


def test_what_was_answered_before_a_failed_commit_is_written_after_it(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, step(1))
    desk.tell(ONE, step(2))
    log.failures.append(full())
    failed = desk.tell(ONE, DONE)
    desk.clock.advance(PROGRESS_MS_MIN)
    desk.dispatcher.turn()

    assert FULL == failed
    assert [TaskProgressed(message="step 2", step=2, count=2)] == written(desk)


def test_what_was_reported_in_a_turn_that_failed_is_not_counted(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, step(1))
    log.failures.append(full())
    futures = [desk.send(ONE, step(2)), desk.send(TWO, created()), desk.send(ONE, step(3))]
    desk.dispatcher.run()
    desk.tell(ONE, DONE)

    assert [FULL] * 3 == [outcome(future) for future in futures]
    assert [step(1), DONE] == written(desk)


def test_what_begins_to_be_held_in_a_turn_that_failed_is_not_held(desk: Desk, log: FullLog) -> None:
    log.failures.append(full())
    desk.send(ONE, step(1))
    desk.send(TWO, created())
    desk.dispatcher.run()
    desk.clock.advance(PROGRESS_MS_MIN)
    desk.dispatcher.turn()

    assert [] == written(desk)


def test_when_the_disk_is_full_at_its_time_it_is_tried_again_a_second_later(desk: Desk, log: FullLog) -> None:
    desk.tell(ONE, step(1))
    log.failures.extend([full(), full()])
    left = []
    for _ in range(3):
        desk.clock.advance(PROGRESS_MS_MIN)
        for _ in range(3):
            desk.dispatcher.turn()
        left.append(len(log.failures))

    assert [1, 0, 0] == left
    assert [step(1)] == written(desk)
    assert [(-3 * PROGRESS_MS_MIN, 1), (0, 1)] == progress(desk)


@pytest.mark.usefixtures("trouble")
def test_a_task_that_cannot_be_read_again_keeps_no_other_from_being_released(desk: Desk, log: FullLog) -> None:
    desk.create(TWO, created())
    for stream in (ONE, TWO, TWO):
        desk.tell(stream, step(1))
    log.failures.append(full())
    desk.tell(ONE, TOLD)
    log.append([Event(log.head() + 1, ONE, 4, 5, 5, "somebody else", START)])  # it runs already
    desk.journal.position += 1
    desk.directory.release_all()
    desk.dispatcher.turn()

    assert [step(1), step(1)] == facts(log, TWO)[2:]
