"""The message: what is said of a delivery, where it goes, and what fits."""

from collections.abc import Mapping
from typing import Any

from tallystick.channels.speech import Speech
from tallystick.ledger.delivery import Delivery, Permanent

ELLIPSIS = "…"


def cut(text: str, characters_max: int) -> str:
    """Return a text of at most so many characters; what is longer ends in "…".

    Counted in UTF-16, in which an emoji is two: nobody who sets a limit counts more than that.
    """
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * characters_max:
        return text
    return units[: 2 * (characters_max - 1)].decode("utf-16-le", "ignore") + ELLIPSIS


def data_of(delivery: Delivery) -> dict[str, Any]:
    """Return what programs are told of a delivery: the same in every attempt."""
    route = delivery.route
    return {
        "id": delivery.id,
        "taskId": delivery.task_id,
        "kind": delivery.kind,
        "text": delivery.text,
        "route": {"channel": route.channel, "to": route.to, "account": route.account, "thread": route.thread},
        "artifacts": delivery.artifacts,
    }


def target(speech: Speech, delivery: Delivery, settings: Mapping[str, Any]) -> str | int:
    """Return where a delivery goes, to the letter: its route says it, or else the channel's setting `to`."""
    to = delivery.route.to
    if to is not None and to != "":
        return to
    default: str | int | None = settings.get("to")
    if default is not None:
        return default
    raise Permanent(speech("not sent: neither the route nor the channel says to whom"))
