"""What ships for the tests of others: a clock that moves when told, and a ledger without a disk."""

import threading

import pytest

import tallystick
from tallystick import InvalidInput, Ledger
from tallystick.ledger.facts.tasks import TaskProgressed
from tallystick.testing import FIRST_MS, HandClock, memory_ledger
from tests.face.parts import ORDINARY, at_once


def test_a_clock_moves_only_when_told() -> None:
    clock = HandClock()
    assert FIRST_MS == clock() == clock() == clock.at_ms

    clock.advance(5)
    assert FIRST_MS + 5 == clock()
    clock.advance(-10)
    assert FIRST_MS - 5 == clock()
    assert 7 == HandClock(7)()


@pytest.mark.parametrize("ms", [1.5, "5", None, True])
def test_a_clock_moves_by_whole_milliseconds(ms: object) -> None:
    clock = HandClock()

    with pytest.raises(InvalidInput, match="a whole number of milliseconds"):
        clock.advance(ms)  # type: ignore[arg-type]

    assert FIRST_MS == clock()


def test_an_agent_is_tested_without_a_disk_and_without_waiting() -> None:
    clock = HandClock()

    with memory_ledger(clock=clock) as ledger:
        task = ledger.create(runtime="subagent", task="Summarise the inbox", owner="agent:main:main")
        task.start()
        clock.advance(90_000)
        task.succeed("3 mails answered")

        record = ledger.find("agent:main:main").record
        assert record.ended_at is not None
        assert record.started_at is not None
        assert 90_000 == record.ended_at - record.started_at


def test_a_ledger_in_memory_needs_nothing_and_says_what_it_is() -> None:
    with memory_ledger() as ledger:
        task = ledger.create(**ORDINARY)

        assert (":memory:", FIRST_MS) == (ledger.path, task.record.created_at)
        assert ["test"] == [event.actor for event in ledger.timeline(task.id)]
        assert ledger.status().owner is None
        assert isinstance(ledger, Ledger)


def test_each_ledger_in_memory_is_a_world_of_its_own() -> None:
    with memory_ledger() as one, memory_ledger(actor="me") as other:
        one.create(**ORDINARY, run_id="run-1")
        assert (1, 0) == (one.counts().total, other.counts().total)
        other.create(**ORDINARY, run_id="run-1")
        assert ["me"] == [event.actor for event in other.events()]


def test_held_back_progress_is_written_by_a_sweep_or_with_the_next_event() -> None:
    with memory_ledger() as ledger:
        task = ledger.create(**ORDINARY)
        task.progress("one")
        assert 3 == task.progress("two").version
        ledger.sweep()
        assert 4 == task.progress("three").version
        task.succeed()

        assert 3 == ledger.get(task.id).record.progress_count
        assert ["one", "two", "three"] == [
            event.data.message for event in ledger.timeline(task.id) if isinstance(event.data, TaskProgressed)
        ]


@pytest.mark.usefixtures("restless")
def test_a_ledger_in_memory_is_read_by_many_while_many_write() -> None:
    done = threading.Event()
    writers = iter(range(3))

    with memory_ledger() as ledger:
        first = ledger.create(**ORDINARY)

        def work(number: int) -> int:
            if number < 3:
                with ledger.batch() as batch:
                    for _ in range(200):
                        batch.create(**ORDINARY).start()
                        batch.task(first.id).hold()
                        batch.task(first.id).release()
                if next(writers) == 2:
                    done.set()
                return 0
            looks = 0
            while not done.is_set():
                events = ledger.timeline(first.id)
                assert list(range(1, len(events) + 1)) == [event.version for event in events]
                assert ledger.counts().total <= len({event.stream for event in ledger.events()})
                assert ledger.verify().ok
                looks += 1
            return looks

        assert 0 < min(at_once(6, work)[3:])
        assert 601 == ledger.counts().total


def test_the_names_that_ship_for_tests_are_public() -> None:
    assert (tallystick.testing.HandClock, tallystick.testing.memory_ledger) == (HandClock, memory_ledger)
