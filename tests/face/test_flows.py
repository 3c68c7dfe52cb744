"""Flows, on every kind of ledger: driven by a controller, linked with tasks, cancelled with them."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tallystick import BatchFailed, Flow, Ledger, TallystickError, Task
from tallystick.ledger.errors import Ambiguous, FlowRefused, InvalidInput, NotFound, WrongVersion
from tallystick.ledger.ids import id_text, new_id
from tallystick.testing import HandClock
from tests.face.parts import ORDINARY, OWNER, told, wait_until

DETACHED = {**ORDINARY, "notify": "done_only"}
GOAL: dict[str, Any] = {"owner": OWNER, "goal": "Release 1.2", "controller": "release-bot"}


def begin(ledger: Ledger, **more: Any) -> Flow:
    return ledger.flows.create(**{**GOAL, **more})


def mirror(ledger: Ledger, task: Task) -> Flow:
    """Return the flow that mirrors a task."""
    flow_id = task.record.parent_flow_id
    assert flow_id is not None
    return ledger.flows.get(flow_id)


def why(ask: Callable[[], object]) -> str:
    """Return in one word why something is refused."""
    try:
        ask()
    except FlowRefused as error:
        return str(error.code)
    except TallystickError as error:
        return type(error).__name__
    return "admitted"


def test_a_flow_is_driven_to_its_end_and_says_all_of_it(any_ledger: Ledger, clock: HandClock) -> None:
    flow = begin(any_ledger, step="plan", state={"tag": "1.2"})
    begun = flow.record
    clock.advance(1_000)
    claimed = flow.claim("build", claimant="bot-1")
    waiting = flow.set_waiting({"kind": "approval"}, step="approve", blocked="needs a human")
    resumed = flow.resume(state={"tag": "1.2.0"})
    done = flow.finish("out")

    assert ("queued", "managed", OWNER, "Release 1.2", "release-bot", "plan", {"tag": "1.2"}, 1) == (
        begun.status,
        begun.sync_mode,
        begun.owner_key,
        begun.goal,
        begun.controller_id,
        begun.current_step,
        begun.state_json,
        begun.revision,
    )
    assert ["running", "blocked", "running", "succeeded"] == [
        record.status for record in (claimed, waiting, resumed, done)
    ]
    assert ({"kind": "approval"}, "needs a human") == (waiting.wait_json, waiting.blocked_summary)
    assert (5, "out", clock.at_ms, {"tag": "1.2.0"}) == (done.revision, done.summary, done.ended_at, done.state_json)
    assert done == flow.record == any_ledger.flows.get(flow.id).record
    assert "succeeded" == flow.status
    assert [(number, name) for number, name in enumerate(TYPES, 1)] == told(any_ledger.events())


TYPES = ("flow-created.1", "flow-step-claimed.1", "flow-waiting-set.1", "flow-resumed.1", "flow-finished.1")


def test_what_has_ended_refuses_everything(any_ledger: Ledger) -> None:
    flow = begin(any_ledger)
    flow.fail("boom")
    task = any_ledger.create(**ORDINARY)

    asks: list[Callable[[], object]] = [
        lambda: flow.claim("build"),
        lambda: flow.set_waiting({}),
        flow.resume,
        flow.finish,
        lambda: flow.fail("again"),
        flow.cancel,
        lambda: flow.link(task),
        lambda: any_ledger.create(**ORDINARY, flow=flow.id),
    ]
    assert {"terminal"} == set(map(why, asks))
    assert 2 == any_ledger.flows.get(flow.id).record.revision


def test_who_is_stale_gets_the_present_record_and_goes_on_from_there(any_ledger: Ledger) -> None:
    mine = begin(any_ledger)
    theirs = any_ledger.flows.get(mine.id)
    theirs.resume(step="build")

    with pytest.raises(WrongVersion) as caught:
        mine.claim("test")
    current = caught.value.current
    again = pickle.loads(pickle.dumps(caught.value))
    claimed = any_ledger.flows.claim(mine.id, "test", expected_revision=current.revision)

    assert (1, 2, theirs.record) == (caught.value.expected, caught.value.actual, current)
    assert (current, str(caught.value)) == (again.current, str(again))
    assert 3 == claimed.revision


def test_by_its_id_a_flow_can_be_asked_for_all_of_it(any_ledger: Ledger) -> None:
    flows: Any = any_ledger.flows
    flow = begin(any_ledger)
    task = any_ledger.create(**ORDINARY)

    flows.claim(flow.id, "build", expected_revision=1)
    flows.set_waiting(flow, ["x"], expected_revision=2, blocked=task)
    flows.resume(flow.record, expected_revision=3)
    flows.link(flow.id, task, expected_revision=4)
    assert [task.id] == [each.task_id for each in flows.tasks(flow.id)] == [each.task_id for each in flow.tasks()]
    assert 5 == flow.refresh().revision
    flows.finish(flow.id, "done", expected_revision=5)
    other = begin(any_ledger)
    flows.fail(other.id, "no", expected_revision=1)
    third = begin(any_ledger)

    assert "cancelled" == flows.cancel(third.id, "enough").status
    assert (3, 0) == (flows.counts().total, flows.counts().active)
    assert [third.id, other.id, flow.id] == [each.flow_id for each in flows.list().flows]


@pytest.mark.parametrize("status", ["failed", "cancelled", "lost"])
def test_an_operator_ends_a_flow_whatever_was_seen_of_it_and_its_tasks_go_on(any_ledger: Ledger, status: str) -> None:
    flow, why_so = begin(any_ledger), "its controller does not come back"
    stale = any_ledger.flows.get(flow.id)
    task = any_ledger.create(**ORDINARY, flow=flow.id)
    task.start()
    flow.set_waiting("a reply")

    careful = why(lambda: stale.settle(status, why_so, expected_revision=1))
    settled = stale.settle(status, why_so)

    assert "WrongVersion" == careful
    assert (status, why_so, None, 3) == (settled.status, settled.error, settled.wait_json, settled.revision)
    assert settled == stale.record == flow.refresh()
    assert "terminal" == why(flow.finish) == why(lambda: any_ledger.flows.settle(flow.id, status, why_so))
    assert any_ledger.get(task.id).record.is_active


def test_an_operator_ends_a_cancel_that_nothing_else_ends(any_ledger: Ledger) -> None:
    flow = begin(any_ledger)
    any_ledger.create(**ORDINARY, flow=flow.id).start()
    flow.cancel("enough", wait_ms=0)

    settled = any_ledger.flows.settle(flow.id, "cancelled", "its task is on a machine that burnt down")

    assert ("cancelled", False) == (settled.status, settled.is_active)


def test_a_mirror_is_settled_by_settling_its_task(any_ledger: Ledger) -> None:
    task = any_ledger.create(**DETACHED)
    flow = mirror(any_ledger, task)
    refused = why(lambda: flow.settle("lost", "nobody knows"))

    task.settle("lost", "nobody knows")

    assert ("not_managed", "lost") == (refused, flow.refresh().status)


def test_a_claim_is_given_once_and_to_its_claimant_again(any_ledger: Ledger) -> None:
    flow = begin(any_ledger)
    first = flow.claim("build", claimant="bot-1")

    assert first == flow.claim("build", claimant="bot-1")
    assert first == any_ledger.flows.claim(flow.id, "build", claimant="bot-1", expected_revision=1)
    assert "claimed" == why(lambda: flow.claim("build", claimant="bot-2"))
    assert "claimed" == why(lambda: flow.claim("build"))
    assert "WrongVersion" == why(lambda: any_ledger.flows.claim(flow.id, "build", expected_revision=1))


def test_the_same_key_gives_the_same_flow(any_ledger: Ledger) -> None:
    flow = begin(any_ledger, idempotency_key="release-1.2")
    flow.claim("build")

    again = begin(any_ledger, idempotency_key="release-1.2", goal="Something else")
    again.claim("test")

    assert (flow.id, "Release 1.2", 3) == (again.id, again.record.goal, again.record.revision)
    assert 1 == any_ledger.flows.counts().total
    assert any_ledger.verify().ok


# Tasks.


def test_a_link_is_seen_from_both_sides(any_ledger: Ledger) -> None:
    flow, task = begin(any_ledger), any_ledger.create(**DETACHED)
    before = mirror(any_ledger, task)

    linked = flow.link(task)
    again = flow.link(task.id)

    assert linked == again
    assert flow.id == any_ledger.get(task.id).record.parent_flow_id
    assert [task.id] == [each.task_id for each in flow.tasks()]
    assert "NotFound" == why(lambda: any_ledger.flows.get(before.id))
    assert ["flow-task-linked.1", "task-linked.1"] == [name for _, name in told(any_ledger.events())][-2:]


def test_what_cannot_be_linked_is_refused_and_nothing_is_written(any_ledger: Ledger) -> None:
    flow, other = begin(any_ledger), begin(any_ledger)
    ended, stopped = begin(any_ledger), begin(any_ledger)
    ended.finish()
    child = any_ledger.create(**ORDINARY, flow=stopped.id)
    child.start()
    stopped.cancel(wait_ms=0)
    taken = any_ledger.create(**ORDINARY, flow=other.id)
    theirs = any_ledger.create(**{**ORDINARY, "owner": "agent:other"})
    system = any_ledger.create(runtime="cron", task="x", scope="system")
    free = any_ledger.create(**DETACHED)
    mirrored = mirror(any_ledger, any_ledger.create(**DETACHED))
    wait_until(lambda: any_ledger.get(child.id).record.cancel_requested_at is not None)
    head = len(list(any_ledger.events()))

    assert "linked_elsewhere" == why(lambda: flow.link(taken))
    assert "owner_mismatch" == why(lambda: flow.link(theirs))
    assert "system_scope" == why(lambda: flow.link(system))
    assert "terminal" == why(lambda: ended.link(free))
    assert "cancel_requested" == why(lambda: stopped.link(free))
    assert "not_managed" == why(lambda: mirrored.link(free))
    assert "NotFound" == why(lambda: flow.link(id_text(new_id())))
    assert "InvalidInput" == why(lambda: flow.link("run-1"))
    assert "owner_mismatch" == why(lambda: any_ledger.create(**{**ORDINARY, "owner": "x"}, flow=flow.id))
    assert "system_scope" == why(lambda: any_ledger.create(runtime="cron", task="x", scope="system", flow=flow.id))
    assert "terminal" == why(lambda: any_ledger.create(**ORDINARY, flow=ended.id))
    assert "cancel_requested" == why(lambda: any_ledger.create(**ORDINARY, flow=stopped.id))
    assert "NotFound" == why(lambda: any_ledger.create(**ORDINARY, flow=id_text(new_id())))
    assert "InvalidInput" == why(lambda: any_ledger.create(**ORDINARY, flow="my flow"))
    assert head == len(list(any_ledger.events()))


def test_a_batch_creates_tasks_of_a_flow_and_names_those_that_it_does_not_take(any_ledger: Ledger) -> None:
    flow, other = begin(any_ledger), begin(any_ledger, owner="a")

    with pytest.raises(BatchFailed) as caught, any_ledger.batch() as batch:
        create_in(batch, flow.id, other.id, flow.id)

    [(place, refused)] = caught.value.refusals
    assert isinstance(refused, FlowRefused)
    assert (1, "owner_mismatch") == (place, refused.code)
    assert ["queued"] * 2 == [task.status for task in flow.tasks()]


def create_in(batch: Any, *flows: str) -> None:
    for flow in flows:
        batch.create(**ORDINARY, flow=flow)


# Mirrors.


def test_a_detached_task_has_a_flow_that_follows_it(any_ledger: Ledger) -> None:
    task = any_ledger.create(**DETACHED, label="inbox")
    flow = mirror(any_ledger, task)
    seen = [flow.record]
    task.start()
    seen.append(flow.refresh())
    task.succeed("3 mails")
    seen.append(flow.refresh())

    assert ["queued", "running", "succeeded"] == [record.status for record in seen]
    assert ("mirrored", "inbox", "3 mails") == (seen[-1].sync_mode, seen[-1].goal, seen[-1].summary)
    assert [task.id] == [each.task_id for each in flow.tasks()]
    assert ["task-created.1", "task-started.1", "task-succeeded.1"] == [
        name for _, name in told(any_ledger.events()) if not name.startswith("delivery")
    ]


def test_a_mirrored_flow_follows_its_newest_task(any_ledger: Ledger) -> None:
    first = any_ledger.create(**DETACHED)
    flow = mirror(any_ledger, first)
    second = any_ledger.create(**DETACHED, flow=flow.id)
    second.start()
    running = flow.refresh()
    second.time_out()

    assert ("running", second.id) == (running.status, running.followed_task_id)
    assert ("failed", "queued") == (flow.refresh().status, any_ledger.get(first.id).status)
    assert [second.id, first.id] == [each.task_id for each in flow.tasks()]
    assert flow.record == any_ledger.flows.list(mode="mirrored").flows[0]


@pytest.mark.parametrize("given", [{"notify": "silent"}, {"runtime": "cli"}, {"runtime": "cron"}])
def test_what_nobody_waits_for_has_no_flow(any_ledger: Ledger, given: dict[str, str]) -> None:
    task = any_ledger.create(**{**DETACHED, **given})

    assert None is task.record.parent_flow_id
    assert [] == any_ledger.flows.list().flows


# Cancels.


def test_a_cancel_is_sticky_and_the_flow_ends_with_its_last_child(any_ledger: Ledger) -> None:
    flow = begin(any_ledger)
    queued, running = (any_ledger.create(**ORDINARY, flow=flow.id) for _ in range(2))
    running.start()

    asked = flow.cancel("enough", wait_ms=0)
    wait_until(lambda: any_ledger.get(queued.id).status == "cancelled")
    wait_until(lambda: any_ledger.get(running.id).record.cancel_requested_at is not None)
    half = (any_ledger.get(queued.id).status, any_ledger.get(running.id).record, flow.refresh().status)
    running.succeed("in time")
    wait_until(lambda: flow.refresh().status == "cancelled")

    assert ("queued", "enough") == (asked.status, asked.cancel_reason)
    assert ("cancelled", "queued") == (half[0], half[2])
    assert half[1].cancel_requested_at is not None
    assert ("cancelled", "enough") == (flow.refresh().status, flow.record.error)
    assert flow.record == flow.cancel("once more")
    assert "succeeded" == any_ledger.get(running.id).status


def test_a_cancel_waits_for_the_end_and_answers_with_it(any_ledger: Ledger) -> None:
    flow = begin(any_ledger)
    tasks = [any_ledger.create(**ORDINARY, flow=flow.id) for _ in range(3)]

    assert "cancelled" == flow.cancel().status
    assert {"cancelled"} == {any_ledger.get(task.id).status for task in tasks}


def test_a_mirrored_flow_is_cancelled_with_all_of_its_tasks(any_ledger: Ledger) -> None:
    first = any_ledger.create(**DETACHED)
    flow = mirror(any_ledger, first)
    second = any_ledger.create(**DETACHED, flow=flow.id)

    assert "cancelled" == flow.cancel("enough").status
    assert {"cancelled"} == {any_ledger.get(task.id).status for task in (first, second)}
    assert "terminal" == why(lambda: any_ledger.create(**DETACHED, flow=flow.id))


# Finding.


def test_an_owner_key_names_the_only_flow_that_has_not_ended(any_ledger: Ledger) -> None:
    old, flow = begin(any_ledger), begin(any_ledger)
    with pytest.raises(Ambiguous) as caught:
        any_ledger.flows.find(OWNER)
    old.finish()

    assert [flow.id, old.id] == caught.value.candidates
    assert flow.id == any_ledger.flows.find(f" {OWNER} ").id
    assert old.id == any_ledger.flows.find(old.id).id
    flow.finish()
    with pytest.raises(NotFound):
        any_ledger.flows.find(OWNER)


@pytest.mark.parametrize(
    ("field", "say"),
    [
        ("expected_revision", lambda flow: flow.finish(expected_revision=0)),
        ("occurred_at", lambda flow: flow.finish(occurred_at=-1)),
        ("state", lambda flow: flow.resume(state=b"x")),
        ("wait", lambda flow: flow.set_waiting({1: 2})),
        ("step", lambda flow: flow.claim("")),
        ("task", lambda flow: flow.link(7)),
        ("wait_ms", lambda flow: flow.cancel(wait_ms=-1)),
        ("reason", lambda flow: flow.cancel(7)),
        ("as", lambda flow: flow.settle("succeeded", "I think so")),
        ("reason", lambda flow: flow.settle("lost", " ")),
        ("expected_revision", lambda flow: flow.settle("lost", "x", expected_revision=0)),
    ],
)
def test_bad_input_is_refused_by_its_field_before_anything_is_sent(
    any_ledger: Ledger, field: str, say: Callable[[Any], object]
) -> None:
    flow = begin(any_ledger)

    with pytest.raises(InvalidInput) as caught:
        say(flow)

    assert field == caught.value.field
    assert 1 == flow.refresh().revision
