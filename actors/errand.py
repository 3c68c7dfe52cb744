"""The errand: something that an actor is told to do, and that somebody waits for."""

from pykka import Timeout

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture


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
    try:
        done.get(timeout=timeout_s)
    except Timeout:
        return False
    return True
