"""What a ledger keeps besides its log and its read models: inboxes, notes, log lines, free pages; and its backups."""

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import tallystick
from tallystick import Retryable
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import WrongVersion
from tallystick.ledger.facts.tasks import TaskSucceeded
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.limits import ENDPOINT_FAILURES_MAX
from tallystick.ledger.store.answers import Answer
from tallystick.ledger.store.folder import DATA_NAME
from tallystick.ledger.store.inbox import INBOX_FOLDER, CommandInbox
from tallystick.readings import LOG_FOLDER
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.erasing.parts import OWNER, SECRET, WHY, Searcher, asked, ended

ME = b"m" * 16
WAIT_S, DAY_MS = 60.0, 86_400_000
SAID = Command(TaskSucceeded(summary=f"{SECRET} is done"), "me")


def left_unheard(folder: Path, answers: Mapping[bytes, Answer], *, life: str | None = None) -> None:
    """Leave answers in the inbox whose client has died before it heard them."""
    inbox = CommandInbox.open_as_owner(folder, life=life)
    try:
        places = inbox.send(ME, [(stream, SAID) for stream in answers], heard=())
        inbox.answer({place: (ME, answer) for place, answer in zip(places, answers.values(), strict=True)})
    finally:
        inbox.close()


def unheard(folder: Path) -> list[Answer | None]:
    inbox = CommandInbox.open_as_owner(folder)
    try:
        return [answer for _, answer in sorted(inbox.answered(range(1, 9)).items()) if answer is not None]
    finally:
        inbox.close()


@pytest.mark.parametrize("who", ["owner", "joined"])
def test_answers_that_nobody_has_heard_say_what_is_known_now(
    who: str, folder: Path, clock: HandClock, searcher: Searcher
) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        task, other = ended(ledger), ledger.create(runtime="cli", task="stays", owner=OWNER)
        mirror = ledger.flows.get(mirror_of(task.id)).record
        stale = WrongVersion(task.id, expected=1, actual=2, current=task.record)
        told = {b"1" * 16: task.record, b"2" * 16: stale, b"3" * 16: mirror, b"4" * 16: other.record}
        left_unheard(folder, told)
        assert [found for found in searcher.find(folder, SECRET) if found.place.startswith(INBOX_FOLDER)]
        if who == "owner":
            ledger.erase(task.id, reason=WHY)
    if who == "joined":
        with tallystick.join(folder, clock=clock) as ledger:
            ledger.erase(task.id, reason=WHY)

    assert [] == searcher.find(folder, SECRET)
    record, error, flow, untouched = unheard(folder)
    assert isinstance(error, WrongVersion)
    with tallystick.open(folder, clock=clock, read_only=True) as reader:
        now = reader.get(task.id).record
        assert now.erased is not None
        assert [now, now] == [record, error.current]
        assert reader.flows.get(mirror.flow_id).record == flow
    assert other.record == untouched


def test_an_inbox_of_another_life_of_the_machine_goes_whole(folder: Path, clock: HandClock, searcher: Searcher) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        task = ended(ledger)
    for life in ("one", "another"):  # the first is moved aside by the second
        left_unheard(folder, {b"1" * 16: task.record}, life=life)
    with tallystick.join(folder, clock=clock) as ledger:
        ledger.erase(task.id, reason=WHY)

        assert [] == searcher.find(folder, SECRET)


def test_the_note_of_a_paused_endpoint_goes_with_the_task(
    ledger: Ledger, clock: HandClock, folder: Path, searcher: Searcher
) -> None:
    """It names an address, and repeats what the channel said of the message."""

    def down(delivery: Any) -> Any:
        raise Retryable(f"cannot say {delivery.text!r}")

    ledger.channel("chat", down)
    task = ended(ledger, notify="done_only")
    ledger.settled()
    for _ in range(ENDPOINT_FAILURES_MAX):
        clock.advance(3_600_000)
        ledger.sweep()
        ledger.settled()
    [standing] = ledger.status().paused
    assert SECRET in standing.name
    assert SECRET in standing.error
    ledger.erase(task.id, reason=WHY)

    assert [] == searcher.find(folder, SECRET)


def test_a_message_that_is_under_way_while_it_is_erased_leaves_no_note_of_its_endpoint(
    ledger: Ledger, folder: Path, searcher: Searcher
) -> None:
    begun, may_fail = Event(), Event()

    def down(delivery: Any) -> Any:
        begun.set()
        assert may_fail.wait(WAIT_S)
        raise Retryable(f"cannot say {delivery.text!r}", after_ms=DAY_MS)

    ledger.channel("chat", down)
    task = ended(ledger, notify="done_only")
    assert begun.wait(WAIT_S)
    ledger.erase(task.id, reason=WHY)
    may_fail.set()
    ledger.settled()

    assert [] == searcher.find(folder, SECRET)


def test_why_an_endpoint_did_not_take_what_was_erased_is_no_reason_for_what_it_is_to_take_next(
    ledger: Ledger, clock: HandClock, folder: Path, searcher: Searcher
) -> None:
    def down(delivery: Any) -> Any:
        raise Retryable(f"cannot say {delivery.text!r}", after_ms=DAY_MS)

    ledger.channel("chat", down)
    for_all: dict[str, Any] = {"origin": {"channel": "chat", "to": "all"}, "notify": "done_only"}
    task = ended(ledger, **for_all)
    ledger.settled()
    assert SECRET in ledger.status().paused[0].error
    ledger.erase(task.id, reason=WHY)
    other = ledger.create(runtime="cli", task="stays", owner=OWNER, **for_all)
    other.succeed()
    clock.advance(DAY_MS // 2)  # the pause is over, and the receiver has asked for more patience
    ledger.sweep()
    ledger.settled()

    assert "pending" == other.record.delivery_status
    assert ["chat:all"] == [standing.name for standing in ledger.status().paused]
    assert [] == searcher.find(folder, SECRET)


def test_no_line_of_the_programs_log_has_content(
    folder: Path, clock: HandClock, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.channel("chat", lambda delivery: tallystick.Receipt(delivery.id))
        task = ended(ledger)
        ledger.settled()
        with pytest.raises(tallystick.Refused):
            ledger.get(task.id).fail(f"{SECRET} comes late")
        ledger.erase(task.id, reason=WHY)
        asked(ledger)
        ledger.sweep()

    told = capsys.readouterr()
    assert SECRET not in caplog.text + told.out + told.err


# Pages, and copies.


def raw_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob(DATA_NAME)))


def test_free_pages_may_still_have_it_and_a_backup_has_none_of_it(
    folder: Path, clock: HandClock, tmp_path: Path, searcher: Searcher
) -> None:
    copy = tmp_path / "copy"
    with tallystick.open(folder, clock=clock) as ledger:
        for number in range(50):
            task = ended(ledger, run_id=f"run-{number}", task=f"{SECRET} " * 50)
            ledger.erase(task.id, reason=WHY)
        assert [] == searcher.find(folder, SECRET)
        made = ledger.backup(copy)
        root_hash = ledger.verify().root_hash
    assert SECRET.encode() in raw_bytes(folder), "LMDB uses free pages again and does not wipe them"

    assert 0 == made.problems
    assert SECRET.encode() not in raw_bytes(copy)
    assert [] == searcher.find(copy, SECRET)
    with tallystick.open(copy, clock=clock, read_only=True) as reader:
        found = reader.verify()
        assert (True, root_hash) == (found.ok, found.root_hash)
        assert WHY == reader.timeline(task.id)[-1].data.reason  # type: ignore[union-attr]


def test_a_backup_that_was_made_before_still_has_it(folder: Path, clock: HandClock, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with tallystick.open(folder, clock=clock) as ledger:
        task = ended(ledger)
        ledger.backup(copy)
        ledger.erase(task.id, reason=WHY)

    with tallystick.open(copy, clock=clock, read_only=True) as reader:
        assert SECRET in reader.get(task.id).record.task
    assert (copy / LOG_FOLDER / DATA_NAME).exists()
