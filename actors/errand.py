"""The errand: something that an actor is told to do, and that somebody waits for."""

from collections.abc import Callable

from pykka import Timeout

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.ledger.errors import Closed


def all_of(*errands: Callable[[], object]) -> None:
    """Do all of these one after the other, then raise what the first of them failed with.

    `Closed` is raised at once: nothing can be done any more.
    """
    failed: Exception | None = None
    for errand in errands:
        failure = _failure_of(errand)
        failed = failed or failure
    if failed is not None:
        raise failed


def _failure_of(errand: Callable[[], object]) -> Exception | None:
    try:
        errand()
    except Closed:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised when the others were done
        return error
    return None


def is_done_within(
    timeout_s: float | None, actor: DispatchedActor | None, message: object, *, lingering: Dispatcher | None = None
) -> bool:
    """Tell an actor to do something; whether it was done within so many seconds (None: however long).

    Its dispatcher need not linger before. Who is not there has nothing to do.
    """
    if actor is None:
        return True
    done = LightFuture()
    actor.inbox.put_behind([Envelope(message, done)])
    if lingering is not None:
        lingering.hurry()
    return is_answered_within(timeout_s, done)


def is_answered_within(timeout_s: float | None, future: LightFuture) -> bool:
    """Wait for an answer; whether it came within so many seconds (None: however long). Raises what was answered."""
    try:
        future.get(timeout=timeout_s)
    except Timeout:
        return False
    return True
