"""Stepping: the events of one task or flow, one after the other, each with what it changed."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tallystick.cli.answer import EXIT_OK, Answer, say
from tallystick.cli.call import Call
from tallystick.cli.difference import changed_data, changes_words
from tallystick.cli.screen import Screen, screen_of
from tallystick.cli.stream import event_line, log_data, whose
from tallystick.ledger.steps import Step, steps_of_flow, steps_of_task
from tallystick.moments import Told, When

if TYPE_CHECKING:
    from tallystick.readings import Readings

QUIT = "q"


def step_through(call: Call, readings: "Readings", found: str, when: When) -> Answer | int:
    """Show every step up to a moment. Somebody at a terminal says after each whether the next one is wanted."""
    stream, is_flow = readings.named(found)
    with readings.naming(found, stream):
        events = Told(readings.log, when).history(stream, is_flow=is_flow)
    steps = steps_of_flow(stream, events) if is_flow else steps_of_task(events)
    if call.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        every = list(steps)
        data = {whose(is_flow): found, "steps": [_data(step) for step in every]}
        return Answer(data, lambda screen: (line for step in every for line in _lines(screen, step)))
    screen = screen_of(sys.stdout)
    for number, step in enumerate(steps, 1):
        say(*_lines(screen, step))
        if number < len(events):
            sys.stdout.write(screen.dim(f"-- {number} of {len(events)}; Enter goes on, {QUIT} ends "))
            sys.stdout.flush()
            answer = sys.stdin.readline()
            if not answer or answer.strip().lower() == QUIT:
                break
    return EXIT_OK


def _data(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"event": log_data(step.event)}
    if step.after is not None:
        [changed] = changed_data([(step.before, step.after)])
        data |= {name: changed[name] for name in ("statusBefore", "status", "changes") if name in changed}
    return data


def _lines(screen: Screen, step: Step) -> Iterator[str]:
    yield event_line(screen, step.event)
    if step.after is not None:
        yield from changes_words(screen, step.before, step.after)
