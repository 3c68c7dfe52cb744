"""The flow lookup: from what people type, or copy from a list, to the flow that they mean."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from tallystick.cli.call import Call
from tallystick.cli.lookup import COMPLETIONS, PAGE_TASKS, RECENT_TASKS, Ambiguous, is_part, missing_or_id_of
from tallystick.cli.summary import text_of
from tallystick.cli.times import age, now_ms
from tallystick.flow_readings import FlowReadings
from tallystick.ledger.errors import NotFound, Pruned, TallystickError
from tallystick.ledger.flows.record import FlowRecord, no_flow
from tallystick.ledger.ids import id_bytes_or_none
from tallystick.projections.flow_history import is_flow

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tallystick.readings import Readings


def flow_id_of(readings: "Readings", token: str) -> str:
    """Return the id of the flow that a token names: an id, an owner with one active flow, or a part of an id.

    Parts of ids, as of tasks, are looked for among the newest flows. The id of a pruned flow is an id.
    Raises `NotFound`, and an `Ambiguous` with the candidates.
    """
    flows = FlowReadings(readings.reader)
    try:
        return flows.find(token).flow_id
    except Pruned:
        return token.strip()  # an id: whoever asks for it hears what it was
    except NotFound:
        pass
    part = token.strip().lower()
    recent = islice(_recent(flows, PAGE_TASKS), RECENT_TASKS) if is_part(part) else ()
    candidates = [flow.flow_id for flow in recent if flow.flow_id.endswith(part) or flow.flow_id.startswith(part)]
    if len(candidates) > 1:
        raise Ambiguous(token, candidates=candidates, of="flows")
    if not candidates:
        raise no_flow(token.strip(), _what_it_is(readings, token.strip()))
    return candidates[0]


def either_id_of(readings: "Readings", token: str) -> tuple[str, bool]:
    """Return the id of the task or, when it names none, of the flow that a token names, and whether it is a flow's.

    Raises as `task_id_of` and `flow_id_of`. The id of a flow that the lists have forgotten is an id.
    """
    stream = id_bytes_or_none(token.strip())
    if stream is not None and is_flow(readings.log, stream):
        return token.strip(), True
    found = missing_or_id_of(readings, token)
    if isinstance(found, str):
        return found, False
    try:
        return flow_id_of(readings, token), True
    except NotFound:
        raise found from None


def task_or_flow_id_of(readings: "Readings", token: str) -> tuple[str, bool]:
    """Return the same; but a flow only by its id or a part of it: whoever names a session means a task of it."""
    found, is_of_flow = either_id_of(readings, token)
    part = token.strip().lower()
    if is_of_flow and not (found.startswith(part) or found.endswith(part)):
        raise NotFound(token, hint=f'It names a flow: "tally flow show {found}".')
    return found, is_of_flow


def _what_it_is(readings: "Readings", token: str) -> str:
    """Return what somebody should know who takes a task for a flow."""
    if id_bytes_or_none(token) is None:
        return ""
    try:
        record = readings.get(token)
    except NotFound:
        return ""
    of = "no flow" if record.parent_flow_id is None else f"flow {record.parent_flow_id}"
    return f"It is a task, of {of}."


def _recent(flows: FlowReadings, most: int) -> Iterator[FlowRecord]:
    """Yield flows, newest first, reading so many at a time."""
    cursor: str | None = None
    while True:
        page = flows.list(limit=most, cursor=cursor)
        yield from page.flows
        cursor = page.next_cursor
        if cursor is None:
            return


def completions(call: Call, incomplete: str) -> "list[CompletionItem]":
    """Return recent flows whose id begins so, for a shell; nothing when there is no ledger to ask."""
    from click.shell_completion import CompletionItem

    try:
        with call.readings() as readings:
            flows = FlowReadings(readings.reader).list(limit=COMPLETIONS).flows
    except (TallystickError, OSError):
        return []
    now = now_ms()
    return [
        CompletionItem(
            flow.flow_id,
            help=f"{flow.status.value}, {age(now - flow.created_at)}: {text_of(flow.goal, flow.erased)[:40]}",
        )
        for flow in flows
        if flow.flow_id.startswith(incomplete)
    ]
