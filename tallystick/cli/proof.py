"""The proof: what it proves, as data and in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tallystick.cli.answer import present
from tallystick.cli.facts import fact_words, verb
from tallystick.cli.screen import Screen
from tallystick.cli.stream import event_data, whose
from tallystick.cli.times import MS_PER_S, stamp
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.ledger.events import Event
    from tallystick.proofs import Proved

SHAPE = """{ok, verdict, origin, size, rootHash, keys, seenBy: [{name, at}], old} or for an event
    {ok, verdict, origin, size, rootHash, keys, seenBy, position, index, taskId or flowId, event: {…}, beside,
    recordSha256}"""


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
    if proved.seen:
        data["seenBy"] = [{"name": each.name, "at": each.at * MS_PER_S} for each in proved.seen]
    if proved.position is None:
        return {**data, "old": proved.old}
    data |= {"position": proved.position, "index": proved.position - 1}
    event = proved.event
    if event is not None:
        told = event_data(event)
        told.pop("erased", None)  # of what is kept beside the log a record has nothing, whether it was erased or not
        data |= {whose(event.is_of_flow): event.task_id, "event": told, **present(beside=list(proved.beside) or None)}
    if proved.record is not None:
        from hashlib import sha256

        data["recordSha256"] = sha256(proved.record).hexdigest()
    return data


def proved_lines(screen: Screen, proved: "Proved") -> Iterator[str]:
    """Yield what was proved, for people."""
    yield screen.colour(plain(verdict(proved)), "green")
    if proved.event is not None:
        yield from event_lines(screen, proved.event)
        if proved.beside:
            names = ", ".join(proved.beside)
            said = f"{names}: kept beside the log, and not in this proof; the record has digests of them"
            yield from screen.named("beside", said)
    elif proved.position is not None:
        yield from screen.named("event", "this version of tallystick cannot read the record")
    yield from screen.named("root hash", proved.root_hash.hex())
    for key in proved.keys:
        yield from screen.named("signed by", plain(key))
    for each in proved.seen:
        yield from screen.named("seen by", f"{plain(each.name or '')} at {stamp(each.at * MS_PER_S)}")


def event_lines(screen: Screen, event: "Event") -> Iterator[str]:
    """Yield an event that stands for itself: whose it is, what it says, and when."""
    said = fact_words(event.data)
    yield from screen.named("flow" if event.is_of_flow else "task", f"{event.task_id}, version {event.version}")
    yield from screen.named("event", plain(f"{verb(event.type)}: {said}" if said else verb(event.type)))
    yield from screen.named("said by", plain(event.actor))
    yield from screen.named("happened", stamp(event.occurred_at))
    yield from screen.named("recorded", stamp(event.recorded_at))
