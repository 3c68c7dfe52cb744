"""A session that asks twice for the same picture gets one: on every face, from every process, after every death."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Ledger, Task
from tallystick.ledger.lifecycle import MEDIA_KINDS
from tallystick.ledger.limits import MEDIA_GUARD_MS
from tallystick.testing import HandClock
from tests.face.parts import OWNER, PATIENCE_S, Process, at_once

FOX: dict[str, Any] = {"runtime": "cli", "kind": "image_generation", "task": "A red fox", "owner": OWNER}
MANY = 16

OWN = """
    import sys, tallystick
    with tallystick.open(sys.argv[1], actor="gateway") as ledger:
        task = ledger.create(runtime="cli", kind="image_generation", task="A red fox", owner="agent:main:main")
        done = ledger.create(
            runtime="cli", kind="image_generation", task="A blue fox", owner="agent:main:main", request_key="call-7"
        )
        done.succeed("1 picture")
        print(task.id, done.id, flush=True)
        sys.stdin.readline()
"""

CALL = """
    import sys, tallystick
    with tallystick.join(sys.argv[1], actor="guest") as ledger:
        print("ready", flush=True)
        for line in sys.stdin:
            with ledger.batch() as batch:
                prompt = line.strip()
                called = batch.create(runtime="cli", kind="image_generation", task=prompt, owner="agent:main:main")
                called.progress(sys.argv[2], force=True)
            print(called.id, flush=True)
"""


def creations(ledger: Ledger) -> list[str]:
    return [event.task_id for event in ledger.events() if event.type == "task-created.1"]


@pytest.mark.parametrize("kind", sorted(MEDIA_KINDS))
def test_a_second_call_gets_the_active_task_and_hears_that_it_is_not_new(any_ledger: Ledger, kind: str) -> None:
    first = any_ledger.create(**{**FOX, "kind": kind})
    first.start()
    second = any_ledger.create(**{**FOX, "kind": kind, "label": "fox", "metadata": {"size": "large"}})

    assert (first.id, True, False) == (second.id, first.is_new, second.is_new)
    assert ("running", None, None) == (second.status, second.record.label, second.record.metadata)
    assert [first.id] == creations(any_ledger)
    second.succeed("1 picture")
    assert "succeeded" == any_ledger.get(first.id).status


def test_another_prompt_or_session_starts_another_one(any_ledger: Ledger) -> None:
    given = [any_ledger.create(**{**FOX, **more}) for more in ({}, {"task": "A blue fox"}, {"owner": "agent:main:b"})]

    assert [True] * 3 == [task.is_new for task in given]
    assert 3 == len(set(creations(any_ledger)))


def test_a_success_is_given_back_to_the_same_request_within_two_minutes(any_ledger: Ledger, clock: HandClock) -> None:
    first = any_ledger.create(**FOX, request_key="call-7")
    first.succeed("1 picture", artifacts=["file:///fox.png"])
    clock.advance(MEDIA_GUARD_MS)
    again = any_ledger.create(**FOX, request_key=" call-7 ")

    assert (first.id, False, ("file:///fox.png",)) == (again.id, again.is_new, again.record.artifacts)
    assert any_ledger.create(**FOX).is_new
    clock.advance(1)
    any_ledger.find(OWNER).fail("no credits")
    assert any_ledger.create(**FOX, request_key="call-7").is_new


def test_a_success_without_its_result_is_not_given_back(any_ledger: Ledger) -> None:
    any_ledger.create(**FOX, request_key="call-7").succeed(outcome="blocked")

    assert any_ledger.create(**FOX, request_key="call-7").is_new


def test_in_a_batch_what_follows_a_second_call_reaches_the_task_that_it_got(any_ledger: Ledger) -> None:
    first = any_ledger.create(**FOX)
    with any_ledger.batch() as batch:
        second = batch.create(**FOX)
        second.start()
        second.progress("half of it", force=True)

    assert first.id == second.id
    assert ["task-created.1", "task-started.1", "task-progressed.1"] == [
        event.type for event in any_ledger.timeline(first.id)
    ]


def test_a_handle_that_was_looked_up_is_not_new(any_ledger: Ledger) -> None:
    task = any_ledger.create(**FOX)

    assert [False, False] == [any_ledger.get(task.id).is_new, any_ledger.find(task.id).is_new]


@pytest.mark.parametrize("identity", ["run_id", "idempotency_key"])
def test_what_is_found_by_its_run_or_its_key_is_not_new_either(any_ledger: Ledger, identity: str) -> None:
    plain: dict[str, Any] = {"runtime": "subagent", "task": "Count", "owner": OWNER, identity: "one"}

    assert [True, False] == [any_ledger.create(**plain).is_new for _ in range(2)]


@pytest.mark.usefixtures("restless")
def test_calls_from_many_threads_at_once_give_one_task(ledger: Ledger) -> None:
    called = at_once(MANY, lambda _number: ledger.create(**FOX))

    assert 1 == len({task.id for task in called}) == sum(task.is_new for task in called)
    assert 1 == len(creations(ledger))


def test_calls_from_many_coroutines_at_once_give_one_task(folder: Path) -> None:
    async def call() -> tuple[list[str], list[bool]]:
        async with tallystick.open_async(folder) as ledger:
            tasks = await asyncio.gather(*(ledger.create(**FOX) for _ in range(MANY)))
            return [task.id for task in tasks], [task.is_new for task in tasks]

    ids, new = asyncio.run(call())
    assert (1, 1) == (len(set(ids)), sum(new))


def test_two_processes_that_call_at_once_get_one_task_and_both_reach_it(folder: Path) -> None:
    with (
        tallystick.open(folder) as ledger,
        Process(CALL, folder, "one") as one,
        Process(CALL, folder, "other") as other,
    ):
        assert ["ready"] * 2 == [one.hear(), other.hear()]
        given: set[str] = set()
        for number in range(8):
            for process in (one, other):
                process.say(f"fox {number}")
            [called] = {one.hear(), other.hear()}
            given.add(called)
            told = [getattr(event.data, "message", None) for event in ledger.timeline(called)]
            assert {"one", "other"} == set(told) - {None}

        assert given == set(creations(ledger))
        assert 8 == len(given)


def test_a_guest_gets_what_the_owners_own_program_has_started(folder: Path) -> None:
    with tallystick.open(folder) as ledger, Process(CALL, folder, "guest") as guest:
        task = ledger.create(**FOX)
        assert "ready" == guest.hear()
        guest.say(FOX["task"])

        assert task.id == guest.hear()
        assert [task.id] == creations(ledger)


@pytest.mark.parametrize("last_word", [Process.kill, Process.say], ids=["killed", "closed"])
def test_after_the_owner_was_killed_or_closed_the_next_one_guards_as_before(
    folder: Path, last_word: Callable[[Process], None]
) -> None:
    with Process(OWN, folder) as owner:
        active, done = owner.hear().split()
        last_word(owner)
        owner.end()

        with tallystick.open(folder) as ledger:
            assert active == ledger.create(**FOX).id
            assert done == ledger.create(**{**FOX, "task": "A blue fox"}, request_key="call-7").id
            assert ledger.create(**{**FOX, "task": "A blue fox"}, request_key="call-8").is_new
            assert ledger.verify().ok


def test_a_block_that_tracks_what_somebody_else_generates_neither_starts_nor_ends_it(ledger: Ledger) -> None:
    first = ledger.create(**FOX)
    with tallystick.track(ledger, **FOX) as second:
        assert (first.id, False) == (second.id, second.is_new)

    assert "queued" == ledger.get(first.id).status


def test_a_block_that_tracks_a_run_that_is_its_own_ends_it_after_a_restart(ledger: Ledger) -> None:
    first: Task = ledger.create(**FOX, run_id="run-1")
    with tallystick.track(ledger, **FOX, run_id="run-1") as again:
        assert "running" == again.status

    assert (first.id, "succeeded") == (again.id, ledger.get(first.id).status)


def test_a_coroutine_that_tracks_what_somebody_else_generates_neither_starts_nor_ends_it(folder: Path) -> None:
    async def track() -> str:
        async with tallystick.open_async(folder) as ledger:
            first = await ledger.create(**FOX)
            async with tallystick.track(ledger, **FOX) as second:
                assert (first.id, False) == (second.id, second.is_new)
            return (await ledger.get(first.id)).status

    assert "queued" == asyncio.run(asyncio.wait_for(track(), PATIENCE_S))
