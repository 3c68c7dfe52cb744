"""The inbox: commands wait in order, each is answered once, and what nobody fetches does not stay for ever."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Busy, NotFound
from tallystick.ledger.facts.tasks import TaskStarted, TaskSucceeded
from tallystick.ledger.limits import INBOX_ANSWERS_MAX, INBOX_COMMANDS_MAX
from tallystick.ledger.store.inbox import INBOX_FOLDER, CommandInbox, forget

ONE, TWO = b"1" * 16, b"2" * 16
ME, YOU = b"m" * 16, b"y" * 16
START, DONE = Command(TaskStarted(backing={"pid": 7}), "me", 5), Command(TaskSucceeded(), "me", None, 1, force=True)
NO = NotFound("x")


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[CommandInbox]:
    opened = CommandInbox.open_as_owner(tmp_path)
    yield opened
    opened.close()


def send(inbox: CommandInbox, *commands: tuple[bytes, Command], client: bytes = ME) -> list[int]:
    return inbox.send(client, commands, heard=())


def test_commands_wait_in_the_order_in_which_they_came(inbox: CommandInbox) -> None:
    assert [1, 2] == send(inbox, (ONE, START), (TWO, DONE))
    assert [3] == send(inbox, (ONE, DONE), client=YOU)

    waiting = inbox.waiting(10)

    assert [(1, ME, ONE, START), (2, ME, TWO, DONE), (3, YOU, ONE, DONE)] == [
        (letter.sequence, letter.client, letter.stream, letter.command) for letter in waiting
    ]
    assert waiting[:2] == inbox.waiting(2)
    assert (3, 0) == inbox.counts()


def test_what_is_answered_waits_no_more_and_is_there_until_it_is_heard(inbox: CommandInbox) -> None:
    send(inbox, (ONE, START), (TWO, DONE))
    assert {} == inbox.answered([1, 2])

    inbox.answer({1: (ME, NO)})

    assert [2] == [letter.sequence for letter in inbox.waiting(10)]
    [(place, answer)] = inbox.answered([1, 2]).items()
    assert (1, "x") == (place, answer.token if isinstance(answer, NotFound) else None)
    inbox.forget([1])
    assert {1: None} == inbox.answered([1, 2])
    assert [3] == inbox.send(ME, [(ONE, DONE)], heard=[7])


def test_places_are_given_once_also_after_everything_was_answered(inbox: CommandInbox, tmp_path: Path) -> None:
    send(inbox, (ONE, START))
    inbox.answer({1: (ME, NO)})
    inbox.forget([1])
    inbox.close()

    again = CommandInbox.open_as_owner(tmp_path)

    assert inbox.id == again.id
    assert [2] == send(again, (ONE, START))
    again.close()


def test_a_full_inbox_takes_what_it_has_room_for_and_then_says_so(inbox: CommandInbox) -> None:
    sent = send(inbox, *[(ONE, START)] * (INBOX_COMMANDS_MAX + 5))
    assert INBOX_COMMANDS_MAX == len(sent)

    with pytest.raises(Busy, match="The inbox of the ledger is full") as refused:
        send(inbox, (ONE, START))

    assert INBOX_COMMANDS_MAX == refused.value.depth
    inbox.answer({1: (ME, NO)})
    assert [INBOX_COMMANDS_MAX + 1] == send(inbox, (ONE, START), (ONE, START))


def test_a_command_of_a_later_version_waits_without_being_understood(inbox: CommandInbox) -> None:
    send(inbox, (ONE, START))
    strange = {"data": {"type": "task-sung.9"}, "actor": "later"}
    rows = [[ME, 0, ONE, strange], [ME, 9, ONE, {}], "nonsense"]
    with inbox.environment.write() as txn:
        for place, row in enumerate(rows, 2):
            txn.put(place.to_bytes(8), msgspec.msgpack.encode(row), db=inbox._commands)  # noqa: SLF001

    assert [(ME, START), (ME, None), (ME, None), (b"", None)] == [
        (letter.client, letter.command) for letter in inbox.waiting(10)
    ]


def test_answers_that_nobody_fetches_are_dropped_the_oldest_first(inbox: CommandInbox) -> None:
    for begin in range(0, INBOX_ANSWERS_MAX + 1, INBOX_COMMANDS_MAX):
        sent = send(inbox, *[(ONE, START)] * INBOX_COMMANDS_MAX)
        assert begin + 1 == sent[0]
        inbox.answer(dict.fromkeys(sent, (ME, NO)))

    waiting, answered = inbox.counts()

    assert (0, True) == (waiting, answered <= INBOX_ANSWERS_MAX)
    assert {1: None} == inbox.answered([1])
    assert [None] != list(inbox.answered([sent[-1]]).values())


def test_an_inbox_of_another_life_of_the_machine_is_the_owners_to_make_anew(tmp_path: Path) -> None:
    monday = CommandInbox.open_as_owner(tmp_path, life="monday")
    send(monday, (ONE, START))
    monday.close()

    assert CommandInbox.open(tmp_path, life="tuesday") is None
    tuesday = CommandInbox.open_as_owner(tmp_path, life="tuesday")

    assert [] == tuesday.waiting(10)
    assert monday.id != tuesday.id
    assert (tuesday.is_current(), monday.is_current()) == (True, False)
    tuesday.close()


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 2_000])
def test_a_damaged_inbox_is_moved_aside_and_begun_anew(tmp_path: Path, damage: bytes) -> None:
    CommandInbox.open_as_owner(tmp_path).close()
    (tmp_path / INBOX_FOLDER / "data.mdb").write_bytes(damage)

    assert CommandInbox.open(tmp_path) is None
    for _ in range(2):  # and again, with one aside already
        anew = CommandInbox.open_as_owner(tmp_path)
        assert [1] == send(anew, (ONE, START))
        anew.close()
        (tmp_path / INBOX_FOLDER / "data.mdb").write_bytes(damage)

    assert {"inbox", "inbox.before"} == {path.name for path in tmp_path.iterdir()}


def test_an_inbox_is_for_this_user_alone(inbox: CommandInbox) -> None:
    assert 0o700 == inbox.path.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in inbox.path.iterdir()}


def test_whatever_stands_in_its_place_is_moved_aside_by_the_owner_alone(tmp_path: Path) -> None:
    (tmp_path / INBOX_FOLDER).write_text("a file")
    assert CommandInbox.open(tmp_path) is None

    made = CommandInbox.open_as_owner(tmp_path)

    assert [1] == send(made, (ONE, START))
    assert "a file" == (tmp_path / "inbox.before").read_text()
    made.close()


def test_who_erases_leaves_no_inbox_that_nobody_uses(tmp_path: Path) -> None:
    for life in ("one", "another"):  # the first is moved aside by the second
        CommandInbox.open_as_owner(tmp_path, life=life).close()
    assert 2 == len(list(tmp_path.iterdir()))

    forget(tmp_path, {}, life="another")
    assert [INBOX_FOLDER] == [path.name for path in tmp_path.iterdir()]
    forget(tmp_path, {}, life="a third")
    assert [] == list(tmp_path.iterdir())
    forget(tmp_path, {}, life="a third")
    assert [] == list(tmp_path.iterdir()), "and makes none"
