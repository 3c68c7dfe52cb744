"""Processes that joined a ledger: what they send has no secrets before it waits for anybody, and keeps its marks."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.actors.discretion import Discretion
from tallystick.actors.future import LightFuture
from tallystick.actors.redaction import Hooks
from tallystick.ledger.commands import Command
from tallystick.ledger.facts.tasks import TaskSucceeded
from tallystick.ledger.redaction import REDACTED
from tallystick.ledger.store.inbox import INBOX_FOLDER, CommandInbox
from tallystick.sharing.guest import Sending
from tests.actors.parts import STREAMS
from tests.face.parts import ORDINARY, PATIENCE_S, Process, wait_until
from tests.redacting.parts import FAILURES, SECRET, Noting, named

OWN = """
    import sys, tallystick
    with tallystick.open(sys.argv[1], actor="gateway") as ledger:
        print("open", flush=True)
        sys.stdin.readline()
"""


def commands(folder: Path) -> list[Command | None]:
    """What waits in the inbox."""
    inbox = CommandInbox.open(folder)
    assert inbox is not None
    wait_until(lambda: bool(inbox.counts()[0]))
    found = [letter.command for letter in inbox.waiting(10)]
    inbox.close()
    return found


def inbox_has(folder: Path, secret: str) -> bool:
    return any(secret.encode() in path.read_bytes() for path in (folder / INBOX_FOLDER).glob("*.mdb"))


@pytest.mark.parametrize("later", [False, True])
def test_what_waits_for_the_owner_is_without_secrets_and_has_marks_that_last(folder: Path, later: bool) -> None:  # noqa: FBT001
    """The owner is stopped, so that the command surely waits; it has no hook, and is killed then."""
    with (
        Process(OWN, folder) as owner,
        tallystick.join(folder, redact_stored=None if later else named) as joined,
        ThreadPoolExecutor(1) as other,
    ):
        assert "open" == owner.hear()
        task = joined.create(**ORDINARY)
        if later:
            joined.redact(named, stored=True)
        os.kill(owner.pid, signal.SIGSTOP)
        ended = other.submit(task.succeed, f"it was {SECRET}", artifacts=[SECRET])
        [command] = commands(folder)

        assert command is not None
        assert (
            TaskSucceeded(summary=f"it was {REDACTED}", artifacts=(REDACTED,), redacted=("summary", "artifacts"))
            == command.data
        )
        assert inbox_has(folder, "it was ")
        assert not inbox_has(folder, SECRET)
        owner.kill()
        record = ended.result(PATIENCE_S)

        assert (f"it was {REDACTED}", (REDACTED,)) == (record.terminal_summary, record.artifacts)
        assert ("summary", "artifacts") == joined.timeline(task.id)[-1].data.redacted


def test_an_owner_without_a_hook_records_the_marks_of_who_has_one(folder: Path) -> None:
    with tallystick.open(folder) as owner, tallystick.join(folder, redact_stored=named) as joined:
        task = joined.create(**{**ORDINARY, "task": SECRET})
        task.succeed(f"it was {SECRET}")

        assert [("task",), (), ("summary",)] == [event.data.redacted for event in owner.timeline(task.id)]
        assert f"it was {REDACTED}" == owner.get(task.id).record.terminal_summary


def test_an_owner_asks_its_own_hook_about_what_others_send(folder: Path) -> None:
    with tallystick.open(folder, redact_stored=named) as owner, tallystick.join(folder) as joined:
        record = joined.create(**ORDINARY).succeed(f"it was {SECRET}")

        assert f"it was {REDACTED}" == record.terminal_summary
        assert ("summary",) == owner.timeline(record.task_id)[-1].data.redacted


def test_each_names_its_own_and_the_marks_are_of_both(folder: Path) -> None:
    with (
        tallystick.open(folder, redact_stored=lambda _text: ["alice"]) as owner,
        tallystick.join(folder, redact_stored=named) as joined,
    ):
        record = joined.create(**ORDINARY).fail("by alice", summary=f"it was {SECRET}")

        assert (f"by {REDACTED}", f"it was {REDACTED}") == (record.error, record.terminal_summary)
        assert ("summary", "error") == owner.timeline(record.task_id)[-1].data.redacted


def test_a_hook_that_fails_in_who_joined_sends_no_text(folder: Path) -> None:
    with tallystick.open(folder) as owner, tallystick.join(folder, redact_stored=FAILURES["raises"]) as joined:
        record = joined.create(**ORDINARY).succeed(f"it was {SECRET}")

        assert (REDACTED, REDACTED) == (record.task, record.terminal_summary)
        assert ("summary",) == owner.timeline(record.task_id)[-1].data.redacted


def test_who_becomes_the_owner_and_gives_it_back_lets_nothing_through_in_between(folder: Path) -> None:
    with tallystick.join(folder, redact_stored=named) as joined:
        tasks = [joined.create(**{**ORDINARY, "task": SECRET})]
        for _ in range(2):
            with tallystick.open(folder):
                tasks.append(joined.create(**{**ORDINARY, "task": SECRET}))
            tasks.append(joined.create(**{**ORDINARY, "task": SECRET}))

        assert [REDACTED] * 5 == [task.record.task for task in tasks]
        assert not any(SECRET.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_same_run_is_the_same_task_whichever_process_says_it(folder: Path) -> None:
    run = {**ORDINARY, "task": f"use {SECRET}", "run_id": "run-1", "metadata": {"a": SECRET}}
    with tallystick.open(folder, redact_stored=named) as owner, tallystick.join(folder, redact_stored=named) as joined:
        first = joined.create(**run)

        for ledger in (owner, joined, owner):
            again = ledger.create(**run)
            assert (first.id, 1, False) == (again.id, again.record.version, again.is_new)
        assert owner.verify().ok


def test_two_processes_that_ask_for_prompts_that_look_the_same_get_a_generation_each(folder: Path) -> None:
    picture: dict[str, Any] = {"runtime": "cli", "kind": "image_generation", "owner": "agent:main:main"}
    hook = lambda text: text.split()[-1:]  # noqa: E731 - the last word is a name
    with tallystick.open(folder, redact_stored=hook) as owner, tallystick.join(folder, redact_stored=hook) as joined:
        ann = joined.create(**picture, task="a card for ann")

        assert ann.id == joined.create(**picture, task="a card for ann").id
        assert 2 == len({ann.id, joined.create(**picture, task="a card for bob").id})
        assert ann.id != owner.create(**picture, task="a card for ann").id  # it cannot know


def test_an_owner_that_takes_more_out_of_prompts_still_tells_them_apart(folder: Path) -> None:
    picture: dict[str, Any] = {"runtime": "cli", "kind": "image_generation", "owner": "agent:main:main"}
    with (
        tallystick.open(folder, redact_stored=lambda _text: ["card"]),
        tallystick.join(folder, redact_stored=lambda text: text.split()[-1:]) as joined,
    ):
        ann = joined.create(**picture, task="a card for ann")

        assert f"a {REDACTED} for {REDACTED}" == ann.record.task
        assert ann.id != joined.create(**picture, task="a card for bob").id
        assert ann.id == joined.create(**picture, task="a card for ann").id


def test_a_hook_is_asked_once_about_what_has_to_wait_for_room() -> None:
    hook = Noting("it")
    discretion = Discretion(hooks=Hooks([hook]))
    sending = Sending(STREAMS[0], Command(TaskSucceeded(summary="it was"), "agent"), LightFuture())

    discreet = sending.discreet(discretion)

    assert f"{REDACTED} was" == discreet.command.data.summary  # type: ignore[union-attr]
    assert discreet is discreet.discreet(discretion)
    assert ["it was"] == hook.shown


def test_a_hook_that_comes_while_something_waits_for_room_is_asked_about_it_too() -> None:
    discretion = Discretion(hooks=Hooks([lambda _text: ["it"]]))
    sending = Sending(STREAMS[0], Command(TaskSucceeded(summary=f"it was {SECRET}"), "agent"), LightFuture())
    waiting = sending.discreet(discretion)
    later = Noting(SECRET)
    discretion.add(later)

    discreet = waiting.discreet(discretion)

    assert TaskSucceeded(summary=f"{REDACTED} was {REDACTED}", redacted=("summary",)) == discreet.command.data
    assert discreet is discreet.discreet(discretion)
    assert 1 == len(later.shown)
