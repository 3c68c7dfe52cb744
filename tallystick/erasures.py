"""The account of an erasure: which fields of which events went or would go, which stay, and who has copies of them.

Nothing is kept of it: all of it follows from the log, before an erasure and ever after.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from tallystick.flow_readings import FlowReadings
from tallystick.ledger.commands import Command
from tallystick.ledger.content import Erased
from tallystick.ledger.errors import NotFound, TallystickError
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.facts.deliveries import DeliveryReleased
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.flows import FlowCancelRequested, FlowErased
from tallystick.ledger.facts.tasks import TaskCancelRequested, TaskErased, TaskRecovered, TaskSucceeded
from tallystick.ledger.flows.mirror import is_mirror, mirror_stream
from tallystick.ledger.folding import Record
from tallystick.ledger.ids import id_text
from tallystick.ledger.payloads import inline, kept, lacking
from tallystick.ledger.store.port import EventLog
from tallystick.readings import Readings

SLICE_EVENTS = 1_024

_SPREADS: frozenset[type[Fact]] = frozenset({TaskSucceeded, TaskRecovered, TaskCancelRequested, FlowCancelRequested})
"""The facts whose content the ledger itself has others say as well: an output, and why something is to be stopped."""

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many events were looked at, and of how many."""


class Part(Struct, frozen=True, rename="camel"):
    """Some fields of one event."""

    position: int
    type: str
    fields: tuple[str, ...]


class Copy(Struct, frozen=True, rename="camel"):
    """An event of another task or flow that says what the erased one said: its output, or why it was to be stopped."""

    id: str
    is_flow: bool
    position: int
    type: str


class Erasure(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an erasure took, or would take, and what it leaves.

    `gone` are the fields that were kept beside the log, `stays` those that stand in the log itself, where nothing is
    ever erased, and `copies` events of others that say the same: erase these, too. `erased` says when this was erased
    last, by whom and why; None if it never was. `is_new` when this call did it: else it was done before, or was only
    asked for. `record` is what is known of it then; None when nothing was to be done.
    """

    id: str
    is_flow: bool
    gone: tuple[Part, ...] = ()
    stays: tuple[Part, ...] = ()
    copies: tuple[Copy, ...] = ()
    erased: Erased | None = None
    is_new: bool = False
    record: Record | None = None

    @property
    def count(self) -> int:
        """How many fields of events that are."""
        return sum(len(part.fields) for part in self.gone)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of these fields, each once."""
        return tuple(dict.fromkeys(name for part in self.gone for name in part.fields))


def foreseen(readings: Readings, stream: bytes, *, progress: Progress | None = None) -> Erasure:
    """Return what an erasure of this task or flow would take now.

    Raises `FlowRefused` for a flow that mirrors a task, `NotFound`, `Pruned` when its history was deleted.
    """
    if is_mirror(stream):
        raise _refusal(readings, stream)
    history = _history(readings, stream)
    gone = _parts(history, kept)
    return _account(readings.log, stream, history, gone, progress)


def _refusal(readings: Readings, stream: bytes) -> TallystickError:
    """Return what is said to who asks a flow that mirrors a task."""
    from tallystick.ledger.flows.decide import decide_flow

    flow = FlowReadings(readings.reader).get(id_text(stream))
    outcome = decide_flow(flow, Command(FlowErased(reason=""), ""), token=flow.flow_id)
    assert isinstance(outcome, TallystickError), "its task says all of it"
    return outcome


def done(
    readings: Readings, stream: bytes, record: Record | None, *, since: int, progress: Progress | None = None
) -> Erasure:
    """Return what the newest erasure took. It is new when it stands behind the position `since`."""
    history = _history(readings, stream)
    erasures = list(_erasures(history, stream))
    gone: tuple[Part, ...] = ()
    if erasures:
        first = erasures[-2].position if len(erasures) > 1 else 0
        meant = [event for event in history if first < event.position < erasures[-1].position]
        gone = _parts(meant, lacking)
    is_new = bool(erasures) and erasures[-1].position > since
    return _account(readings.log, stream, history, gone, progress, record=record, is_new=is_new)


def _history(readings: Readings, stream: bytes) -> list[Event]:
    """Return the events of a task or flow, and those of the flow that mirrors it, which goes by itself."""
    log = readings.log
    own = [stored for stored in log.stream(stream) if isinstance(stored, Event)]
    if not own:
        token = id_text(stream)
        raise readings.reader.gone(token, stream) or NotFound(token)
    mirror = [] if own[0].is_of_flow else log.stream(mirror_stream(stream))
    return sorted([*own, *(stored for stored in mirror if isinstance(stored, Event))], key=lambda event: event.position)


def _erasures(history: Iterable[Event], stream: bytes) -> Iterator[Event]:
    return (event for event in history if event.stream == stream and event.data.__class__ in ERASURES)


def _parts(events: Iterable[Event], names_of: Callable[[Fact], tuple[str, ...]]) -> tuple[Part, ...]:
    found = ((event, names_of(event.data)) for event in events)
    return tuple(Part(event.position, event.type, names) for event, names in found if names)


def _account(
    log: EventLog,
    stream: bytes,
    history: Sequence[Event],
    gone: tuple[Part, ...],
    progress: Progress | None,
    *,
    record: Record | None = None,
    is_new: bool = False,
) -> Erasure:
    erased = None
    for event in _erasures(history, stream):
        assert isinstance(event.data, TaskErased | FlowErased), "what an erasure is"
        erased = Erased(event.occurred_at, event.actor, event.data.reason)
    spreads = next((event.position for event in history if event.data.__class__ in _SPREADS), None)
    return Erasure(
        id=id_text(stream),
        is_flow=history[0].stream == stream and history[0].is_of_flow,
        gone=gone,
        stays=_parts(history, inline),
        copies=() if spreads is None else tuple(_copies(log, stream, spreads, progress)),
        erased=erased,
        is_new=is_new,
        record=record,
    )


def _copies(log: EventLog, stream: bytes, after: int, progress: Progress | None) -> Iterator[Copy]:
    """Yield the events of others that say what this one said, or the flow that mirrors it.

    Wherever the ledger copies from one to another, it names it.
    """
    head, own = log.head(), (stream, mirror_stream(stream))
    names = tuple(map(id_text, own))
    search = re.compile("|".join(names).encode()).search
    for first in range(after + 1, head + 1, SLICE_EVENTS):
        last = min(first + SLICE_EVENTS - 1, head)
        bodies = ((first + place, body) for place, body in enumerate(log.records(first, last)))
        places = {position for position, body in bodies if isinstance(body, bytes) and search(body)}
        places.update(position for position, _field, payload in log.payloads(first, last) if search(payload))
        for position in sorted(places):
            for stored in log.read(position - 1, position):
                if isinstance(stored, Event) and stored.stream not in own and _says_the_same(stored.data, names):
                    yield Copy(stored.task_id, stored.is_of_flow, position, stored.type)
        if progress is not None:
            progress(last - after, head - after)


def _says_the_same(fact: Fact, names: tuple[str, ...]) -> bool:
    if isinstance(fact, DeliveryReleased):
        return bool(fact.output) and not set(names).isdisjoint(fact.sources)
    if isinstance(fact, TaskCancelRequested):
        return any(name in (fact.reason or "") for name in names)
    return False
