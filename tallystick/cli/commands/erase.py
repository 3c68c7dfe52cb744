"""`tally erase`: erase what a task or a flow says, and say what stays."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tallystick.cli.answer import Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.cells import wrap
from tallystick.cli.change import impatient
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.facts import verb
from tallystick.cli.flow_lookup import task_or_flow_id_of
from tallystick.cli.screen import COLUMNS_MIN, Screen
from tallystick.cli.stream import whose
from tallystick.cli.summary import erased_words
from tallystick.cli.times import now_ms
from tallystick.ledger.ids import id_bytes
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.config import Config
    from tallystick.erasures import Copy, Erasure, Part

_COPIES_MOST = 20
_ELSEWHERE = (
    "What was sent, exported or backed up still has it, and so may free pages of the ledger's own files:",
    '"tally backup" copies the ledger without those.',
)


@_command(
    "erase",
    json="""{taskId or flowId, dryRun, isNew, count, fields, gone: [{position, type, fields}], stays: [the same],
    copies: [{taskId or flowId, position, type}], erased: {at, by, reason}, record}""",
    help="""LOOKUP as in "tally show", or the id of a managed flow or a part of it; of what was pruned the whole id. It
    goes to the live owner of the ledger; without one this command acts itself.

    Erases all content that is kept beside the log up to now, in every database of the ledger; the log still verifies.
    What stands in the log itself stays, and is listed, as are events of others that say the same. What has not been
    delivered is dismissed. Once more changes nothing, and says when it was done.""",
)
@click.option("--reason", metavar="R", help="Why; it stays. Needed, but for a dry run.")
@click.option("--dry-run", is_flag=True, help="Only say what would be erased.")
@click.argument("lookup", type=LOOKUP)
def command(call: Call, *, lookup: str, reason: str | None, dry_run: bool) -> Answer:
    """Erase the content of a task or a flow."""
    if reason is None and not dry_run:
        raise click.UsageError("Missing option '--reason': it says who wants it erased, and why.")
    settings = call.settings  # before anything else: what cannot be must not wait for a task that is found
    with call.readings(or_none_yet=True) as readings:
        found, _ = task_or_flow_id_of(readings, lookup)
        if dry_run:
            from tallystick.erasures import foreseen

            with bar("Looking for copies") as progress:
                erasure = foreseen(readings, id_bytes(found), progress=progress)
    if not dry_run:
        assert reason is not None, "whoever erases says why"
        erasure = _erased(call, settings, found, reason)
    data = _data(erasure, dry_run=dry_run)
    return Answer(data, lambda screen: _lines(screen, erasure, dry_run=dry_run))


def _erased(call: Call, settings: "Config", found: str, reason: str) -> "Erasure":
    from tallystick.joining import join

    with impatient(call.folder), join(call.folder, config=settings) as ledger, bar("Looking for copies") as told:
        return ledger.erase(found, reason=reason, told=told)


def _data(erasure: "Erasure", *, dry_run: bool) -> dict[str, Any]:
    return {
        whose(erasure.is_flow): erasure.id,
        "dryRun": dry_run,
        "isNew": erasure.is_new,
        "count": erasure.count,
        "fields": erasure.fields,
        "gone": erasure.gone,
        "stays": erasure.stays,
        "copies": [_copy_data(copy) for copy in erasure.copies],
        **present(
            erased=erasure.erased,
            record=None if erasure.record is None else msgspec.to_builtins(erasure.record),
        ),
    }


def _copy_data(copy: "Copy") -> dict[str, Any]:
    return {whose(copy.is_flow): copy.id, "position": copy.position, "type": copy.type}


def _lines(screen: Screen, erasure: "Erasure", *, dry_run: bool) -> Iterator[str]:
    kind = "flow" if erasure.is_flow else "task"
    if dry_run:
        yield f"Would erase {_counted(erasure)} {kind} {erasure.id}."
    elif erasure.is_new:
        yield f"Erased {_counted(erasure)} {kind} {erasure.id}."
    elif erasure.erased is not None:
        yield f"{kind.capitalize()} {erasure.id} was erased before, and nothing was kept beside the log since."
    if erasure.erased is not None and not erasure.is_new:
        yield from screen.named("erased", erased_words(erasure.erased, now_ms()))
    yield from _wrapped(screen, _counts(erasure.gone))
    if erasure.stays:
        yield screen.colour("These stay, for they stand in the log itself:", "yellow")
        yield from _wrapped(screen, _counts(erasure.stays))
    if erasure.copies:
        yield screen.colour("Others say the same; erase these, too:", "yellow")
        for copy in erasure.copies[:_COPIES_MOST]:
            of = "flow" if copy.is_flow else "task"
            yield f"  {of} {copy.id}  {verb(copy.type)}, at position {copy.position}"
        if len(erasure.copies) > _COPIES_MOST:
            yield f"  and {len(erasure.copies) - _COPIES_MOST:,} more, with --json all"
    if erasure.is_new:
        yield from map(screen.dim, _ELSEWHERE)


def _counted(erasure: "Erasure") -> str:
    """Return how much goes: 12 fields of 4 events of."""
    fields, events = erasure.count, len(erasure.gone)
    if not fields:
        return "nothing of"
    return f"{fields:,} field{'' if fields == 1 else 's'} of {events:,} event{'' if events == 1 else 's'} of"


def _counts(parts: "Sequence[Part]") -> str:
    """Return which fields, and of how many events each: task, label, message of 3."""
    counts = Counter(name for part in parts for name in part.fields)
    return ", ".join(plain(name if count == 1 else f"{name} of {count:,}") for name, count in counts.items())


def _wrapped(screen: Screen, text: str) -> Iterator[str]:
    if text:
        for line in wrap(text, max(screen.columns - 2, COLUMNS_MIN)):
            yield f"  {line}"
