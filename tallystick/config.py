"""The configuration of a ledger: what its values may be, and what is in force."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import TERMINAL, Runtime
from tallystick.ledger.limits import (
    ACTORS_LIVE_MAX,
    ARCHIVE_AFTER_MS,
    ATTEST_MS,
    CANCEL_GRACE_MS,
    CANCEL_KILL_MS,
    CHECKPOINT_MS,
    DELIVERY_CEILING_MS,
    DELIVERY_FIRST_MS,
    DELIVERY_WINDOW_MS,
    DURATION_MS_MAX,
    GRACE_MS,
    KEY_BYTES_MAX,
    RETENTION_LOST_MS,
    RETENTION_TERMINAL_MS,
    SIGNING_KEYS_MAX,
    SWEEP_FIRST_MS,
    SWEEP_INTERVAL_MS,
    SWEEP_INTERVAL_MS_MIN,
)
from tallystick.sources import TABLES, Sources, nearest

if TYPE_CHECKING:  # loaded by whoever writes
    from tallystick.ledger.payloads import Policy

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12})\s*(ms|s|m|h|d)", re.ASCII)
FOREVER = "forever"
NEVER = "never"
DURATION_ALLOWED = (
    'a whole number with a unit, such as "500ms", "60s", "5m", "24h" or "7d",'
    f" at most {DURATION_MS_MAX // _UNITS_MS['d']}d"
)


class Actors(Struct, frozen=True, forbid_unknown_fields=True):
    """How many task actors stay in memory."""

    live: int = ACTORS_LIVE_MAX

    def __post_init__(self) -> None:
        fields.whole("actors.live", self.live, least=1)


class Integrity(Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs the tree of the log: as which log, with the keys in which files, and how often by itself.

    Each key signs every checkpoint. A `checkpoint` of None is made only when somebody asks for it.
    `witness` has who cosigns, each as "VKEY URL"; `timestamp` is the address of a timestamp authority (RFC 3161), and
    `authority` the file of its certificates. They are shown the newest checkpoint every `attest` ms; None for when
    somebody asks.
    """

    origin: str | None = None
    key: tuple[str, ...] = ()
    checkpoint: int | None = CHECKPOINT_MS
    witness: tuple[str, ...] = ()
    timestamp: str | None = None
    authority: str | None = None
    attest: int | None = ATTEST_MS

    @property
    def has_others(self) -> bool:
        """Whether anybody else is shown the checkpoints."""
        return bool(self.witness) or self.timestamp is not None

    def __post_init__(self) -> None:
        if self.origin is not None:
            fields.required_key("integrity.origin", self.origin)
            if "+" in self.origin or any(map(str.isspace, self.origin)):
                raise InvalidInput("integrity.origin", self.origin, f"{ORIGIN_ALLOWED}, without spaces and '+'")
        given: Any = self.key  # a file has one text, or a list
        paths = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else (None,)
        if len(paths) > SIGNING_KEYS_MAX or not all(
            isinstance(path, str) and path and "\0" not in path for path in paths
        ):
            raise InvalidInput(
                "integrity.key", self.key, f"the path of a signing key, or a list of 1 to {SIGNING_KEYS_MAX}"
            )
        msgspec.structs.force_setattr(self, "key", paths)
        if paths and self.origin is None:
            raise InvalidInput("integrity.origin", None, f"{ORIGIN_ALLOWED}: it stands in every checkpoint")
        if self.checkpoint is not None:
            fields.whole("integrity.checkpoint", self.checkpoint, least=CHECKPOINT_MS, most=DURATION_MS_MAX)
        if (self.witness, self.timestamp, self.authority, self.attest) != ((), None, None, ATTEST_MS):
            from tallystick.witnesses import checked

            msgspec.structs.force_setattr(self, "witness", checked(self))


NOTHING, CONTENT = "nothing", "content"


class Payloads(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept beside the log, where it can be erased: `aside` says "content" for all of it, else "nothing".

    Content that takes more than `larger_than` bytes is kept there whatever `aside` says; None for none.
    """

    aside: str = NOTHING
    larger_than: int | None = None

    def __post_init__(self) -> None:
        if self.aside not in (NOTHING, CONTENT):
            raise InvalidInput("payloads.aside", self.aside, f'"{CONTENT}" or "{NOTHING}"')
        if self.larger_than is not None:
            fields.whole("payloads.larger_than", self.larger_than)

    def policy(self) -> "Policy":
        """Return the same as the rules take it."""
        from tallystick.ledger.payloads import Policy

        return Policy(everything=self.aside == CONTENT, larger_than=self.larger_than)


ORIGIN_ALLOWED = f'the name of this log, such as "example.org/ledger/main", at most {KEY_BYTES_MAX} bytes'


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set. `grace` is per runtime, `retention` per status or runtime; durations are milliseconds here.

    A `retention` of None keeps for ever; that of "archive" is how long archives are kept, for who deletes expired ones.

    `channel` has the settings of each channel by its name, `route` the rules of monitoring, as the file has them;
    `read_from` says for people in which file each channel was found.
    What is not given has its default. Raises `InvalidInput` for a key that is not known and a value out of bounds.
    """

    grace: dict[str, int] = field(default_factory=dict)
    sweep: dict[str, int] = field(default_factory=dict)
    cancel: dict[str, int] = field(default_factory=dict)
    retention: dict[str, int | None] = field(default_factory=dict)
    archive: dict[str, int] = field(default_factory=dict)
    outbox: dict[str, int] = field(default_factory=dict)
    channel: dict[str, dict[str, Any]] = field(default_factory=dict)
    route: tuple[dict[str, Any], ...] = ()
    actors: Actors = Actors()
    integrity: Integrity = Integrity()
    payloads: Payloads = Payloads()
    read_from: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for section, defaults in _DURATIONS.items():
            given = getattr(self, section)
            if not isinstance(given, Mapping):
                raise InvalidInput(section, given, "names with milliseconds")
            for key, span in given.items():
                if key not in ALLOWED_KEYS[section]:
                    raise InvalidInput(f"a name in {section}", key, nearest(key, ALLOWED_KEYS[section]))
                if span is None and section in _ENDLESS:
                    continue
                fields.whole(f"{section}.{key}", span, least=_LEAST.get(section, 0), most=DURATION_MS_MAX)
            msgspec.structs.force_setattr(self, section, {**defaults, **given})
        if not isinstance(self.actors, Actors):
            raise InvalidInput("actors", self.actors, "an Actors")
        if not isinstance(self.integrity, Integrity):
            raise InvalidInput("integrity", self.integrity, "an Integrity")
        if not isinstance(self.payloads, Payloads):
            raise InvalidInput("payloads", self.payloads, "a Payloads")
        if self.outbox["first"] > self.outbox["ceiling"]:
            allowed = f"at most outbox.ceiling, which is {spelled(self.outbox['ceiling'])}; or make that longer"
            raise InvalidInput("outbox.first", spelled(self.outbox["first"]), allowed)
        if self.channel or self.route:
            if not isinstance(self.channel, Mapping):
                raise _no_channels()
            for name, settings in self.channel.items():
                check_channel(name, settings)
            check_routes(self.route, self.channel)


def _no_channels() -> InvalidInput:
    from tallystick.channels.speech import HIDDEN  # it may be a secret that stands in the wrong place

    return InvalidInput("channel", HIDDEN, "a table for each channel, by its name")


def check_channel(name: object, settings: object) -> None:
    """Look at what a channel is set to. Raises `InvalidInput`."""
    from tallystick import channels
    from tallystick.channels.speech import HIDDEN

    key = fields.required_key("a name in channel", name)
    if "/" in key:
        raise InvalidInput("a name in channel", name, "no slash, which parts a channel from an account")
    if not isinstance(settings, Mapping):
        raise InvalidInput(f"channel.{key}", HIDDEN, f"a table of settings: [channel.{key}]")
    channels.check(key, settings)


def check_routes(routes: object, channels: Mapping[str, Any]) -> None:
    """Look at the rules of monitoring. Raises `InvalidInput`."""
    from tallystick.channels import KINDS
    from tallystick.monitors import monitors_of

    if isinstance(routes, str | Mapping) or not isinstance(routes, Sequence):
        raise InvalidInput("route", routes, "a list of tables: [[route]]")
    monitors_of(routes, channels, KINDS)


_DURATIONS: Mapping[str, Mapping[str, int | None]] = {
    "grace": {"default": GRACE_MS},
    "sweep": {"first": SWEEP_FIRST_MS, "interval": SWEEP_INTERVAL_MS},
    "cancel": {"grace": CANCEL_GRACE_MS, "kill": CANCEL_KILL_MS},
    "retention": {"terminal": RETENTION_TERMINAL_MS, "lost": RETENTION_LOST_MS, "archive": None},
    "archive": {"after": ARCHIVE_AFTER_MS},
    "outbox": {"first": DELIVERY_FIRST_MS, "ceiling": DELIVERY_CEILING_MS, "window": DELIVERY_WINDOW_MS},
}
_ENDLESS = frozenset({"retention"})
"""The sections whose durations may be for ever."""
_LEAST: Mapping[str, int] = {"sweep": SWEEP_INTERVAL_MS_MIN, "outbox": 1}
ALLOWED_KEYS: Mapping[str, frozenset[str]] = {
    "grace": frozenset({"default", *Runtime}),
    "sweep": frozenset({"first", "interval"}),
    "cancel": frozenset({"grace", "kill"}),
    "retention": frozenset({"terminal", "archive", *Runtime, *TERMINAL}),
    "archive": frozenset({"after"}),
    "outbox": frozenset({"first", "ceiling", "window"}),
    "actors": frozenset(Actors.__struct_fields__),
    "integrity": frozenset(Integrity.__struct_fields__),
    "payloads": frozenset(Payloads.__struct_fields__),
}


def duration_ms(name: str, value: object) -> int:
    """Return a duration such as "5m" in milliseconds. Raises `InvalidInput` for anything else, negatives included."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or int(found[1]) * _UNITS_MS[found[2]] > DURATION_MS_MAX:
        raise InvalidInput(name, value, DURATION_ALLOWED)
    return int(found[1]) * _UNITS_MS[found[2]]


def kept_ms(name: str, value: object, *, endless: str = FOREVER) -> int | None:
    """Return how long something is kept, in milliseconds; None for "forever". Raises `InvalidInput`."""
    if isinstance(value, str) and value.strip() == endless:
        return None
    try:
        return duration_ms(name, value)
    except InvalidInput as error:
        raise InvalidInput(name, value, f'{DURATION_ALLOWED}, or "{endless}"') from error


def spelled(ms: int | None) -> str:
    """Return a duration as the configuration spells it, in the largest unit that says it exactly."""
    if ms is None:
        return FOREVER
    unit = next((unit for unit, length in reversed(_UNITS_MS.items()) if ms and ms % length == 0), "ms")
    return f"{ms // _UNITS_MS[unit]}{unit}"


def load(
    folder: Path,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    channels: bool = True,
) -> Config:
    """Return the configuration of the ledger in `folder`: its own file, then `file`, then variables; the later wins.

    Without `channels` those and the routes are passed over: who only reads does without, and without their mistakes.
    Raises `InvalidInput` for an unknown key (naming the nearest known one), a bad value or an unreadable file.
    """
    sources = _read(folder, file, environment, channels=channels)
    sections = _sections(sources)
    sound, faults = _channels_of(sources)
    for fault in faults:
        raise fault
    return _config(sources, sections, sound, tuple(sources.values.get("route", ())))


def sound_channels(
    folder: Path, file: Path | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Config, list[InvalidInput]]:
    """Return the configuration with those channels that `load` would accept, and what is wrong with the others.

    A fault of the routes is found when the channels are sound. Raises as `load` for everything else.
    """
    sources = _read(folder, file, environment)
    sections = _sections(sources)
    sound, faults = _channels_of(sources)
    return _config(sources, sections, sound, ()), faults


def _read(folder: Path, file: Path | None, environment: Mapping[str, str] | None, *, channels: bool = True) -> Sources:
    variables = os.environ if environment is None else environment
    return Sources.read(ALLOWED_KEYS, folder, file, variables, channels=channels)


def _sections(sources: Sources) -> dict[str, Any]:
    """Return the sections that are not tables. Raises `InvalidInput`, which says where the value was read."""
    sections: dict[str, Any] = {}
    try:
        for section in sources.values.keys() - TABLES:
            keys = sources.values[section]
            if section in _DURATIONS:
                read = kept_ms if section in _ENDLESS else duration_ms
                sections[section] = {key: read(f"{section}.{key}", value) for key, value in keys.items()}
            elif section == "integrity":
                sections[section] = _integrity(sources, keys)
            elif section == "payloads":
                sections[section] = Payloads(**keys)
            else:
                sections[section] = Actors(**keys)
        Config(**sections)
    except InvalidInput as error:
        raise sources.located(error) from error
    return sections


def _integrity(sources: Sources, keys: Mapping[str, Any]) -> Integrity:
    """Return who signs, with whole paths. Raises `InvalidInput`."""
    said = dict(keys)
    for name in ("checkpoint", "attest"):
        if name in said:
            said[name] = kept_ms(f"integrity.{name}", said[name], endless=NEVER)
    found = Integrity(**said)
    paths = tuple(sources.path("integrity", "key", path) for path in found.key)
    authority = None if found.authority is None else sources.path("integrity", "authority", found.authority)
    return msgspec.structs.replace(found, key=paths, authority=authority)


def _config(sources: Sources, sections: Mapping[str, Any], channels: dict[str, Any], routes: tuple[Any, ...]) -> Config:
    homes = {name: sources.home("channel", name) or "" for name in channels}
    return Config(**sections, channel=channels, route=routes, read_from=homes)


def _in_ms(name: str, settings: Any) -> Any:
    """Return the settings of a channel with its time limit in milliseconds."""
    if isinstance(settings, dict) and isinstance(settings.get("timeout"), str):
        return {**settings, "timeout": duration_ms(f"{name}.timeout", settings["timeout"])}
    return settings


def _channels_of(sources: Sources) -> tuple[dict[str, Any], list[InvalidInput]]:
    """Return the channels that are sound, and what is wrong with the others, or else with the routes."""
    given = sources.values.get("channel", {})
    sound: dict[str, Any] = {}
    faults: list[InvalidInput] = []
    if not isinstance(given, dict):
        return sound, [_no_channels().at(sources.home("channel"))]
    for name, settings in given.items():
        try:
            known = _in_ms(f"channel.{name}", settings)
            check_channel(name, known)
            sound[name] = known
        except InvalidInput as error:
            faults.append(error.at(sources.home("channel", name)))
    if not faults and "route" in sources.values:
        try:
            check_routes(sources.values["route"], sound)
        except InvalidInput as error:
            faults.append(error.at(sources.home("route")))
    return sound, faults
