"""The configuration of a ledger: where it comes from, and what its values may be."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import TERMINAL, Runtime
from tallystick.ledger.limits import (
    ACTORS_LIVE_MAX,
    CANCEL_GRACE_MS,
    CANCEL_KILL_MS,
    DELIVERY_CEILING_MS,
    DELIVERY_FIRST_MS,
    DELIVERY_WINDOW_MS,
    DURATION_MS_MAX,
    GRACE_MS,
    RETENTION_LOST_MS,
    RETENTION_TERMINAL_MS,
    SWEEP_FIRST_MS,
    SWEEP_INTERVAL_MS,
    SWEEP_INTERVAL_MS_MIN,
)
from tallystick.ledger.store.folder import not_opened

FILE_NAME = "tallystick.toml"
VARIABLE_PREFIX = "TALLYSTICK_"
_ENVIRONMENT = "environment"
NOT_CONFIGURATION = frozenset({"TALLYSTICK_LEDGER"})

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12})\s*(ms|s|m|h|d)", re.ASCII)
DURATION_ALLOWED = (
    'a whole number with a unit, such as "500ms", "60s", "5m", "24h" or "7d",'
    f" at most {DURATION_MS_MAX // _UNITS_MS['d']}d"
)


class Actors(Struct, frozen=True, forbid_unknown_fields=True):
    """How many task actors stay in memory."""

    live: int = ACTORS_LIVE_MAX

    def __post_init__(self) -> None:
        fields.whole("actors.live", self.live, least=1)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set. `grace` is per runtime, `retention` per status or runtime; durations are milliseconds here.

    `channel` has the settings of each channel by its name, `route` the rules of monitoring, as the file has them.
    What is not given has its default. Raises `InvalidInput` for a key that is not known and a value out of bounds.
    """

    grace: dict[str, int] = field(default_factory=dict)
    sweep: dict[str, int] = field(default_factory=dict)
    cancel: dict[str, int] = field(default_factory=dict)
    retention: dict[str, int] = field(default_factory=dict)
    outbox: dict[str, int] = field(default_factory=dict)
    channel: dict[str, dict[str, Any]] = field(default_factory=dict)
    route: tuple[dict[str, Any], ...] = ()
    actors: Actors = Actors()

    def __post_init__(self) -> None:
        for section, defaults in _DURATIONS.items():
            given = getattr(self, section)
            if not isinstance(given, Mapping):
                raise InvalidInput(section, given, "names with milliseconds")
            for key, span in given.items():
                if key not in ALLOWED_KEYS[section]:
                    raise InvalidInput(f"a name in {section}", key, _nearest(key, ALLOWED_KEYS[section]))
                fields.whole(f"{section}.{key}", span, least=_LEAST.get(section, 0), most=DURATION_MS_MAX)
            msgspec.structs.force_setattr(self, section, {**defaults, **given})
        if not isinstance(self.actors, Actors):
            raise InvalidInput("actors", self.actors, "an Actors")
        if self.channel or self.route:
            self._check_channels()

    def _check_channels(self) -> None:
        from tallystick import channels
        from tallystick.monitors import monitors_of

        if not isinstance(self.channel, Mapping):
            raise InvalidInput("channel", self.channel, "a table for each channel, by its name")
        for name, settings in self.channel.items():
            if "/" in fields.required_key("a name in channel", name):
                raise InvalidInput("a name in channel", name, "no slash, which parts a channel from an account")
            if not isinstance(settings, Mapping):
                raise InvalidInput(f"channel.{name}", settings, "a table of settings")
            channels.check(name, settings)
        if isinstance(self.route, str | Mapping) or not isinstance(self.route, Sequence):
            raise InvalidInput("route", self.route, "a list of tables: [[route]]")
        monitors_of(self.route, self.channel, channels.KINDS)


_DURATIONS: Mapping[str, Mapping[str, int]] = {
    "grace": {"default": GRACE_MS},
    "sweep": {"first": SWEEP_FIRST_MS, "interval": SWEEP_INTERVAL_MS},
    "cancel": {"grace": CANCEL_GRACE_MS, "kill": CANCEL_KILL_MS},
    "retention": {"terminal": RETENTION_TERMINAL_MS, "lost": RETENTION_LOST_MS},
    "outbox": {"first": DELIVERY_FIRST_MS, "ceiling": DELIVERY_CEILING_MS, "window": DELIVERY_WINDOW_MS},
}
_LEAST: Mapping[str, int] = {"sweep": SWEEP_INTERVAL_MS_MIN, "outbox": 1}
_TABLES = frozenset({"channel", "route"})
"""The sections whose keys are the user's own."""
ALLOWED_KEYS: Mapping[str, frozenset[str]] = {
    "grace": frozenset({"default", *Runtime}),
    "sweep": frozenset({"first", "interval"}),
    "cancel": frozenset({"grace", "kill"}),
    "retention": frozenset({"terminal", *Runtime, *TERMINAL}),
    "outbox": frozenset({"first", "ceiling", "window"}),
    "actors": frozenset(Actors.__struct_fields__),
}


def duration_ms(name: str, value: object) -> int:
    """Return a duration such as "5m" in milliseconds. Raises `InvalidInput` for anything else, negatives included."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or int(found[1]) * _UNITS_MS[found[2]] > DURATION_MS_MAX:
        raise InvalidInput(name, value, DURATION_ALLOWED)
    return int(found[1]) * _UNITS_MS[found[2]]


def load(folder: Path, file: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of the ledger in `folder`: its own file, then `file`, then variables; the later wins.

    Raises `InvalidInput` for an unknown key (naming the nearest known one), a bad value or an unreadable file.
    """
    values: dict[str, Any] = {}
    own = folder / FILE_NAME
    try:
        files = [own] if own.is_file() else []
    except OSError as error:  # the folder is one that nobody can have, or that this user may not see
        raise not_opened(folder, error.errno or 0, str(error)) from error
    for path in [*files, *([file] if file is not None else [])]:
        _merge(values, _read(path), str(path))
    _merge(values, _from_variables(os.environ if environment is None else environment), _ENVIRONMENT)
    return _build(values)


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise InvalidInput("config", str(path), f"a file that can be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("config", str(path), f"a TOML file ({error})") from error


def _from_variables(environment: Mapping[str, str]) -> dict[str, Any]:
    """TALLYSTICK_RETENTION_LOST=24h is lost = "24h" in [retention]."""
    values: dict[str, dict[str, Any]] = {}
    for name, value in environment.items():
        if name.startswith(VARIABLE_PREFIX) and name not in NOT_CONFIGURATION:
            section, _, key = name.removeprefix(VARIABLE_PREFIX).lower().partition("_")
            values.setdefault(section, {})[key] = int(value) if value.isdecimal() else value
    return values


def _merge(values: dict[str, Any], more: Mapping[str, Any], source: str) -> None:
    for section, keys in more.items():
        if section in _TABLES and source != _ENVIRONMENT:
            is_named = isinstance(keys, dict) and section != "route"
            values[section] = {**values.get(section, {}), **keys} if is_named else keys  # a later list replaces
            continue
        known = ALLOWED_KEYS.get(section)
        if known is None:
            every = frozenset({*ALLOWED_KEYS, *_TABLES})
            raise InvalidInput(f"config section ({source})", section, _nearest(section, every))
        if not isinstance(keys, dict):
            raise InvalidInput(f"config {section} ({source})", keys, "a section of keys and values")
        for key, value in keys.items():
            if key not in known:
                raise InvalidInput(f"config {section} ({source})", key, _nearest(key, known))
            values.setdefault(section, {})[key] = value


def _nearest(name: object, known: Mapping[str, object] | frozenset[str]) -> str:
    import difflib

    close = difflib.get_close_matches(str(name), sorted(known), n=1)
    listed = ", ".join(sorted(known))
    return f'"{close[0]}", perhaps (known: {listed})' if close else f"one of {listed}"


def _build(values: Mapping[str, Any]) -> Config:
    sections: dict[str, Any] = {}
    for section, keys in values.items():
        if section == "channel" and isinstance(keys, dict):
            sections[section] = {name: _in_ms(f"channel.{name}", settings) for name, settings in keys.items()}
        elif section == "route" and isinstance(keys, list):
            sections[section] = tuple(keys)
        elif section in _TABLES:
            sections[section] = keys
        elif section in _DURATIONS:
            sections[section] = {key: duration_ms(f"{section}.{key}", value) for key, value in keys.items()}
        else:
            sections[section] = Actors(**keys)
    return Config(**sections)


def _in_ms(name: str, settings: Any) -> Any:
    """Return the settings of a channel with its time limit in milliseconds."""
    if isinstance(settings, dict) and isinstance(settings.get("timeout"), str):
        return {**settings, "timeout": duration_ms(f"{name}.timeout", settings["timeout"])}
    return settings
