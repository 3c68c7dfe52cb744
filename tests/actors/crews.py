"""A crew for tests: what it is given to call, and what it answered."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from tallystick.actors.watching.crew import Crew, Unanswered
from tests.actors.parts import PATIENCE_S, reached

SOON_S = 0.05
LONG_S = 600.0


class Called:
    """A crew, and what it answered."""

    def __init__(self, **options: Any) -> None:
        self.threads_before = set(threading.enumerate())
        self.crew = Crew(**options)
        self.gate = threading.Event()
        """What hangs, hangs until it opens."""
        self.entered: SimpleQueue[Any] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, Any]] = SimpleQueue()

    def call(self, function: Callable[[Any], Any], *, key: Any = 0, kind: str = "a", limit_s: float = LONG_S) -> None:
        self.crew.call(
            kind,
            str(key).encode(),
            function,
            key,
            limit_s=limit_s,
            done=lambda answer: self._answers.put((key, answer)),
        )

    def hang(self, argument: Any) -> Any:
        self.entered.put(argument)
        assert reached(self.gate)
        return argument

    async def hang_on(self, argument: Any) -> Any:
        """Hang as a coroutine does that heeds its cancellation."""
        self.entered.put(argument)
        await asyncio.Event().wait()

    def enter(self) -> Any:
        """Wait until one more call is under way."""
        return self.entered.get(timeout=PATIENCE_S)

    def answer(self) -> tuple[Any, Any]:
        """Wait for the next answer."""
        return self._answers.get(timeout=PATIENCE_S)

    def answers(self, count: int) -> dict[Any, Any]:
        return dict(self.answer() for _ in range(count))

    def is_silent(self) -> bool:
        """Whether nobody has been answered more than was asked for."""
        return self._answers.empty()

    def threads(self) -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each not in self.threads_before}

    def rest(self) -> None:
        """Wait until its threads have ended."""
        self.gate.set()
        for thread in self.threads():
            thread.join(PATIENCE_S)
        assert set() == self.threads()


@contextmanager
def desk_of(**options: Any) -> Iterator[Called]:
    desk = Called(**options)
    try:
        yield desk
    finally:
        desk.gate.set()
        desk.crew.close()
        desk.rest()


def is_late(answer: object) -> bool:
    return isinstance(answer, Unanswered) and "no answer within" in str(answer)
