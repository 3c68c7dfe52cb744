"""Notes: what a turn says beside its facts is durable with them, and forgotten without them."""

import pytest

from tallystick.ledger.facts.tasks import TaskStarted, TaskSucceeded
from tests.actors.parts import STREAMS, Desk, FullLog, full, outcome, refusal
from tests.story import created

START, DONE = TaskStarted(), TaskSucceeded(summary="done")
FULL = refusal(full())


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def desk(log: FullLog) -> Desk:
    return Desk(log)


def test_a_note_is_durable_with_the_facts_of_its_turn_and_forgotten_with_a_turn_that_has_none(
    desk: Desk, log: FullLog
) -> None:
    desk.create(STREAMS[0], created())
    desk.journal.note(b"who", b"nobody")
    desk.dispatcher.run()
    assert [] == log.notes(b"")

    desk.tell(STREAMS[0], START)
    assert [] == log.notes(b"")

    desk.journal.note(b"who", b"somebody")
    desk.tell(STREAMS[0], DONE)
    assert [(b"who", b"somebody")] == log.notes(b"")


def test_a_note_of_a_turn_that_failed_is_forgotten_and_a_first_note_waits_for_the_first_commit(
    desk: Desk, log: FullLog
) -> None:
    desk.journal.note_first(lambda position: (b"since", position.to_bytes(8)))
    desk.journal.note(b"who", b"nobody")
    log.failures.append(full())
    future = desk.send(STREAMS[0], created())
    desk.dispatcher.run()
    assert FULL == outcome(future)
    assert [] == log.notes(b"")

    desk.create(STREAMS[1], created())
    desk.tell(STREAMS[1], START)

    assert [(b"since", (1).to_bytes(8))] == log.notes(b"")
