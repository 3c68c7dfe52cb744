"""The redaction: what no message may say, and what takes it out before anything is stored."""

import threading
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from msgspec.structs import replace

from tallystick.actors.log import logger
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryQueued, DeliveryWithheld
from tallystick.ledger.facts.tasks import TaskProgressed
from tallystick.ledger.limits import ARTIFACTS_BYTES_MAX
from tallystick.ledger.message import clean
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import REDACTED, Strip, marked, stripper

log = logger("actors")

Redact: TypeAlias = Callable[[str], Iterable[str]]
"""Names the secrets in a text, to the letter."""

Message = TypeVar("Message", bound=DeliveryQueued | DeliveryWithheld)

_TOLD = frozenset({"message", "summary", "error", "reason", "stopped", "output", "text"})
"""The fields out of which a message's text is made, besides those of the task's creation."""


class _Here(threading.local):
    """Whose hooks this thread asks just now."""

    asked: tuple["Hooks", ...] = ()


_here = _Here()


def is_in_any_hook() -> bool:
    """Whether this thread is in a hook of any ledger."""
    return bool(_here.asked)


class Hooks:
    """The hooks of programs, which name the secrets in a text. Any thread may add one at any time."""

    def __init__(self, hooks: Iterable[Redact] = ()) -> None:
        self._lock = threading.Lock()
        self._hooks = tuple(hooks)

    def __len__(self) -> int:
        return len(self._hooks)

    def add(self, hook: Redact) -> None:
        """Ask this hook, too, from now on."""
        with self._lock:
            self._hooks = (*self._hooks, hook)

    def named(self, texts: Iterable[str]) -> set[str]:
        """Return all that any hook names in any of these texts, each of which is shown alone.

        Raises what a hook raises, and `TypeError` when one names something else than texts.
        """
        named: set[str] = set()
        before = _here.asked
        _here.asked = (*before, self)
        try:
            for text in texts:
                for hook in self._hooks:
                    named.update(_named(hook(text)))
        finally:
            _here.asked = before
        return named

    @property
    def are_asked_here(self) -> bool:
        """Whether this thread is in one of them: whoever they are asked for waits for it."""
        return self in _here.asked

    def words(self, text: str, secrets: Iterable[str] = ()) -> str:
        """Return a text without what any hook names in it and without these secrets; nothing of it when one fails."""
        try:
            named = self.named((text,))
        except BaseException as error:  # noqa: BLE001 - others wrote it; better to say little than a secret
            # Not with its traceback: an error often repeats what it was given.
            log.error("redaction_failed", task=None, kind=type(error).__name__)  # noqa: TRY400
            return REDACTED
        return stripper(named.union(secrets))(text)


class Redaction:
    """What no message may say: what hooks name in what it tells, and what the channels keep to themselves.

    `stored` are the hooks of all that is recorded. A message may tell of what was recorded before they were there.
    """

    def __init__(self) -> None:
        self._hooks = Hooks()
        self.stored = Hooks()
        self.secrets: tuple[str, ...] = ()
        """What the channels must keep to themselves, so that no message has it."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything that a message might have to be freed of."""
        return bool(self._hooks or self.stored or self.secrets)

    def add(self, hook: Redact) -> None:
        """Strip what this hook names from every message from now on."""
        self._hooks.add(hook)

    @property
    def is_asked_here(self) -> bool:
        """Whether this thread is in a hook about messages."""
        return self._hooks.are_asked_here

    def of(self, record: TaskRecord, event: Event) -> Strip | None:
        """Return what takes the secrets in what an event tells of a task out of any text; None as `strip`."""
        return self.strip(record, *_said(event, record))

    def strip(self, record: TaskRecord, *said: str) -> Strip | None:
        """Return what takes the secrets in these texts out of any; None when nobody can say what they are."""
        try:
            secrets = self._hooks.named(("\n".join(said),)) | self.stored.named(dict.fromkeys(filter(None, said)))
        except BaseException as error:  # noqa: BLE001 - others wrote it; better to say little than a secret
            # Not with its traceback: an error often repeats what it was given.
            log.error("redaction_failed", task=record.task_id, kind=type(error).__name__)  # noqa: TRY400
            return None
        return stripper(secrets.union(self.secrets))

    def words(self, text: str) -> str:
        """Return what a channel said without what it keeps to itself, and without what may not be recorded."""
        return self.stored.words(text, self.secrets)

    def stripped(self, notice: DeliveryQueued, record: TaskRecord) -> DeliveryQueued:
        """Return a message without the secrets in it, or one that says that its text is withheld."""
        strip = self.strip(record, notice.text, *notice.artifacts)
        if strip is None:
            return withheld(notice, record)
        told = replace(notice, text=clean(strip(notice.text)), artifacts=_fitting(map(strip, notice.artifacts)))
        return compared(told, notice)


def withheld(notice: Message, record: TaskRecord) -> Message:
    """Return a message that says no more than that there is something to hear."""
    text = f"Background task {record.shown_status}: {record.task_id}. Its text is withheld: redaction failed."
    return marked(replace(notice, text=text, artifacts=()), ("text", "artifacts") if notice.artifacts else ("text",))


def compared(told: Message, plain: Message) -> Message:
    """Return a message as it is told, marked where it would say something else if nothing had been taken out of it."""
    return marked(told, (name for name in ("text", "artifacts") if getattr(told, name) != getattr(plain, name)))


def as_marked(notice: Message, event: Event) -> Message:
    """Return a message about an event, marked where that has marks on what it tells."""
    marks = event.data.redacted
    if not marks:
        return notice
    names = ("text",) if _TOLD.intersection(marks) else ()
    return marked(notice, (*names, "artifacts") if notice.artifacts and "artifacts" in marks else names)


def event_without(event: Event, strip: Strip) -> Event:
    """Return an event without the secrets in what it tells."""
    data = event.data
    if not isinstance(data, TaskProgressed) or data.message is None:
        return event
    return replace(event, data=replace(data, message=strip(data.message)))


def record_without(record: TaskRecord, strip: Strip) -> TaskRecord:
    """Return a record without the secrets in all of which a message may have a part."""
    return replace(
        record,
        label=record.label and strip(record.label),
        task=strip(record.task),
        terminal_summary=record.terminal_summary and strip(record.terminal_summary),
        error=record.error and strip(record.error),
        run_id=record.run_id and strip(record.run_id),
        artifacts=_fitting(map(strip, record.artifacts)),
    )


def _said(event: Event, record: TaskRecord) -> Iterable[str]:
    """All texts of which a message may have a part."""
    progress = event.data.message if isinstance(event.data, TaskProgressed) else None
    texts = (record.label, record.task, record.terminal_summary, record.error, record.run_id, progress)
    return (*filter(None, texts), *record.artifacts)


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


def _named(secrets: object) -> Iterable[str]:
    """What a hook named; a single text is one secret, not its letters."""
    if isinstance(secrets, str):
        return (secrets,)
    named: list[str] = list(secrets or ())  # type: ignore[call-overload]  # what is no iterable is the hook's failure
    if named and not all(isinstance(secret, str) for secret in named):
        raise TypeError("a redaction hook names texts")
    return named
