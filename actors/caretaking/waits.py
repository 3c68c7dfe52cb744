"""The waits: which runs wait for which tasks."""

from collections.abc import Iterable


class Waits:
    """Runs, and the tasks that each waits for. Owned by one thread; any other may ask whether a task is awaited."""

    def __init__(self) -> None:
        self._awaited_by: dict[bytes, set[bytes]] = {}
        self._awaits: dict[bytes, set[bytes]] = {}

    def is_awaited(self, stream: bytes) -> bool:
        """Whether some run waits for this task."""
        return stream in self._awaited_by

    def is_waiting(self, run: bytes) -> bool:
        """Whether this run waits for some task."""
        return run in self._awaits

    def begin(self, run: bytes, tasks: Iterable[bytes]) -> None:
        """Let a run wait for these tasks, and for no others."""
        self.end(run)
        self._awaits[run] = set(tasks)
        for task in self._awaits[run]:
            self._awaited_by.setdefault(task, set()).add(run)

    def end(self, run: bytes) -> None:
        """Let a run wait no more."""
        for task in self._awaits.pop(run, ()):
            self._forget(task, run)

    def over(self, task: bytes) -> list[bytes]:
        """A task has ended; return the runs that waited for nothing else."""
        ready = []
        for run in tuple(self._awaited_by.get(task, ())):
            self._forget(task, run)
            awaited = self._awaits[run]
            awaited.discard(task)
            if not awaited:
                del self._awaits[run]
                ready.append(run)
        return ready

    def clear(self) -> None:
        """Let nobody wait any more."""
        self._awaits.clear()
        self._awaited_by.clear()

    def _forget(self, task: bytes, run: bytes) -> None:
        runs = self._awaited_by[task]
        runs.discard(run)
        if not runs:
            del self._awaited_by[task]
