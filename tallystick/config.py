"""The configuration of a ledger: where it comes from, and what its values may be."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.ledger.limits import ACTORS_LIVE_MAX, GRACE_MS, RETENTION_LOST_MS, RETENTION_TERMINAL_MS

FILE_NAME = "tallystick.toml"
VARIABLE_PREFIX = "TALLYSTICK_"
NOT_CONFIGURATION = frozenset({"TALLYSTICK_LEDGER", "TALLYSTICK_HYPOTHESIS"})

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12})\s*(ms|s|m|h|d)")
DURATION_ALLOWED = 'a whole number with a unit, such as "500ms", "60s", "5m", "24h" or "7d"'


class Actors(Struct, frozen=True, forbid_unknown_fields=True):
    """How many task actors stay in memory."""

    live: int = ACTORS_LIVE_MAX


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set. `grace` is per runtime, `retention` per status or runtime; both in milliseconds here."""

    grace: dict[str, int] = field(default_factory=lambda: {"default": GRACE_MS})
    retention: dict[str, int] = field(
        default_factory=lambda: {"terminal": RETENTION_TERMINAL_MS, "lost": RETENTION_LOST_MS}
    )
    actors: Actors = Actors()


ALLOWED_KEYS: Mapping[str, frozenset[str]] = {
    "grace": frozenset({"default", *Runtime}),
    "retention": frozenset(
        {"terminal", *Runtime, *(status for status in Status if status not in ("queued", "running"))}
    ),
    "actors": frozenset(Actors.__struct_fields__),
}
DURATION_SECTIONS = frozenset({"grace", "retention"})


def duration_ms(name: str, value: object) -> int:
    """Return a duration such as "5m" in milliseconds. Raises `InvalidInput` for anything else, negatives included."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput(name, value, DURATION_ALLOWED)
    return int(found[1]) * _UNITS_MS[found[2]]


def load(folder: Path, file: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of the ledger in `folder`: its own file, then `file`, then variables; the later wins.

    Raises `InvalidInput` for an unknown key (naming the nearest known one), a bad value or an unreadable file.
    """
    values: dict[str, dict[str, Any]] = {}
    own = folder / FILE_NAME
    for path in [own, *([file] if file is not None else [])]:
        if path is not own or path.is_file():
            _merge(values, _read(path), str(path))
    _merge(values, _from_variables(os.environ if environment is None else environment), "environment")
    return _build(values)


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise InvalidInput("config", str(path), f"a file that can be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise InvalidInput("config", str(path), f"a TOML file ({error})") from error


def _from_variables(environment: Mapping[str, str]) -> dict[str, Any]:
    """TALLYSTICK_RETENTION_LOST=24h is lost = "24h" in [retention]."""
    values: dict[str, dict[str, Any]] = {}
    for name, value in environment.items():
        if name.startswith(VARIABLE_PREFIX) and name not in NOT_CONFIGURATION:
            section, _, key = name.removeprefix(VARIABLE_PREFIX).lower().partition("_")
            values.setdefault(section, {})[key] = int(value) if value.isdecimal() else value
    return values


def _merge(values: dict[str, dict[str, Any]], more: Mapping[str, Any], source: str) -> None:
    for section, keys in more.items():
        known = ALLOWED_KEYS.get(section)
        if known is None:
            raise InvalidInput(f"config section ({source})", section, _nearest(section, ALLOWED_KEYS))
        if not isinstance(keys, dict):
            raise InvalidInput(f"config {section} ({source})", keys, "a section of keys and values")
        for key, value in keys.items():
            if key not in known:
                raise InvalidInput(f"config {section} ({source})", key, _nearest(key, known))
            values.setdefault(section, {})[key] = value


def _nearest(name: str, known: Mapping[str, object] | frozenset[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, sorted(known), n=1)
    listed = ", ".join(sorted(known))
    return f'"{close[0]}", perhaps (known: {listed})' if close else f"one of {listed}"


def _build(values: Mapping[str, Mapping[str, Any]]) -> Config:
    sections: dict[str, Any] = {}
    for section, keys in values.items():
        if section in DURATION_SECTIONS:
            defaults: dict[str, int] = getattr(Config(), section)
            sections[section] = {**defaults, **{k: duration_ms(f"{section}.{k}", v) for k, v in keys.items()}}
        else:
            for key, value in keys.items():
                if type(value) is not int or value < 1:
                    raise InvalidInput(f"{section}.{key}", value, "a whole number from 1")
            sections[section] = Actors(**keys)
    return Config(**sections)
