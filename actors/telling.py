"""Telling: which messages go into the log with what a task's actor records, without what must not be in them."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from tallystick.actors.log import logger
from tallystick.actors.redaction import Redaction, as_marked, compared, event_without, record_without, withheld
from tallystick.ledger import fields
from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import (
    DeliveryFailed,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskNotifyChanged
from tallystick.ledger.lifecycle import DeliveryKind, NotifyPolicy
from tallystick.ledger.limits import SUMMARY_BYTES_MAX, TIME_MS_MAX
from tallystick.ledger.message import end_message, update_message
from tallystick.ledger.notices import ENDS, Notice, instead, is_given_up, notices, released
from tallystick.ledger.outbox import find
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import marked
from tallystick.ledger.routing import NO_TARGETS, Monitor, Routing
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.withholding import OUTPUT_GAP
from tallystick.projections.frozen import message_at, withheld_at

log = logger("actors")

ROUTE_NOTE = b"route:"
CHANNELS_NOTE = b"channels"
_DIGEST_BYTES = 16
_NOTHING: Sequence[Notice] = ()
_NO_OUTPUT = "What worked below it has ended; its text is withheld: redaction failed."
_FOLLOWED_BY_MANY = frozenset({*ENDS, TaskNotifyChanged})

_pack = msgspec.msgpack.Encoder().encode
_read_route = msgspec.msgpack.Decoder(Origin).decode
_read_names = msgspec.msgpack.Decoder(tuple[str, ...]).decode


class Telling:
    """What the task actors of one open ledger need to know of whom to tell, and how.

    Channels that a program registered once count as served after a restart, too: it will register them again.
    """

    def __init__(
        self,
        event_log: EventLog,
        *,
        monitors: Sequence[Monitor] = (),
        channels: Iterable[str] = (),
        targets: Mapping[str, str | int] = NO_TARGETS,
    ) -> None:
        self._log = event_log
        self._lock = threading.Lock()
        self.registered = registered_names(event_log)
        self.routing = Routing(tuple(monitors), self.registered.union(channels), targets)
        self.redaction = Redaction()

    def serve(self, channel: str) -> tuple[bytes, bytes] | None:
        """Count a channel as served from now on. Returns the note that says so after a restart, if none does yet."""
        with self._lock:
            self.routing = replace(self.routing, channels=self.routing.channels | {channel})
            if channel in self.registered:
                return None
            self.registered |= {channel}
            return CHANNELS_NOTE, _pack(sorted(self.registered))

    def serve_not(self, channel: str) -> None:
        """The note that a channel is served could not be written: write it when it is served again."""
        with self._lock:
            self.registered -= {channel}

    @staticmethod
    def reach(session: str, route: Origin) -> tuple[bytes, bytes]:
        """Return the note that makes this the way on which a session is reached, as soon as it is durable."""
        return _route_note(session), _pack(route)

    def stored(self, session: str) -> Origin | None:
        """Return the way on which a session was last reached. Read each time: few origins have blanks to fill."""
        note = self._log.note(_route_note(session))
        try:
            return None if note is None else _read_route(note)
        except UNREADABLE:  # another version's, or damaged: then the session is told
            return None

    def notices(self, event: Event, before: TaskRecord | None, record: TaskRecord) -> Sequence[Notice]:
        """Return the messages that are to be recorded together with an event, after which the task is `record`.

        Never fails: when nobody can say whom to tell and how, the session is told that there is something to hear.
        What runs here must not keep an end from being recorded.
        """
        try:
            return self._notices(event, before, record)
        except BaseException:  # whatever its class: others wrote the hooks
            log.exception("notices_failed", task=record.task_id)
            if before is None or is_given_up(event.data):
                return _NOTHING
            if isinstance(event.data, DeliveryReleased):
                plain = released(_unread(event.data, record), event.data, record, Routing(), lambda _session: None)
                return (withheld(plain, record),)
            return [withheld(notice, record) for notice in notices(event, record, Routing(), lambda _session: None)]

    def with_output(self, record: TaskRecord, fact: DeliveryReleased, outputs: Sequence[str]) -> DeliveryReleased:
        """Return what releases a message about a task, with the final outputs of others as one text without secrets."""
        strip = self.redaction.strip(record, *outputs) if self.redaction.is_needed else str
        if strip is None:
            return marked(replace(fact, output=_NO_OUTPUT), ("output",))
        # Before it is cut: half a secret is one, too.
        told = [strip(output) for output in outputs]
        joined = OUTPUT_GAP.join(output.strip() for output in told)
        fact = replace(fact, output=fields.report("output", joined, bytes_max=SUMMARY_BYTES_MAX) or "")
        return fact if told == [*outputs] else marked(fact, ("output",))

    def _notices(self, event: Event, before: TaskRecord | None, record: TaskRecord) -> Sequence[Notice]:
        kind = event.data.__class__
        if is_given_up(event.data):
            found = self._instead(event, before, record)
            return _NOTHING if found is None else (self.redaction.stripped(found, record),)
        if isinstance(event.data, DeliveryReleased):
            let_go = as_marked(self._released(event.data, before, record), event)
            return (self.redaction.stripped(let_go, record),)
        if not self.routing.monitors:
            if kind not in _FOLLOWED_BY_MANY and record.notify_policy is not NotifyPolicy.STATE_CHANGES:
                return _NOTHING
            if record.notify_policy is NotifyPolicy.SILENT and record.task_kind is None:
                return _NOTHING
        found_all = [as_marked(notice, event) for notice in notices(event, record, self.routing, self.stored)]
        if not found_all or not self.redaction.is_needed:
            return found_all
        strip = self.redaction.of(record, event)
        if strip is None:
            return [withheld(notice, record) for notice in found_all]
        # Before a text is cut to what a message has room for: half a secret is one, too.
        told = notices(event_without(event, strip), record_without(record, strip), self.routing, self.stored)
        return [compared(as_marked(notice, event), plain) for notice, plain in zip(told, found_all, strict=True)]

    def _instead(self, event: Event, before: TaskRecord | None, record: TaskRecord) -> DeliveryQueued | None:
        assert isinstance(event.data, DeliveryFailed | DeliveryUnknown)
        waiting = None if before is None else find(before.outbox, event.data.delivery)
        assert waiting is not None, "only what waits can be given up"
        message = message_at(self._log, waiting.position)
        if message is None:  # it is damaged: better said anew than not at all
            message = DeliveryQueued(
                delivery=waiting.delivery,
                kind=DeliveryKind.TERMINAL,
                text=end_message(record),
                route=waiting.route,
                session=waiting.session,
                artifacts=record.artifacts,
            )
        found = instead(message, record, event, self.routing, self.stored)
        return None if found is None else marked(found, message.redacted)

    def _released(self, data: DeliveryReleased, before: TaskRecord | None, record: TaskRecord) -> DeliveryQueued:
        waiting = None if before is None else find(before.outbox, data.delivery)
        assert waiting is not None, "only what waits can be released"
        message = withheld_at(self._log, waiting.position) or _unread(data, record)  # better said anew than not at all
        return marked(released(message, data, record, self.routing, self.stored), message.redacted)


def _unread(data: DeliveryReleased, record: TaskRecord) -> DeliveryWithheld:
    """Return what was withheld when nobody can read that any more, as far as it can be said anew."""
    text = end_message(record) if not record.is_active else update_message(record, record.progress_summary or "")
    return DeliveryWithheld(
        delivery=data.delivery, kind=DeliveryKind.TERMINAL, text=text, artifacts=record.artifacts, until=TIME_MS_MAX
    )


def _route_note(session: str) -> bytes:
    return ROUTE_NOTE + blake2b(session.encode(), digest_size=_DIGEST_BYTES).digest()


def registered_names(event_log: EventLog) -> frozenset[str]:
    """Return the channels that programs have registered with this ledger."""
    note = event_log.note(CHANNELS_NOTE)
    try:
        return frozenset() if note is None else frozenset(_read_names(note))
    except UNREADABLE:  # another version's, or damaged: they will register again
        return frozenset()
