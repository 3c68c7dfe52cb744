"""The dispatched actor: a real Pykka actor that has no thread of its own."""

import queue
import uuid
from contextlib import suppress
from typing import Any, NoReturn

import pykka
from pykka import ActorDeadError
from pykka.messages import _ActorStop

from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.inbox import Inbox, Schedule


class Flag:
    """The two methods of `threading.Event` that Pykka asks an actor for, at a tenth of its size."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """Whether the actor has stopped."""
        return self._is_set

    def set(self) -> None:
        """Stop the actor."""
        self._is_set = True


class DispatchedActor(pykka.Actor):
    """An actor that a `Dispatcher` runs: `ask`, `tell`, futures, proxies and `stop` work as Pykka documents.

    Three things differ, on purpose. An exception, whatever its class, stays with this actor and its caller: Pykka
    stops every actor of the process on a `SystemExit`. A full inbox raises `Busy` where Pykka would wait. And when its
    dispatcher has ended the actor has stopped, too: `on_stop` is not called then.
    """

    _set_up = False

    def __init__(self, schedule: Schedule, urn: str | None = None) -> None:
        # Pykka's constructor would make a uuid4, a threading.Event and a reference; at one actor a task they are
        # most of its size. What it promises is kept: urn, inbox, stopped flag, and a reference, on demand.
        self._name(urn)
        if not self._set_up:  # from the birth, as every attribute: several threads store into an actor
            self._set_up = False
        self._ref: pykka.ActorRef[Any] | None = None
        self.actor_inbox = Inbox(self, schedule)  # type: ignore[assignment]  # its envelopes are our own
        self.actor_stopped = Flag()  # type: ignore[assignment]  # Pykka uses these two methods of an Event

    def _name(self, urn: str | None) -> None:
        self.actor_urn = uuid.uuid4().urn if urn is None else urn

    @property
    def actor_ref(self) -> "pykka.ActorRef[Any]":
        """The actor's reference, made when somebody asks for it."""
        ref = self._ref
        if ref is None:  # two threads that ask at once may get two: they say the same and do the same
            ref = self._ref = pykka.ActorRef(self)
        return ref

    @staticmethod
    def _create_actor_inbox() -> NoReturn:
        raise NotImplementedError("a dispatched actor gets its inbox from its dispatcher")

    @staticmethod
    def _create_future() -> LightFuture:
        return LightFuture()

    def _start_actor_loop(self) -> None:
        self.inbox.wake()

    @property
    def inbox(self) -> Inbox:
        """The inbox, with what Pykka does not ask of one."""
        return self.actor_inbox  # type: ignore[return-value]  # set in the constructor

    def drain(self) -> None:
        """Handle what waits. Called by the dispatcher, on its thread only; never raises."""
        if not self._set_up:
            self._set_up = True
            self._actor_loop_setup()
        for envelope in self.inbox.take():
            if self.actor_stopped.is_set():
                self._turn_away(envelope)
            else:
                self.handle(envelope)

    def abandon(self) -> None:
        """Answer what waits: the dispatcher has ended, so this actor has stopped."""
        self.actor_stopped.set()
        pykka.ActorRegistry.unregister(self.actor_ref)
        for envelope in self.inbox.take():
            self._turn_away(envelope)

    def handle(self, envelope: "Envelope") -> None:
        """Receive one message and answer it, as Pykka's own loop does."""
        try:
            response = self._handle_receive(envelope.message)
            if envelope.reply_to is not None:
                envelope.reply_to.set(response)
        except BaseException as error:  # noqa: BLE001 - an error of one actor never reaches another
            self._failed(envelope, error)

    def _failed(self, envelope: "Envelope", error: BaseException) -> None:
        trace = error.__traceback__
        reply = envelope.reply_to
        if reply is not None:
            # The answer has the trace, the trace this envelope: a circle that the collector would not see through.
            envelope.reply_to = None
            with suppress(queue.Full):  # its owner has answered it: nobody waits
                reply.set_exception((type(error), error, trace))
            return
        self._handle_failure(type(error), error, trace)
        try:
            self.on_failure(type(error), error, trace)
        except BaseException as second:  # noqa: BLE001 - as Pykka: the hook's own failure is logged
            self._handle_failure(type(second), second, second.__traceback__)

    def _actor_loop_setup(self) -> None:
        try:
            self.on_start()
        except BaseException as error:  # noqa: BLE001 - as above, whatever its class
            self._handle_failure(type(error), error, error.__traceback__)

    def _stop(self) -> None:
        try:
            super()._stop()
        except BaseException as error:  # noqa: BLE001 - on_stop's, whatever its class; Pykka has logged the others
            self._handle_failure(type(error), error, error.__traceback__)

    def _turn_away(self, envelope: "Envelope") -> None:
        if envelope.reply_to is None:
            return
        with suppress(queue.Full):  # its owner has answered it: nobody waits
            if isinstance(envelope.message, _ActorStop):
                envelope.reply_to.set(None)
            else:
                error = self._farewell()
                envelope.reply_to.set_exception((type(error), error, None))

    def _farewell(self) -> Exception:
        """Return what those hear whose messages are not handled any more."""
        return ActorDeadError(f"{self} stopped before handling the message")
