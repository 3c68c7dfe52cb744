"""`tally doctor`: a check-up of a ledger and its place, each finding with what to do."""

from collections.abc import Iterator, Mapping, Sequence

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, EXIT_REFUSED, Answer
from tallystick.cli.call import Call
from tallystick.cli.cells import fill
from tallystick.cli.checkup import check_up, worst
from tallystick.cli.command import command as _command
from tallystick.cli.finding import Finding, Level
from tallystick.cli.screen import Screen
from tallystick.plain import plain

_EXIT_CODES: Mapping[Level, int] = {
    Level.OK: EXIT_OK,
    Level.WARN: EXIT_OK,
    Level.BAD: EXIT_REFUSED,
    Level.DAMAGED: EXIT_DAMAGED,
}
_COLOURS: Mapping[Level, str] = {Level.OK: "green", Level.WARN: "yellow", Level.BAD: "red", Level.DAMAGED: "red"}


@_command(
    "doctor",
    json="{ok, ledger, findings: [{check, level, detail, remedy}]}",
    help="""Permissions, file system, disk and limits, configuration, channels, versions, owner, newest records, clock,
    formats on disk, maps, readers, inbox, archive, signing keys, the newest checkpoint and who saw it, read models,
    messages. Each line that is not ok says what to do.

    Changes nothing, but that slots of readers that were killed are freed, as by every command. Exits with 1 when
    something is bad, with 4 when the store is damaged; "tally verify" looks at every record.""",
)
def command(call: Call) -> Answer:
    """Look for what is wrong."""
    found = check_up(call)
    level = worst(found)
    data = {"ok": level in (Level.OK, Level.WARN), "ledger": str(call.folder), "findings": found}
    return Answer(data, lambda screen: _lines(screen, str(call.folder), found, level), _EXIT_CODES[level])


def _lines(screen: Screen, folder: str, found: Sequence[Finding], level: Level) -> Iterator[str]:
    yield screen.bold(plain(folder))
    for finding in found:
        mark = screen.colour(fill(finding.level.value, 8), _COLOURS[finding.level])
        yield f"{mark}{fill(finding.check, 15)} {plain(finding.detail)}"
        if finding.remedy is not None:
            yield f"{'':24}→ {plain(finding.remedy)}"
    yield {
        Level.OK: "Nothing is wrong.",
        Level.WARN: "Nothing is wrong yet.",
        Level.BAD: "Something is wrong.",
        Level.DAMAGED: "The store is damaged.",
    }[level]
