"""Sizes as people read them."""

_STEP = 1_000


def in_bytes(count: int) -> str:
    """Return a number of bytes in the unit that fits it."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < _STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} TB"
