"""Histories of several tasks in one log, for the tests of read models."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from hypothesis import strategies as st

from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskFailed,
    TaskProgressed,
    TaskPruned,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog
from tallystick.projections.catch_up import catch_up
from tallystick.projections.change import changes_of
from tallystick.projections.views import Views
from tests.announced import WATCHED, Announced
from tests.story import BEGIN_MS, created
from tests.strategies import (
    creations,
    delivered,
    losses,
    misses,
    outcomes,
    progress,
    prunings,
    reports,
    starts,
    told_creations,
)

# Neither in the order of creation nor far apart.
STREAMS = tuple(
    bytes.fromhex("0198c2f07b7e7cc38a531f0a9d8e4b") + bytes([number]) for number in (0x80, 0x20, 0xE0, 0x40)
)

# Ends and prunings come often enough for every status to be met.
_TOLD = st.one_of(reports, starts, progress, outcomes, outcomes, losses, misses, prunings)

Dump = dict[str, list[tuple[bytes, bytes]]]


@st.composite
def histories(draw: st.DrawFn, most: int = 20) -> list[Event]:
    """What was written of a few tasks and their messages, in the order in which it was."""
    stories = [Announced(stream=stream, routing=WATCHED) for stream in STREAMS]
    events: list[Event] = []
    for _ in range(draw(st.integers(0, most))):
        story = draw(st.sampled_from(stories))
        data = delivered(story) if bool(story.names) and draw(st.booleans()) else _TOLD
        if story.record_or_none is None:
            data = st.one_of(told_creations(), creations())
        story.position, known = len(events), len(story.events)
        story.tell(
            draw(data),
            after_ms=draw(st.integers(0, 2)),
            occurred_at=draw(st.none() | st.integers(BEGIN_MS - 3, BEGIN_MS + 3)),
        )
        events.extend(story.events[known:])
    return events


def logged(events: Sequence[Event]) -> MemoryLog:
    """Return a log that has these events."""
    log = MemoryLog()
    log.append(events)
    return log


def records_of(events: Sequence[Event]) -> dict[bytes, TaskRecord]:
    """Return what every task is after these events, each folded by itself."""
    records: dict[bytes, TaskRecord] = {}
    for event in events:
        if not event.is_of_flow:
            records[event.stream] = evolve(records.get(event.stream), event)
    return records


def live(events: list[Event]) -> list[TaskRecord]:
    """What a list shows when nothing is left out: the newest first."""
    records = [record for record in records_of(events).values() if record.pruned_at is None]
    return sorted(records, key=lambda record: (record.created_at, record.stream), reverse=True)


def runs(events: Sequence[Event], cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs into which the cuts divide a history: each begins after the first and ends with the second."""
    return pairwise(sorted({0, len(events), *(cut for cut in cuts if cut < len(events))}))


def live_views(path: Path, events: Sequence[Event], cuts: Sequence[int]) -> Views:
    """Return views that were told of a history run by run, as a live owner tells them."""
    views = Views.open(path, logged(events))
    records: dict[bytes, TaskRecord] = {}
    flows: dict[bytes, FlowRecord] = {}
    for after, until in runs(events, cuts):
        changes = changes_of(events[after:until], records.get, flows=flows.get).changes
        records |= {stream: change.after for stream, change in changes.tasks.items()}
        flows |= {stream: change.after for stream, change in changes.flows.items()}
        views.apply(changes, after=after, until=until)
    return views


def caught_up_views(path: Path, log: EventLog, *, until: int | None = None, slice_events: int = 8_192) -> Views:
    """Return views that have read a log for themselves."""
    views = Views.open(path, log)
    catch_up(views, log, until=until, slice_events=slice_events)
    return views


def dump(views: Views) -> Dump:
    """Return all that the read models have stored, and how far they are."""
    with views.read() as sight:
        assert sight is not None
        contents: Dump = {
            f"{projection.name}.{table.name}": list(sight.txn.cursor(database))
            for projection in views.projections
            for table, database in zip(projection.tables, sight.tables[projection.name], strict=True)
        }
        for name, reached in sight.progress.items():
            contents[f"{name} at"] = [
                (reached.position.to_bytes(8), reached.last_position.to_bytes(8) + reached.last_stream)
            ]
        return contents


class PlainError(Exception):
    """An error that nobody expects."""


@contextmanager
def views_folder() -> Iterator[Path]:
    """A folder for one example of a property."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def told() -> list[Event]:
    """A history of four tasks: one runs, one has failed and a message waits, one is blocked, one was pruned."""
    lives: list[list[AnyFact]] = [
        [TaskStarted(), TaskProgressed(message="Half of it", step=1, steps=2)],
        [TaskFailed(error="No such file")],
        [TaskSucceeded(summary="Needs a key", outcome="blocked")],
        [TaskCancelled(reason="Not needed"), TaskPruned()],
    ]
    events: list[Event] = []
    for number, facts in enumerate(lives):
        notify = "failures_only" if number == 1 else "silent"
        creation = created(run_id=f"run-{number}", label=f"Task {number}", timeout_ms=60_000, notify=notify)
        events.extend(Announced(creation, *facts, stream=STREAMS[number], position=len(events)).events)
    return events
