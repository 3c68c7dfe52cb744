"""`tally why`: the events, rules and evidence that led to what a task or a flow is."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from tallystick.cli.ahead import seen_from, warn_of_what_has_not_come
from tallystick.cli.answer import Answer, present
from tallystick.cli.call import Call
from tallystick.cli.cells import wrap
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.facts import MARKED, marked, pairs, verb
from tallystick.cli.flow_lookup import either_id_of
from tallystick.cli.later import Later, erased_later, later_lines
from tallystick.cli.messages import message_lines
from tallystick.cli.screen import COLUMNS_MIN, Screen
from tallystick.cli.stream import whose
from tallystick.cli.summary import ID_TAIL
from tallystick.cli.times import moment, now_ms, stamp
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.reasons.reason import SENTENCES, Reason
from tallystick.moments import When
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.why import Why

_INDENT = 10
_MOMENT = re.compile(r"\b(\d{12,15}) \(ms\)")
_BLANK: tuple[object, ...] = ("", [], {}, None)


@_command(
    "why",
    json="""{taskId or flowId, status, reasons: [{position, occurredAt, recordedAt, actor, type, rule, said, before,
    after, isIgnored, because, evidence, erased, token}], told: deliveries as `deliveries` has them, silence, next, and
    erasedLater as `replay` has it}""",
    help="""LOOKUP as in "tally timeline". Each event that led there, the rule that let it in, what it stands on (the
    positions of earlier events) and the evidence that it carries; what was ignored and why; who was told, or why
    nobody was; and what follows if nothing more is heard. As of now, of a position, or of a moment T as recorded.""",
)
@click.option("--at", metavar="T", help="As of this moment.")
@click.option("--position", type=int, metavar="N", help="As of this position.")
@click.argument("lookup", type=LOOKUP)
def command(call: Call, *, at: str | None, position: int | None, lookup: str) -> Answer:
    """Explain a task or flow."""
    if at is not None and position is not None:
        raise InvalidInput("at", at, "a moment or a position, not both")
    when = When(position, None if at is None else moment("at", at, now_ms()))
    with call.readings() as readings:
        warn_of_what_has_not_come(readings.log, when)
        found, is_flow = either_id_of(readings, lookup)
        told = readings.why(found, position=when.position, at=when.at)
        asked_at = seen_from(readings.log, when)
        blank = [(reason.position, reason.token or told.token, reason.erased) for reason in told.reasons]
        later = erased_later(readings.log, told.record.stream, blank, is_flow=is_flow)
    data = {whose(is_flow): told.token, "status": told.status, "reasons": told.reasons}
    data |= present(erasedLater=later)
    if not is_flow:
        data |= {"told": told.told, **present(silence=told.silence, next=told.next)}
    now = _now(told, position) if asked_at is None else asked_at
    return Answer(data, lambda screen: _lines(screen, told, later, now))


def _now(told: "Why", position: int | None) -> int:
    """Return from when ages count: now, or of a position the last that is known by then."""
    return now_ms() if position is None else max(reason.recorded_at for reason in told.reasons)


def _lines(screen: Screen, told: "Why", later: Later | None, now: int) -> Iterator[str]:
    kind = "Flow" if isinstance(told.record, FlowRecord) else "Task"
    yield f"{screen.bold(f'{kind} {told.token}')} is {screen.status(told.status)}, because:"
    for reason in told.reasons:
        yield ""
        yield from _reason_lines(screen, reason)
    if later is not None:
        yield ""
        yield from later_lines(screen, later, now)
    if isinstance(told.record, FlowRecord):
        return
    yield ""
    for message in told.told:
        yield from message_lines(screen, message, now)
    if told.silence is not None:
        yield f"nobody was told: {told.silence}"
    if told.next is not None:
        yield f"if nothing more is heard: {_dated(told.next)}"


def _reason_lines(screen: Screen, reason: Reason) -> Iterator[str]:
    moved = "" if reason.after is None else f"{reason.before or 'nothing'} → {screen.status(reason.after)}  "
    if reason.is_ignored:
        moved = screen.colour("ignored  ", "yellow")
    of = "" if reason.token is None else f" of task {reason.token[-ID_TAIL:]}"
    what = f"{screen.bold(verb(reason.type))}{of}  {screen.dim(f'by {plain(reason.actor)}')}"
    late = f"  happened {stamp(reason.occurred_at)}" if reason.occurred_at != reason.recorded_at else ""
    yield f"{reason.position:>8}  {stamp(reason.recorded_at)}  {moved}{what}{late}"
    because = ", ".join(str(position) for position in reason.because)
    rule = f"{reason.rule.value}: {SENTENCES[reason.rule]}"
    yield from _wrapped(screen, _dated(plain(reason.said)))
    yield from map(screen.dim, _wrapped(screen, f"{rule} It stands on position {because}." if because else rule))
    said = "; ".join(pairs(_rest(reason)))
    if said:
        yield from map(screen.dim, _wrapped(screen, f"evidence: {said}"))
    evidence = reason.evidence
    for how, names in marked(evidence.get("aside", ()), reason.erased, evidence.get("redacted", ())).items():
        yield from map(screen.dim, _wrapped(screen, f"{how}: {names}"))


def _rest(reason: Reason) -> Mapping[str, Any]:
    """The evidence that the sentence does not have already, and what is not there any more."""
    return {
        name: value
        for name, value in reason.evidence.items()
        if name not in MARKED and value not in _BLANK and (not isinstance(value, str) or value not in reason.said)
    }


def _dated(text: str) -> str:
    """Return a text with its moments, which it has in ms, as people write them."""
    return _MOMENT.sub(lambda found: stamp(int(found[1])), text)


def _wrapped(screen: Screen, text: str) -> Iterator[str]:
    for line in wrap(text, max(screen.columns - _INDENT, COLUMNS_MIN)):
        yield f"{'':{_INDENT}}{line}"
