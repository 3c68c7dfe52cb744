"""The queue of a session: what waits there stays until it is acknowledged, in order, whoever takes it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick import Corrupt, InvalidInput, NotOwner, Pruned, Refused
from tallystick.actors.future import LightFuture
from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import ACKNOWLEDGED_AT_ONCE, SESSION_TAKE_MAX, TIME_MS_MAX
from tallystick.messages import PAGE
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.delivering.parts import SESSION, ended, how, record
from tests.face.parts import open_any, said
from tests.ledger.store import raw

TAKE = """
    import sys, tallystick
    with tallystick.join(sys.argv[1]) as ledger:
        session = ledger.session(sys.argv[2])
        events = session.take()
        print(len(events), session.ack(events[0].position), len(session.take()), flush=True)
"""


def fill(ledger: Ledger, count: int, session: str = SESSION) -> None:
    with ledger.batch() as batch:
        for number in range(count):
            batch.create(runtime="subagent", task=f"Task {number}", owner=session).succeed(f"number {number}")


@given(
    owners=st.lists(st.sampled_from("abc"), max_size=12),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 4)), max_size=8),
)
def test_a_session_is_a_queue_that_forgets_only_what_was_acknowledged(
    owners: list[str], steps: list[tuple[str, int, int]]
) -> None:
    with memory_ledger() as ledger:
        expected: dict[str, list[str]] = {"a": [], "b": [], "c": []}
        for number, owner in enumerate(owners):
            ended(ledger, f"number {number}", owner=owner, origin=None)
            expected[owner].append(f"number {number}")
        for owner, limit, dealt_with in steps:
            session = ledger.session(owner)
            taken = session.take(limit=limit)
            assert expected[owner][:limit] == [event.text.rpartition(". ")[2] for event in taken]
            assert taken == session.take(limit=limit)
            assert sorted(event.position for event in taken) == [event.position for event in taken]
            if dealt_with and taken:
                last = taken[: min(dealt_with, len(taken))][-1].position
                assert min(dealt_with, len(taken)) == session.ack(last)
                assert 0 == session.ack(last)
                del expected[owner][: min(dealt_with, len(taken))]


@pytest.mark.parametrize("kind", ["disk", "memory", "joined"])
def test_every_kind_of_ledger_takes_and_acknowledges(kind: str, folder: Path, clock: HandClock) -> None:
    with open_any(kind, folder, clock) as ledger:
        task = ended(ledger, "counted", origin=None)
        session = ledger.session(SESSION)
        [event] = session.take()

        assert (task.id, "terminal", f"task-terminal:{task.id}:succeeded:default") == (
            event.task_id,
            event.kind,
            event.id,
        )
        assert "Background task done: Count the tallies. counted" == event.text
        assert (1, []) == (session.ack(event.position), session.take())


def test_what_waits_survives_any_number_of_restarts(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        fill(ledger, 5)
        first = ledger.session(SESSION).take()
    with tallystick.open(folder, clock=clock) as ledger:
        assert first == ledger.session(SESSION).take()
        assert 2 == ledger.session(SESSION).ack(first[1].position)
    with tallystick.open(folder, read_only=True) as ledger:
        assert first[2:] == ledger.session(SESSION).take()
        with pytest.raises(NotOwner):
            ledger.session(SESSION).ack(first[2].position)


@pytest.mark.slow
def test_many_events_are_taken_and_acknowledged_page_by_page(folder: Path, clock: HandClock) -> None:
    count = 2 * ACKNOWLEDGED_AT_ONCE + PAGE + 1
    with tallystick.open(folder, clock=clock) as ledger, tallystick.join(folder, clock=clock) as joined:
        fill(ledger, count)
        session = joined.session(SESSION)
        taken = session.take(limit=SESSION_TAKE_MAX)
        assert [f"number {number}" for number in range(count)] == [event.text.split(". ")[1] for event in taken]
        assert count - 1 == session.ack(taken[-2].position)
        assert taken[-1:] == session.take()


def test_who_acknowledges_at_the_same_time_does_no_harm(ledger: Ledger) -> None:
    fill(ledger, 40)
    last = ledger.session(SESSION).take(limit=100)[29].position
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda _: ledger.session(SESSION).ack(last), range(8)))

    assert 30 <= sum(done)
    assert 10 == len(ledger.session(SESSION).take(limit=100))
    types = [event.type for event in ledger.events()]
    assert 30 == types.count("delivery-delivered.1")


@pytest.mark.slow
def test_another_process_takes_what_waits(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        fill(ledger, 3)
        assert ["3 1 2"] == said(TAKE, folder, SESSION)
        assert 2 == len(ledger.session(SESSION).take())


def test_the_delivery_status_says_that_the_session_has_it(ledger: Ledger) -> None:
    task = ended(ledger, origin=None)
    assert DeliveryStatus.SESSION_QUEUED == how(ledger, task)
    [event] = ledger.session(SESSION).take()
    ledger.session(SESSION).ack(event.position)
    assert DeliveryStatus.DELIVERED == how(ledger, task)


def test_nothing_is_pruned_while_something_waits(ledger: Ledger) -> None:
    task = ended(ledger, origin=None)
    command = Command(intake.pruned("old"), "test")
    system = ledger._house.system  # noqa: SLF001 - nobody prunes by hand

    def pruned() -> object:
        future = LightFuture()
        system.command(task.record.stream, command, future)
        return future.get(timeout=20)

    with pytest.raises(Refused):
        pruned()
    [event] = ledger.session(SESSION).take()
    ledger.session(SESSION).ack(event.position)
    pruned()
    with pytest.raises(Pruned):
        ledger.get(task.id)


@pytest.fixture
def damaged(folder: Path) -> list[str]:
    """A ledger with more than a page of tasks that wait in a session; the first cannot be read any more. Their ids."""
    with tallystick.open(folder) as ledger:
        fill(ledger, ACKNOWLEDGED_AT_ONCE + 2)
        waiting = ledger.session(SESSION).take(limit=SESSION_TAKE_MAX)
    raw.change_record(folder / "log", waiting[0].position, lambda _body: b"nonsense")
    return [event.task_id for event in waiting]


def test_a_message_that_cannot_be_read_is_taken_all_the_same(folder: Path, damaged: list[str]) -> None:
    with tallystick.open(folder) as ledger:
        first, second = ledger.session(SESSION).take(limit=2)

    assert damaged[:2] == [first.task_id, second.task_id]
    assert f"Background task succeeded: {damaged[0]}. The message about it cannot be read any more." == first.text
    assert ("terminal", f"task-terminal:{damaged[0]}:succeeded:default") == (first.kind, first.id)


@pytest.mark.parametrize("kind", ["disk", "joined"])
def test_one_damaged_task_keeps_no_other_from_being_acknowledged(
    kind: str, folder: Path, clock: HandClock, damaged: list[str]
) -> None:
    with open_any(kind, folder, clock) as ledger:
        with pytest.raises(Corrupt):
            ledger.session(SESSION).ack(TIME_MS_MAX)

        assert damaged[:1] == [event.task_id for event in ledger.session(SESSION).take()]


def test_one_damaged_task_keeps_no_other_from_being_acknowledged_for_asyncio(folder: Path, damaged: list[str]) -> None:
    async def story() -> list[str]:
        async with tallystick.open_async(folder) as ledger:
            with pytest.raises(Corrupt):
                await ledger.session(SESSION).ack(TIME_MS_MAX)
            return [event.task_id for event in await ledger.session(SESSION).take()]

    assert damaged[:1] == asyncio.run(story())


@pytest.mark.parametrize("limit", [0, -1, SESSION_TAKE_MAX + 1, "20", 1.5])
def test_a_limit_that_is_none_is_refused(ledger: Ledger, limit: object) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        ledger.session(SESSION).take(limit=limit)  # type: ignore[arg-type]


def test_bad_keys_positions_and_routes_are_refused_by_name(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="session"):
        ledger.session(" ")
    with pytest.raises(InvalidInput, match="position"):
        ledger.session(SESSION).ack(-1)
    with pytest.raises(InvalidInput, match=r"route\.to"):
        ledger.session(SESSION).reach({"channel": "chat"})
    assert 0 == ledger.session("nobody").ack(2**53 - 1)
    assert [] == ledger.session("nobody").take()
    assert record(ledger, ended(ledger, origin=None)).outbox
