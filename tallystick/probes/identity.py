"""The identity of a process: what a backing says of it, what was found at its pid, and what follows. Pure.

A pid alone names nobody: when a process has ended, its pid is given to another one. The pid together with the tick of
the machine's clock at which it started names one process of one boot of one machine for ever.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.verdict import Finding, Verdict

PID_MAX = 2**31 - 1
STARTED_MS_APART_MAX = 2_000  # a start time in ms is counted from a clock that people set, so it moves a little
SHOWN_BYTES_MAX = 256

Backing = Mapping[str, object]

_VERDICTS = {Finding.ALIVE: Verdict.alive, Finding.DEAD: Verdict.dead, Finding.UNKNOWN: Verdict.unknown}


class Machine(Struct, frozen=True):
    """A machine as its processes name it: its name, and an id that is new whenever it starts."""

    host: str
    boot: str | None = None


class Identity(Struct, frozen=True):
    """Which process is meant: its pid, and when it started, in ticks since the machine did or in ms UTC."""

    pid: int
    ticks: int | None = None
    started: int | None = None

    @property
    def is_bare(self) -> bool:
        """Whether it is a pid and nothing more: any process that gets this pid would be taken for it."""
        return self.ticks is None and self.started is None


class Found(Struct, frozen=True):
    """What is there now at a pid; a zombie has ended, and nobody has asked how."""

    ticks: int | None = None
    started: int | None = None
    is_zombie: bool = False
    group: int | None = None
    name: str | None = None


Look = Callable[[Identity], Found | None]
"""Tells what is at the pid of an identity now, None for nothing; raises `OSError` when that cannot be seen."""


def process_in(backing: Backing) -> Identity | None:
    """Return the process that a backing names; None when it names none, or something that no process has."""
    return _named(backing, "pid", "ticks", "started")


def runner_in(backing: Backing) -> Identity | None:
    """Return the process that will report the end, as a backing names it; None when it names none."""
    return _named(backing, "runner", "runnerTicks", "runnerStarted")


def is_same(expected: Identity, found: Found) -> bool | None:
    """Return whether two started at the same time, None when it is not known of both.

    Ticks decide where both have them: no clock that is set moves them.
    """
    if expected.ticks is not None and found.ticks is not None:
        return expected.ticks == found.ticks
    if expected.started is not None and found.started is not None:
        return abs(expected.started - found.started) <= STARTED_MS_APART_MAX
    return None


def compare(expected: Identity, found: Found | None) -> tuple[Finding, str]:
    """Return whether the process that is meant is alive or dead by what was found, and that in words.

    Where nothing tells the two apart, what was found is taken for what is meant.
    """
    if found is None:
        return Finding.DEAD, "no such process"
    if is_same(expected, found) is False:
        return Finding.DEAD, "the pid was reused"
    if found.is_zombie:
        return Finding.DEAD, "a zombie"
    return Finding.ALIVE, "running"


def judge(backing: Backing, machine: Machine, look: Look) -> Verdict:
    """Return whether the process that a backing names is alive, as seen from a machine.

    A process that has ended is only missing as long as the one that will report its end lives: it has a grace to.
    """
    expected = process_in(backing)
    if expected is None:
        return Verdict.unknown({"pid": _shown(backing.get("pid")), "detail": "the backing names no process"})
    away = judge_machine(backing, machine)
    if away is not None:
        return away
    finding, seen = _at(expected, look)
    runner = runner_in(backing) if finding is Finding.DEAD else None
    if runner is not None:
        finding, told = _at(runner, look)
        seen |= {"runner": runner.pid, "detail": f"{seen['detail']}; its runner, {told['detail']}"}
        if finding is Finding.ALIVE:
            return Verdict.missing(seen)
    return _VERDICTS[finding](seen)


def judge_machine(backing: Backing, machine: Machine) -> Verdict | None:
    """Return what follows when a backing is of another machine (nobody here can see it) or an earlier boot (dead).

    None when it may be of this one, now.
    """
    pid, host, boot = _shown(backing.get("pid")), backing.get("host"), backing.get("boot")
    if host is not None and host != machine.host:
        detail = f"process {pid}: on another host"
        return Verdict.unknown({"pid": pid, "expectedHost": _shown(host), "foundHost": machine.host, "detail": detail})
    if boot is not None and machine.boot is not None and boot != machine.boot:
        detail = f"process {pid}: the machine has restarted"
        return Verdict.dead({"pid": pid, "expectedBoot": _shown(boot), "foundBoot": machine.boot, "detail": detail})
    return None


def is_count(value: object, *, least: int = 0, most: int = 2**63 - 1) -> bool:
    """Whether a value is a whole number between the two bounds; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _named(backing: Backing, pid: str, ticks: str, started: str) -> Identity | None:
    values = {"pid": backing.get(pid), "ticks": backing.get(ticks), "started": backing.get(started)}
    if not is_count(values["pid"], least=1, most=PID_MAX):
        return None
    if not all(value is None or is_count(value) for value in values.values()):
        return None
    return Identity(**values)  # type: ignore[arg-type]  # each was just found to be a whole number


def _at(expected: Identity, look: Look) -> tuple[Finding, dict[str, str | int | float | bool | None]]:
    """Look at a pid; return what follows and the evidence of it."""
    seen: dict[str, str | int | float | bool | None] = {"pid": expected.pid}
    if expected.ticks is not None:
        seen["expectedTicks"] = expected.ticks
    elif expected.started is not None:
        seen["expectedStarted"] = expected.started
    try:
        found = look(expected)
    except OSError as error:
        why = error.strerror or type(error).__name__
        return Finding.UNKNOWN, {**seen, "detail": f"process {expected.pid}: it cannot be seen: {why}"}
    finding, words = compare(expected, found)
    seen["detail"] = f"process {expected.pid}: {words}"
    if found is not None:
        said = {"foundTicks": found.ticks, "foundStarted": found.started, "foundName": found.name}
        seen |= {name: value for name, value in said.items() if value is not None}
    return finding, seen


def _shown(value: object) -> str | int | None:
    """Return what a backing says as evidence takes it, whatever it is."""
    if is_count(value, least=-(2**63)):
        return int(str(value))
    text = value if isinstance(value, str) else repr(value)
    return fields.report("backing", text, bytes_max=SHOWN_BYTES_MAX)
