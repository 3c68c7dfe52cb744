"""One field at a time: what a caller may pass for it, and what the ledger keeps of it. Pure.

Two kinds of text come in. What *identifies* (keys, the task's text, labels, metadata, evidence, references) is
refused when it is not as it must be, for a repaired key would name something else. What *reports* (messages,
summaries, errors, reasons) is repaired: how a run ended must never be lost because its text is long or odd.

Every function takes the field's name as the caller spelled it and raises `InvalidInput` with that name. Each begins
with the test that ordinary values pass, and is as slow as it must be for all others: a creation waits for them.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import isfinite
from typing import Any, TypeVar

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.fact import Evidence, Origin, Usage
from tallystick.ledger.ids import id_bytes_or_none
from tallystick.ledger.lifecycle import ALLOWED, BLOCKED, SETTLED_AS, NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.limits import (
    ARTIFACTS_BYTES_MAX,
    ARTIFACTS_MAX,
    BACKING_KEYS_MAX,
    COUNT_MAX,
    EVIDENCE_BYTES_MAX,
    KEY_BYTES_MAX,
    LABEL_BYTES_MAX,
    METADATA_BYTES_MAX,
    METADATA_PAIRS_MAX,
    REASON_BYTES_MAX,
    TASK_BYTES_MAX,
    TIME_MS_MAX,
    TIMEOUT_MS_MAX,
    USAGE_KEYS_MAX,
)

Member = TypeVar("Member", bound=str)

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1  # what eight bytes hold: the number of a chat, an inode
NUMBER_BYTES = 9  # what a number, True, False or None counts in evidence
_KEY_CHARACTERS_SURE = KEY_BYTES_MAX // 4  # so many fit whatever they are: UTF-8 takes four bytes at most

# A line break and a tab belong to a text; the other control characters only move a terminal's cursor.
_CONTROLS = frozenset(map(chr, (*range(32), *range(127, 160)))) - {"\n", "\t"}
_WITHOUT_CONTROLS = dict.fromkeys(map(ord, _CONTROLS))
_IN_NO_KEY = _CONTROLS | {"\n", "\t"}
_ELLIPSIS = "…"

_RUNTIMES = {runtime.value: runtime for runtime in Runtime}
_POLICIES = {policy.value: policy for policy in NotifyPolicy}
_SCOPES = {scope.value: scope for scope in Scope}
_SETTLED_AS = {status.value: status for status in SETTLED_AS}
_RECOVERED_AS = {status.value: status for status in ALLOWED[Status.LOST]}

# What is allowed, as the errors say it.
_TASK = f"text that is not blank, without NUL, at most {TASK_BYTES_MAX} bytes in UTF-8"
_KEY = f"one line without control characters, at most {KEY_BYTES_MAX} bytes in UTF-8"
_LABEL = f"text of at most {LABEL_BYTES_MAX} bytes in UTF-8"
_NOT_BLANK = "text that is not blank"
_TIMEOUT = f"whole milliseconds from 1 to {TIMEOUT_MS_MAX}"
_TIME = f"whole milliseconds since 1970 (UTC), from 0 to {TIME_MS_MAX}"
_TASK_ID = "a task id such as 0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21"
_FLOW_ID = "a flow id such as 0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21"
_ORIGIN = "the fields channel, to, account, thread"
_NAME_OR_NUMBER = f"a number, or text that is not blank, at most {KEY_BYTES_MAX} bytes in UTF-8"
_ADDRESS = f"text that is not blank, at most {KEY_BYTES_MAX} bytes in UTF-8"
_METADATA = f"at most {METADATA_PAIRS_MAX} pairs of texts, {METADATA_BYTES_MAX} bytes in UTF-8 together"
_EVIDENCE = f"at most {BACKING_KEYS_MAX} flat pairs, {EVIDENCE_BYTES_MAX} bytes in UTF-8 together"
_SEEN = "a text, a finite number, True, False or None"
_USAGE = f"at most {USAGE_KEYS_MAX} names with amounts"
_AMOUNT = f"an amount from 0 to {COUNT_MAX}"
_ARTIFACTS = f"a list of at most {ARTIFACTS_MAX} references, {ARTIFACTS_BYTES_MAX} bytes in UTF-8 together"


def text(field: str, value: Any, *, bytes_max: int, allowed: str) -> str:
    """Return a text to the letter. Refused: NUL, what UTF-8 cannot say (lone surrogates), more than `bytes_max`."""
    kept: str = value if type(value) is str else _plain(field, value, allowed)
    if "\0" in kept or _size(kept) > bytes_max:
        raise InvalidInput(field, value, allowed)
    return kept


def task_text(field: str, value: Any) -> str:
    """Return what is to be done, to the letter; it must say something."""
    if type(value) is str and value.isascii() and 0 < len(value) <= TASK_BYTES_MAX and "\0" not in value:
        if value.isspace():
            raise InvalidInput(field, value, _TASK)
        return value
    kept = text(field, value, bytes_max=TASK_BYTES_MAX, allowed=_TASK)
    if not kept or kept.isspace():
        raise InvalidInput(field, value, _TASK)
    return kept


def key(field: str, value: Any) -> str | None:
    """Return a key, trimmed as lookups are; None for a blank one.

    Refused: control characters, line breaks included, lone surrogates, more than `KEY_BYTES_MAX` bytes.
    """
    if type(value) is str and len(value) <= _KEY_CHARACTERS_SURE and value.isprintable():
        return value.strip() or None
    kept = text(field, _plain(field, value, _KEY).strip(), bytes_max=KEY_BYTES_MAX, allowed=_KEY)
    if not _IN_NO_KEY.isdisjoint(kept):
        raise InvalidInput(field, value, _KEY)
    return kept or None


def required_key(field: str, value: Any) -> str:
    """Return a key as `key` does, and refuse a blank one."""
    kept = None if value is None else key(field, value)
    if kept is None:
        raise InvalidInput(field, value, _NOT_BLANK)
    return kept


def label(field: str, value: Any) -> str | None:
    """Return a name for people, trimmed and without control characters except line breaks and tabs; None if blank."""
    if type(value) is str and len(value) <= _KEY_CHARACTERS_SURE and value.isprintable():
        return value.strip() or None
    clean = _plain(field, value, _LABEL).translate(_WITHOUT_CONTROLS).strip()
    return text(field, clean, bytes_max=LABEL_BYTES_MAX, allowed=_LABEL) or None


def report(field: str, value: Any, *, bytes_max: int, controls: bool = True) -> str | None:
    """Return what a run says of itself; None for nothing or a blank. Only something else than text is refused.

    Kept to the letter where that can be: NUL is dropped, lone surrogates become U+FFFD, and what is longer than
    `bytes_max` is cut between two characters and ends in "…". With `controls=False` the control characters go too,
    except line breaks and tabs.
    """
    if value is None:
        return None
    told: str = value if type(value) is str else _plain(field, value, "text")
    if len(told) <= bytes_max and told.isascii() and told.isprintable():
        return None if not told or told.isspace() else told
    too_long = len(told) > bytes_max
    told = told[:bytes_max].replace("\0", "") if controls else told[:bytes_max].translate(_WITHOUT_CONTROLS)
    try:
        raw = told.encode()
    except UnicodeEncodeError:
        told = told.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        raw = told.encode()
    if too_long or len(raw) > bytes_max:
        told = raw[: bytes_max - len(_ELLIPSIS.encode())].decode("utf-8", "ignore") + _ELLIPSIS
    return None if not told or told.isspace() else told


def required_reason(field: str, value: Any) -> str:
    """Return a reason that somebody has to give; a long one is cut."""
    reason = report(field, value, bytes_max=REASON_BYTES_MAX, controls=False)
    if reason is None:
        raise InvalidInput(field, value, "a reason that is not blank")
    return reason


def whole(field: str, value: Any, *, least: int = 0, most: int = COUNT_MAX, allowed: str | None = None) -> int:
    """Return a whole number between the two bounds; True and False are none."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return int(value)
    raise InvalidInput(field, value, allowed or f"a whole number from {least} to {most}")


def count(field: str, value: Any) -> int | None:
    """Return a count, from 0, or None for none."""
    return None if value is None else whole(field, value)


def integer(field: str, value: Any) -> int:
    """Return a whole number of eight bytes, negative ones included."""
    return whole(field, value, least=INTEGER_MIN, most=INTEGER_MAX)


def timeout(field: str, value: Any) -> int:
    """Return how many milliseconds work may take."""
    return whole(field, value, least=1, most=TIMEOUT_MS_MAX, allowed=_TIMEOUT)


def moment(field: str, value: Any) -> int | None:
    """Return a moment, UTC in milliseconds since 1970, or None for none."""
    return None if value is None else whole(field, value, most=TIME_MS_MAX, allowed=_TIME)


def flag(field: str, value: Any) -> bool:
    """Return True or False; nothing else stands for one of them."""
    if value is True or value is False:
        return bool(value)
    raise InvalidInput(field, value, "True or False")


def task_id(field: str, value: Any) -> str | None:
    """Return the canonical id of a task, trimmed; None for a blank."""
    kept = key(field, value)
    if kept is not None and id_bytes_or_none(kept) is None:
        raise InvalidInput(field, value, _TASK_ID)
    return kept


def flow_id(field: str, value: Any) -> str | None:
    """Return the canonical id of a flow, trimmed; None for a blank."""
    kept = key(field, value)
    if kept is not None and id_bytes_or_none(kept) is None:
        raise InvalidInput(field, value, _FLOW_ID)
    return kept


def runtime(field: str, value: Any) -> Runtime:
    """Return what runs a task, by its name."""
    return _one_of(_RUNTIMES, field, value)


def policy(field: str, value: Any) -> NotifyPolicy:
    """Return a policy of telling, by its name."""
    return _one_of(_POLICIES, field, value)


def scope(field: str, value: Any) -> Scope:
    """Return a scope, by its name."""
    return _one_of(_SCOPES, field, value)


def settled_as(field: str, value: Any) -> Status:
    """Return a status that an operator may end a task with, by its name."""
    return _one_of(_SETTLED_AS, field, value)


def recovered_as(field: str, value: Any) -> Status:
    """Return a status that a lost task may turn out to have, by its name."""
    return _one_of(_RECOVERED_AS, field, value)


def outcome(field: str, value: Any) -> str | None:
    """Return the outcome of a run that ended well: None, or "blocked" when the result that was asked for is missing."""
    return None if value is None else _one_of({BLOCKED: BLOCKED}, field, value)


def origin(field: str, value: Any) -> Origin:
    """Return where a request came from, its parts to the letter: a number stays a number, nothing is trimmed.

    A mapping may have `channel`, `to`, `account` and `thread`, and has nothing else. Blanks are filled in when somebody
    is told, from what the asking session was last reached on; one part at least must be there.
    """
    if type(value) is not Origin:
        if not isinstance(value, Mapping):
            raise InvalidInput(field, value, f"an Origin, or a mapping with {_ORIGIN}")
        for name in value:
            if name not in Origin.__struct_fields__:
                raise InvalidInput(f"a name in {field}", name, f"only {_ORIGIN}")
        value = Origin(**value)
    kept = Origin(
        None if value.channel is None else address(f"{field}.channel", value.channel),
        None if value.to is None else name_or_number(f"{field}.to", value.to),
        None if value.account is None else address(f"{field}.account", value.account),
        None if value.thread is None else name_or_number(f"{field}.thread", value.thread),
    )
    if kept == Origin():
        raise InvalidInput(field, value, f"at least one of {_ORIGIN}")
    return kept


def route(field: str, value: Any) -> Origin:
    """Return a way on which somebody can be reached: an origin that says channel and target."""
    kept = origin(field, value)
    for name in ("channel", "to"):
        if getattr(kept, name) is None:
            raise InvalidInput(f"{field}.{name}", None, "the channel and whom to reach there; both are needed")
    return kept


def address(field: str, value: Any) -> str:
    """Return a part of an address to the letter: text that is not blank."""
    kept = text(field, value, bytes_max=KEY_BYTES_MAX, allowed=_ADDRESS)
    if not kept or kept.isspace():
        raise InvalidInput(field, value, _ADDRESS)
    return kept


def name_or_number(field: str, value: Any) -> str | int:
    """Return a part of an address to the letter: a number of eight bytes, or text that is not blank."""
    if isinstance(value, str):
        return address(field, value)
    return whole(field, value, least=INTEGER_MIN, most=INTEGER_MAX, allowed=_NAME_OR_NUMBER)


def metadata(field: str, value: Any) -> dict[str, str] | None:
    """Return a copy of flat pairs of texts, to the letter; None when there are none."""
    pairs: dict[str, str] = {}
    size = 0
    for name, said in _flat(field, value, most=METADATA_PAIRS_MAX, allowed=_METADATA):
        if type(said) is str and said.isprintable():
            kept = said
        else:
            kept = text(f"{field}.{name}", said, bytes_max=METADATA_BYTES_MAX, allowed=_METADATA)
        size += _size(name) + _size(kept)
        pairs[name] = kept
    if size > METADATA_BYTES_MAX:
        raise InvalidInput(field, value, _METADATA)
    return pairs or None


def evidence(field: str, value: Any, *, bytes_max: int = EVIDENCE_BYTES_MAX) -> Evidence:
    """Return a copy of what was seen: flat, each value a text, a finite number, True, False or None."""
    pairs: Evidence = {}
    size = 0
    for name, seen in _flat(field, value, most=BACKING_KEYS_MAX, allowed=_EVIDENCE):
        size += _size(name)
        if isinstance(seen, str):
            kept = text(f"{field}.{name}", seen, bytes_max=EVIDENCE_BYTES_MAX, allowed=_EVIDENCE)
            size += _size(kept)
            pairs[name] = kept
        elif seen is None or isinstance(seen, bool) or _is_number(seen):
            size += NUMBER_BYTES
            pairs[name] = seen
        else:
            raise InvalidInput(f"{field}.{name}", seen, _SEEN)
    if size > bytes_max:
        raise InvalidInput(field, value, _EVIDENCE.replace(f"{EVIDENCE_BYTES_MAX}", f"{bytes_max}"))
    return pairs


def usage(field: str, value: Any) -> Usage | None:
    """Return a copy of what the work cost, by name: finite amounts that are not negative; None when there are none."""
    if value is None:
        return None
    amounts: Usage = {}
    for name, amount in _flat(field, value, most=USAGE_KEYS_MAX, allowed=_USAGE):
        if isinstance(amount, bool) or not _is_number(amount) or not 0 <= amount <= COUNT_MAX:
            raise InvalidInput(f"{field}.{name}", amount, _AMOUNT)
        amounts[name] = amount
    return amounts or None


def artifacts(field: str, value: Any) -> tuple[str, ...]:
    """Return references to what a run made, to the letter and in order. A single text is no list of references."""
    if value is None or value == ():
        return ()
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidInput(field, value, _ARTIFACTS)
    kept: list[str] = []
    size = 0
    for place, reference in enumerate(islice(value, ARTIFACTS_MAX + 1)):
        kept.append(text(f"{field}[{place}]", reference, bytes_max=ARTIFACTS_BYTES_MAX, allowed=_ARTIFACTS))
        size += _size(kept[-1])
        if not kept[-1] or kept[-1].isspace():
            raise InvalidInput(f"{field}[{place}]", reference, _NOT_BLANK)
    if len(kept) > ARTIFACTS_MAX or size > ARTIFACTS_BYTES_MAX:
        raise InvalidInput(field, value, _ARTIFACTS)
    return tuple(kept)


def _plain(field: str, value: Any, allowed: str) -> str:
    """Return the exact text of a str or of a kind of str, such as a member of a StrEnum."""
    if not isinstance(value, str):
        raise InvalidInput(field, value, allowed)
    return str.__str__(value)


def _one_of(members: Mapping[str, Member], field: str, value: Any) -> Member:
    """Return the member of a closed set that the value is, or names."""
    member = members.get(value) if isinstance(value, str) else None
    if member is None:
        raise InvalidInput(field, value, ", ".join(sorted(members)))
    return member


def _size(value: str) -> int:
    """Return how many bytes a text has in UTF-8; more than anything is allowed to have if it cannot be said in it."""
    if value.isascii():
        return len(value)
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        return COUNT_MAX


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return INTEGER_MIN <= value <= INTEGER_MAX
    return isinstance(value, float) and isfinite(value)


def _flat(field: str, value: Any, *, most: int, allowed: str) -> Iterator[tuple[str, Any]]:
    """Yield the pairs of a mapping; each name must be a key, spelled without space around it."""
    if not (type(value) is dict or isinstance(value, Mapping)) or len(value) > most:
        raise InvalidInput(field, value, allowed)
    for name, said in value.items():
        if type(name) is str and 0 < len(name) <= _KEY_CHARACTERS_SURE and name.isprintable() and name == name.strip():
            yield name, said
        elif (kept := required_key(f"a name in {field}", name)) == name:
            yield kept, said
        else:
            raise InvalidInput(f"a name in {field}", name, "text without space around it")
