"""The turn: what an ACP agent tells while it works on one prompt, in the words of a ledger. Knows no connection."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from tallystick.ledger.limits import SUMMARY_BYTES_MAX

TAIL_CHARACTERS = 200  # of a message that is still being written: what a list has room for
NAME_CHARACTERS = 120
_GROWING = "".join(map(chr, range(0x21, 0x7F)))  # what keys and passwords are made of; other scripts part no words
_BROKEN = re.compile(r"\A\S+\s+")  # a word whose begin is not there
_NAME = re.compile(r"[\w.:/-]{1,64}")  # of a tool that has no kind
TOOLS_MAX = 10_000  # calls of one turn that are told apart

# Why an agent stops before it has done what was asked for. Its session is sound and takes further prompts, and its
# answer is an answer; so the run has ended well, without the result: blocked, as the ledger calls it.
BLOCKED = {
    "max_tokens": "stopped at the limit of tokens",
    "max_turn_requests": "stopped at the limit of requests",
    "refusal": "refused",
}
CANCELLED_WORDS = "the agent confirmed that it stopped"

_USAGE = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "thoughtTokens": "thought_tokens",
    "cachedReadTokens": "cached_read_tokens",
    "cachedWriteTokens": "cached_write_tokens",
}


class Progress(Struct, frozen=True):
    """What one update says about how far the work is."""

    message: str | None = None
    step: int | None = None
    steps: int | None = None
    tool: str | None = None

    def then(self, later: "Progress") -> "Progress":
        """Return both as one: what the later one does not say is as the earlier one said it."""
        return Progress(
            later.message or self.message,
            self.step if later.step is None else later.step,
            self.steps if later.steps is None else later.steps,
            later.tool,
        )


class End(Struct, frozen=True, kw_only=True):
    """How a turn ended, as the ledger is told."""

    status: Literal["succeeded", "failed", "cancelled"]
    summary: str | None = None
    error: str = ""
    outcome: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    confirmed: bool = True
    usage: dict[str, int | float] | None = None


class Turn:
    """Follows the updates of one prompt: turns each into progress, and remembers the last message."""

    def __init__(self) -> None:
        self._message = ""
        self._message_id: str | None = None
        self._is_open = False
        self._titles: dict[str, str] = {}

    @property
    def last_message(self) -> str | None:
        """The last message of the agent that says something."""
        return self._message.strip() or None

    def follow(self, update: Any) -> Progress | None:
        """Take one update; return what there is to report of it, if anything.

        An update of a kind that is not known, or without what its kind has, is left to those who know it.
        """
        match getattr(update, "session_update", None):
            case "agent_message_chunk":
                return self._hear(update)
            case "tool_call":
                return self._begin(update)
            case "tool_call_update":
                return self._go_on(update)
            case "plan":
                self._is_open = False
                return _plan(update.entries)
            case "plan_update":
                return _plan(getattr(update.plan, "entries", None) or ())
            case _:
                return None

    def asks(self, tool_call: Any) -> Progress | None:
        """Take a request for permission: until somebody answers it, nothing goes on."""
        title = _line(getattr(tool_call, "title", None)) or self._titles.get(getattr(tool_call, "tool_call_id", ""), "")
        return Progress(message=f"asks for permission: {title}" if title else "asks for permission")

    def ended(self, reason: str, usage: Mapping[str, int | float] | None = None) -> End:
        """Return how a turn ended that the agent has answered with a stop reason."""
        said, used = self.last_message, dict(usage or {}) or None
        if reason == "cancelled":
            return End(status="cancelled", summary=CANCELLED_WORDS, usage=used)
        if reason in BLOCKED:
            why = BLOCKED[reason]
            summary = f"{why}: {said}" if said else why
            return End(status="succeeded", outcome="blocked", summary=summary, usage=used)
        if reason != "end_turn":  # one that a later protocol has: what it means for the result, nobody here knows
            said = f"{reason}: {said}" if said else reason
        return End(status="succeeded", summary=said, usage=used)

    def _hear(self, update: Any) -> Progress | None:
        text = getattr(update.content, "text", None)
        if not isinstance(text, str) or not text:
            return None
        if not self._is_open or update.message_id != self._message_id:
            self._message, self._message_id, self._is_open = "", update.message_id, True
        if len(self._message) < SUMMARY_BYTES_MAX:
            self._message += text
        return Progress(message=_tail(self._message.rstrip(_GROWING)) or None)

    def _begin(self, update: Any) -> Progress:
        """A tool is called: counted once, however often the agent announces it."""
        self._is_open = False
        is_new = update.tool_call_id not in self._titles
        self._titles[update.tool_call_id] = title = _line(update.title)
        if len(self._titles) > TOOLS_MAX:
            del self._titles[next(iter(self._titles))]
        kind = update.kind if update.kind not in (None, "other") else None
        name = kind or (title if _NAME.fullmatch(title) else "tool")  # never a whole command line, or what is in it
        return Progress(message=title or None, tool=name if is_new else None)

    def _go_on(self, update: Any) -> Progress | None:
        known = self._titles.get(update.tool_call_id)
        if known is None and update.title:
            return self._begin(update)
        title = _line(update.title) or known or ""
        self._titles[update.tool_call_id] = title
        self._is_open = False
        words = f"{title}: {update.status}" if title and update.status else title or update.status
        return Progress(message=words) if words else None


def usage_of(response: Any) -> dict[str, int | float]:
    """Return what a session has used so far, as its agent says; nothing when it does not."""
    told = getattr(response, "usage", None)
    found = {name: getattr(told, attribute, None) for name, attribute in _USAGE.items()}
    return {name: amount for name, amount in found.items() if isinstance(amount, int)}


def _plan(entries: Any) -> Progress | None:
    """Step n of m: those that are done, and the one that is being done, whose text is the message."""
    told = list(entries)
    if not told:
        return None
    done = sum(entry.status == "completed" for entry in told)
    now = next((entry for entry in told if entry.status == "in_progress"), None)
    return Progress(
        message=None if now is None else _line(now.content) or None, step=done + (now is not None), steps=len(told)
    )


def _tail(message: str) -> str:
    """Return the end of a message, from a whole word on: half a secret is not recognised.

    For the same reason a message that is being written is shown without the word that it ends with. In scripts that
    part no words nearly all is one, and a part of that is shown.
    """
    tail = message[-TAIL_CHARACTERS:]
    if len(tail) == len(message) or message[-TAIL_CHARACTERS - 1].isspace():
        return tail
    return tail if tail[0].isspace() else _BROKEN.sub("", tail) or tail.lstrip(_GROWING).lstrip()


def _line(text: str | None) -> str:
    """Return a text as one line that names something."""
    printable = "".join(character if character.isprintable() else " " for character in text or "")
    return " ".join(printable.split())[:NAME_CHARACTERS]
