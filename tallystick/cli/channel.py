"""The channels in a check-up: what keeps each from sending, as far as one can see from here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallystick.cli.finding import Finding, Level
from tallystick.ledger.errors import InvalidInput
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.cli.call import Call

_BROKEN = "correct it: until then no process can own the ledger; commands that only read do without channels"
_NOT_HERE = {
    "_env": "the variable of this command is looked at: see that it is set where the process starts that sends",
    "_file": "see that the process that sends may read it: this command cannot",
    ".kind": "see that it is installed where the process runs that sends: here it is not",
}
"""What may be otherwise in the process that sends, by how the name of a setting ends."""


def channel_findings(call: "Call") -> Iterator[Finding]:
    """Look at every channel and route of a configuration whose other sections are sound."""
    from tallystick.channels.catalogue import missing
    from tallystick.config import sound_channels

    try:
        settings, faults = sound_channels(call.folder, call.config)
    except InvalidInput as error:
        yield Finding("channel", Level.BAD, plain(str(error)), _BROKEN)
        return
    for fault in faults:
        yield Finding("channel", Level.BAD, plain(str(fault)), _BROKEN)
    ready = []
    for name, given in settings.channel.items():
        lacking = missing(name, given)
        for fault in lacking:
            yield _lack(fault, settings.read_from.get(name))
        if not lacking:
            ready.append(f"{name} ({given['kind']})")
    if ready:
        yield Finding("channels", Level.OK, plain(f"nothing is missing here for {', '.join(ready)}"))


def _lack(fault: InvalidInput, file: str | None) -> Finding:
    detail = plain(f"{fault.at(file).field}: {fault.value}; needed is {fault.allowed}")
    for ending, remedy in _NOT_HERE.items():
        if fault.field.endswith(ending):
            return Finding("channel", Level.WARN, detail, remedy)
    return Finding("channel", Level.BAD, detail, _BROKEN)
