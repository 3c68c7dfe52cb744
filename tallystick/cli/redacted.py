"""The redacted: of which fields of which events secrets were taken out, so that nobody takes a text for the whole."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from tallystick.cli.facts import verb
from tallystick.cli.screen import Screen
from tallystick.ledger.events import Event
from tallystick.ledger.store.port import Stored
from tallystick.plain import plain


class Redacted(Struct, frozen=True):
    """The fields of one event of which something was taken out before it was recorded."""

    position: int
    type: str
    fields: tuple[str, ...]


def redacted_in(events: Iterable[Stored]) -> list[Redacted] | None:
    """Return what was redacted of the events that can be read, in order; None, as absent data, when nothing was."""
    marked = [event for event in events if isinstance(event, Event) and event.data.redacted]
    return [Redacted(event.position, event.type, event.data.redacted) for event in marked] or None


def redacted_lines(screen: Screen, redacted: Sequence[Redacted] | None) -> Iterator[str]:
    """Yield what was redacted, a line for each kind of event: created: task, metadata."""
    fields: dict[str, dict[str, None]] = {}
    for each in redacted or ():
        fields.setdefault(verb(each.type), {}).update(dict.fromkeys(each.fields))
    for place, (what, names) in enumerate(fields.items()):
        said = ", ".join(plain(name.replace("_", " ")) for name in names)
        yield from screen.named("redacted" if place == 0 else "", f"{what}: {said}", colour="yellow")
