"""Facts in words: what an event says, on one line, with nothing of it left out."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tallystick.cli.times import stamp, took
from tallystick.ledger.events import NAMES
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.payloads import lacking
from tallystick.plain import plain

TYPE = "type"

# What each fact has to say first, if it says it; everything else follows by name.
_FIRST: Mapping[str, tuple[str, ...]] = {
    "task-created.1": ("label", "task"),
    "task-progressed.1": ("message",),
    "task-succeeded.1": ("outcome", "summary"),
    "task-failed.1": ("error",),
    "task-timed-out.1": ("error",),
    "task-cancel-requested.1": ("reason",),
    "task-cancelled.1": ("reason",),
    "task-lost.1": ("error",),
    "task-recovered.1": ("status", "error", "summary"),
    "task-late-signal.1": ("signal",),
    "task-notify-changed.1": ("policy",),
    "task-settled.1": ("status", "reason"),
    "task-pruned.1": ("reason",),
    "task-erased.1": ("reason",),
    "task-held.1": ("reason",),
    "task-released.1": ("reason",),
    "task-noted.1": ("reason",),
    "task-cleaned-up.1": ("closed", "failed"),
    "flow-created.1": ("goal",),
    "flow-step-claimed.1": ("step",),
    "flow-waiting-set.1": ("blockedSummary",),
    "flow-resumed.1": ("step",),
    "flow-task-linked.1": ("task",),
    "flow-finished.1": ("summary",),
    "flow-failed.1": ("error",),
    "flow-cancel-requested.1": ("reason",),
    "flow-settled.1": ("status", "reason"),
    "flow-noted.1": ("reason",),
    "flow-pruned.1": ("reason",),
    "flow-erased.1": ("reason",),
    "delivery-queued.1": ("text",),
    "delivery-withheld.1": ("text",),
    "delivery-released.1": ("reason", "output"),
    "delivery-attempted.1": ("error",),
    "delivery-unknown.1": ("error",),
    "delivery-failed.1": ("error",),
    "delivery-retried.1": ("reason",),
    "delivery-dismissed.1": ("reason",),
    "delivery-imported.1": ("status",),
}

# The word "delivery" is for the table; what happens, happens to a message.
_VERBS: Mapping[str, str] = {
    "delivery-queued": "message queued",
    "delivery-withheld": "message withheld",
    "delivery-released": "message released",
    "delivery-attempted": "message not delivered",
    "delivery-unknown": "message in doubt",
    "delivery-delivered": "message delivered",
    "delivery-failed": "message failed",
    "delivery-retried": "message retried",
    "delivery-dismissed": "message dismissed",
    "delivery-imported": "message imported",
}
KEPT, ERASED = "kept beside the log", "erased"
MARKED = ("aside", "redacted")
_MOMENTS = frozenset({"at", "until", "cleanupAfter"})  # beside the names that end in "At"


def verb(type_name: str) -> str:
    """Return what happened, in a word or two, by an event's type: created, timed out, late signal."""
    name = type_name.partition(".")[0]
    return _VERBS.get(name) or name.removeprefix("task-").replace("-", " ")


def fact_data(fact: Fact) -> dict[str, Any]:
    """Return what a fact says, by the names that it has on disk, without its type."""
    data: dict[str, Any] = msgspec.to_builtins(fact)
    data.pop(TYPE)
    return data


def fact_words(fact: Fact) -> str:
    """Return what a fact says: first what matters, then the rest by name. What was erased is said by `marks`."""
    data = fact_data(fact)
    spelled = dict(zip(fact.__struct_fields__, fact.__struct_encode_fields__, strict=True))
    for name in (*MARKED, *map(spelled.__getitem__, lacking(fact))):
        data.pop(name, None)
    first = [plain(str(data.pop(name))) for name in _FIRST.get(NAMES[type(fact)], ()) if data.get(name)]
    return "; ".join([*([": ".join(first)] if first else []), *pairs(data)])


def marks(fact: Fact) -> dict[str, str]:
    """Return what is to be known of fields besides what they say: kept beside the log, erased, redacted: a, b.

    Only what there is.
    """
    return marked(fact.aside or (), lacking(fact), fact.redacted)


def marked(aside: Iterable[str], erased: Container[str], redacted: Iterable[str]) -> dict[str, str]:
    """Return the same of the fields that were put aside, those of them that were erased, and those with redactions."""
    there = [name for name in aside if name not in erased]
    gone = [name for name in aside if name in erased]
    told: dict[str, Iterable[str]] = {KEPT: there, ERASED: gone, "redacted": redacted}
    said = {what: ", ".join(plain(name.replace("_", " ")) for name in names) for what, names in told.items()}
    return {what: names for what, names in said.items() if names}


def pairs(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a mapping says as "name value", in words."""
    for name, value in data.items():
        yield f"{words(name)} {value_words(name, value)}"


def words(name: str) -> str:
    """Return a name as words: timeoutMs is timeout, ownerKey is owner key."""
    spelled = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return plain(spelled.removesuffix(" ms"))


def value_words(name: str, value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, int) and name.endswith("Ms"):
        return took(value)
    if isinstance(value, int) and (name.endswith("At") or name in _MOMENTS):
        return stamp(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(str(key))}={value_words(str(key), said)}" for key, said in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(value_words("", said) for said in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(str(value))
