"""What a task left open is closed when its work has ended: once, best effort, and without touching the outcome."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.ledger.errors import InvalidInput, NotFound, Refused
from tallystick.ledger.facts.resources import TaskCleanedUp
from tallystick.ledger.limits import RESOURCE_EVIDENCE_BYTES_MAX, RESOURCES_MAX
from tallystick.ledger.resources import OpenResource
from tallystick.ledger.stopped import Stopped
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.testing import HandClock
from tests.delivering.isolated import OWN, run, spawned
from tests.delivering.parts import PATIENCE_S, Channel, how

TAB = "browser_tab"


class Browser:
    """Closes tabs as it is told: those that are named here it cannot close."""

    def __init__(self, **refuses: Any) -> None:
        self.refuses = refuses
        self.closed: list[OpenResource] = []

    def __call__(self, resource: OpenResource) -> Any:
        self.closed.append(resource)
        answer = self.refuses.get(resource.name)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        return sorted(resource.name for resource in self.closed)


def cleaned(ledger: Ledger, task: Task) -> list[TaskCleanedUp]:
    return [event.data for event in ledger.timeline(task.id) if isinstance(event.data, TaskCleanedUp)]


def types(ledger: Ledger, task: Task) -> list[str]:
    return [event.type for event in ledger.timeline(task.id)]


@pytest.fixture
def browser(ledger: Ledger) -> Browser:
    browser = Browser()
    ledger.closer(TAB, browser)
    return browser


@pytest.mark.parametrize("end", ["succeed", "fail", "time_out", "cancelled", "lost"])
def test_however_a_task_ends_what_it_left_open_is_closed_once(ledger: Ledger, browser: Browser, end: str) -> None:
    task = spawned(ledger, child_session="agent:main:subagent:7")
    task.opened(TAB, "tab-17", evidence={"profile": "work"})
    task.opened(TAB, "tab-18")
    task.settle("lost", "by hand") if end == "lost" else getattr(task, end)("at the end")
    for _ in range(3):
        ledger.sweep()

    assert ["tab-17", "tab-18"] == browser.names
    [first, _] = sorted(browser.closed, key=lambda resource: resource.name)
    assert OpenResource(TAB, "tab-17", {"profile": "work"}, task.id, "agent:main:subagent:7") == first
    [outcome] = cleaned(ledger, task)
    assert {f"{TAB} tab-17", f"{TAB} tab-18"} == set(outcome.closed)
    assert outcome.failed is None


@pytest.mark.usefixtures("chat")
def test_what_could_not_be_closed_is_recorded_and_changes_nothing_else(ledger: Ledger) -> None:
    ledger.closer(TAB, Browser(stuck=OSError("it hangs"), half=Stopped(confirmed=False, detail="nobody knows")))
    task = run(ledger)
    task.opened(TAB, "stuck")
    task.opened(TAB, "half")
    task.opened(TAB, "fine")
    task.opened("window", "main")
    task.succeed("42")
    ledger.settled()

    [outcome] = cleaned(ledger, task)
    assert (f"{TAB} fine",) == outcome.closed
    assert {
        f"{TAB} stuck": "OSError: it hangs",
        f"{TAB} half": "nobody knows",
        "window main": "nobody closes what is a window",
    } == outcome.failed
    record = ledger.get(task.id).record
    assert ("succeeded", "42", ()) == (record.status, record.terminal_summary, record.resources)
    assert "delivered" == how(ledger, task)


def test_a_cleanup_that_hangs_delays_no_message(ledger: Ledger, chat: Channel) -> None:
    may_end, sent = threading.Event(), threading.Event()
    ledger.closer(TAB, lambda _resource: may_end.wait(PATIENCE_S))

    def arrived(_delivery: tallystick.Delivery) -> tallystick.Receipt:
        sent.set()
        return tallystick.Receipt()

    chat.answer = arrived
    task = run(ledger)
    task.opened(TAB, "slow")
    task.succeed("42")

    assert sent.wait(PATIENCE_S)
    assert [] == cleaned(ledger, task)
    may_end.set()
    ledger.settled()
    assert 1 == len(cleaned(ledger, task))


@pytest.mark.usefixtures("browser")
def test_whoever_knew_the_end_of_the_work_knows_its_version_after_the_cleanup_too(ledger: Ledger) -> None:
    task = spawned(ledger)
    task.opened(TAB, "tab")
    seen = task.succeed("42").version
    ledger.settled()

    assert ledger.get(task.id).record.version > seen
    ledger.get(task.id).hold(expected_version=seen)


def test_what_the_work_closed_itself_is_not_closed_again(ledger: Ledger, browser: Browser) -> None:
    task = spawned(ledger)
    task.opened(TAB, "one")
    task.opened(TAB, "two")
    task.closed(TAB, "one")
    again = task.closed(TAB, "one")
    task.succeed()
    ledger.settled()

    assert ["two"] == browser.names
    assert 1 == len(again.resources)


@pytest.mark.usefixtures("browser")
def test_a_task_that_opened_nothing_has_no_cleanup(ledger: Ledger) -> None:
    task = spawned(ledger)
    task.opened(TAB, "one")
    task.closed(TAB, "one")
    task.succeed()
    ledger.settled()

    assert "task-cleanup-begun.1" not in types(ledger, task)


def test_that_a_cleanup_begins_is_durable_before_the_first_closer_is_called(ledger: Ledger) -> None:
    seen: list[list[str]] = []
    task = spawned(ledger)
    ledger.closer(TAB, lambda _resource: seen.append(types(ledger, task)))
    task.opened(TAB, "tab")
    task.succeed()
    ledger.settled()

    assert [["task-succeeded.1", "task-cleanup-begun.1"]] == [said[-2:] for said in seen]
    assert "task-cleaned-up.1" == types(ledger, task)[-1]


def test_the_same_again_is_nothing_new_and_more_evidence_replaces_what_was_known(
    ledger: Ledger, browser: Browser
) -> None:
    task = spawned(ledger)
    before = task.opened(TAB, "tab").version
    assert before == task.opened(TAB, "tab").version
    assert 1 == len(task.opened(TAB, "tab", evidence={"window": 3}).resources)
    task.succeed()
    ledger.settled()

    assert [{"window": 3}] == [resource.evidence for resource in browser.closed]


def test_what_is_opened_after_the_end_comes_too_late_and_is_kept_as_evidence(ledger: Ledger, browser: Browser) -> None:
    task = spawned(ledger)
    task.succeed()
    with pytest.raises(Refused, match="open"):
        task.opened(TAB, "late")
    ledger.settled()

    assert [] == browser.closed
    assert "task-late-signal.1" == types(ledger, task)[-1]


def test_a_loss_that_turns_out_to_be_none_is_no_second_end(ledger: Ledger, browser: Browser) -> None:
    task = spawned(ledger)
    task.opened(TAB, "tab")
    task.settle("lost", "by hand")
    ledger.settled()
    task.succeed("after all")
    ledger.settled()

    assert ["tab"] == browser.names
    assert 1 == len(cleaned(ledger, task))


def test_what_a_child_session_opens_belongs_to_the_task_that_works_there(ledger: Ledger, browser: Browser) -> None:
    older = run(ledger)
    older.succeed()
    task = run(ledger)
    session = ledger.session(OWN)
    session.opened(TAB, "one", evidence={"profile": "work"})
    session.opened(TAB, "two")
    session.closed(TAB, "two")
    task.succeed()
    ledger.settled()

    assert ["one"] == browser.names
    with pytest.raises(NotFound, match="No active task works in this session"):
        session.opened(TAB, "three")


def test_so_it_is_on_a_loop_with_a_closer_that_is_a_coroutine_function(folder: Path) -> None:
    closed: list[str] = []

    async def close(resource: OpenResource) -> None:
        await asyncio.sleep(0)
        closed.append(resource.name)

    async def live() -> None:
        async with tallystick.open_async(folder) as ledger:
            await ledger.closer(TAB, close)
            task = await ledger.create(runtime="subagent", task="x", owner="o", child_session="c")
            await task.start()
            await task.opened(TAB, "one")
            await ledger.session("c").opened(TAB, "two")
            await ledger.session("c").closed(TAB, "two")
            await task.succeed()
            await ledger.settled()

    asyncio.run(live())

    assert ["one"] == closed


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "", "name": "x"},
        {"kind": "two words", "name": "x"},
        {"kind": TAB, "name": ""},
        {"kind": TAB, "name": "x", "evidence": {"text": "x" * RESOURCE_EVIDENCE_BYTES_MAX}},
        {"kind": TAB, "name": "x", "evidence": {"list": [1]}},
        {"kind": "process", "name": "x", "pid": 2**22 + 1},
        {"kind": "process", "name": "x", "pid": True},
    ],
)
def test_what_nobody_could_close_is_refused(ledger: Ledger, given: dict[str, Any]) -> None:
    task = spawned(ledger)
    with pytest.raises(InvalidInput):
        task.opened(given.pop("kind"), given.pop("name"), **given)

    assert () == ledger.get(task.id).record.resources


@pytest.mark.usefixtures("browser")
def test_a_task_has_no_more_open_than_fits_a_record(ledger: Ledger) -> None:
    task = spawned(ledger)
    for number in range(RESOURCES_MAX):
        task.opened(TAB, f"tab-{number}")
    with pytest.raises(InvalidInput, match="32"):
        task.opened(TAB, "one more")
    task.succeed()
    ledger.settled()

    assert RESOURCES_MAX == len(cleaned(ledger, task)[0].closed)


def test_who_is_no_function_closes_nothing(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="closer"):
        ledger.closer(TAB, "close it")  # type: ignore[arg-type]


def test_the_next_owner_closes_what_nobody_began_to_close_when_whoever_closes_it_has_registered(
    folder: Path, clock: HandClock
) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        task = spawned(ledger)
        task.opened(TAB, "tab")
    with tallystick.join(folder, clock=clock) as joined:
        joined.get(task.id).succeed()
    browser = Browser()
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.settled()
        assert [] == cleaned(ledger, task)
        ledger.closer(TAB, browser)
        ledger.sweep()

        assert [(f"{TAB} tab",)] == [outcome.closed for outcome in cleaned(ledger, task)]
    assert ["tab"] == browser.names
