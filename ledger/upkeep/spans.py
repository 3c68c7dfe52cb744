"""Spans of time, as sentences about upkeep say them. Pure."""

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_ENOUGH = 2  # of a unit, from where on it says enough


def span(ms: int) -> str:
    """Return a span of time for a sentence: whole units, rounded down, exact where a unit measures it."""
    for unit, name in _UNITS:
        if ms >= unit and (ms % unit == 0 or ms >= _ENOUGH * unit):
            return f"{ms // unit} {name}"
    return f"{ms} ms"
