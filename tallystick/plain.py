"""Plain text: what of a stored text may reach a terminal. No escape sequence, no control, no change of direction."""

import re

# In this order: control sequences, strings that a terminal takes as orders, other escapes, and what is left alone.
_ORDERS = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_BREAKS = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")


def plain_lines(text: str) -> list[str]:
    """Return the lines of a text, each without anything that a terminal would obey."""
    if text.isprintable():
        return [text]
    return [_ORDERS.sub("", line).replace("\t", "    ") for line in _BREAKS.split(_ORDERS.sub("", text))]


def plain(text: str) -> str:
    """Return a text on one line, without anything that a terminal would obey."""
    if text.isprintable():
        return text
    return " ".join(filter(None, (line.strip() for line in plain_lines(text))))
