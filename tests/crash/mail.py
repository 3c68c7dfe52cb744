"""What must hold of messages, whoever was killed: held up against the log, the receiver and the sessions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tallystick import Event, SessionEvent, TaskRecord
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.deliveries import (
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryQueued,
    DeliveryRetried,
    DeliveryUnknown,
)
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted
from tallystick.ledger.outbox import id_of
from tests.crash.receiver import Arrival

ENDS = frozenset({"succeeded", "failed", "timed_out", "cancelled", "lost"})
FAILURES = frozenset({"failed", "timed_out", "lost"})


class Message(Struct):
    """What the log tells of one message."""

    position: int
    task_id: str
    data: DeliveryQueued
    is_delivered: bool = False
    is_failed: bool = False
    is_unknown: bool = False
    is_dismissed: bool = False
    was_stuck: bool = False


class Mail(Struct):
    """What the messages of a ledger came to."""

    direct: int
    queued: int
    arrivals: int
    duplicates: int
    failed: int
    unknown: int
    dismissed: int


def let_through(record: TaskRecord, event: Event) -> bool:
    """Whether somebody is to be told of this event, in words of our own."""
    policy, outcome = record.notify_policy.value, record.terminal_outcome
    if isinstance(event.data, TaskStarted) or (isinstance(event.data, TaskProgressed) and event.data.message):
        return policy == "state_changes"
    if policy == "failures_only":
        return record.status.value in FAILURES or outcome == "blocked"
    return policy != "silent"


class Log:
    """The messages of a log, each of which stands right behind what it tells, in the same append."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.messages: list[Message] = []
        self._open: dict[tuple[str, str], Message] = {}
        records: dict[str, TaskRecord] = {}
        for event, following in zip(events, [*events[1:], None], strict=True):
            before = records.get(event.task_id)
            record = records[event.task_id] = evolve(before, event)
            if self._is_told(before, record, event):
                self._check_told(event, record, following)
            if isinstance(event.data, DeliveryDismissed):
                self._check_dismissed(event, event.data, following)
            self._note(event)

    @staticmethod
    def _is_told(before: TaskRecord | None, record: TaskRecord, event: Event) -> bool:
        is_step = isinstance(event.data, TaskStarted | TaskProgressed)
        is_end = record.status.value in ENDS and (before is None or record.status is not before.status)
        return (is_step or is_end) and let_through(record, event)

    @staticmethod
    def _check_told(event: Event, record: TaskRecord, following: Event | None) -> None:
        assert following is not None, f"nobody is told of the event at {event.position}, the last one"
        told = (following.stream, following.recorded_at, type(following.data))
        assert (event.stream, event.recorded_at, DeliveryQueued) == told, f"nobody is told of {event.position}"
        assert isinstance(following.data, DeliveryQueued)
        route = following.data.route
        if record.origin is None or "group" in str(record.owner_key):
            assert route is None
            assert record.owner_key == following.data.session
        else:
            assert route == record.origin
            assert [type(part) for part in (route.to, route.thread)] == [
                type(part) for part in (record.origin.to, record.origin.thread)
            ]
        if record.status.value in ENDS:
            outcome = record.terminal_outcome or "default"
            expected = f"task-terminal:{event.task_id}:{record.status.value}:{outcome}"
            assert id_of(event.task_id, following.data.delivery).startswith(expected)

    @staticmethod
    def _check_dismissed(event: Event, data: DeliveryDismissed, following: Event | None) -> None:
        """Nobody gives up a message here: it goes when it has arrived on the other way, in the same append."""
        assert following is not None, f"nothing arrived instead of what was dismissed at {event.position}"
        assert (event.stream, event.recorded_at) == (following.stream, following.recorded_at)
        assert isinstance(following.data, DeliveryDelivered)
        assert {data.delivery, following.data.delivery} == {
            following.data.delivery.removesuffix("#session"),
            f"{following.data.delivery.removesuffix('#session')}#session",
        }

    def _note(self, event: Event) -> None:
        data = event.data
        if isinstance(data, DeliveryQueued):
            message = self._open[event.task_id, data.delivery] = Message(event.position, event.task_id, data)
            self.messages.append(message)
        elif isinstance(data, DeliveryDelivered):
            self._open.pop((event.task_id, data.delivery)).is_delivered = True
        elif isinstance(data, DeliveryDismissed):
            assert data.delivery is not None, "each is recorded by its name"
            message = self._open.pop((event.task_id, data.delivery))
            message.is_failed = message.is_unknown = False
            message.is_dismissed = message.was_stuck = True
        elif isinstance(data, DeliveryFailed):
            message = self._open[event.task_id, data.delivery]
            assert data.attempt or message.data.route is None, f"{data.delivery} was given up and never tried"
            message.is_failed = message.was_stuck = True
        elif isinstance(data, DeliveryUnknown):
            message = self._open[event.task_id, data.delivery]
            message.is_unknown = data.due_at is None
            message.was_stuck |= message.is_unknown
        elif isinstance(data, DeliveryRetried):
            assert data.delivery is not None, "each is recorded by its name"
            message = self._open[event.task_id, data.delivery]
            message.is_failed = message.is_unknown = False


def check_arrivals(log: Log, arrivals: Mapping[str, Sequence[Arrival]]) -> Mail:
    """Hold the messages that were sent to what arrived, after everything was sent that could be."""
    frozen: defaultdict[str, list[tuple[str, Origin]]] = defaultdict(list)
    count = failed = unknown = dismissed = 0
    for message in log.messages:
        route = message.data.route
        if route is None:
            continue
        count += 1
        failed += message.is_failed
        unknown += message.is_unknown
        dismissed += message.is_dismissed
        name = id_of(message.task_id, message.data.delivery)
        frozen[name].append((message.data.text, route))
        is_known = message.is_failed or message.is_dismissed  # not to have arrived on this way
        assert message.is_delivered or message.is_unknown or is_known, f"{name} is not done with"
        assert is_known or arrivals.get(name), f"{name} never arrived, and nobody says so"
    assert all(len(each) == 1 for each in frozen.values()), "two messages have one id"
    for name, each in arrivals.items():
        [(text, route)] = frozen[name]
        for arrival in each:
            assert (text, route.to, route.thread) == (arrival.text, arrival.to, arrival.thread), name
            assert [type(route.to), type(route.thread)] == [type(arrival.to), type(arrival.thread)], name
    check_order(log, list(arrivals))
    brought = sum(map(len, arrivals.values()))
    waits = sum(message.data.route is None for message in log.messages)
    return Mail(count, waits, brought, brought - len(arrivals), failed, unknown, dismissed)


def check_order(log: Log, arrived: Sequence[str]) -> None:
    """Hold what a task told on one route to the order of the log, but for what waited for an operator in between."""
    places = {name: place for place, name in enumerate(arrived)}
    last: dict[tuple[str, Origin], int] = {}
    for message in log.messages:
        route = message.data.route
        if route is not None and not message.was_stuck:
            place = places[id_of(message.task_id, message.data.delivery)]
            assert last.get((message.task_id, route), -1) < place, f"{message.data.delivery} overtook another message"
            last[message.task_id, route] = place


def check_sessions(
    log: Log,
    waiting: Mapping[str, Sequence[SessionEvent]],
    taken: Mapping[str, Iterable[int]],
    acknowledged: Mapping[str, Iterable[int]],
) -> None:
    """Hold what waits in sessions to what was put there, taken and acknowledged: all of it is one or the other."""
    queued: defaultdict[str, list[Message]] = defaultdict(list)
    for message in log.messages:
        if message.data.session is not None:
            queued[message.data.session].append(message)
    for session, messages in queued.items():
        waits = [(event.position, event.text, event.task_id) for event in waiting[session]]
        left = [each for each in messages if not (each.is_delivered or each.is_dismissed)]
        assert [(each.position, each.data.text, each.task_id) for each in left] == waits, session
        gone = {each.position for each in messages if each.is_delivered}
        assert gone <= set(taken.get(session, ())), "something is called taken that nobody took"
        gone.update(each.position for each in messages if each.is_dismissed)
        assert set(acknowledged.get(session, ())) <= gone, "an acknowledgement is not there"


def failed_messages_wait_in_sessions(log: Log) -> bool:
    """Whether everything of how a task ended that was not wanted waited in a session instead, to the letter."""
    by_name = {(each.task_id, each.data.delivery): each.data.text for each in log.messages}
    return all(
        by_name.get((each.task_id, f"{each.data.delivery}#session")) == each.data.text
        for each in log.messages
        if each.is_failed and each.data.delivery.startswith("terminal:")
    )
