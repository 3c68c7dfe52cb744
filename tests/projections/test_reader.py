"""The reader: exact to the head of the log, wherever the views stand."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import NotFound, Pruned
from tallystick.ledger.events import Event
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.ledger.record import TaskRecord
from tallystick.projections.catch_up import catch_up
from tallystick.projections.due import Due, DueKind, DueRules, dues_of
from tallystick.projections.query import STATUSES_SHOWN, Query
from tallystick.projections.reader import Reader
from tallystick.projections.views import PROJECTIONS, Views
from tests.projections.histories import STREAMS, histories, live, logged, records_of
from tests.story import BEGIN_MS

positions = st.integers(0, 25)
standings = st.tuples(*[positions] * len(PROJECTIONS))
"""How far each read model has come; none further than the log."""

names = st.sampled_from(["agent:main:main", "run-1", "a"])
queries = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(STATUSES_SHOWN),
        "runtime": st.sampled_from([runtime.value for runtime in Runtime]),
        "owner": names,
        "session": names,
        "run_id": names,
        "kind": names,
        "text": st.sampled_from(["TALLIES", "done", "boom", "strich", "РАБОТЫ", "x"]),
        "metadata": st.dictionaries(names, st.sampled_from(["", "done"]), min_size=1, max_size=1),
        "since": st.integers(BEGIN_MS - 3, BEGIN_MS + 9),
        "until": st.integers(BEGIN_MS - 3, BEGIN_MS + 9),
        "limit": st.integers(1, 4),
    },
)


@contextmanager
def reader_of(events: list[Event], standing: tuple[int, ...]) -> Iterator[Reader]:
    """A reader of a log whose read models have come as far as they have."""
    log = logged(events)
    with tempfile.TemporaryDirectory() as folder, Views.open(Path(folder), log) as views:
        for projection, position in zip(views.projections, standing, strict=True):
            catch_up(views, log, until=position, names={projection.name})
        yield Reader(log, views)


def passes(record: TaskRecord, filters: dict[str, Any]) -> bool:
    """What the filters mean, word by word."""
    texts = [record.label, record.task, record.progress_summary, record.terminal_summary, record.error]
    sessions = [record.owner_key, record.requester_session_key, record.child_session_key]
    tests: dict[str, Callable[[Any], bool]] = {
        "status": lambda status: status in (record.status, record.shown_status),
        "runtime": lambda runtime: runtime == record.runtime,
        "owner": lambda owner: owner == record.owner_key,
        "session": lambda session: session in sessions,
        "run_id": lambda run_id: run_id == record.run_id,
        "kind": lambda kind: kind == record.task_kind,
        "text": lambda text: any(text.casefold() in (told or "").casefold() for told in texts),
        "metadata": lambda pairs: all((record.metadata or {}).get(name) == value for name, value in pairs.items()),
        "since": lambda since: since <= record.created_at,
        "until": lambda until: record.created_at < until,
        "limit": lambda _: True,
    }
    return all(tests[name](value) for name, value in filters.items())


@given(histories(), standings, queries)
def test_a_list_has_what_a_look_at_every_record_would_find(
    events: list[Event], standing: tuple[int, ...], filters: dict[str, Any]
) -> None:
    expected = [record for record in live(events) if passes(record, filters)]
    with reader_of(events, standing) as reader:
        pages: list[list[TaskRecord]] = []
        cursor = None
        while not pages or cursor is not None:
            page = reader.list(Query(**filters, cursor=cursor))
            pages.append(page.tasks)
            cursor = page.next_cursor

        assert expected == [record for tasks in pages for record in tasks]
        full = filters.get("limit", 50)
        assert all(len(tasks) == full for tasks in pages[:-1])


@given(histories(), standings, queries)
def test_every_status_and_runtime_has_its_own_list(
    events: list[Event], standing: tuple[int, ...], others: dict[str, Any]
) -> None:
    others["limit"] = 50
    with reader_of(events, standing) as reader:
        for status in (None, *STATUSES_SHOWN):
            for runtime in (None, *Runtime):
                chosen = {"status": status, "runtime": runtime}
                filters = {**others, **{name: value for name, value in chosen.items() if value is not None}}
                expected = [record for record in live(events) if passes(record, filters)]
                assert expected == reader.list(Query(**filters)).tasks


@given(histories(), standings)
def test_a_task_is_found_by_id_then_by_run_then_by_session(events: list[Event], standing: tuple[int, ...]) -> None:
    records = records_of(events)
    with reader_of(events, standing) as reader:
        for stream in STREAMS:
            record = records.get(stream)
            if record is None:
                with pytest.raises(NotFound):
                    reader.get(id_text(stream))
            elif record.pruned_at is not None:
                with pytest.raises(Pruned) as caught:
                    reader.find(f" {id_text(stream)}\n")
                assert (record.status, record.ended_at) == (caught.value.status, caught.value.ended_at)
            else:
                assert record == reader.get(id_text(stream)) == reader.find(id_text(stream))
        for token in ("agent:main:main", "run-1", "a"):
            runs = [record for record in live(events) if record.run_id == token]
            newest = (runs or [record for record in live(events) if passes(record, {"session": token})])[:1]
            try:
                assert newest == [reader.find(f" {token} ")]
            except NotFound:
                assert [] == newest


@given(histories(), standings)
def test_counts_are_those_of_the_records(events: list[Event], standing: tuple[int, ...]) -> None:
    records = live(events)
    with reader_of(events, standing) as reader:
        counts = reader.counts()

    by_status = Counter(record.status.value for record in records)
    blocked = sum(record.shown_status == "blocked" for record in records)
    failures = by_status["failed"] + by_status["timed_out"] + by_status["lost"]
    active = sum(record.is_active for record in records)
    assert {status.value: by_status[status] for status in Status} == counts.by_status
    assert Counter(record.runtime.value for record in records) == Counter(counts.by_runtime)
    assert (len(records), active, len(records) - active) == (counts.total, counts.active, counts.terminal)
    assert (failures, failures + blocked, blocked) == (counts.failures, counts.issues, counts.blocked)


@given(histories(), standings, st.integers(1, 5))
def test_the_board_of_a_session_has_its_active_tasks_first(
    events: list[Event], standing: tuple[int, ...], limit: int
) -> None:
    session = "agent:main:main"
    mine = [record for record in live(events) if passes(record, {"session": session})]
    expected = [record for record in mine if record.is_active] + [record for record in mine if not record.is_active]
    with reader_of(events, standing) as reader:
        assert expected[:limit] == reader.board(session, limit)


@given(histories(), standings, st.integers(0, 30), st.integers(0, 30), st.integers(0, 20))
def test_what_is_due_follows_from_the_records_and_the_rules(
    events: list[Event], standing: tuple[int, ...], until: int, watching_since: int, kept: int
) -> None:
    rules = DueRules(
        grace={Runtime.ACP: 3, Runtime.CLI: 0},
        grace_default=5,
        watching_since=BEGIN_MS + watching_since,
        retention={(None, Status.FAILED): None, (Runtime.CRON, Status.SUCCEEDED): 0},
        retention_default=kept,
        retention_lost=2,
    )
    until += BEGIN_MS
    expected = sorted(
        Due(at, kind, record.stream) for record in live(events) for at, kind in dues_of(record, rules) if at <= until
    )
    with reader_of(events, standing) as reader:
        found = reader.due(until, rules)

        assert expected == sorted(found)
        assert [due.at for due in found] == sorted(due.at for due in found)
        assert found[:1] == reader.due(until, rules, limit=1)
        for kind in DueKind:
            assert [due for due in found if due.kind is kind] == reader.due(until, rules, kinds={kind})
        assert [] == reader.due(until, rules, kinds=set())


@given(histories(), standings)
def test_the_tasks_that_name_their_backing_are_the_active_ones_with_a_process_or_a_lease(
    events: list[Event], standing: tuple[int, ...]
) -> None:
    expected = [
        record.stream
        for record in live(events)
        if record.is_active and (record.lease_ms is not None or "pid" in (record.backing or {}))
    ]
    with reader_of(events, standing) as reader:
        assert sorted(expected) == sorted(reader.backed())
