"""The attestations of an open ledger: made by its owner, wherever that is asked from, and read by everybody."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.actors.attestor import Attestor
from tallystick.actors.dispatcher import MS_PER_S
from tallystick.actors.notary import Notary
from tallystick.actors.system import System
from tallystick.attesting import Panel
from tallystick.checkpoints import ANSWER_S_MAX, ask, notary_in
from tallystick.config import Integrity
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import InvalidInput, StoreError
from tallystick.ledger.limits import ATTEST_TIMEOUT_MS
from tallystick.projections.attested import Attestation, attested
from tallystick.sharing.bell import ATTEST
from tallystick.witnesses import names_of

if TYPE_CHECKING:
    from tallystick.house import House

_SHOWN_MS_MAX = 4 * ATTEST_TIMEOUT_MS  # one who is asked twice, with connecting


def attest(house: "House") -> Attestation:
    """Have the newest checkpoint shown to others now; return what they said, durable on return.

    Raises `InvalidInput` when there is nobody to be shown it, `NotProved` when one saw a state from which the log does
    not go on, `NotOwner` for a ledger that only reads, `StoreError`, and as `checkpoints.newest`.
    """
    house.facts()
    with house.owning() as owner:
        if owner is not None:
            attestor_in(notary_in(owner)).attest()
            return _kept(house)
    answer_s = ANSWER_S_MAX + max(1, len(names_of(house.settings.integrity))) * _SHOWN_MS_MAX / MS_PER_S
    if ask(Path(house.path), house.readings.log, kind=ATTEST, answer_s=answer_s) is None:
        raise StoreError("The ledger has no owner that could show the checkpoint. Try again.")
    return _kept(house)


def attestor_in(notary: Notary) -> Attestor:
    """Return who shows what a notary signs. Raises `InvalidInput` when nobody is to be shown it."""
    if notary.attestor is None:
        allowed = "a witness, or integrity.timestamp, in the configuration of whoever owns the ledger"
        raise InvalidInput("integrity.witness", None, allowed)
    return notary.attestor


def attestor_of(
    system: System, settings: Integrity, clock: Clock, sealed: Callable[[], bytes], *, by_hand: bool
) -> Attestor:
    """Return who shows the checkpoints of a ledger, to be begun with its notary."""
    meter = system.journal.meter
    panel = Panel(system.log, settings) if meter is None else Panel(system.log, settings, meter.attested)
    every_ms = settings.attest
    return Attestor(
        system.log, system.keep, sealed, panel.show, clock, every_ms=every_ms, stop=panel.close, by_hand=by_hand
    )


def _kept(house: "House") -> Attestation:
    found = attested(house.readings.log)
    if found is None:
        raise StoreError("What others said of the checkpoint was not kept. Try again.")
    return found
