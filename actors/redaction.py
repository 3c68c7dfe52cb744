"""The redaction: what no message may say, and what takes it out before anything is stored."""

import re
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias, TypeVar

from msgspec.structs import replace

from tallystick.actors.log import logger
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryQueued, DeliveryWithheld
from tallystick.ledger.facts.tasks import TaskProgressed
from tallystick.ledger.limits import ARTIFACTS_BYTES_MAX
from tallystick.ledger.message import clean
from tallystick.ledger.record import TaskRecord

log = logger("actors")

Redact: TypeAlias = Callable[[str], Iterable[str]]
"""Names the secrets in a text, to the letter."""

Strip: TypeAlias = Callable[[str], str]
"""Takes secrets out of a text."""

Message = TypeVar("Message", bound=DeliveryQueued | DeliveryWithheld)

REDACTED = "[redacted]"


class Redaction:
    """The hooks of programs, which name the secrets in a text, and the secrets that the channels keep to themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hooks: tuple[Redact, ...] = ()
        self.secrets: tuple[str, ...] = ()
        """What the channels must keep to themselves, so that no message has it."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything that a message might have to be freed of."""
        return bool(self._hooks or self.secrets)

    def add(self, hook: Redact) -> None:
        """Strip what this hook names from every message from now on."""
        with self._lock:
            self._hooks = (*self._hooks, hook)

    def of(self, record: TaskRecord, event: Event) -> Strip | None:
        """Return what takes the secrets in what an event tells of a task out of any text; None as `strip`."""
        return self.strip(record, *_said(event, record))

    def strip(self, record: TaskRecord, *said: str) -> Strip | None:
        """Return what takes the secrets in these texts out of any; None when nobody can say what they are."""
        try:
            text = "\n".join(said)
            secrets = {secret for hook in self._hooks for secret in _named(hook(text))}
        except BaseException as error:  # noqa: BLE001 - others wrote it; better to say little than a secret
            # Not with its traceback: an error often repeats what it was given.
            log.error("redaction_failed", task=record.task_id, kind=type(error).__name__)  # noqa: TRY400
            return None
        return stripper(secrets.union(self.secrets))

    def stripped(self, notice: DeliveryQueued, record: TaskRecord) -> DeliveryQueued:
        """Return a message without the secrets in it, or one that says that its text is withheld."""
        strip = self.strip(record, notice.text, *notice.artifacts)
        if strip is None:
            return withheld(notice, record)
        return replace(notice, text=clean(strip(notice.text)), artifacts=_fitting(map(strip, notice.artifacts)))


def stripper(secrets: Iterable[str]) -> Strip:
    """Return what takes secrets out of a text, the longest first; what stands in their place is not looked at again."""
    return _stripper(frozenset(filter(None, secrets)))


@lru_cache(maxsize=8)  # the channels' secrets are the same for every message, and a hook names few others
def _stripper(secrets: frozenset[str]) -> Strip:
    known = sorted(secrets, key=lambda secret: (-len(secret), secret))
    pattern = re.compile("|".join(map(re.escape, known))) if known else None
    return lambda text: text if pattern is None else pattern.sub(REDACTED, text)


def withheld(notice: Message, record: TaskRecord) -> Message:
    """Return a message that says no more than that there is something to hear."""
    text = f"Background task {record.shown_status}: {record.task_id}. Its text is withheld: redaction failed."
    return replace(notice, text=text, artifacts=())


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
    if not all(isinstance(secret, str) for secret in named):
        raise TypeError("a redaction hook names texts")
    return named
