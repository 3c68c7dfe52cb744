"""XML text: any text as the value of an attribute in XML 1.0, in ASCII alone. Pure.

What XML has a way for is written so: `&lt;`, `&#10;`, `&#128230;`. Other letters than those of ASCII are references, so
that a reader that splits the file anywhere splits no letter. Most control characters, halves of pairs and U+FFFE,
U+FFFF have no way at all: they are written as `_x0001_`, and an underscore that would begin such a group as `_x005F_`.
That is how Office Open XML (ECMA-376, ST_Xstring) has it, and can be undone.
"""

import re
from typing import Final

_SPECIAL: Final = re.compile("[&<>\"'\t\n\r]|[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-F]{4}_)")
_ENTITIES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
    "\t": "&#9;",  # as themselves they would be read as spaces
    "\n": "&#10;",
    "\r": "&#13;",
}


def xml_text(text: str) -> str:
    """Return a text as it stands between the quotes of an attribute; only `ascii_bytes` makes it ASCII."""
    return _SPECIAL.sub(_written, text)


def ascii_bytes(markup: str) -> bytes:
    """Return markup as bytes of ASCII: every other letter is a reference to it."""
    return markup.encode("ascii", "xmlcharrefreplace")


def _written(found: re.Match[str]) -> str:
    character = found[0]
    return _ENTITIES.get(character) or f"_x{ord(character):04X}_"
