"""The finding: what a check-up has looked at, how bad it is, and what to do about it."""

from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    DAMAGED = "damaged"


class Finding(Struct, frozen=True, omit_defaults=True):
    """What was looked at, what was found, and what to do about it."""

    check: str
    level: Level
    detail: str
    remedy: str | None = None
