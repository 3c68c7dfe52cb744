"""Telling: which messages go into the log with what a task's actor records, and what must not be in them."""

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from tallystick.actors.log import logger
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryFailed, DeliveryQueued, DeliveryUnknown
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskNotifyChanged, TaskProgressed
from tallystick.ledger.lifecycle import DeliveryKind, NotifyPolicy
from tallystick.ledger.limits import ARTIFACTS_BYTES_MAX
from tallystick.ledger.message import clean, end_message
from tallystick.ledger.notices import ENDS, instead, is_given_up, notices
from tallystick.ledger.outbox import find
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.routing import NO_TARGETS, Monitor, Routing
from tallystick.ledger.store.port import EventLog
from tallystick.projections.frozen import message_at

log = logger("actors")

Redact: TypeAlias = Callable[[str], Iterable[str]]
"""Names the secrets in a text, to the letter."""

Strip: TypeAlias = Callable[[str], str]
"""Takes secrets out of a text."""

REDACTED = "[redacted]"
ROUTE_NOTE = b"route:"
CHANNELS_NOTE = b"channels"
_DIGEST_BYTES = 16
_NOTHING: Sequence[DeliveryQueued] = ()
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
        self.secrets: tuple[str, ...] = ()
        """What the channels must keep to themselves, so that no message has it."""
        self._redactions: tuple[Redact, ...] = ()

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

    def redact(self, hook: Redact) -> None:
        """Strip what this hook names from every message from now on."""
        with self._lock:
            self._redactions = (*self._redactions, hook)

    @staticmethod
    def reach(session: str, route: Origin) -> tuple[bytes, bytes]:
        """Return the note that makes this the way on which a session is reached, as soon as it is durable."""
        return _route_note(session), _pack(route)

    def stored(self, session: str) -> Origin | None:
        """Return the way on which a session was last reached. Read each time: few origins have blanks to fill."""
        note = self._log.note(_route_note(session))
        try:
            return None if note is None else _read_route(note)
        except msgspec.MsgspecError:  # another version's, or damaged: then the session is told
            return None

    def notices(self, event: Event, before: TaskRecord | None, record: TaskRecord) -> Sequence[DeliveryQueued]:
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
            return [_withheld(notice, record) for notice in notices(event, record, Routing(), lambda _session: None)]

    def _notices(self, event: Event, before: TaskRecord | None, record: TaskRecord) -> Sequence[DeliveryQueued]:
        kind = event.data.__class__
        if is_given_up(event.data):
            found = self._instead(event, before, record)
            return _NOTHING if found is None else (self._stripped(found, record),)
        if not self.routing.monitors:
            if kind not in _FOLLOWED_BY_MANY and record.notify_policy is not NotifyPolicy.STATE_CHANGES:
                return _NOTHING
            if record.notify_policy is NotifyPolicy.SILENT and record.task_kind is None:
                return _NOTHING
        found_all = list(notices(event, record, self.routing, self.stored))
        if not found_all or not (self._redactions or self.secrets):
            return found_all
        strip = self._strip(record, *_said(event, record))
        if strip is None:
            return [_withheld(notice, record) for notice in found_all]
        # Before a text is cut to what a message has room for: half a secret is one, too.
        return list(notices(_without(event, strip), _without_secrets(record, strip), self.routing, self.stored))

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
        return instead(message, record, event, self.routing, self.stored)

    def _stripped(self, notice: DeliveryQueued, record: TaskRecord) -> DeliveryQueued:
        strip = self._strip(record, notice.text, *notice.artifacts)
        if strip is None:
            return _withheld(notice, record)
        return replace(notice, text=clean(strip(notice.text)), artifacts=_fitting(map(strip, notice.artifacts)))

    def _strip(self, record: TaskRecord, *said: str) -> Strip | None:
        """Return what takes the secrets in these texts out of any; None when nobody can say what they are."""
        try:
            text = "\n".join(said)
            secrets = {secret for hook in self._redactions for secret in _named(hook(text))}
        except BaseException as error:  # noqa: BLE001 - others wrote it; better to say little than a secret
            # Not with its traceback: an error often repeats what it was given.
            log.error("redaction_failed", task=record.task_id, kind=type(error).__name__)  # noqa: TRY400
            return None
        return stripper(secrets.union(self.secrets))


def _said(event: Event, record: TaskRecord) -> Iterable[str]:
    """All texts of which a message may have a part."""
    progress = event.data.message if isinstance(event.data, TaskProgressed) else None
    texts = (record.label, record.task, record.terminal_summary, record.error, record.run_id, progress)
    return (*filter(None, texts), *record.artifacts)


def _without(event: Event, strip: Strip) -> Event:
    data = event.data
    if not isinstance(data, TaskProgressed) or data.message is None:
        return event
    return replace(event, data=replace(data, message=strip(data.message)))


def _without_secrets(record: TaskRecord, strip: Strip) -> TaskRecord:
    return replace(
        record,
        label=record.label and strip(record.label),
        task=strip(record.task),
        terminal_summary=record.terminal_summary and strip(record.terminal_summary),
        error=record.error and strip(record.error),
        run_id=record.run_id and strip(record.run_id),
        artifacts=_fitting(map(strip, record.artifacts)),
    )


def _fitting(artifacts: Iterable[str]) -> tuple[str, ...]:
    """Return as many references as a record has room for: what stands in place of secrets may be longer than they."""
    kept: list[str] = []
    size = 0
    for reference in artifacts:
        size += len(reference.encode())
        if size > ARTIFACTS_BYTES_MAX:
            break
        kept.append(reference)
    return tuple(kept)


def _withheld(notice: DeliveryQueued, record: TaskRecord) -> DeliveryQueued:
    text = f"Background task {record.shown_status}: {record.task_id}. Its text is withheld: redaction failed."
    return replace(notice, text=text, artifacts=())


def stripper(secrets: Iterable[str]) -> Strip:
    """Return what takes secrets out of a text, the longest first; what stands in their place is not looked at again."""
    known = sorted(filter(None, secrets), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, known))) if known else None
    return lambda text: text if pattern is None else pattern.sub(REDACTED, text)


def _named(secrets: object) -> Iterable[str]:
    """What a hook named; a single text is one secret, not its letters."""
    if isinstance(secrets, str):
        return (secrets,)
    named: list[str] = list(secrets or ())  # type: ignore[call-overload]  # what is no iterable is the hook's failure
    if not all(isinstance(secret, str) for secret in named):
        raise TypeError("a redaction hook names texts")
    return named


def _route_note(session: str) -> bytes:
    return ROUTE_NOTE + blake2b(session.encode(), digest_size=_DIGEST_BYTES).digest()


def registered_names(event_log: EventLog) -> frozenset[str]:
    """Return the channels that programs have registered with this ledger."""
    note = event_log.note(CHANNELS_NOTE)
    try:
        return frozenset() if note is None else frozenset(_read_names(note))
    except msgspec.MsgspecError:  # another version's, or damaged: they will register again
        return frozenset()
