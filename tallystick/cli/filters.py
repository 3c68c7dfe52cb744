"""The filters of tasks: the options that every list of tasks takes, and what they let through, in words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import click

from tallystick.cli.answer import present
from tallystick.cli.command import OneOf
from tallystick.cli.times import moment, stamp
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import Runtime
from tallystick.projections.query import STATUSES_SHOWN

Filters: TypeAlias = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])

_METADATA = "key=value"
_OPTIONS = (
    click.option(
        "--status", type=OneOf(STATUSES_SHOWN), help="With this status; blocked are successes without a result."
    ),
    click.option("--runtime", type=OneOf(Runtime), help="With this runtime."),
    click.option("--owner", metavar="K", help="Owned by this session."),
    click.option("--metadata", metavar="K=V", multiple=True, help="With this metadata; may be given again."),
    click.option("--text", metavar="T", help="That say this somewhere."),
    click.option("--since", metavar="T", help="Created at this moment or later."),
    click.option("--until", metavar="T", help="Created before this moment."),
)
NAMES = ("status", "runtime", "owner", "metadata", "text", "since", "until")


def filter_options(command: F) -> F:
    """Give a command the options of the filters, in the order in which its help shows them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def filters_of(given: Mapping[str, Any], now: int) -> Filters:
    """Return the filters that are given, with moments as numbers. Raises `InvalidInput`."""
    filters: Filters = present(**given)
    for name in ("since", "until"):
        if name in filters:
            filters[name] = moment(name, filters[name], now)
    metadata: Sequence[str] = filters.pop("metadata", ())
    if metadata:
        filters["metadata"] = dict(map(_pair, metadata))
    return filters


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise InvalidInput("metadata", text, _METADATA)
    return key, value


def wanted(filters: Filters) -> Iterator[str]:
    """Yield what the filters let through, in words."""
    from tallystick.cli.facts import value_words

    for name, value in filters.items():
        if name in ("since", "until"):
            yield f"{'from' if name == 'since' else 'before'} {stamp(value)}"
        elif name not in ("limit", "cursor"):
            yield f"{name} {value_words(name, value)}"


def options_of(filters: Filters) -> list[str]:
    """Return filters as options, with moments as numbers: a cursor knows the moment, not how long ago it was."""
    options = []
    for name, value in filters.items():
        values = [f"{key}={said}" for key, said in value.items()] if isinstance(value, dict) else [str(value)]
        for each in values:
            options += [f"--{name}", each]
    return options
