"""The crew and what it has to await: cancelled at its limit, on its own loop and on a given one."""

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest

from tests.actors.crews import SOON_S, desk_of, is_late
from tests.actors.parts import PATIENCE_S


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


async def double(argument: int) -> int:
    await asyncio.sleep(0)
    return argument * 2


async def raises(error: BaseException, _argument: object) -> None:
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize("is_given", [False, True], ids=["its own loop", "a given loop"])
def test_coroutine_functions_and_whatever_can_be_awaited_are_awaited(is_given: bool) -> None:  # noqa: FBT001
    class Later:
        def __await__(self) -> Any:
            return double(5).__await__()

    with running_loop() as loop, desk_of(loop=loop if is_given else None) as desk:

        async def here(_argument: object) -> bool:
            return asyncio.get_running_loop() is loop

        desk.call(double, key=21)
        desk.call(lambda _: Later(), key="later")
        desk.call(here, key="here")
        errors = [ValueError("no"), TimeoutError("its own"), KeyboardInterrupt(), SystemExit(1)]
        for error in errors:
            desk.call(partial(raises, error), key=repr(error))
        expected: dict[Any, Any] = {21: 42, "later": 10, "here": is_given, **{repr(error): error for error in errors}}
        answers = desk.answers(len(expected))
        assert {key: repr(answer) for key, answer in expected.items()} == {
            key: repr(answer) for key, answer in answers.items()
        }
        desk.call(double, key=3)
        assert (3, 6) == desk.answer()


def test_a_coroutine_is_cancelled_at_its_limit_and_then_hangs_no_more() -> None:
    with desk_of(at_once=2) as desk:
        for key in range(6):
            desk.call(desk.hang_on, key=key, limit_s=SOON_S)
        answers = desk.answers(6)
        assert all(is_late(answer) for answer in answers.values())
        assert {} == desk.crew.hanging()
        desk.call(double, key=0)
        assert (0, 0) == desk.answer()


def test_a_coroutine_that_does_not_heed_its_cancellation_hangs_until_it_ends() -> None:
    with desk_of() as desk:

        async def stubborn(argument: object) -> object:
            desk.entered.put(argument)
            while not desk.gate.is_set():
                try:
                    await asyncio.get_running_loop().run_in_executor(None, desk.gate.wait)
                except asyncio.CancelledError:
                    desk.entered.put("cancelled")
            return argument

        desk.call(stubborn, key="k", limit_s=SOON_S)
        assert ("k", "cancelled") == (desk.enter(), desk.enter())
        assert is_late(desk.answer()[1])
        assert {"a": 1} == desk.crew.hanging()
        desk.call(stubborn, key="k")
        assert "the last call of it has not come back" == str(desk.answer()[1])


def test_a_coroutine_that_blocks_the_loop_is_answered_for_and_plain_functions_go_on() -> None:
    with desk_of() as desk:

        async def blocks(argument: object) -> object:
            return desk.hang(argument)

        desk.call(blocks, key="blocks", limit_s=SOON_S)
        desk.enter()
        desk.call(double, key=1, limit_s=SOON_S)
        desk.call(lambda argument: argument, key="plain")
        answers = desk.answers(3)
        assert (True, True, "plain") == (is_late(answers["blocks"]), is_late(answers[1]), answers["plain"])


def test_closing_ends_the_coroutines_on_its_own_loop_and_the_loop() -> None:
    with desk_of() as desk:
        ended: SimpleQueue[object] = SimpleQueue()

        async def waits(argument: object) -> None:
            try:
                await desk.hang_on(argument)
            finally:
                ended.put(argument)

        desk.call(waits, key="k")
        desk.enter()
        desk.crew.close()
        assert "k" == ended.get(timeout=PATIENCE_S)
        assert "CancelledError" in repr(desk.answer()[1])
        desk.rest()


def test_a_loop_that_has_been_closed_answers_with_an_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with desk_of(loop=loop) as desk:
        desk.call(double, key=1)
        assert isinstance(desk.answer()[1], RuntimeError)


def test_a_loop_that_does_not_run_is_no_reason_to_wait_longer() -> None:
    loop = asyncio.new_event_loop()
    with desk_of(loop=loop) as desk:
        desk.call(double, key=1, limit_s=SOON_S)
        assert is_late(desk.answer()[1])
        loop.call_soon(desk.crew.close)
        loop.run_until_complete(_turns(10))
    loop.close()


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_a_function_that_hangs_returns_late_is_not_awaited() -> None:
    with desk_of() as desk:
        begun = threading.Event()

        async def work() -> None:
            begun.set()

        def late(argument: object) -> Awaitable[None]:
            desk.hang(argument)
            return work()

        desk.call(late, limit_s=SOON_S)
        assert is_late(desk.answer()[1])
        desk.rest()
        assert not begun.is_set()
