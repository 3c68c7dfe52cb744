"""A loss is corrected by what is observed later, whichever way that reaches the ledger."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.facts.tasks import TaskRecovered
from tallystick.sync import Ledger
from tests.watching.conftest import OWNER

Report = Callable[[Ledger, str], object]


def by_a_handle(ledger: Ledger, task_id: str) -> None:
    ledger.get(task_id).succeed("3 mails")


def in_a_batch(ledger: Ledger, task_id: str) -> None:
    with ledger.batch() as batch:
        batch.task(task_id).succeed("3 mails")


def beside_the_owner(ledger: Ledger, task_id: str) -> None:
    with tallystick.join(ledger.path) as joined:
        joined.get(task_id).succeed("3 mails")


def in_a_batch_beside_the_owner(ledger: Ledger, task_id: str) -> None:
    with tallystick.join(ledger.path) as joined, joined.batch() as batch:
        batch.task(task_id).succeed("3 mails")


def on_a_loop_beside_the_owner(ledger: Ledger, task_id: str) -> None:
    async def report() -> None:
        async with tallystick.join_async(ledger.path) as joined:
            task = await joined.get(task_id)
            await task.succeed("3 mails")

    asyncio.run(report())


def by_a_probe(ledger: Ledger, _task_id: str) -> None:
    class History:
        recovers = True

        def __call__(self, _task: tallystick.TaskRecord) -> tallystick.Verdict:
            return tallystick.Verdict.ended("succeeded", summary="3 mails")

    ledger.probe("cron", History())
    ledger.sweep()


@pytest.mark.parametrize(
    "report",
    [
        by_a_handle,
        in_a_batch,
        beside_the_owner,
        in_a_batch_beside_the_owner,
        on_a_loop_beside_the_owner,
        by_a_probe,
    ],
    ids=lambda report: report.__name__,
)
def test_a_loss_is_corrected_on_every_path(folder: Path, report: Report) -> None:
    with tallystick.open(folder) as ledger:
        task = ledger.create(runtime="cron", task="Sort the inbox", owner=OWNER)
        task.start()
        task.settle("lost", "the host went away")
        lost = ledger.timeline(task.id)[-1]

        report(ledger, task.id)

        record = ledger.get(task.id).record
        recovered = ledger.timeline(task.id)[-1].data
        assert ("succeeded", "3 mails") == (record.status, record.terminal_summary)
        assert isinstance(recovered, TaskRecovered)
        assert lost.position == recovered.corrects
