"""The redaction: a fact without the secrets that somebody names, and with marks that say out of which fields they went.

What a secret is nobody here knows. What stands in its place is a word for people: that something was taken out is said
by the marks alone. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from tallystick.ledger import fields
from tallystick.ledger.content import CONTENT, DISMISSED, blank, is_blank
from tallystick.ledger.events import ERASURES, FACT_TYPES
from tallystick.ledger.facts.deliveries import DeliveryDismissed
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskLateSignal,
    TaskLost,
    TaskRecovered,
)
from tallystick.ledger.limits import (
    ARTIFACTS_BYTES_MAX,
    CLOSING_ERROR_BYTES_MAX,
    DELIVERY_TEXT_BYTES_MAX,
    ERROR_BYTES_MAX,
    EVIDENCE_BYTES_MAX,
    FLOW_JSON_BYTES_MAX,
    KEY_BYTES_MAX,
    LABEL_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    METADATA_BYTES_MAX,
    REASON_BYTES_MAX,
    RESOURCES_MAX,
    SUMMARY_BYTES_MAX,
    TASK_BYTES_MAX,
)

F = TypeVar("F", bound=Fact)

Strip: TypeAlias = Callable[[str], str]
"""Takes secrets out of a text."""

REDACTED = "[redacted]"
"""What stands in the place of a secret."""

_BRIEFLY = "*"  # the same where there is no room for more; not nothing, for what is left could make a secret then

_ROUTES = frozenset({"origin", "route"})

_WITH_FINDINGS = frozenset({TaskBackingMissed, TaskBackingRestored, TaskLost, TaskRecovered})
"""The facts whose evidence says what somebody found: by none of it is work found again, as by what backs a task."""

_BYTES_MAX: Mapping[str, int] = MappingProxyType(
    {
        "task": TASK_BYTES_MAX,
        "label": LABEL_BYTES_MAX,
        "metadata": METADATA_BYTES_MAX,
        "imported": EVIDENCE_BYTES_MAX,
        "evidence": EVIDENCE_BYTES_MAX,
        "message": MESSAGE_BYTES_MAX,
        "phase": KEY_BYTES_MAX,
        "summary": SUMMARY_BYTES_MAX,
        "error": ERROR_BYTES_MAX,
        "artifacts": ARTIFACTS_BYTES_MAX,
        "reason": REASON_BYTES_MAX,
        "stopped": SUMMARY_BYTES_MAX,
        "text": DELIVERY_TEXT_BYTES_MAX,
        "output": SUMMARY_BYTES_MAX,
        "goal": TASK_BYTES_MAX,
        "state": FLOW_JSON_BYTES_MAX,
        "wait": FLOW_JSON_BYTES_MAX,
        "blocked_summary": SUMMARY_BYTES_MAX,
        "failed": RESOURCES_MAX * (2 * KEY_BYTES_MAX + CLOSING_ERROR_BYTES_MAX),
    }
)
"""How many bytes each field may have. What stands in the place of a secret may be longer than it was."""

_NAMED_BY_PEOPLE = frozenset({"metadata", "state", "wait"})
"""The fields in which names are texts as well; in others they say what a value is."""


def _texts_of(kind: type[Fact]) -> tuple[str, ...]:
    if kind is TaskLateSignal:
        return ()  # it has what another fact had, out of which secrets went before
    names = {name for name in CONTENT[kind] if name not in _ROUTES}
    if kind in ERASURES:
        names.add("reason")  # it outlasts what it is the reason for: so it must not say too much
    if kind in _WITH_FINDINGS:
        names.add("evidence")  # no content, for it outlasts that; but what a probe was told is said in it
    return tuple(name for name in kind.__struct_fields__ if name in names)


TEXTS: Mapping[type[Fact], tuple[str, ...]] = MappingProxyType({kind: _texts_of(kind) for kind in FACT_TYPES})
"""The fields of each fact that secrets may be in: all content but routes, for what is sent to a name that was changed
arrives nowhere, and what is said besides of why work was taken for lost."""

assert {name for names in TEXTS.values() for name in names} == set(_BYTES_MAX), "a field without a bound"


def stripper(secrets: Iterable[str], instead: str = REDACTED) -> Strip:
    """Return what takes secrets out of a text; what stands in their place is not looked at again.

    Secrets that overlap go as one, and nothing of any is left.
    """
    return _stripper(frozenset(filter(None, secrets)), instead)


@lru_cache(maxsize=16)  # the channels' secrets are the same for every message, and a hook names few others
def _stripper(secrets: frozenset[str], instead: str) -> Strip:
    if not secrets:
        return lambda text: text
    if len(secrets) == 1:
        [secret] = secrets
        if not any(secret.startswith(secret[place:]) for place in range(1, len(secret))):  # none overlaps another
            return lambda text: text.replace(secret, instead)
    return lambda text: _without_spans(text, _spans(text, secrets), instead)


def _spans(text: str, secrets: Iterable[str]) -> list[tuple[int, int]]:
    """Return where the secrets are in a text, in order; those that begin within others, too."""
    spans: list[tuple[int, int]] = []
    for secret in secrets:
        begin = text.find(secret)
        while begin >= 0:
            spans.append((begin, begin + len(secret)))
            begin = text.find(secret, begin + 1)
    return sorted(spans)


def _without_spans(text: str, spans: Iterable[tuple[int, int]], instead: str) -> str:
    """Return a text with one word in the place of each run of spans that overlap."""
    left: list[str] = []
    end = 0
    for begin, until in spans:
        if begin >= end:
            left += text[end:begin], instead
        end = max(end, until)
    return "".join((*left, text[end:]))


def texts(fact: Fact) -> tuple[str, ...]:
    """Return the texts of a fact that secrets may be in, each once."""
    found: dict[str, None] = {}
    for name in _names(fact):
        value = getattr(fact, name)
        if value.__class__ is str:
            found[value] = None
        elif value:
            found.update(dict.fromkeys(_texts_in(value, with_names=name in _NAMED_BY_PEOPLE)))
    found.pop("", None)
    return tuple(found)


def _names(fact: Fact) -> tuple[str, ...]:
    """Return the fields of this very fact in which somebody may have said a secret."""
    if isinstance(fact, DeliveryDismissed) and fact.reason == DISMISSED:
        return ()  # the ledger says so itself
    return TEXTS[fact.__class__]


def without_secrets(fact: F, secrets: Iterable[str]) -> F:
    """Return a fact without these secrets, in which each field that had one is marked.

    What is longer than it may be with what stands in their place is cut at its end if it is a text; in a list or a
    mapping a single character stands there then.
    """
    named = frozenset(filter(None, secrets))
    changed: dict[str, Any] = {}
    for name in _names(fact) if named else ():
        value = getattr(fact, name)
        if value and (there := _there(name, value, named)):
            left = _left(name, value, there)
            if left != value:
                changed[name] = left
    return _marked(fact, changed)


def withheld(fact: F) -> F:
    """Return a fact of which nobody can say what in it is a secret: without any text, and each field is marked."""
    changed: dict[str, Any] = {}
    for name in _names(fact):
        value = getattr(fact, name)
        if value is not None and any(_texts_in(value, with_names=name in _NAMED_BY_PEOPLE)):
            changed[name] = _withheld(name, value)
    return _marked(fact, changed)


def _withheld(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return REDACTED
    if name == "evidence":  # rules hold its numbers to what they know
        return {key: REDACTED if isinstance(each, str) else each for key, each in value.items()}
    return blank(value)


def carried(fact: F, said: Fact) -> F:
    """Return a fact that follows from another one, marked where it repeats what that has marks on.

    Of a part of what was said nobody knows whether it is the part that had a secret.
    """
    if not said.redacted or fact is said:
        return fact
    if isinstance(fact, TaskLateSignal):
        return _marked(fact, {"content": fact.content})
    taken = [getattr(said, name) for name in said.redacted if name in said.__struct_fields__]
    repeated = {}
    for name in _names(fact):
        value = getattr(fact, name)
        if value is not None and not is_blank(value) and (name in said.redacted or value in taken):
            repeated[name] = value
    return _marked(fact, repeated)


def repeated(fact: F, earlier: Iterable[Fact]) -> F:
    """Return a fact marked where it repeats a text that has marks in one of these earlier facts.

    Of a list or a mapping with marks nobody repeats a part, and most of its texts had no secret.
    """
    said = (getattr(each, name, None) for each in earlier for name in each.redacted)
    taken = {text for text in said if isinstance(text, str) and text}
    return marked(fact, (name for name in _derived(fact) if any(_says(getattr(fact, name), text) for text in taken)))


def says(fact: Fact, text: str) -> bool:
    """Whether a fact says this text, among others."""
    return any(_says(getattr(fact, name), text) for name in _derived(fact))


def _derived(fact: Fact) -> tuple[str, ...]:
    """Return the fields in which a fact may have what others said."""
    return ("content",) if isinstance(fact, TaskLateSignal) else _names(fact)


def _says(value: Any, text: str) -> bool:
    return any(text in said for said in _texts_in(value, with_names=False))


def marked(fact: F, names: Iterable[str]) -> F:
    """Return a fact that says out of which fields something was taken, besides those that it names already."""
    named = tuple(dict.fromkeys((*fact.redacted, *names)))
    return fact if named == fact.redacted else replace(fact, redacted=named)


def _marked(fact: F, changed: dict[str, Any]) -> F:
    return replace(fact, redacted=tuple(dict.fromkeys((*fact.redacted, *changed))), **changed) if changed else fact


def _texts_in(value: Any, *, with_names: bool) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            if with_names:
                yield name
            yield from _texts_in(each, with_names=with_names)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts_in(each, with_names=with_names)


def _there(name: str, value: Any, secrets: frozenset[str]) -> frozenset[str]:
    """Return those of the secrets that a field has: hooks may name all that they know, whatever they are shown."""
    said = tuple(_texts_in(value, with_names=name in _NAMED_BY_PEOPLE))
    return frozenset(secret for secret in secrets if any(secret in text for text in said))


def _left(name: str, value: Any, secrets: frozenset[str]) -> Any:
    """Return what is left of a field; it has no more bytes than the field may have, or had."""
    strip, most = stripper(secrets), _BYTES_MAX[name]
    if isinstance(value, str):
        return _cut(strip(value), max(most, len(value.encode())))
    with_names = name in _NAMED_BY_PEOPLE
    left = _without(value, strip, strip if with_names else str)
    if _fits(left, value, most):
        return left
    briefly = stripper(secrets, _BRIEFLY)
    return _without(value, briefly, briefly if with_names else str, is_tight=True)


def _cut(text: str, most: int) -> str:
    return text if len(text.encode()) <= most else fields.report("text", text, bytes_max=most) or ""


def _fits(left: Any, value: Any, most: int) -> bool:
    return all(
        len(encode(left)) <= max(most, len(encode(value))) for encode in (msgspec.msgpack.encode, msgspec.json.encode)
    )


def _without(value: Any, strip: Strip, name_of: Strip, *, is_tight: bool = False) -> Any:
    """Return a value without secrets; where it `is_tight`, nothing in it is longer than it was."""
    if isinstance(value, str):
        return strip(value)
    if isinstance(value, dict):
        pairs = _pairs(value, name_of, is_tight=is_tight)
        return {name: _without(each, strip, name_of, is_tight=is_tight) for name, each in pairs}
    if isinstance(value, list | tuple):
        return type(value)(_without(each, strip, name_of, is_tight=is_tight) for each in value)
    return value


def _pairs(value: dict[str, Any], name_of: Strip, *, is_tight: bool) -> Iterator[tuple[str, Any]]:
    """Yield pairs under names without secrets. Of two that have the same name then one gets a number, or has to go."""
    taken, numbers = set(value), dict[str, int]()
    for name, each in value.items():
        known = name_of(name)
        if known != name:
            if is_tight and known in taken:
                continue
            if not is_tight:
                bare = known = _cut(known, max(KEY_BYTES_MAX, len(name.encode())))
                while known in taken:
                    numbers[bare] = numbers.get(bare, 1) + 1
                    known = f"{bare} ({numbers[bare]})"
            taken.add(known)
        yield known, each
