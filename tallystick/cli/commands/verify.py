"""`tally verify`: the whole log recomputed, and the first record that is not as it was written."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.table import Column, table
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.ledger.store.verify import Verification

PROBLEMS_SHOWN = 20


@_command(
    "verify",
    json="""{ok, events, head, deleted, rootHash, firstBad, problemCount, problems: [{position, kind, detail}],
    eventsPerSecond}""",
    help="""Every record, archived or not, is held to its leaf hash, these to the tree, the tree to its root, and the
    indexes to the records. Changes nothing. Exits with 4 when something is not as it was written.

    Whoever can write to the folder can write a whole history anew: keep the root hash somewhere else and compare.""",
)
def command(call: Call) -> Answer:
    """Verify the log."""
    with call.readings() as readings, bar("Verifying") as told:
        began = time.perf_counter()
        found = readings.verify(told)
        seconds = time.perf_counter() - began
    data = present(
        ok=found.ok,
        events=found.events,
        head=found.head,
        deleted=found.deleted or None,
        rootHash=found.root_hash.hex(),
        firstBad=found.first_bad,
        problemCount=found.problem_count,
        problems=found.problems,
        eventsPerSecond=round(found.head / seconds),
    )
    return Answer(data, lambda screen: _lines(screen, found, seconds), EXIT_OK if found.ok else EXIT_DAMAGED)


def _lines(screen: Screen, found: "Verification", seconds: float) -> Iterator[str]:
    yield f"head       {found.head:,}"
    yield f"root hash  {found.root_hash.hex()}"
    yield f"verified   {found.events:,} events in {seconds:.2f} s ({found.head / seconds:,.0f} events/s)"
    if found.deleted:
        yield f"deleted    {found.deleted:,} events, with their archives; their hashes are there"
    if found.ok:
        yield screen.colour("The log is as it was written.", "green")
        return
    first = "" if found.first_bad is None else f", the first at position {found.first_bad:,}"
    noun = "problem" if found.problem_count == 1 else "problems"
    yield screen.colour(f"The log is damaged: {found.problem_count:,} {noun}{first}.", "red")
    shown = found.problems[:PROBLEMS_SHOWN]
    columns = [
        Column("Position", [f"{problem.position:,}" if problem.position else "-" for problem in shown], 15, right=True),
        Column("Kind", [problem.kind.value for problem in shown], 10),
        Column("Detail", [plain(problem.detail) for problem in shown], 200),
    ]
    yield from table(screen, columns)
    if found.problem_count > len(shown):
        yield f"and {found.problem_count - len(shown):,} more; --json names {len(found.problems):,} of all"
    yield "Everything else stays readable. Keep the folder as it is, and compare it with a backup."
