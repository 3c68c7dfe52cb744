"""Telling: messages go into the log with what they tell, or not at all, and say nothing that they must not say."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from msgspec.structs import replace

from tallystick.actors.task import OUTBOX_ACTOR
from tallystick.actors.telling import CHANNELS_NOTE, Telling
from tallystick.ledger.errors import StoreError
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.deliveries import DeliveryDelivered, DeliveryFailed, DeliveryQueued, DeliveryRetried
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import (
    TaskCreated,
    TaskFailed,
    TaskLost,
    TaskNotifyChanged,
    TaskProgressed,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.lifecycle import DeliveryKind, DeliveryStatus, NotifyPolicy
from tallystick.ledger.notices import TOLD, is_given_up, notices
from tallystick.ledger.routing import Routing
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Damaged as DamagedRecord
from tallystick.ledger.store.port import Stored
from tallystick.projections.frozen import message_at
from tests import strategies as some
from tests.actors.parts import STREAMS, FullLog, folded, full, history
from tests.actors.telling import messages, noted, telling_desk
from tests.announced import CHAT, MONITORS, SERVED, WATCHED, Announced, asked, known
from tests.story import STEP_MS, created

STREAM = STREAMS[0]
MAIN = "terminal:succeeded:default"
SESSION = "agent:main:main"
FAILED = DeliveryFailed(delivery=MAIN, attempt=1, error="chat not found")


# What follows an event.


@given(some.announced())
def test_what_is_told_is_what_the_rules_say_however_short_the_way_there_was(story: Announced) -> None:
    log = MemoryLog()
    log.append(story.events)
    telling = Telling(log, monitors=story.routing.monitors, channels=story.routing.channels)
    for session, route in story.stored.items():
        noted(log, telling.reach(session, route))

    before = None
    for event, record in zip(story.events, known(story), strict=True):
        if event.data.__class__ in TOLD and not is_given_up(event.data):
            expected = list(notices(event, record, story.routing, story.stored.get))
            assert expected == list(telling.notices(event, before, record))
        before = record


@given(some.announced())
def test_actors_leave_in_the_log_what_the_story_has(story: Announced) -> None:
    desk = telling_desk(monitors=story.routing.monitors, channels=story.routing.channels)
    for session, route in story.stored.items():
        noted(desk.log, desk.directory.telling.reach(session, route))
    creation, *told = story.facts
    assert isinstance(creation, TaskCreated)
    creation = replace(creation, parent=None, root=None, flow=None)  # others would have to be there
    twin = Announced(
        creation, routing=story.routing, stored=story.stored, stream=STREAM, begin_ms=desk.clock() - STEP_MS
    )
    desk.create(STREAM, creation)
    for data in told:
        if not isinstance(data, DeliveryQueued | TaskProgressed):
            desk.clock.advance(STEP_MS)
            twin.tell(data)
            desk.tell(STREAM, data)

    assert twin.events == history(desk.log, STREAM)
    assert twin.record == folded(desk.log, STREAM)


def test_a_message_is_in_the_same_append_as_what_it_tells() -> None:
    desk = telling_desk(log := FullLog())
    desk.create(STREAM, asked())
    log.appended.clear()
    record = desk.tell(STREAM, TaskSucceeded(summary="42"))

    assert [3] == log.appended, "the implied start, the success and the message"
    assert [MAIN] == [message.delivery for message in messages(desk)]
    assert (DeliveryStatus.PENDING, 4) == (record.delivery_status, record.version)
    last = history(desk.log, STREAM)[-1]
    assert (OUTBOX_ACTOR, desk.clock()) == (last.actor, last.recorded_at)


def test_what_could_not_be_written_told_nobody_and_is_told_when_it_is() -> None:
    desk = telling_desk(log := FullLog())
    desk.create(STREAM, asked())
    log.failures.append(full())
    desk.tell(STREAM, TaskSucceeded(summary="42"))
    assert [] == messages(desk)

    desk.tell(STREAM, TaskSucceeded(summary="42"))
    assert [MAIN] == [message.delivery for message in messages(desk)]


def test_a_signal_that_comes_twice_is_told_once() -> None:
    desk = telling_desk()
    desk.create(STREAM, asked())
    for _ in range(3):
        desk.tell(STREAM, TaskSucceeded(summary="42"))

    assert 1 == len(messages(desk))


def test_messages_of_many_tasks_in_one_turn_stand_behind_what_they_tell() -> None:
    desk = telling_desk()
    for stream in STREAMS[:4]:
        desk.create(stream, asked())
    for stream in STREAMS[:4]:
        desk.send(stream, TaskFailed(error="boom"))
    desk.dispatcher.run()

    assert desk.log.head() == 4 + 8
    for stream in STREAMS[:4]:
        ended, told = history(desk.log, stream)[-2:]
        assert ended.position + 1 == told.position


def test_what_failed_for_good_waits_in_the_session_with_the_words_that_were_frozen() -> None:
    desk = telling_desk(log := FullLog())
    desk.create(STREAM, asked())
    desk.tell(STREAM, TaskSucceeded(summary="42", artifacts=("file:///out",)))
    log.appended.clear()
    desk.tell(STREAM, FAILED)

    sent, queued = messages(desk)
    assert [2] == log.appended
    assert (sent.text, sent.artifacts, SESSION) == (queued.text, queued.artifacts, queued.session)


def test_an_actor_that_was_passivated_tells_as_one_that_stayed() -> None:
    log = FullLog()
    desk = telling_desk(log)
    desk.create(STREAM, asked())
    desk.tell(STREAM, TaskSucceeded(summary="42"))
    later = telling_desk(log)
    later.tell(STREAM, FAILED)
    later.tell(STREAM, DeliveryRetried())
    later.tell(STREAM, DeliveryDelivered(delivery=MAIN))

    assert [MAIN, f"{MAIN}#session"] == [message.delivery for message in messages(later)]
    record = folded(log, STREAM)
    assert record is not None
    assert (DeliveryStatus.DELIVERED, ()) == (record.delivery_status, record.outbox)


def test_a_message_is_read_from_where_it_was_frozen() -> None:
    desk = telling_desk()
    desk.create(STREAM, asked())
    desk.tell(STREAM, TaskSucceeded(summary="42"))
    head = desk.log.head()

    assert messages(desk) == [message_at(desk.log, head)]
    assert [None, None] == [message_at(desk.log, position) for position in (1, head + 1)]


@pytest.mark.parametrize("policy", NotifyPolicy)
def test_monitors_hear_whatever_the_policy_of_a_task_is(policy: NotifyPolicy) -> None:
    desk = telling_desk(monitors=MONITORS)
    desk.create(STREAM, asked(notify=policy))
    desk.tell(STREAM, TaskStarted())
    desk.tell(STREAM, TaskLost(rule="r", evidence={}))

    expected = {"event:2:started@night", "terminal:lost:default@ops", "terminal:lost:default@lost"}
    assert expected <= {message.delivery for message in messages(desk)}


@pytest.mark.parametrize("policy", NotifyPolicy)
def test_media_wake_their_session_whatever_the_policy_is(policy: NotifyPolicy) -> None:
    desk = telling_desk()
    desk.create(STREAM, asked(runtime="cli", kind="image_generation", notify=policy))
    desk.tell(STREAM, TaskSucceeded())

    assert ["wake:succeeded:default"] == [each.delivery for each in messages(desk) if each.kind is DeliveryKind.MEDIA]


# Routes and channels.


@given(some.stored_routes)
def test_the_way_to_a_session_is_known_after_a_restart(routes: dict[str, Origin]) -> None:
    log = MemoryLog()
    telling = Telling(log)
    for session, route in routes.items():
        assert telling.stored(session) is None
        noted(log, telling.reach(session, Origin("elsewhere", "x")))
        noted(log, telling.reach(session, route))

    for each in (telling, Telling(log)):
        for session, route in routes.items():
            found = each.stored(session)
            assert route == found
            assert found is not None
            assert (type(route.to), type(route.thread)) == (type(found.to), type(found.thread))
        assert each.stored("nobody") is None


def test_blanks_are_filled_from_the_way_that_is_stored_when_somebody_is_told() -> None:
    desk = telling_desk()
    desk.create(STREAM, asked(origin=Origin("telegram")))
    noted(desk.log, desk.directory.telling.reach(SESSION, Origin("telegram", 5, "home", 8)))
    desk.tell(STREAM, TaskSucceeded())

    assert [Origin("telegram", 5, "home", 8)] == [message.route for message in messages(desk)]


def test_a_channel_that_was_registered_once_is_served_after_a_restart() -> None:
    log = MemoryLog()
    telling = Telling(log, channels=["slack"])
    assert {"slack"} == telling.routing.channels
    note = telling.serve("telegram")
    noted(log, note)

    assert note is not None
    assert CHANNELS_NOTE == note[0]
    assert telling.serve("telegram") is None, "it is noted already"
    assert {"slack", "telegram"} == telling.routing.channels
    assert {"telegram"} == Telling(log).routing.channels
    assert telling.serve("slack") is not None, "the configuration may forget it"
    noted(log, telling.serve("discord"))
    assert {"telegram", "slack", "discord"} == Telling(log).registered


def test_a_channel_that_is_registered_serves_what_comes_from_then_on() -> None:
    desk = telling_desk(channels=())
    for stream in STREAMS[:2]:
        desk.create(stream, asked())
    desk.tell(STREAMS[0], TaskSucceeded())
    desk.directory.telling.serve("telegram")
    desk.tell(STREAMS[1], TaskSucceeded())

    assert [None] == [message.route for message in messages(desk, STREAMS[0])]
    assert [CHAT] == [message.route for message in messages(desk, STREAMS[1])]


def test_monitors_stay_when_a_channel_is_registered() -> None:
    telling = Telling(MemoryLog(), monitors=MONITORS, channels=SERVED.channels)
    telling.serve("discord")

    assert Routing(WATCHED.monitors, SERVED.channels | {"discord"}) == telling.routing


def test_a_policy_that_changes_tells_what_nobody_was_told() -> None:
    desk = telling_desk()
    desk.create(STREAM, asked(notify="silent"))
    desk.tell(STREAM, TaskFailed(error="boom"))
    assert [] == messages(desk)
    desk.tell(STREAM, TaskNotifyChanged(policy=NotifyPolicy.DONE_ONLY))

    assert ["terminal:failed:default"] == [message.delivery for message in messages(desk)]


@pytest.mark.parametrize("data", [TaskStarted(), TaskSucceeded(), TaskFailed(error="x")])
def test_a_task_of_which_nobody_is_told_costs_no_look_at_its_route(data: AnyFact) -> None:
    class Unread(FullLog):
        def note(self, name: bytes) -> bytes | None:
            assert name == CHANNELS_NOTE
            return None

    desk = telling_desk(Unread())
    desk.create(STREAM, created(origin=Origin("telegram")))
    record = desk.tell(STREAM, data)

    assert DeliveryStatus.NOT_APPLICABLE == record.delivery_status
    assert replace(record, outbox=()) == record


class Damaged(FullLog):
    """A log that has lost the message at one place."""

    lost_at = 0

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        for stored in super().read(after, until):
            yield DamagedRecord(stored.position, "lost") if stored.position == self.lost_at else stored


@pytest.mark.parametrize(
    ("more", "failed", "way"),
    [
        ({}, FAILED, f"{MAIN}#session"),
        (
            {"runtime": "cli", "kind": "image_generation"},
            replace(FAILED, delivery="wake:succeeded:default"),
            MAIN,
        ),
    ],
)
def test_a_message_that_cannot_be_read_any_more_is_said_anew(
    more: dict[str, str], failed: DeliveryFailed, way: str
) -> None:
    desk = telling_desk(log := Damaged())
    desk.create(STREAM, asked(**more))
    desk.tell(STREAM, TaskSucceeded(summary="42"))
    log.lost_at = log.head()
    desk.tell(STREAM, failed)

    said = messages(desk)[-1]
    assert (way, "Background task done: Count the tallies. 42") == (said.delivery, said.text)


class Unreadable(FullLog):
    """A log whose notes cannot be read from some moment on."""

    is_broken = False

    def note(self, name: bytes) -> bytes | None:
        if self.is_broken:
            raise StoreError(f"nobody can read {name!r}")
        return super().note(name)


def test_whatever_keeps_a_way_from_being_found_keeps_no_end_and_no_message_from_being_recorded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Unreadable()
    desk = telling_desk(log)
    desk.create(STREAM, asked(origin=Origin("telegram")))
    log.is_broken = True
    with caplog.at_level(logging.ERROR):
        record = desk.tell(STREAM, TaskSucceeded(summary="42"))

    assert DeliveryStatus.SESSION_QUEUED == record.delivery_status
    assert [SESSION] == [message.session for message in messages(desk)]
    assert "notices_failed" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x93"])
def test_notes_that_cannot_be_read_are_as_good_as_none(damage: bytes) -> None:
    log = FullLog()
    route = Telling.reach(SESSION, Origin("telegram", 5))
    noted(log, (route[0], damage))
    noted(log, (b"channels", damage))

    telling = Telling(log)
    assert telling.stored(SESSION) is None
    assert frozenset() == telling.routing.channels
