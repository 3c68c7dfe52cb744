"""The first look: what a newcomer types, line by line as the interface is described."""

import asyncio
from pathlib import Path

import msgspec
import pytest

import tallystick
from tallystick import Origin


def test_a_program_with_threads_works_as_it_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with tallystick.open("./state") as ledger:
        task = ledger.create(
            runtime="subagent",
            task="Summarise the inbox",
            label="inbox",
            owner="agent:main:main",
            child_session="agent:main:subagent:7c",
            run_id="run-1",
            kind=None,
            source_id=None,
            parent=None,
            agent=None,
            origin=Origin(channel="telegram", to="123", account=None, thread=77),
            notify=None,
            timeout_ms=None,
            backing=None,
            metadata={"repo": "a/b"},
            idempotency_key=None,
        )
        assert isinstance(task.record, msgspec.Struct)
        assert (task.id, "queued") == (task.record.task_id, task.status)
        task.start()
        task.progress("reading", step=2, steps=5, tool="imap")
        since = task.record.created_at
        page = ledger.list(
            status="running",
            runtime="subagent",
            owner="agent:main:main",
            metadata={"repo": "a/b"},
            text="inbox",
            since=since,
            until=since + 1,
            limit=50,
            cursor=None,
        )
        assert ([task.record], None) == (page.tasks, page.next_cursor)
        task.succeed("3 mails answered", artifacts=["file:///a"])
        assert "succeeded" == task.status


def test_a_ledger_is_asked_as_it_is_written_down(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "state") as ledger:
        task = ledger.create(runtime="subagent", task="Summarise", owner="agent:main:main", run_id="run-1")
        task.start()
        task.progress("reading", step=2, steps=5, tool="imap")
        task.succeed("3 mails answered", artifacts=["file:///a"])
        assert task.id == ledger.get(task.id).id == ledger.find("run-1").id
        counts = ledger.counts()
        assert (1, 0, 1, 0) == (counts.total, counts.active, counts.terminal, counts.failures)
        assert (1, 1) == (counts.by_status["succeeded"], counts.by_runtime["subagent"])
        events = ledger.timeline(task.id)
        assert [(1, 1, "task-created.1"), (2, 2, "task-started.1")] == [
            (event.position, event.version, event.type) for event in events[:2]
        ]
        assert [(4, "task-succeeded.1"), (5, "delivery-queued.1")] == [
            (event.position, event.type) for event in events[3:]
        ]
        assert {events[0].actor} == {event.actor for event in events[:4]}
        assert "outbox" == events[4].actor
        assert all(event.occurred_at <= event.recorded_at and event.data for event in events)
        assert "running" == ledger.state_at(task.id, position=2).status
        assert "succeeded" == ledger.state_at(task.id, at=events[-1].recorded_at).status
        assert events == list(ledger.events(after=0))
        subscription = ledger.subscribe(after=3)
        assert events[3] == next(subscription)
        subscription.close()
        found = ledger.verify()
        assert (True, 5, 5, None, 32) == (found.ok, found.events, found.head, found.first_bad, len(found.root_hash))
        assert [] == list(found.problems)
        with ledger.batch() as batch:
            other = batch.create(runtime="cli", task="Count", owner="agent:main:main")
            other.start()
        with tallystick.track(ledger, runtime="cli", task="nightly import", owner="agent:main:main") as tracked:
            assert "running" == tracked.status
        assert ["succeeded", "running", "succeeded"] == [record.status for record in ledger.list().tasks]


def test_a_program_with_coroutines_works_as_it_is_written_down(tmp_path: Path) -> None:
    async def main() -> None:
        async with tallystick.open_async(tmp_path / "state") as ledger:
            task = await ledger.create(runtime="acp", task="Review", owner="agent:main:main", run_id="run-1")
            await task.start()
            await task.progress("reading", step=2, steps=5, tool="imap")
            assert [task.id] == [record.task_id for record in (await ledger.list(status="running")).tasks]
            await task.succeed("done")
            assert task.id == (await ledger.get(task.id)).id == (await ledger.find("run-1")).id
            assert 1 == (await ledger.counts()).total
            events = await ledger.timeline(task.id)
            assert "running" == (await ledger.state_at(task.id, position=2)).status
            assert events == [event async for event in ledger.events(after=0)]
            async for event in ledger.subscribe(after=3):
                assert events[3] == event
                break
            assert (await ledger.verify()).ok
            async with ledger.batch() as batch:
                other = await batch.create(runtime="cli", task="Count", owner="agent:main:main")
                await other.start()
            await ledger.settled()
            async with tallystick.track(ledger, runtime="cli", task="nightly", owner="agent:main:main") as tracked:
                assert "running" == tracked.status
            assert ["succeeded", "running", "succeeded"] == [record.status for record in (await ledger.list()).tasks]

    asyncio.run(main())


def test_a_gateway_reads_a_ledger_that_another_program_owns(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "state") as ledger:
        task = ledger.create(runtime="cli", task="Count", owner="agent:main:main")
        with tallystick.open(tmp_path / "state", config=None, clock=None, read_only=True) as reader:
            assert task.record == reader.get(task.id).record
