"""What is noted: the codes of findings that an operator knows about, as they come in and as they add up. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import NOTED_CODE_CHARACTERS_MAX, NOTED_CODES_MAX

_CODE = re.compile(rf"[a-z][a-z_]{{0,{NOTED_CODE_CHARACTERS_MAX - 1}}}")
_CODES = f"1 to {NOTED_CODES_MAX} codes of findings, such as inconsistent_timestamps, in a list"


def codes(field: str, value: Any) -> tuple[str, ...]:
    """Return the codes that somebody takes note of, each once. Raises `InvalidInput`."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidInput(field, value, _CODES)
    kept: dict[str, None] = {}
    for each in value:
        if not isinstance(each, str) or _CODE.fullmatch(each) is None:
            raise InvalidInput(field, each, _CODES)
        kept[str(each)] = None
        if len(kept) > NOTED_CODES_MAX:
            raise InvalidInput(field, f"more than {NOTED_CODES_MAX} of them", _CODES)
    if not kept:
        raise InvalidInput(field, value, _CODES)
    return tuple(kept)


def together(known: tuple[str, ...], more: Sequence[str]) -> tuple[str, ...]:
    """Return what is noted after a note: each code once, in the order in which they came."""
    return tuple(dict.fromkeys((*known, *more)))


def too_many(known: tuple[str, ...], more: Sequence[str]) -> InvalidInput | None:
    """Return what is wrong with a note that would make more codes than a record keeps; None when nothing is."""
    count = len(together(known, more))
    if count <= NOTED_CODES_MAX:
        return None
    return InvalidInput("codes", f"{count} of them", f"at most {NOTED_CODES_MAX} that are noted at the same time")
