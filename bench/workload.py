"""The workload: the lives of ordinary tasks, the same for the subject, the limit and every peer."""

from collections.abc import Iterator

from tallystick.ledger import ids, intake
from tallystick.ledger.events import Event, TaskFact
from tallystick.ledger.intake import Creation
from tallystick.ledger.lifecycle import Runtime

BEGIN_MS = 1_790_000_000_000
SPEAKER = "bench"
SESSIONS = 50
EVENTS_PER_LIFE = 4  # created, started, progressed, succeeded
MESSAGE = "read half of the threads"
SUMMARY = "forty-one issues are open, three of them urgent"

_RUNTIMES = (Runtime.SUBAGENT, Runtime.ACP, Runtime.CLI)


def creation(number: int, *, run_id: bool = False) -> Creation:
    """Return what a caller says about the task with this number."""
    said: Creation = {
        "runtime": _RUNTIMES[number % len(_RUNTIMES)],
        "task": f"Summarise the open issues of repository {number} and say which are urgent",
        "label": f"issues of {number}",
        "owner": f"agent:main:session-{number % SESSIONS}",
    }
    if run_id:
        said["run_id"] = f"run-{number:012}"
    return said


def life(number: int) -> tuple[TaskFact, ...]:
    """Return the facts of one life."""
    return (
        intake.created(**creation(number)),
        intake.started(None),
        intake.progressed(MESSAGE),
        intake.succeeded(SUMMARY),
    )


def events(tasks: int) -> list[Event]:
    """Return the events of as many lives, one after the other, as a log has them."""
    return list(_events(tasks))


def _events(tasks: int) -> Iterator[Event]:
    position = 0
    for number in range(tasks):
        stream = ids.new_id()
        for version, fact in enumerate(life(number), 1):
            position += 1
            yield Event(position, stream, version, BEGIN_MS + position, BEGIN_MS + position, SPEAKER, fact)
