"""The monitors: rules of the configuration that send what happens to tasks to further routes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.lifecycle import BLOCKED, Status
from tallystick.ledger.limits import KEY_BYTES_MAX, MONITOR_NAME_CHARACTERS_MAX
from tallystick.ledger.routing import Monitor

_RULE = ("name", "to", "when")
_WHEN = ("owner", "runtime", "status")
_STATUSES = (*sorted({*Status} - {Status.QUEUED}), BLOCKED)
_NEED_A_TARGET = frozenset({"telegram", "discord", "slack"})
"""The kinds of channels whose messages go to one of many chats."""

_TO = 'CHANNEL://TO or CHANNEL://TO/THREAD, such as "slack://C0123456789" or "telegram://-1001234567890/77"'


def monitors_of(rules: Sequence[object], channels: Mapping[str, object], kinds: Sequence[str]) -> tuple[Monitor, ...]:
    """Return the monitors that `[[route]]` tables describe. Raises `InvalidInput` for what is none.

    A channel must be configured, or have the name of a kind of channel: a program registers those under that name.
    A configured one must have the account that is named.
    """
    known, targets = {*channels, *kinds} - {_REGISTERED}, targets_of(channels)
    monitors = tuple(_monitor(f"route[{number}]", rule, known, targets) for number, rule in enumerate(rules))
    for number, monitor in enumerate(monitors):
        _check_account(f"route[{number}].to", monitor.route, channels)
    return monitors


def _check_account(field: str, route: Origin, channels: Mapping[str, object]) -> None:
    settings = channels.get(str(route.channel))
    if isinstance(settings, Mapping):
        from tallystick.channels.kinds import check_account

        check_account(field, route.account, str(route.channel), settings)


def targets_of(channels: Mapping[str, object]) -> dict[str, str | int | None]:
    """Return whom each configured channel reaches when nobody is named: itself, where there is only one to reach.

    None for a channel that has many and names none.
    """
    return {name: _target(name, settings) for name, settings in channels.items()}


def _target(name: str, settings: object) -> str | int | None:
    told = settings if isinstance(settings, Mapping) else {}
    to: str | int | None = told.get("to")
    return to if to is not None or told.get("kind") in _NEED_A_TARGET else name


def _monitor(field: str, rule: object, channels: set[str], targets: Mapping[str, str | int | None]) -> Monitor:
    told = _table(field, rule, _RULE)
    when = _table(f"{field}.when", told.get("when", {}), _WHEN)
    route = _route(f"{field}.to", told.get("to"), targets)
    if route.channel not in channels:
        allowed = f"a channel: {', '.join(sorted(channels))}; or configure [channel.{route.channel}]"
        raise InvalidInput(f"{field}.to", told.get("to"), allowed)
    status = when.get("status")
    if status is not None and status not in _STATUSES:
        raise InvalidInput(f"{field}.when.status", status, ", ".join(_STATUSES))
    named = told.get("name")
    name = fields.required_key(f"{field}.name", f"{route.channel}:{route.to}" if named is None else named)
    return Monitor(
        _IN_NO_NAME.sub("-", name)[:MONITOR_NAME_CHARACTERS_MAX],  # it becomes part of an id, which goes into headers
        route,
        None if when.get("runtime") is None else fields.runtime(f"{field}.when.runtime", when["runtime"]),
        status,
        None if when.get("owner") is None else fields.required_key(f"{field}.when.owner", when["owner"]),
    )


_REGISTERED = "registered"  # a kind that is no name: the program says how it is called
_IN_NO_NAME = re.compile(r"[^A-Za-z0-9:_-]")


def _table(field: str, value: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(field, value, f"a table with {', '.join(known)}")
    for key in value:
        if key not in known:
            raise InvalidInput(f"a name in {field}", key, f"one of {', '.join(known)}")
    return value


def _route(field: str, value: object, targets: Mapping[str, str | int | None]) -> Origin:
    """Read a route: digits are a number, as chats and topics have them."""
    channel, found, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    path, _, query = rest.partition("?")
    parts = [unquote(part) for part in path.split("/")] if path else []
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not found or not channel or len(parts) > len(("to", "thread")) or not set(options) <= {"account"}:
        raise InvalidInput(field, value, _TO)
    to, thread = [*parts, None, None][:2]
    target = _number(to) if to else targets.get(channel, channel)
    if target is None:
        raise InvalidInput(field, value, f"{_TO}; [channel.{channel}] has no `to` for messages that name nobody")
    return fields.route(field, Origin(channel, target, options.get("account"), _number(thread) if thread else None))


def _number(text: str) -> str | int:
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and not (len(digits) > 1 and digits[0] == "0")
    return int(text) if is_number and len(digits) <= KEY_BYTES_MAX else text  # Python reads no number of any length
