"""`tally compare`: two ledgers, or a ledger and a backup, and the first place where they differ."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec.structs import replace

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, EXIT_REFUSED, Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.facts import fact_words, verb
from tallystick.cli.screen import Screen
from tallystick.cli.stream import log_data
from tallystick.cli.times import stamp
from tallystick.comparing import Comparison, Difference, Relation, Side, compare
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.events import Event
from tallystick.ledger.store.port import Stored
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.ledger.store.disk import DiskLog

OTHER_ALLOWED = 'the folder of another ledger, or of a backup, which "tally backup FOLDER" makes'

_SIDES = ("this", "other")


@_command(
    "compare",
    json="""{relation, common, this: {path, head, rootHash}, other: {path, head, rootHash}, shorter, next: event,
    difference: {position, proof, differs, this: event, other: event}, unread, lacks: [{side, events, fields}],
    faults: [{side, position, detail}]}, where an event is {taskId or flowId, position, …} or, when it cannot be read,
    {position, detail}; relation is equal, prefix or different, proof tree or bytes""",
    help="""OTHER is the folder of a ledger or of a backup. Neither needs an owner, and nothing is written. The hashes
    of both trees name the first record that was written otherwise, however long the logs are; then all records before
    it are read, for one that was changed since has other bytes and the same tree. Exits with 0 when both are equal or
    one goes on where the other ends, with 1 when they differ, with 4 when one is damaged. What one has erased, and the
    other still has, is no difference: their records are the same, and it is said how much that is.""",
)
@click.option("--trees", "trees_only", is_flag=True, help="Compare the trees alone: quick, and blind to changed bytes.")
@click.argument("other", type=PATH)
def command(call: Call, *, other: Path, trees_only: bool) -> Answer:
    """Compare two ledgers."""
    from tallystick.readings import LOG_FOLDER

    here = call.require() / LOG_FOLDER
    there = other / LOG_FOLDER
    if not there.is_dir():
        raise InvalidInput("other", str(other), OTHER_ALLOWED)
    if here.samefile(there):
        raise InvalidInput("other", str(other), "another ledger than this one")
    with _opened(here) as one, _opened(there) as two, bar("Comparing") as told:
        found = compare(one, two, trees_only=trees_only, progress=told)
    found = replace(found, this=replace(found.this, path=str(call.folder)), other=replace(found.other, path=str(other)))
    code = EXIT_DAMAGED if found.is_damaged else EXIT_REFUSED if found.relation is Relation.DIFFERENT else EXIT_OK
    return Answer(_data(found), lambda screen: _lines(screen, found), code)


def _opened(folder: Path) -> "DiskLog":
    from tallystick.ledger.store.disk import DiskLog

    return DiskLog.open(folder, readonly=True, create=False)


def _data(found: Comparison) -> dict[str, Any]:
    difference = found.difference
    return {
        "relation": found.relation,
        "common": found.common,
        "this": _side(found.this),
        "other": _side(found.other),
        **present(
            shorter=found.shorter,
            next=None if found.next is None else _stored(found.next),
            difference=None if difference is None else _difference(difference),
        ),
        "unread": found.unread,
        "lacks": msgspec.to_builtins(found.lacks),
        "faults": msgspec.to_builtins(found.faults),
    }


def _side(side: Side) -> dict[str, Any]:
    root = None if side.root_hash is None else side.root_hash.hex()
    return present(path=side.path, head=side.head, rootHash=root)


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "position": difference.position,
        "proof": difference.proof,
        "differs": difference.differs,
        "this": _stored(difference.this),
        "other": _stored(difference.other),
    }


def _stored(stored: Stored) -> dict[str, Any]:
    if isinstance(stored, Event):
        return log_data(stored)
    return {"position": stored.position, "detail": stored.detail}


def _lines(screen: Screen, found: Comparison) -> Iterator[str]:
    for name, side in zip(_SIDES, (found.this, found.other), strict=True):
        root = "no tree that can be read" if side.root_hash is None else f"root {side.root_hash.hex()}"
        yield from screen.named(name, plain(side.path))
        yield from screen.named("", f"{side.head:,} events, {root}")
    yield ""
    yield screen.bold(_verdict(found))
    if found.next is not None:
        longer = "other" if found.shorter == "this" else "this"
        yield from _stored_lines(screen, longer, found.next)
    if found.difference is not None:
        yield from _difference_lines(screen, found.difference)
    if found.unread:
        yield screen.dim(f"{found.unread:,} records were compared by their hashes alone")
    for lack in found.lacks:
        other = "this" if lack.side == "other" else "other"
        noun = "event" if lack.events == 1 else "events"
        yield f"{lack.side} has erased what was kept beside {lack.events:,} {noun} of these, and {other} still has it"
    for fault in found.faults:
        where = f"position {fault.position:,}: " if fault.position else ""
        yield screen.colour(f"{fault.side} is damaged: {where}{plain(fault.detail)}; tally verify", "red")


def _verdict(found: Comparison) -> str:
    if found.relation is Relation.EQUAL:
        return f"Equal: both have the same {found.common:,} events."
    if found.relation is Relation.PREFIX:
        longer = "other" if found.shorter == "this" else "this"
        more = abs(found.this.head - found.other.head)
        return f"The same as far as {found.shorter} goes: {longer} goes on with {more:,} more behind {found.common:,}."
    return f"Different: the first {found.common:,} events are the same, the next one is not."


def _difference_lines(screen: Screen, difference: Difference) -> Iterator[str]:
    what = "it was written otherwise" if difference.proof == "tree" else "both trees say the same, the bytes do not"
    yield f"position {difference.position:,}: {what}; what differs: {_names(difference.differs)}"
    yield from _stored_lines(screen, "this", difference.this)
    yield from _stored_lines(screen, "other", difference.other)


def _names(names: Sequence[str]) -> str:
    return ", ".join(plain(name) for name in names)


def _stored_lines(screen: Screen, side: str, stored: Stored) -> Iterator[str]:
    if not isinstance(stored, Event):
        yield from screen.named(side, f"cannot be read: {plain(stored.detail)}")
        return
    kind = "flow" if stored.is_of_flow else "task"
    yield from screen.named(side, f"{kind} {stored.task_id}  v{stored.version} {verb(stored.type)}")
    yield from screen.named("", f"{stamp(stored.recorded_at)} by {plain(stored.actor)}")
    yield from screen.named("", fact_words(stored.data))
