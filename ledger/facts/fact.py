"""What all facts have in common: how they are stored, and the values that several of them carry.

A fact's name on disk ends in the version of its shape. When a shape changes, the new one gets the next version and the
codec learns to lift the old one; what is in the log is never rewritten. Fields that have their default are not stored.
"""

from typing import TypeAlias

from msgspec import Struct

Evidence: TypeAlias = dict[str, str | int | float | bool | None]
"""What was seen, flat: the probe, the pid, the file, the exit code."""

Usage: TypeAlias = dict[str, int | float]
"""What the work cost, by name: inputTokens, outputTokens, costUsd …"""


class Origin(Struct, frozen=True, gc=False, omit_defaults=True):
    """Where the request came from, and where its completion goes: kept to the letter, a number stays a number.

    What it does not say is filled in from the route that the asking session has then.
    """

    channel: str | None = None
    to: str | int | None = None
    account: str | None = None
    thread: str | int | None = None


class Fact(
    Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    omit_defaults=True,
    repr_omit_defaults=True,
    tag_field="type",
    rename="camel",
):
    """What every fact has in common: how it is stored, and what of it is not in its record.

    `aside` has the fields that are kept beside the log, and for each SHA-256(salt || MessagePack of its value): what of
    them is read as blank was erased. `redacted` has the fields out of which a hook took something before they were
    stored.
    """

    aside: dict[str, bytes] | None = None
    redacted: tuple[str, ...] = ()
