"""The message: what people read about a task. Pure."""

from tallystick.ledger import fields
from tallystick.ledger.lifecycle import DeliveryKind, Status
from tallystick.ledger.limits import (
    DELIVERY_TEXT_BYTES_MAX,
    DIAGNOSTIC_CHARACTERS_MAX,
    RUN_CHARACTERS_MAX,
    TITLE_CHARACTERS_MAX,
)
from tallystick.ledger.record import TaskRecord

_SUBJECT = "Background task"
_REVIEW = "Next: parent will review/verify before calling it done."
_ENDS = {
    Status.FAILED: "failed",
    Status.TIMED_OUT: "timed out",
    Status.CANCELLED: "cancelled",
    Status.LOST: "lost",
}
_WITH_DIAGNOSTIC = frozenset({Status.FAILED, Status.LOST})


def end_message(record: TaskRecord, *, kind: DeliveryKind = DeliveryKind.TERMINAL) -> str:
    """Return what is told of a task that has ended, from its result or its error alone: never from its progress."""
    if record.status is Status.SUCCEEDED:
        what = "ready for review" if kind is DeliveryKind.REVIEW else _success(record)
        return clean(_sentences(f"{_SUBJECT} {what}: {_title(record)}{_run(record)}.", record.terminal_summary, kind))
    about = _one_line(record.error, DIAGNOSTIC_CHARACTERS_MAX) if record.status in _WITH_DIAGNOSTIC else None
    return clean(_sentences(f"{_SUBJECT} {_ENDS[record.status]}: {_title(record)}.", about, kind))


def started_message(record: TaskRecord) -> str:
    """Return what is told of a task that began."""
    return clean(f"{_SUBJECT} started: {_title(record)}.")


def update_message(record: TaskRecord, said: str) -> str:
    """Return what is told of a task that got further."""
    return clean(f"{_SUBJECT} update: {_title(record)}. {said.strip()}")


def with_artifacts(text: str, artifacts: tuple[str, ...]) -> str:
    """Return a message that also says where to find what a run made, a line each; as many as there is room for."""
    room = DELIVERY_TEXT_BYTES_MAX - len(text.encode())
    for number, artifact in enumerate(artifacts):
        room -= 1 + len(artifact.encode())
        if room < 0:  # half a reference leads nowhere
            artifacts = artifacts[:number]
            break
    return clean("\n".join((text, *artifacts)))


def clean(text: str) -> str:
    """Return a text as it is sent: without control characters but line breaks and tabs, and not longer than allowed."""
    return fields.report("text", text, bytes_max=DELIVERY_TEXT_BYTES_MAX, controls=False) or _SUBJECT


def _success(record: TaskRecord) -> str:
    return "blocked" if record.terminal_outcome is not None else "done"


def _sentences(first: str, about: str | None, kind: DeliveryKind) -> str:
    said = about.strip() if about else ""
    told = f"{first} {said}" if said else first
    return f"{told} {_REVIEW}" if kind is DeliveryKind.REVIEW else told


def _title(record: TaskRecord) -> str:
    return _one_line(record.label or record.task, TITLE_CHARACTERS_MAX) or "Background task"


def _run(record: TaskRecord) -> str:
    return "" if record.run_id is None else f" (run {record.run_id[:RUN_CHARACTERS_MAX]})"


def _one_line(text: str | None, characters_max: int) -> str | None:
    """Return a text without control characters and with its white space folded, cut at so many characters."""
    if text is None:
        return None
    # A title is short and a task's text may be long: what is beyond any cut need not be looked at.
    text, most = text.strip(), 4 * characters_max
    if len(text) <= characters_max and text.isprintable() and "  " not in text:
        return text
    line = " ".join((fields.report("text", text[:most], bytes_max=4 * most, controls=False) or "").split())
    if len(line) <= characters_max and len(text) <= most:
        return line
    return f"{line[: characters_max - 1]}…"
