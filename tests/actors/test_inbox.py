"""The inbox keeps order and its bound, loses nothing, and always has its actor scheduled when something waits."""

import threading
from collections import deque
from typing import Any

import pytest

from tallystick.actors.envelope import Envelope
from tallystick.actors.inbox import Address, HandOn, Inbox, Runnable
from tallystick.ledger.errors import Busy
from tallystick.ledger.limits import INBOX_DEPTH_MAX
from tests.actors.parts import PATIENCE_S, at_once


class Line:
    """Where actors queue; here nobody runs them."""

    remembers = True

    def __init__(self) -> None:
        self.waiting: deque[Runnable] = deque()

    def schedule(self, actor: Runnable) -> None:
        self.waiting.append(actor)


class Reader:
    """An actor that keeps what it takes out of its inbox."""

    def __init__(self, line: Line) -> None:
        self.inbox = self.actor_inbox = Inbox(self, line)
        self.read: list[object] = []

    def drain(self) -> None:
        self.read += texts(self.actor_inbox.take())

    def abandon(self) -> None:
        raise AssertionError("nobody ends here")


def address_of(reader: Reader) -> Address:
    """Where somebody else is found from now on."""
    return Address(lambda _stream: reader, b"a task")


def letters(*messages: object) -> list[Envelope]:
    return [Envelope(message) for message in messages]


def texts(envelopes: list[Envelope]) -> list[object]:
    return [envelope.message for envelope in envelopes]


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def reader(line: Line) -> Reader:
    return Reader(line)


@pytest.fixture
def inbox(reader: Reader) -> Inbox:
    return reader.actor_inbox


def test_whatever_is_put_before_a_turn_gives_one_turn(line: Line) -> None:
    reader = Reader(line)
    reader.inbox.put(Envelope("a"))
    reader.inbox.put_behind(letters("b", "c"))
    reader.inbox.put_behind(letters("d"))

    assert 1 == len(line.waiting)
    line.waiting.popleft().drain()
    assert ["a", "b", "c", "d"] == reader.read
    reader.inbox.put_behind(letters("e"))
    assert 1 == len(line.waiting)


def test_what_was_put_is_taken_in_order(inbox: Inbox) -> None:
    for letter in letters(1, 2, 3):
        inbox.put(letter)

    assert (False, 3) == (inbox.empty(), inbox.depth())
    assert [1, 2, 3] == texts(inbox.take())
    assert (True, 0) == (inbox.empty(), inbox.depth())
    assert [] == inbox.take()


def test_an_actor_is_scheduled_once_until_its_mail_is_taken(inbox: Inbox, line: Line) -> None:
    for letter in letters(1, 2):
        inbox.put(letter)
    once = list(line.waiting)
    inbox.take()
    inbox.put(Envelope(3))

    assert [inbox] == once
    assert [inbox, inbox] == list(line.waiting)


def test_one_by_one_it_gives_what_waits_and_never_waits_itself(inbox: Inbox) -> None:
    for letter in letters(1, 2):
        inbox.put(letter)

    assert [1, 2] == [inbox.get().message, inbox.get().message]
    with pytest.raises(IndexError):
        inbox.get()


def test_a_full_inbox_says_so_and_keeps_what_it_has(inbox: Inbox) -> None:
    for number in range(INBOX_DEPTH_MAX):
        inbox.put(Envelope(number))
    with pytest.raises(Busy) as caught:
        inbox.put(Envelope("too much"))

    assert INBOX_DEPTH_MAX == caught.value.depth
    assert list(range(INBOX_DEPTH_MAX)) == texts(inbox.take())


def test_an_inbox_that_was_full_takes_mail_again_after_it_was_emptied(inbox: Inbox, line: Line) -> None:
    for number in range(INBOX_DEPTH_MAX):
        inbox.put(Envelope(number))
    with pytest.raises(Busy):
        inbox.put(Envelope("too much"))
    inbox.take()
    inbox.put(Envelope("again"))

    assert ["again"] == texts(inbox.take())
    assert 2 == len(line.waiting)


def test_what_was_admitted_elsewhere_comes_before_or_behind_and_is_never_turned_away(inbox: Inbox, line: Line) -> None:
    for number in range(INBOX_DEPTH_MAX):
        inbox.put(Envelope(number))
    inbox.put_before(letters("a", "b"))
    inbox.put_behind(letters("y", "z"))

    assert ["a", "b", *range(INBOX_DEPTH_MAX), "y", "z"] == texts(inbox.take())
    assert 2 == len(line.waiting)


def test_an_actor_can_be_woken_without_mail(inbox: Inbox, line: Line) -> None:
    inbox.wake()
    inbox.put(Envelope("it is in the line already"))

    assert [inbox] == list(line.waiting)


def test_the_inbox_of_a_gone_actor_hands_on_to_whoever_is_there_now(line: Line) -> None:
    first, second, third = Reader(line), Reader(line), Reader(line)
    onward = HandOn(threading.RLock())
    first.actor_inbox.put(Envelope(1))
    first.actor_inbox.hand_on(onward, address_of(second))
    first.actor_inbox.put(Envelope(2))
    second.actor_inbox.hand_on(onward, address_of(third))
    first.actor_inbox.put(Envelope(3))

    assert [[1], [2], [3]] == [texts(reader.actor_inbox.take()) for reader in (first, second, third)]
    assert [reader.inbox for reader in (first, second, third)] == list(line.waiting)


def test_a_sender_that_was_inside_put_hands_on_what_it_put(line: Line) -> None:
    first, second = Reader(line), Reader(line)
    first.actor_inbox.put(Envelope(1))
    first.actor_inbox.take()
    first.actor_inbox.hand_on(HandOn(threading.RLock()), address_of(second))
    for number in (2, 3):
        Inbox.put(first.actor_inbox, Envelope(number))
    first.actor_inbox.put_behind(letters(4))

    assert [[], [2, 3, 4]] == [texts(reader.actor_inbox.take()) for reader in (first, second)]
    assert [first.inbox, second.inbox] == list(line.waiting)[:2]


def test_of_two_senders_that_were_inside_put_neither_leaves_his_mail_to_the_other(line: Line) -> None:
    class Halfway(HandOn):
        """The first who comes is interrupted before he takes anything; the second comes meanwhile."""

        came = 0

        def schedule(self, inbox: Runnable) -> None:
            self.came += 1
            if self.came == 1:
                Inbox.put(first.actor_inbox, Envelope(2))
                before.extend(texts(second.actor_inbox.take()))
            super().schedule(inbox)

    before: list[object] = []
    first, second = Reader(line), Reader(line)
    first.actor_inbox.hand_on(Halfway(threading.RLock()), address_of(second))
    Inbox.put(first.actor_inbox, Envelope(1))

    assert [1, 2] == before


def test_nobody_hands_on_while_what_waited_is_being_handed_on(line: Line) -> None:
    first, second, lock = Reader(line), Reader(line), threading.RLock()
    first.actor_inbox.put(Envelope(1))
    in_time: list[bool] = []
    with lock:
        first.actor_inbox.hand_on(HandOn(lock), address_of(second))
        senders = [
            threading.Thread(target=put, args=(first.actor_inbox, Envelope(2)))
            for put in (Inbox.put, type(first.inbox).put)
        ]
        for sender in senders:
            sender.start()
            sender.join(0.01)
            in_time.append(not sender.is_alive())
        second.actor_inbox.put_before(first.actor_inbox.take()[:1])
    for sender in senders:
        sender.join(PATIENCE_S)

    assert [False, False] == in_time
    assert 1 == texts(second.actor_inbox.take())[0]


def test_mail_that_comes_while_the_rest_is_taken_is_kept_and_schedules_anew(inbox: Inbox, line: Line) -> None:
    class Interrupted(list[Envelope]):
        """What waits; while it is copied somebody puts something more."""

        def __getitem__(self, part: Any) -> Any:
            copied = super().__getitem__(part)
            inbox.put(Envelope("late"))
            return copied

    inbox._queue = Interrupted()  # noqa: SLF001 - the moment between two steps
    inbox.put(Envelope("early"))
    taken = inbox.take()

    assert (["early"], 1) == (texts(taken), inbox.depth())
    assert [inbox, inbox] == list(line.waiting)


@pytest.mark.usefixtures("restless")
def test_many_senders_lose_nothing_and_keep_their_order(inbox: Inbox, line: Line, reader: Reader) -> None:
    each, senders = 3_000, 3
    finished = threading.Semaphore(0)

    def put(sender: int) -> None:
        for number in range(each):
            sent = False
            while not sent:
                try:
                    inbox.put(Envelope((sender, number)))
                    sent = True
                except Busy:
                    continue
        finished.release()

    def run() -> None:
        """Take when scheduled, and never otherwise."""
        done = 0
        while done < senders or line.waiting:
            while line.waiting:
                line.waiting.popleft().drain()
            done += finished.acquire(blocking=False)

    at_once(run, *[lambda sender=sender: put(sender) for sender in range(senders)])

    assert each * senders == len(reader.read)
    for sender in range(senders):
        assert [(sender, number) for number in range(each)] == [read for read in reader.read if read[0] == sender]  # type: ignore[index]
    assert inbox.empty()
