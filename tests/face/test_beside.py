"""Readers beside the owner, in its process and in others: each answer is exact to the log's head."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Ledger, NotFound
from tests.face.parts import ORDINARY, OWNER, PATIENCE_S, Process, at_once

READER = """
    import json, sys
    import tallystick
    from contextlib import ExitStack

    def answers(reader, head):
        page = reader.list(limit=1000)
        newest = page.tasks[0]
        return {
            "head": reader.status().head,
            "total": reader.counts().total,
            "by_status": reader.counts().by_status,
            "ids": [record.task_id for record in page.tasks],
            "newest": [newest.status, newest.version, newest.position],
            "found": reader.find(newest.run_id).id,
            "timeline": [event.position for event in reader.timeline(newest.task_id)],
            "then": reader.state_at(newest.task_id, position=head - 1).status,
            "events": len(list(reader.events())),
            "root": reader.verify().root_hash.hex(),
        }

    with ExitStack() as opened:
        print("ready")
        readers = []
        for line in sys.stdin:
            head = int(line)
            readers.append(opened.enter_context(tallystick.open(sys.argv[1], read_only=True)))
            told = [answers(reader, head) for reader in readers]
            assert all(each == told[0] for each in told), "a reader that was there already says something else"
            print(json.dumps(told[0]))
"""


def expected(ledger: Ledger, head: int) -> dict[str, Any]:
    """Return what the owner says."""
    page = ledger.list(limit=1_000)
    newest = page.tasks[0]
    return {
        "head": head,
        "total": ledger.counts().total,
        "by_status": ledger.counts().by_status,
        "ids": [record.task_id for record in page.tasks],
        "newest": [newest.status, newest.version, newest.position],
        "found": newest.task_id,
        "timeline": [event.position for event in ledger.timeline(newest.task_id)],
        "then": ledger.state_at(newest.task_id, position=head - 1).status,
        "events": head,
        "root": ledger.verify().root_hash.hex(),
    }


def test_readers_in_another_process_are_exact_at_every_moment(folder: Path, ledger: Ledger) -> None:
    with Process(READER, folder) as reader:
        assert "ready" == reader.hear()
        for number in range(8):
            with ledger.batch() as batch:
                for _ in range(number**3):
                    batch.create(**ORDINARY).succeed()
            task = ledger.create(**ORDINARY, run_id=f"run-{number}")
            record = task.start() if number % 2 else task.succeed("done")

            reader.say(str(record.position))

            assert expected(ledger, record.position) == json.loads(reader.hear())


def test_a_reader_sees_what_was_acknowledged_in_the_very_next_question(folder: Path, ledger: Ledger) -> None:
    with tallystick.open(folder, read_only=True) as reader:
        for number in range(200):
            task = ledger.create(**ORDINARY, run_id=f"run-{number}")
            assert task.record == reader.get(task.id).record == reader.find(f"run-{number}").record
            assert number + 1 == reader.counts().total
            assert task.id == reader.list(limit=1).tasks[0].task_id
            record = task.succeed(str(number))
            assert record == reader.get(task.id).record
            assert record.position == list(reader.events(record.position - 1))[-1].position == reader.status().head


@pytest.mark.usefixtures("restless")
def test_what_one_reader_sees_never_goes_back_while_many_write(folder: Path, ledger: Ledger) -> None:
    writing = threading.Barrier(3)
    ended = threading.Event()

    def work(number: int) -> None:
        if number < 3:
            for _ in range(40):
                ledger.create(**ORDINARY).succeed()
            writing.wait(PATIENCE_S)
            ended.set()
            return
        with tallystick.open(folder, read_only=True) as reader:
            total, head = 0, 0
            while not ended.is_set():
                counts = reader.counts()
                assert counts.total >= total
                assert counts.total == sum(counts.by_status.values())
                now = reader.status().head
                assert now >= head
                assert len(reader.list(owner=OWNER, limit=1_000).tasks) >= counts.total
                total, head = counts.total, now

    at_once(5, work)

    with tallystick.open(folder, read_only=True) as reader:
        assert 120 == reader.counts().by_status["succeeded"]


def test_a_reader_of_a_ledger_that_nobody_owns_is_exact_although_its_views_are_behind(folder: Path) -> None:
    with Process(
        """
        import os, sys, tallystick
        ledger = tallystick.open(sys.argv[1])
        with ledger.batch() as batch:
            for number in range(2_000):
                batch.create(runtime="cli", task="Count", owner="o").start()
        print("written")
        sys.stdin.readline()
        """,
        folder,
    ) as owner:
        assert "written" == owner.hear()
        owner.kill()

    with tallystick.open(folder, read_only=True) as reader:
        assert 2_000 == reader.counts().by_status["running"]
        assert 2_000 == len(reader.list(status="running", limit=10_000).tasks)
        assert (4_000, None) == (reader.status().head, reader.status().owner)
        with pytest.raises(NotFound):
            reader.get("nobody")


def test_readers_do_not_change_a_byte_of_the_log_or_the_views(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        ledger.create(**ORDINARY).start()
    files = [folder / part / "data.mdb" for part in ("log", "views")]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]

    for _ in range(3):
        with tallystick.open(folder, read_only=True) as reader:
            assert 1 == reader.counts().total
            assert reader.verify().ok

    assert before == [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
