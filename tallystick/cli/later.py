"""The erasure of later: who erased what is blank in a past that is asked for, where that past itself cannot say so."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from tallystick.cli.facts import words
from tallystick.cli.screen import Screen
from tallystick.cli.summary import erased_words
from tallystick.ledger.content import Erased
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import ERASURES, NAMES
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.ledger.store.port import EventLog
from tallystick.moments import Told, When

_ERASURES = frozenset(NAMES[kind] for kind in ERASURES)


class Later(Erased, frozen=True, kw_only=True):
    """An erasure of after the moment that was asked for, and which fields are blank for it."""

    fields: tuple[str, ...]


def erased_later(log: EventLog, past: Record, told: Iterable[tuple[str | None, str, Iterable[str]]]) -> Later | None:
    """Return the erasure that took what is blank in a past, None when nothing is, or nobody can read it.

    `past` is what the record was, and `told` are the events that led there, in order: whose each is, its type, and
    which fields are blank. What an erasure among them took is no news.
    """
    blank: dict[str | None, list[str]] = {}
    known: Erased | None = None
    for whose, name, fields in told:
        if name in _ERASURES:
            blank.pop(whose, None)
            known = past.erased
        blank.setdefault(whose, []).extend(fields)
    gone = tuple(dict.fromkeys(name for names in blank.values() for name in names))
    if not gone:
        return None
    with suppress(Corrupt):
        by = Told(log, When()).record(past.stream, is_flow=isinstance(past, FlowRecord), token="").erased
        if by is not None and by != known:
            return Later(at=by.at, by=by.by, reason=by.reason, fields=gone)
    return None


def later_lines(screen: Screen, later: Later | None, now: int) -> Iterator[str]:
    """Yield who erased what, when and why."""
    if later is not None:
        yield from screen.named("erased later", erased_words(later, now))
        yield from screen.named("", ", ".join(words(name) for name in later.fields))
