"""`tally projections`: the read models: how far they are, rebuilt, or held to the log."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, Answer
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.table import Column, table
from tallystick.cli.times import now_ms
from tallystick.ledger.errors import InvalidInput, StoreError

if TYPE_CHECKING:
    from tallystick.projections.check import Checked
    from tallystick.projections.views import Views
    from tallystick.readings import ProjectionStanding, Readings

_NONE = "There are no read models that can be read: answers come from the log itself. Rebuild them, or write something."


@_command(
    "projections",
    json="""{projections: [{name, position, lag}]}
    check: {ok, projections: [{ok, name, position, entries, different, differences}]}
    rebuild: {rebuilt: [{name, position}]}""",
    help="""Without an action, or with "list": how far each is. "check" folds the log and compares every byte; it exits
    with 4 when one differs. "rebuild" folds the log anew beside the old ones and swaps them in; for that nobody else
    may own the ledger. NAME is one of them; all if it is left out.

    They are folded from the log and can always be had again from it.""",
)
@click.argument("action", type=click.Choice(("list", "rebuild", "check")), default="list")
@click.argument("name", required=False)
def command(call: Call, *, action: str, name: str | None) -> Answer:
    """List, rebuild or check the read models."""
    if action == "list" and name is not None:
        raise InvalidInput("name", name, 'no name with "list", which has them all')
    return _ACTIONS[action](call, name)


def _list(call: Call, _name: str | None) -> Answer:
    with call.readings() as readings:
        standings = readings.status().projections
    data = {"projections": msgspec.to_builtins(standings)}
    return Answer(data, lambda screen: _standing_lines(screen, standings))


def _standing_lines(screen: Screen, standings: "Sequence[ProjectionStanding]") -> Iterator[str]:
    if not standings:
        yield _NONE
        return
    columns = [
        Column("Name", [standing.name for standing in standings], 20),
        Column("Position", [f"{standing.position:,}" for standing in standings], 16, right=True),
        Column("Lag", [f"{standing.lag:,}" for standing in standings], 16, right=True),
    ]
    yield from table(screen, columns)


def _check(call: Call, name: str | None) -> Answer:
    from tallystick.projections.check import check
    from tallystick.projections.rebuild import names_of

    with call.readings() as readings, bar("Checking") as told:
        views = _views(readings)
        found = [check(views, readings.log, each, progressed=told) for each in names_of(views, name)]
    ok = all(checked.ok for checked in found)
    data = {"ok": ok, "projections": [{"ok": checked.ok, **msgspec.to_builtins(checked)} for checked in found]}
    return Answer(data, lambda screen: _checked_lines(screen, found), EXIT_OK if ok else EXIT_DAMAGED)


def _checked_lines(screen: Screen, found: "Sequence[Checked]") -> Iterator[str]:
    for checked in found:
        said = f"{checked.name}: {checked.entries:,} entries at {checked.position:,}"
        if checked.ok:
            yield f"{said}, {screen.colour('as the log says', 'green')}"
            continue
        yield f"{said}, {screen.colour(f'{checked.different:,} not as the log says', 'red')}"
        for difference in checked.differences:
            yield f"  {difference.table} {difference.key.hex()}"
            yield f"    expected {_shown(difference.expected)}"
            yield f"    stored   {_shown(difference.stored)}"
        yield f'  Run "tally projections rebuild {checked.name}".'


def _shown(value: bytes | None) -> str:
    return "nothing" if value is None else value.hex() or "an empty value"


def _rebuild(call: Call, name: str | None) -> Answer:
    from tallystick.owner import OwnerLock, this_process
    from tallystick.projections.catch_up import catch_up
    from tallystick.projections.rebuild import names_of, rebuild
    from tallystick.readings import Readings

    folder, rules = call.require(), call.rules
    lock = OwnerLock.take(folder, this_process(now_ms()))
    try:
        readings = Readings.open(folder, rules=rules, writable=True)
        try:
            views = _views(readings)
            names = names_of(views, name)
            with bar("Rebuilding") as told:
                catch_up(views, readings.log)
                rebuild(views, readings.log, name, progressed=told)
            positions = views.positions()
        finally:
            readings.close()
    finally:
        lock.release()
    rebuilt = {each: positions[each] for each in names}
    data = {"rebuilt": [{"name": each, "position": position} for each, position in rebuilt.items()]}
    return Answer(data, lambda _screen: (f"{each}: rebuilt, at {at:,}" for each, at in rebuilt.items()))


def _views(readings: "Readings") -> "Views":
    if readings.views is None:
        raise StoreError(_NONE)
    return readings.views


_ACTIONS: dict[str, Callable[[Call, str | None], Answer]] = {"list": _list, "rebuild": _rebuild, "check": _check}
