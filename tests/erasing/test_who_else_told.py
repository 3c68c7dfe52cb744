"""Who else told what is erased: whoever erases a task hears which others said the same."""

from pathlib import Path

from tallystick.erasures import Copy
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.sync import Ledger
from tests.erasing.parts import OWNER, SECRET, WHY, Searcher

OWN = "agent:main:cron:nightly:run:1"


def test_who_told_the_output_of_a_task_is_named_until_that_is_erased_too(
    ledger: Ledger, folder: Path, searcher: Searcher
) -> None:
    run = ledger.create(
        runtime="cron",
        task="Sum up",
        owner=OWNER,
        child_session=OWN,
        notify="done_only",
    )
    run.start()
    child = ledger.create(runtime="subagent", task="Read", owner=OWN, notify="silent")
    child.start()
    run.succeed("on it")
    child.succeed(f"{SECRET} wrote twice")
    ledger.sweep()
    ledger.settled()
    told = next(event for event in ledger.timeline(run.id) if event.type == "delivery-released.1")

    erasure = ledger.erase(child.id, reason=WHY)

    assert (Copy(run.id, is_flow=False, position=told.position, type=told.type),) == erasure.copies
    assert searcher.find(folder, SECRET)
    ledger.erase(run.id, reason=WHY)
    assert [] == searcher.find(folder, SECRET)
    assert () == ledger.erase(child.id, reason=WHY).copies


def test_the_reason_of_a_cancel_that_went_on_to_others_is_named(
    ledger: Ledger, folder: Path, searcher: Searcher
) -> None:
    parent = ledger.create(runtime="cli", task="above", owner=OWNER)
    parent.start()
    children = [ledger.create(runtime="cli", task="below", owner=OWNER, parent=parent.id) for _ in range(2)]
    parent.cancel(f"{SECRET} wants it", cascade=True, wait_ms=0)
    flow = ledger.flows.create(owner=OWNER, goal="x", controller="bot")
    joined = ledger.create(runtime="cli", task="in it", owner=OWNER, flow=flow.id)
    ledger.flows.cancel(flow, f"{SECRET} wants that", wait_ms=0)
    ledger.settled()

    of_task, of_flow = (ledger.erase(token, reason=WHY) for token in (parent.id, flow.id))

    assert {child.id for child in children} == {copy.id for copy in of_task.copies}
    assert [(joined.id, "task-cancel-requested.1")] == [(copy.id, copy.type) for copy in of_flow.copies]
    for copy in (*of_task.copies, *of_flow.copies):
        ledger.erase(copy.id, reason=WHY)
    assert [] == searcher.find(folder, SECRET)


def test_what_the_flow_that_mirrors_a_task_handed_on_is_named_with_the_task(ledger: Ledger) -> None:
    first = ledger.create(runtime="subagent", task="begin", owner=OWNER)
    second = ledger.create(runtime="subagent", task="go on", owner=OWNER, flow=mirror_of(first.id))
    ledger.flows.cancel(mirror_of(first.id), f"{SECRET} wants it", wait_ms=0)
    ledger.settled()

    copies = ledger.erase(first.id, reason=WHY).copies

    assert {(second.id, "task-cancel-requested.1")} == {(copy.id, copy.type) for copy in copies}
