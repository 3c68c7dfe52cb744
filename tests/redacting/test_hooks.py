"""Hooks for all that is stored: how a program gives them to a ledger of any kind, and what they leave alone."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

import tallystick
from tallystick import Config, ForkedStore, InvalidInput, NotOwner
from tallystick.config import Payloads
from tallystick.ledger.events import ERASURES
from tallystick.ledger.facts.deliveries import DeliveryQueued, DeliveryWithheld
from tallystick.ledger.facts.tasks import TaskProgressed
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.redaction import REDACTED
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.delivering.isolated import run, spawned
from tests.face.parts import ORDINARY, Awaited, said
from tests.redacting.parts import FAILURES, SECRET, named

KINDS = ("disk", "memory", "asyncio", "joined", "joined as the owner", "joined for asyncio")


class Opener:
    """Opens ledgers of any kind, and closes them in the end."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self.folder, self._undo = folder, undo

    def open(self, kind: str, **more: Any) -> Ledger:
        """Open one; its owner, if that is another, has no hooks."""
        runner = self._undo.enter_context(asyncio.Runner())
        if kind in ("joined", "joined for asyncio"):
            self._undo.enter_context(tallystick.open(self.folder))
        ways: dict[str, Callable[..., Any]] = {
            "disk": partial(tallystick.open, self.folder),
            "memory": memory_ledger,
            "asyncio": lambda **more: Awaited(tallystick.open_async(self.folder, **more), runner),
            "joined": partial(tallystick.join, self.folder),
            "joined as the owner": partial(tallystick.join, self.folder),
            "joined for asyncio": lambda **more: Awaited(tallystick.join_async(self.folder, **more), runner),
        }
        return cast("Ledger", self._undo.enter_context(ways[kind](**more)))


@pytest.fixture
def opener(folder: Path) -> Iterator[Opener]:
    with ExitStack() as undo:
        yield Opener(folder, undo)


def is_nowhere(folder: Path) -> bool:
    """Whether no file of the ledger has a byte of the secret."""
    return not any(SECRET.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_that_is_given_at_opening_is_in_force_from_the_first_record_on(opener: Opener, kind: str) -> None:
    ledger = opener.open(kind, redact_stored=named)
    task = ledger.create(**{**ORDINARY, "task": f"use {SECRET}", "metadata": {"a": SECRET}})
    record = task.succeed(f"it was {SECRET}")

    assert (f"use {REDACTED}", {"a": REDACTED}, f"it was {REDACTED}") == (
        record.task,
        record.metadata,
        record.terminal_summary,
    )
    events = ledger.timeline(task.id)
    assert [("task", "metadata"), (), ("summary",)] == [event.data.redacted for event in events]
    assert record == ledger.get(task.id).record == ledger.state_at(task.id)
    assert is_nowhere(opener.folder)
    assert ledger.verify().ok


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_that_is_added_later_is_in_force_from_then_on(opener: Opener, kind: str) -> None:
    ledger = opener.open(kind)
    task = ledger.create(**{**ORDINARY, "task": f"use {SECRET}"})
    ledger.redact(named, stored=True)
    record = task.fail(f"it was {SECRET}")

    assert (f"use {SECRET}", f"it was {REDACTED}") == (record.task, record.error)
    assert REDACTED == ledger.create(**{**ORDINARY, "task": SECRET}).record.task


@pytest.mark.parametrize("hook", [named, FAILURES["raises"]])
def test_what_a_channel_says_of_a_paused_endpoint_has_no_secret_either(
    folder: Path, caplog: pytest.LogCaptureFixture, hook: Any
) -> None:
    def down(_delivery: Any) -> Any:
        raise tallystick.Retryable(f"401 for {SECRET}", after_ms=60_000)

    with tallystick.open(folder, clock=HandClock(), redact_stored=hook) as ledger:
        ledger.channel("chat", down)
        ledger.create(**{**ORDINARY, "origin": {"channel": "chat", "to": "1"}, "notify": "done_only"}).succeed("done")
        ledger.settled()
        [standing] = ledger.status().paused

        assert ("401 for [redacted]" if hook is named else REDACTED) == standing.error
    assert is_nowhere(folder)
    assert SECRET not in caplog.text


def test_progress_that_was_held_back_when_a_hook_came_is_shown_to_it(folder: Path) -> None:
    clock = HandClock()
    with tallystick.open(folder, clock=clock) as ledger:
        task = ledger.create(**ORDINARY)
        task.progress("one")
        task.progress(f"two {SECRET}", phase=SECRET)
        ledger.redact(named, stored=True)
        clock.advance(2_000)
        task.succeed("done")
        told = ledger.timeline(task.id)[-2].data

        assert isinstance(told, TaskProgressed)
        assert (f"two {REDACTED}", REDACTED, ("message", "phase")) == (told.message, told.phase, told.redacted)
        assert task.record == ledger.state_at(task.id)
    assert is_nowhere(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_told_of_older_records_has_no_secret_either(opener: Opener, kind: str) -> None:
    ledger = opener.open(kind)
    task = ledger.create(runtime="subagent", task="t", owner="o", label=f"use {SECRET}")
    ledger.redact(named, stored=True)
    task.succeed("done")
    message = ledger.timeline(task.id)[-1].data

    assert isinstance(message, DeliveryQueued)
    if kind in ("joined", "joined for asyncio"):  # whose owner tells it, and has no hook
        assert (f"use {SECRET}" in message.text, ()) == (True, message.redacted)
    else:
        assert (f"use {REDACTED}" in message.text, ("text",)) == (True, message.redacted)


def test_messages_have_neither_what_is_not_told_nor_what_is_not_stored() -> None:
    with memory_ledger(redact=lambda _text: ["alice"], redact_stored=named) as ledger:
        task = ledger.create(runtime="subagent", task="t", owner="o")
        record = task.succeed(f"alice has {SECRET}")
        [event] = ledger.session("o").take()

    assert f"alice has {REDACTED}" == record.terminal_summary, "the record says what was reported"
    assert event.text.endswith(f"{REDACTED} has {REDACTED}")


def test_without_a_word_about_it_a_hook_is_for_messages_alone() -> None:
    with memory_ledger() as ledger:
        ledger.redact(named)
        record = ledger.create(**ORDINARY).succeed(f"it was {SECRET}")

    assert f"it was {SECRET}" == record.terminal_summary


def test_what_tells_things_apart_and_where_somebody_is_reached_stays() -> None:
    with memory_ledger(redact_stored=named) as ledger:
        record = ledger.create(
            runtime="subagent",
            task="t",
            owner=f"agent:{SECRET}",
            run_id=SECRET,
            child_session=SECRET,
            idempotency_key=SECRET,
            origin={"channel": "chat", "to": SECRET},
            backing={"file": SECRET},
        ).record

    assert record.origin is not None
    assert (f"agent:{SECRET}", SECRET, SECRET, SECRET, SECRET, {"file": SECRET}) == (
        record.owner_key,
        record.run_id,
        record.child_session_key,
        record.idempotency_key,
        record.origin.to,
        record.backing,
    )


def test_why_something_was_erased_has_no_secret_and_a_mark_whatever_it_was(folder: Path) -> None:
    aside = Config(payloads=Payloads(aside="content"))
    with tallystick.open(folder, config=aside, redact_stored=named) as ledger:
        task = ledger.create(runtime="subagent", task="t", owner="agent:main:main")
        ledger.flows.cancel(mirror_of(task.id), "enough", wait_ms=0)
        task.erase(f"asked by {SECRET}")
        flow = ledger.flows.create(owner="agent:main:main", goal="g", controller="bot")
        flow.erase(f"asked by {SECRET}")
        told = [event.data for event in ledger.events() if event.data.__class__ in ERASURES]

    assert [(f"asked by {REDACTED}", ("reason",))] * 3 == [(fact.reason, fact.redacted) for fact in told]  # type: ignore[union-attr]
    assert is_nowhere(folder)


def test_a_run_that_is_told_in_its_own_words_in_the_end_has_the_marks_of_these() -> None:
    with memory_ledger(redact_stored=named) as ledger:
        task, child = run(ledger, origin=None), spawned(ledger)
        task.succeed(f"on it with {SECRET}")
        child.fail("boom")
        ledger.settled()
        withheld, message = (event.data for event in ledger.timeline(task.id) if "text" in event.data.redacted)

    assert isinstance(withheld, DeliveryWithheld)
    assert isinstance(message, DeliveryQueued)
    assert message.text.endswith(f"on it with {REDACTED}")


WAYS = [tallystick.open, tallystick.join]


@pytest.mark.parametrize("way", WAYS)
def test_a_hook_that_is_none_is_refused_at_opening_and_the_ledger_stays_free(folder: Path, way: Any) -> None:
    with pytest.raises(InvalidInput, match="hook"):
        way(folder, redact_stored="secret")
    tallystick.open(folder).close()


@pytest.mark.parametrize("hook", [None, "secret", 7])
def test_a_hook_that_is_none_is_refused_later_too(hook: Any) -> None:
    with memory_ledger() as ledger, pytest.raises(InvalidInput, match="hook"):
        ledger.redact(hook, stored=True)


@pytest.mark.parametrize("stored", [None, "yes", 1])
def test_what_a_hook_is_for_is_said_by_true_or_false(stored: Any) -> None:
    with memory_ledger() as ledger, pytest.raises(InvalidInput, match="stored"):
        ledger.redact(named, stored=stored)


def test_who_only_reads_stores_nothing_and_is_told_so(folder: Path) -> None:
    tallystick.open(folder).close()
    with tallystick.open(folder, read_only=True, redact_stored=named) as ledger, pytest.raises(NotOwner):
        ledger.redact(named, stored=True)


@pytest.mark.parametrize("way", ["open", "join"])
def test_a_forked_child_is_told_that_the_ledger_is_not_its_own(folder: Path, way: str) -> None:
    script = f"""
        import os, sys, tallystick
        with tallystick.{way}(sys.argv[1]) as ledger:
            child = os.fork()
            if not child:
                try:
                    ledger.redact(lambda _text: [], stored=True)
                except BaseException as error:
                    print(type(error).__name__, flush=True)
                ledger.close()
                os._exit(0)
            os.waitpid(child, 0)
    """

    assert [ForkedStore.__name__] == said(script, folder)


@pytest.mark.parametrize(
    ("kind", "stored"),
    [("disk", True), ("disk", False), ("memory", True), ("memory", False), ("joined", True)],
)
def test_a_hook_that_writes_to_its_own_ledger_fails_instead_of_waiting_for_itself(
    opener: Opener, kind: str, *, stored: bool
) -> None:
    raised: list[BaseException] = []
    ledger = opener.open(kind)

    def hook(text: str) -> list[str]:
        try:
            ledger.create(**{**ORDINARY, "task": f"somebody said {text}"})
        except BaseException as error:
            raised.append(error)
            raise
        return []

    ledger.redact(hook, stored=stored)
    task = ledger.create(**{**ORDINARY, "notify": "done_only"})
    task.succeed("done")
    ledger.settled()

    assert {RuntimeError} == {type(error) for error in raised}
    assert "write afterwards" in str(raised[0])
    assert [task.id] == [record.task_id for record in ledger.list().tasks]


@pytest.mark.parametrize("stored", [True, False])
def test_a_hook_that_says_how_a_session_is_reached_fails_instead_of_waiting_for_itself(*, stored: bool) -> None:
    raised: list[BaseException] = []

    with memory_ledger() as ledger:

        def hook(_text: str) -> list[str]:
            try:
                ledger.session("agent:main:main").reach({"channel": "chat", "to": "somebody"})
            except BaseException as error:
                raised.append(error)
                raise
            return []

        ledger.redact(hook, stored=stored)
        ledger.create(**{**ORDINARY, "notify": "done_only"}).succeed("done")
        ledger.settled()

    assert {RuntimeError} == {type(error) for error in raised}


def test_a_hook_may_write_to_another_ledger() -> None:
    with memory_ledger() as other, memory_ledger() as ledger:

        def hook(text: str) -> list[str]:
            if SECRET in text:
                other.create(**{**ORDINARY, "task": "somebody said a secret"})
            return [SECRET]

        ledger.redact(hook, stored=True)
        task = ledger.create(**{**ORDINARY, "task": SECRET})

        assert REDACTED == task.record.task
        assert ["somebody said a secret"] == [record.task for record in other.list().tasks]


def test_a_hook_may_use_the_ledger_that_it_is_of_to_read() -> None:
    seen: list[int] = []

    with memory_ledger() as ledger:

        def hook(_text: str) -> list[str]:
            seen.append(ledger.counts().total)
            return []

        ledger.redact(hook, stored=True)
        ledger.create(**ORDINARY)

    assert [0] == seen
