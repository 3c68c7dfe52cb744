"""The jobs: messages that stand in queues or are being sent, by task and name."""

from collections.abc import Container, KeysView

from tallystick.actors.courier.endpoint import Job
from tallystick.actors.courier.recorder import Key


class Jobs:
    """Every job once. Owned by one thread."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Job] = {}
        self._by_stream: dict[bytes, list[Job]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: Key) -> bool:
        return key in self._by_key

    def get(self, key: Key) -> Job | None:
        """Return the job of a message, if it has one."""
        return self._by_key.get(key)

    def keys(self) -> KeysView[Key]:
        """Return the messages that have jobs."""
        return self._by_key.keys()

    def add(self, job: Job) -> None:
        """Take a job in."""
        self._by_key[job.key] = job
        self._by_stream.setdefault(job.stream, []).append(job)

    def remove(self, job: Job) -> None:
        """Forget a job."""
        del self._by_key[job.key]
        of_task = self._by_stream[job.stream]
        of_task.remove(job)
        if not of_task:
            del self._by_stream[job.stream]

    def drop(self, stream: bytes, but: Container[str]) -> None:
        """Let none of a task's messages be sent but these."""
        for job in self._by_stream.get(stream, ()):
            if job.waiting.delivery not in but:
                job.is_dropped = True
