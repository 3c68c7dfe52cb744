"""Cells: how many columns a text takes on a terminal, and texts cut or filled to a number of them."""

_ELLIPSIS = "…"


def width(text: str) -> int:
    """Return how many columns a text takes: two for wide characters, none for those that combine."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """Return a text that takes at most so many columns; what was cut ends in an ellipsis."""
    if width(text) <= columns:
        return text
    if columns < 1:
        return ""
    kept = 0
    for place, character in enumerate(text):
        kept += _columns(character)
        if kept > columns - 1:
            return text[:place].rstrip() + _ELLIPSIS
    return text


def fill(text: str, columns: int, *, right: bool = False) -> str:
    """Return a text that takes exactly so many columns."""
    kept = cut(text, columns)
    space = " " * (columns - width(kept))
    return space + kept if right else kept + space


def wrap(text: str, columns: int) -> list[str]:
    """Return a text in lines of at most so many columns, broken at spaces where there are any."""
    lines: list[str] = []
    rest = text
    while width(rest) > columns > 1:
        place = _fitting(rest, columns)
        space = rest.rfind(" ", 1, place + 1)
        place = space if space > place // 2 else place
        lines.append(rest[:place].rstrip())
        rest = rest[place:].lstrip()
    return [*lines, rest]


def _fitting(text: str, columns: int) -> int:
    taken = 0
    for place, character in enumerate(text):
        taken += _columns(character)
        if taken > columns:
            return max(place, 1)
    return len(text)


def _columns(character: str) -> int:
    if character.isascii():
        return 1
    from unicodedata import category, east_asian_width

    if category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
