"""A subscription: the log from any position and then live, in order, without a gap, for as long as one listens."""

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

import tallystick
from tallystick import AsyncLedger, Event, Ledger
from tallystick.ledger.limits import SUBSCRIBER_PAGE_EVENTS
from tallystick.testing import memory_ledger
from tallystick.watch import Subscription
from tests.face.parts import ORDINARY, PATIENCE_S, Process, at_once
from tests.ledger.store import raw

WRITER = """
    import sys
    import tallystick
    with tallystick.open(sys.argv[1]) as ledger:
        print("open")
        for line in sys.stdin:
            with ledger.batch() as batch:
                for _ in range(int(line)):
                    batch.create(runtime="cli", task="Count", owner="o")
"""


def write(ledger: Ledger, count: int) -> None:
    with ledger.batch() as batch:
        for _ in range(count):
            batch.create(**ORDINARY)


def taken(events: Iterator[Event], count: int) -> list[int]:
    """Return the positions of the next events."""
    return [event.position for event in islice(events, count)]


def beginning(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ended(*threads: threading.Thread) -> bool:
    for thread in threads:
        thread.join(PATIENCE_S)
    return not any(thread.is_alive() for thread in threads)


def test_more_than_a_page_comes_in_order_and_without_a_gap(ledger: Ledger) -> None:
    total = 2 * SUBSCRIBER_PAGE_EVENTS + 7
    write(ledger, total)

    for after in (0, 1, SUBSCRIBER_PAGE_EVENTS - 1, SUBSCRIBER_PAGE_EVENTS, total - 1):
        with ledger.subscribe(after) as events:
            assert list(range(after + 1, total + 1)) == taken(events, total - after)
            assert total == events.position


def test_a_position_that_the_log_has_not_reached_is_waited_for(ledger: Ledger) -> None:
    with ledger.subscribe(after=5) as events:
        writing = beginning(lambda: [ledger.create(**ORDINARY) for _ in range(7)])

        assert [6, 7] == taken(events, 2)
        assert ended(writing)


@pytest.mark.usefixtures("restless")
def test_every_subscriber_misses_nothing_while_many_write(ledger: Ledger) -> None:
    def work(number: int) -> list[int]:
        if number < 3:
            with ledger.subscribe(after=number) as events:
                return taken(events, 300 - number)
        for _ in range(50):
            ledger.create(**ORDINARY).start()
        return []

    seen = at_once(6, work)

    assert [list(range(after + 1, 301)) for after in range(3)] == seen[:3]


def test_a_subscriber_goes_on_where_it_was_after_the_ledger_was_closed_and_opened(folder: Path) -> None:
    position, seen = 0, []
    for _ in range(3):
        with tallystick.open(folder) as ledger:
            events = ledger.subscribe(position)
            write(ledger, 5)
            seen += taken(events, 4)
            position = events.position
        assert position == events.position

    assert list(range(1, 13)) == seen


def test_what_was_given_out_is_told_even_in_the_middle_of_a_page(ledger: Ledger) -> None:
    write(ledger, 10)
    events = ledger.subscribe(after=2)

    assert [3, 4] == taken(events, 2)
    assert 4 == events.position
    events.close()
    assert list(range(5, 11)) == taken(events, 100)
    assert 10 == events.position


def test_closing_ends_the_iteration_behind_what_is_in_the_log(ledger: Ledger) -> None:
    write(ledger, 3)
    events = ledger.subscribe()
    events.close()
    events.close()
    assert 1 == next(events).position

    write(ledger, 3)

    assert [2, 3] == taken(events, 100)
    assert [] == taken(events, 100)


def test_closing_on_another_thread_wakes_who_waits(ledger: Ledger) -> None:
    write(ledger, 1)
    events, seen = ledger.subscribe(), list[int]()
    first = threading.Event()

    def read() -> None:
        for event in events:
            seen.append(event.position)
            first.set()

    reading = beginning(read)
    assert first.wait(PATIENCE_S)
    events.close()

    assert ended(reading)
    assert [1] == seen


@pytest.mark.parametrize("kind", ["disk", "memory", "read only"])
def test_who_waits_is_woken_when_the_ledger_is_closed(folder: Path, kind: str) -> None:
    if kind == "read only":
        tallystick.open(folder).close()
    ledger = memory_ledger() if kind == "memory" else tallystick.open(folder, read_only=kind == "read only")
    subscriptions = [ledger.subscribe() for _ in range(3)]
    threads = [beginning(lambda events=events: list(events)) for events in subscriptions]  # type: ignore[misc]

    ledger.close()

    assert ended(*threads)
    assert [0, 0, 0] == [events.position for events in subscriptions]


def test_a_subscription_that_is_forgotten_is_not_told_any_more(ledger: Ledger) -> None:
    write(ledger, 1)
    house = ledger._house  # noqa: SLF001 - nobody else knows who listens
    for _ in range(10):
        next(ledger.subscribe())
    closed = ledger.subscribe()
    closed.close()
    gc.collect()

    assert [] == house._listeners  # noqa: SLF001
    assert 0 == len(house.system._listeners)  # noqa: SLF001


def test_a_reader_beside_the_owner_follows_it(folder: Path, ledger: Ledger) -> None:
    with tallystick.open(folder, read_only=True) as reader, reader.subscribe() as events:
        write(ledger, 3)
        assert [1, 2, 3] == taken(events, 3)
        write(ledger, 2)
        assert [4, 5] == taken(events, 2)


def test_a_reader_in_another_process_than_the_writer_misses_nothing(folder: Path) -> None:
    with Process(WRITER, folder) as writer:
        assert "open" == writer.hear()
        with tallystick.open(folder, read_only=True) as reader, reader.subscribe() as events:
            seen = []
            for count in (1, 3 * SUBSCRIBER_PAGE_EVENTS, 2):
                writer.say(str(count))
                seen += taken(events, count)
            assert list(range(1, len(seen) + 1)) == seen
            assert len(seen) == reader.counts().total


def test_damaged_records_are_left_out_and_the_rest_comes(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        write(ledger, SUBSCRIBER_PAGE_EVENTS + 3)
    damaged = [2, *range(5, 8), SUBSCRIBER_PAGE_EVENTS + 3]
    for position in damaged:
        raw.change_record(folder / "log", position, lambda _body: b"nonsense")
    whole = [position for position in range(1, SUBSCRIBER_PAGE_EVENTS + 4) if position not in damaged]

    with tallystick.open(folder, read_only=True) as ledger:
        assert whole == [event.position for event in ledger.events()]
        with ledger.subscribe() as events:
            assert whole == taken(events, len(whole))
            events.close()
            assert [] == list(events)
            assert SUBSCRIBER_PAGE_EVENTS + 3 == events.position


def test_a_subscription_of_a_log_alone_polls_it(folder: Path, ledger: Ledger) -> None:
    with tallystick.open(folder, read_only=True) as reader:
        log = reader._house.readings.log  # noqa: SLF001 - as the command that watches has it
        events = Subscription(log, 0, None)
        writing = beginning(lambda: write(ledger, 2))
        assert [1, 2] == taken(events, 2)
        assert ended(writing)
        events.close()
        assert [] == list(events)


# For asyncio.


async def awaited(events: object, count: int) -> list[int]:
    return [(await asyncio.wait_for(anext(events), PATIENCE_S)).position for _ in range(count)]  # type: ignore[call-overload]


async def create(ledger: AsyncLedger, count: int) -> None:
    async with ledger.batch() as batch:
        for _ in range(count):
            await batch.create(**ORDINARY)


def test_a_coroutine_gets_the_log_and_then_what_comes(folder: Path) -> None:
    async def main() -> None:
        async with tallystick.open_async(folder) as ledger:
            await create(ledger, 3)
            async with ledger.subscribe(after=1) as events:
                assert [2, 3] == await awaited(events, 2)
                following = asyncio.ensure_future(awaited(events, SUBSCRIBER_PAGE_EVENTS + 1))
                await create(ledger, SUBSCRIBER_PAGE_EVENTS + 1)
                assert list(range(4, SUBSCRIBER_PAGE_EVENTS + 5)) == await following
            assert [] == [event async for event in events]
            assert [2, 3] == [event.position async for event in ledger.events(1) if event.position < 4]

    asyncio.run(main())


def test_a_wait_that_is_cancelled_loses_no_event(folder: Path) -> None:
    async def main() -> list[int]:
        async with tallystick.open_async(folder) as ledger:
            events, seen = ledger.subscribe(), list[int]()
            writing = asyncio.ensure_future(create(ledger, 500))
            impatience = 0
            while len(seen) < 500:
                following = asyncio.ensure_future(anext(events))
                for _ in range(impatience % 7):  # cancelled at every step of its way
                    await asyncio.sleep(0)
                impatience += 1
                if not following.done():
                    following.cancel()
                try:
                    seen.append((await following).position)
                except asyncio.CancelledError:
                    if impatience % 50 == 0:
                        seen.append((await anext(events)).position)
            await writing
            events.close()
            return seen

    assert list(range(1, 501)) == asyncio.run(main())


def test_coroutines_that_wait_are_woken_when_the_ledger_is_closed(folder: Path) -> None:
    async def main() -> None:
        ledger = tallystick.open_async(folder)
        async with ledger:
            waiting = [asyncio.ensure_future(anext(ledger.subscribe(), None)) for _ in range(3)]
            await asyncio.sleep(0)
        assert [None] * 3 == await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)
        with pytest.raises(tallystick.Closed):
            ledger.subscribe()
        with pytest.raises(tallystick.Closed):
            ledger.events()

    asyncio.run(main())


def test_a_coroutine_reads_beside_the_owner(folder: Path, ledger: Ledger) -> None:
    async def main() -> None:
        async with tallystick.open_async(folder, read_only=True) as reader:
            events = reader.subscribe()
            await asyncio.to_thread(write, ledger, 2)
            assert [1, 2] == await awaited(events, 2)
            await asyncio.to_thread(write, ledger, 2)
            assert [3, 4] == await awaited(events, 2)
            assert [1, 2, 3, 4] == [event.position async for event in reader.events()]

    asyncio.run(main())


def test_a_subscription_outlives_the_loop_it_was_made_on_without_a_word(folder: Path) -> None:
    opened = tallystick.open_async(folder)

    async def main() -> object:
        ledger = await opened.__aenter__()
        return ledger.subscribe()

    events = asyncio.run(main())
    house = opened.house
    write(Ledger(house), 2)
    house.close()

    assert events is not None
