"""The sources: the files and variables that say what a ledger is set to, and which of them said what."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from tallystick.ledger.errors import UNREADABLE, InvalidInput
from tallystick.ledger.limits import COUNT_MAX
from tallystick.ledger.store.folder import not_opened

FILE_NAME = "tallystick.toml"
VARIABLE_PREFIX = "TALLYSTICK_"
NOT_CONFIGURATION = frozenset({"TALLYSTICK_LEDGER"})
TABLES = frozenset({"channel", "route"})
"""The sections whose keys are the user's own."""

_IN_A_FILE = (
    f"[channel.NAME] and [[route]] in {FILE_NAME} or the file of --config, and unset this variable; a secret may be in"
    f" a variable whose name does not begin with {VARIABLE_PREFIX}, which token_env names"
)
_DIGITS_MAX = len(str(COUNT_MAX))
_PLACE = re.compile(r"(?:a name in )?(\w+)(?:\.([^.]+))?")


class Sources:
    """What was read, by section and key, the later source over the earlier; `known` are the keys of each section."""

    def __init__(self, known: Mapping[str, frozenset[str]]) -> None:
        self.values: dict[str, Any] = {}
        self._known = known
        self._homes: dict[tuple[str, ...], str] = {}
        self._folders: dict[tuple[str, str], Path] = {}

    @classmethod
    def read(
        cls,
        known: Mapping[str, frozenset[str]],
        folder: Path,
        file: Path | None,
        environment: Mapping[str, str],
        *,
        channels: bool = True,
    ) -> Self:
        """Read the ledger's own file, then `file`, then the variables. Without `channels` those are passed over.

        Raises `InvalidInput` for a file that cannot be read and for a section or a key that is not known.
        """
        sources = cls(known)
        own = folder / FILE_NAME
        try:
            files = [own] if own.is_file() else []
        except OSError as error:  # the folder is one that nobody can have, or that this user may not see
            raise not_opened(folder, error.errno or 0, str(error)) from error
        for path in [*files, *([file] if file is not None else [])]:
            sources._take_file(path, channels=channels)
        sources._take_variables(environment, channels=channels)
        return sources

    def home(self, *place: str) -> str | None:
        """Return where a section, or a key of it, was read: the later source, if there were several."""
        return self._homes.get(place) or self._homes.get(place[:1])

    def path(self, section: str, key: str, value: str) -> str:
        """Return a path as it is meant where it was read: beside its file; in a variable, from the current folder."""
        path = Path(value)
        with suppress(RuntimeError):  # "~somebody" who is not there
            path = path.expanduser()
        return os.path.normpath((self._folders.get((section, key)) or Path()).absolute() / path)

    def located(self, error: InvalidInput) -> InvalidInput:
        """Return an error that also says where the value was read that it names."""
        found = _PLACE.match(error.field)
        return error if found is None else error.at(self.home(*filter(None, found.groups())))

    def _take_file(self, path: Path, *, channels: bool) -> None:
        try:
            said = msgspec.toml.decode(path.read_bytes(), type=dict[str, Any])
        except OSError as error:
            raise InvalidInput("config", str(path), f"a file that can be read ({error.strerror})") from error
        except UNREADABLE as error:
            raise InvalidInput("config", str(path), f"a TOML file ({error})") from error
        for section, keys in said.items():
            if section not in TABLES:
                self._take(section, keys, str(path), str(path), known=frozenset({*self._known, *TABLES}))
                self._folders.update({(section, key): path.parent for key in keys})
            elif channels:
                self._take_table(section, keys, str(path))

    def _take_table(self, section: str, keys: Any, source: str) -> None:
        """Channels are merged by name; a later list of routes replaces an earlier one."""
        is_named = isinstance(keys, dict) and section == "channel"
        before = self.values.get(section, {})
        self.values[section] = {**before, **keys} if is_named and isinstance(before, dict) else keys
        self._homes[(section,)] = source
        if is_named:
            self._homes.update({(section, name): source for name in keys})

    def _take_variables(self, environment: Mapping[str, str], *, channels: bool) -> None:
        """TALLYSTICK_RETENTION_LOST=24h is lost = "24h" in [retention]."""
        for name, value in environment.items():
            if not name.startswith(VARIABLE_PREFIX) or name in NOT_CONFIGURATION:
                continue
            section, _, key = name.removeprefix(VARIABLE_PREFIX).lower().partition("_")
            if section not in TABLES:
                said = {key: int(value) if value.isdecimal() and len(value) <= _DIGITS_MAX else value}
                self._take(section, said, "environment", f"environment variable {name}", known=frozenset(self._known))
                self._folders.pop((section, key), None)
            elif channels:
                from tallystick.channels.speech import HIDDEN

                raise InvalidInput(f"environment variable {name}", HIDDEN, _IN_A_FILE)

    def _take(self, section: str, keys: Any, source: str, home: str, *, known: frozenset[str]) -> None:
        if section not in self._known:
            raise InvalidInput(f"config section ({source})", section, nearest(section, known))
        if not isinstance(keys, dict):
            raise InvalidInput(f"config {section} ({source})", keys, "a section of keys and values")
        for key, value in keys.items():
            if key not in self._known[section]:
                raise InvalidInput(f"config {section} ({source})", key, nearest(key, self._known[section]))
            self.values.setdefault(section, {})[key] = value
            self._homes[section, key] = self._homes[(section,)] = home


def nearest(name: object, known: frozenset[str]) -> str:
    """Return what is allowed instead of a name that is not known: the nearest one, and all."""
    import difflib

    close = difflib.get_close_matches(str(name), sorted(known), n=1)
    listed = ", ".join(sorted(known))
    return f'"{close[0]}", perhaps (known: {listed})' if close else f"one of {listed}"
