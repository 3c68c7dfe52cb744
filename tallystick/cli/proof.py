"""The proof: what it proves, as data and in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tallystick.cli.facts import fact_words, verb
from tallystick.cli.screen import Screen
from tallystick.cli.stream import event_data, whose
from tallystick.cli.times import stamp
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.ledger.events import Event
    from tallystick.proofs import Proved

SHAPE = """{ok, verdict, origin, size, rootHash, keys, old} or for an event
    {ok, verdict, origin, size, rootHash, keys, position, index, taskId or flowId, event: {…}, recordSha256}"""


def verdict(proved: "Proved") -> str:
    """Return what was proved, in a sentence."""
    if proved.position is None:
        return (
            f"{proved.origin} with {proved.size:,} records goes on from the {proved.old or 0:,} of the old checkpoint."
        )
    return f"{proved.origin} has this record at position {proved.position:,} of {proved.size:,}."


def proved_data(proved: "Proved") -> dict[str, Any]:
    """Return what was proved as JSON has it."""
    data: dict[str, Any] = {
        "ok": True,
        "verdict": verdict(proved),
        "origin": proved.origin,
        "size": proved.size,
        "rootHash": proved.root_hash.hex(),
        "keys": list(proved.keys),
    }
    if proved.position is None:
        return {**data, "old": proved.old}
    data |= {"position": proved.position, "index": proved.position - 1}
    event = proved.event
    if event is not None:
        data |= {whose(event.is_of_flow): event.task_id, "event": event_data(event)}
    if proved.record is not None:
        from hashlib import sha256

        data["recordSha256"] = sha256(proved.record).hexdigest()
    return data


def proved_lines(screen: Screen, proved: "Proved") -> Iterator[str]:
    """Yield what was proved, for people."""
    yield screen.colour(plain(verdict(proved)), "green")
    if proved.event is not None:
        yield from event_lines(screen, proved.event)
    elif proved.position is not None:
        yield from screen.named("event", "this version of tallystick cannot read the record")
    yield from screen.named("root hash", proved.root_hash.hex())
    for key in proved.keys:
        yield from screen.named("signed by", plain(key))


def event_lines(screen: Screen, event: "Event") -> Iterator[str]:
    """Yield an event that stands for itself: whose it is, what it says, and when."""
    said = fact_words(event.data)
    yield from screen.named("flow" if event.is_of_flow else "task", f"{event.task_id}, version {event.version}")
    yield from screen.named("event", plain(f"{verb(event.type)}: {said}" if said else verb(event.type)))
    yield from screen.named("said by", plain(event.actor))
    yield from screen.named("happened", stamp(event.occurred_at))
    yield from screen.named("recorded", stamp(event.recorded_at))
