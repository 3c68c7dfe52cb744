"""A peer: the `eventsourcing` package, an aggregate for each task, saved after every event, in an SQLite file.

With its defaults: it switches the file to a write-ahead log and leaves `synchronous` as SQLite has it, FULL, which is
one fsync a save. The aggregate stays in memory, so that nothing is read back between two events.
"""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from tallystick.bench import workload
from tallystick.bench.sample import Sample, Stopwatch
from tallystick.ledger.intake import Creation


class TaskAggregate(Aggregate):
    """A task as the package's documentation would write it."""

    @event("Created")
    def __init__(self, runtime: str, task: str, label: str, owner: str) -> None:
        self.runtime, self.task, self.label, self.owner = runtime, task, label, owner
        self.status = "queued"
        self.progress_summary = self.terminal_summary = ""

    @event("Started")
    def start(self) -> None:
        """The work runs."""
        self.status = "running"

    @event("Progressed")
    def progress(self, message: str) -> None:
        """The work got further."""
        self.progress_summary = message

    @event("Succeeded")
    def succeed(self, summary: str) -> None:
        """The work ended well."""
        self.status, self.terminal_summary = "succeeded", summary


def live(folder: Path, creations: Sequence[Creation]) -> Sample:
    """Live the lives, saving after every event."""
    environment = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "events.sqlite3")}
    application: Application[UUID] = Application(env=environment)
    with Stopwatch() as watch:
        for said in creations:
            task = TaskAggregate(str(said["runtime"]), said["task"], said["label"] or "", said["owner"] or "")
            application.save(task)
            task.start()
            application.save(task)
            task.progress(workload.MESSAGE)
            application.save(task)
            task.succeed(workload.SUMMARY)
            application.save(task)
    application.close()
    count = workload.EVENTS_PER_LIFE * len(creations)
    return watch.sample(count, fsyncs=count)
