"""What `backup` and `restore` say: where the copy is, and what it has."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tallystick.cli.screen import Screen
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.backup import Backup

SHAPE = "{ok, path, madeAt, events, head, rootHash, tasks, segments, bytes, seconds, problems}"


def as_data(made: "Backup") -> dict[str, Any]:
    """Return a backup as `--json` says it."""
    return {
        "ok": not made.problems,
        "path": made.path,
        "madeAt": made.made_at,
        "events": made.events,
        "head": made.head,
        "rootHash": made.root_hash.hex(),
        "tasks": made.tasks,
        "segments": made.segments,
        "bytes": made.bytes,
        "seconds": made.seconds,
        "problems": made.problems,
    }


def lines_of(screen: Screen, made: "Backup", what: str) -> Iterator[str]:
    """Yield a backup as people read it."""
    yield f"{what}  {plain(made.path)}"
    yield f"events     {made.events:,} of {made.head:,}, {made.tasks:,} tasks"
    yield f"root hash  {made.root_hash.hex()}"
    yield f"size       {made.bytes:,} bytes, {made.segments:,} archived segments"
    yield f"took       {made.seconds:.2f} s"
    if made.problems:
        noun = "problem" if made.problems == 1 else "problems"
        yield screen.colour(f'{made.problems:,} {noun} came along. See "tally verify".', "red")
    else:
        yield screen.colour("Every record was verified, and a read model built.", "green")
