"""Stopped: what a canceller answers."""

from msgspec import Struct
from msgspec.structs import force_setattr

from tallystick.ledger import fields
from tallystick.ledger.limits import SUMMARY_BYTES_MAX


class Stopped(Struct, frozen=True):
    """What became of the work that a canceller was to stop.

    `confirmed` says that it is certain that the work has stopped; `detail` what really was stopped, for people: cut to
    what a fact may say.
    """

    confirmed: bool = True
    detail: str | None = None

    def __post_init__(self) -> None:
        fields.flag("confirmed", self.confirmed)
        force_setattr(self, "detail", fields.report("detail", self.detail, bytes_max=SUMMARY_BYTES_MAX))
