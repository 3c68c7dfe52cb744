"""The dispatched actor: a real Pykka actor that has no thread of its own."""

from typing import TYPE_CHECKING, Any, NoReturn

import pykka
from pykka import ActorDeadError
from pykka.messages import _ActorStop

from tallystick.actors.future import LightFuture
from tallystick.actors.inbox import Inbox, Schedule

if TYPE_CHECKING:
    from pykka._envelope import Envelope


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

    Two things differ, on purpose. An exception, whatever its class, stays with this actor and its caller: Pykka stops
    every actor of the process on a `SystemExit`. And a full inbox raises `Busy` where Pykka would wait.
    """

    _set_up = False

    def __init__(self, schedule: Schedule, urn: str | None = None) -> None:
        # Pykka's constructor would make a uuid4, a threading.Event and a reference; at one actor a task they are
        # most of its size. What it promises is kept: urn, inbox, stopped flag, and a reference on demand.
        if urn is not None:  # else the class makes it on demand
            self.actor_urn = urn
        self.actor_inbox = Inbox(self, schedule)
        self.actor_stopped = Flag()  # type: ignore[assignment]  # Pykka uses these two methods of an Event

    @property
    def actor_ref(self) -> "pykka.ActorRef[Any]":
        """The actor's reference, made when somebody asks for it."""
        try:
            return self._actor_ref
        except AttributeError:
            self._actor_ref = pykka.ActorRef(self)
            return self._actor_ref

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

    def handle(self, envelope: "Envelope[Any]") -> None:
        """Receive one message and answer it, as Pykka's own loop does."""
        try:
            response = self._handle_receive(envelope.message)
        except BaseException as error:  # noqa: BLE001 - an error of one actor never reaches another
            self._failed(envelope, error)
        else:
            if envelope.reply_to is not None:
                envelope.reply_to.set(response)

    def _failed(self, envelope: "Envelope[Any]", error: BaseException) -> None:
        trace = error.__traceback__
        if envelope.reply_to is not None:
            envelope.reply_to.set_exception((type(error), error, trace))
            return
        self._handle_failure(type(error), error, trace)
        try:
            self.on_failure(type(error), error, trace)
        except Exception as second:  # noqa: BLE001 - as Pykka: the hook's own failure is logged
            self._handle_failure(type(second), second, second.__traceback__)

    def _turn_away(self, envelope: "Envelope[Any]") -> None:
        if envelope.reply_to is None:
            return
        if isinstance(envelope.message, _ActorStop):
            envelope.reply_to.set(None)
            return
        error = ActorDeadError(f"{self} stopped before handling the message")
        envelope.reply_to.set_exception((ActorDeadError, error, None))
