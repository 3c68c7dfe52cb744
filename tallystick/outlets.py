"""The outlets: on which channels a ledger reaches people, who hears its wakes, and what no message may say."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import chain, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from weakref import WeakMethod

from tallystick.actors.courier.errands import Heard, Served
from tallystick.actors.courier.senders import Send
from tallystick.actors.courier.waker import OnWake
from tallystick.actors.discretion import Discretion
from tallystick.actors.envelope import Envelope, ExcInfo, Reply
from tallystick.actors.redaction import Hooks, Redact, is_in_any_hook
from tallystick.actors.system import System
from tallystick.actors.telling import Telling, registered_names
from tallystick.config import Config
from tallystick.ledger import fields
from tallystick.ledger.delivery import Delivery, Receipt
from tallystick.ledger.errors import InvalidInput, NotOwner
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.store.port import EventLog
from tallystick.monitors import monitors_of, targets_of
from tallystick.sharing.wakes import WakeListener, ring_all

if TYPE_CHECKING:
    import asyncio


class HasSend(Protocol):
    """Something that sends: a channel."""

    def send(self, delivery: Delivery) -> Receipt | Awaitable[Receipt]:
        """Send one message, and say that it arrived."""
        ...


Channel: TypeAlias = HasSend | Send
"""What sends on a channel: an object with `send`, or a function. It may block, and it may be a coroutine function."""


def telling_of(log: EventLog, settings: Config, redact: Redact | None, stored: Hooks) -> Telling:
    """Return what the actors of a ledger with this configuration know of whom to tell, and what must not be told.

    It knows the secrets of the channels whether or not this process sends; `stored` are the hooks of all that is
    stored. Raises `InvalidInput` for a hook that is none.
    """
    if settings.channel or settings.route:
        from tallystick.channels import KINDS, secrets_of

        monitors = monitors_of(settings.route, settings.channel, KINDS)
        targets = {name: to for name, to in targets_of(settings.channel).items() if to is not None}
        telling = Telling(log, monitors=monitors, channels=settings.channel, targets=targets)
        telling.redaction.secrets = tuple(chain.from_iterable(starmap(secrets_of, settings.channel.items())))
    else:
        telling = Telling(log)
    telling.redaction.stored = stored
    if redact is not None:
        telling.redaction.add(hook_of(redact))
    return telling


def hook_of(hook: Redact) -> Redact:
    """Return what names secrets. Raises `InvalidInput` when it cannot be asked."""
    if not callable(hook):
        raise InvalidInput("hook", hook, "a function of a text that returns the secrets in it")
    return hook


class _Unless:
    """Hears only that something could not be written."""

    def __init__(self, failed: Callable[[], object]) -> None:
        self._failed = failed

    def set(self, _value: Any = None) -> None:
        """It is durable."""

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """It is not."""
        del exc_info
        self._failed()

    def fail(self, error: BaseException) -> None:
        """It is not."""
        del error
        self._failed()


class Outlets:
    """The channels, the wakes and the redaction of one open ledger.

    Only a process that opened the ledger sends. One that joined it, or reads it, hears wakes from its owner.
    """

    def __init__(
        self,
        log: EventLog,
        settings: Config,
        *,
        folder: Path | None,
        system: System | None = None,
        why_not: WeakMethod[Callable[[], Exception]] | None = None,
        waiting: Callable[[], Iterable[str]] = tuple,
        loop: "asyncio.AbstractEventLoop | None" = None,
    ) -> None:
        self._log, self._settings, self._folder, self._system = log, settings, folder, system
        self.discretion: Discretion | None = None
        """What happens to all that this process records; None where it records nothing."""
        self._why_not, self._waiting, self._loop = why_not, waiting, loop
        self._closing: list[Callable[[], object]] = []
        self._is_forked = False

    def open(self) -> None:
        """Make the channels of the configuration ready.

        Raises `InvalidInput` when a secret, a library or the folder of a file is missing.
        """
        system = self._sending()
        if self._folder is not None:
            folder = self._folder
            self._put(system, Heard(lambda session: ring_all(folder, session)))
        if not self._settings.channel:
            return
        from tallystick.channels import build

        telling = system.directory.telling
        for name, settings in self._settings.channel.items():
            try:
                sender = build(name, settings)
            except InvalidInput as error:
                raise error.at(self._settings.read_from.get(name)) from error
            if sender is not None:
                self._closing.append(sender.close)
                system.senders.register(name, sender.send)
                telling.redaction.secrets = tuple({*telling.redaction.secrets, *sender.secrets})

    def checked(self, created: TaskCreated) -> TaskCreated:
        """Return a creation whose origin leads somewhere.

        Raises `InvalidInput` when it names a channel that is not known while others are, or an account that its channel
        does not have: one that is misspelt would never be reached. Where no channel is known, sessions are told.
        """
        origin = created.origin
        if origin is None or origin.channel is None:
            return created
        known = self._known()
        if known and origin.channel not in known:
            from tallystick.channels import KINDS

            if origin.channel not in KINDS:
                allowed = f"a channel that is known ({', '.join(sorted(known))}); register it with ledger.channel()"
                raise InvalidInput("origin.channel", origin.channel, allowed)
        self._check_account("origin.account", origin.channel, origin.account)
        return created

    def _check_account(self, field: str, channel: str, account: str | None) -> None:
        """Whoever brings a channel knows its accounts; those of the others stand in the configuration."""
        if account is not None and channel in self._settings.channel and channel not in self._registered():
            from tallystick.channels.kinds import check_account

            check_account(field, account, channel, self._settings.channel[channel])

    def _registered(self) -> frozenset[str]:
        if self._system is not None:
            return self._system.directory.telling.registered
        return registered_names(self._log)

    def _known(self) -> frozenset[str]:
        if self._system is not None:
            return self._system.directory.telling.routing.channels
        return self._registered().union(self._settings.channel)

    def register(self, name: str, channel: Channel) -> None:
        """Send what goes to a channel through this from now on. Raises `InvalidInput`, `NotOwner`."""
        system = self._sending()
        name = fields.address("channel", name)
        if "/" in name:
            raise InvalidInput("channel", name, "a name without a slash, which would part it from an account")
        send: Any = getattr(channel, "send", channel)
        if not callable(send):
            raise InvalidInput("sender", channel, "an object with send(delivery), or a function of a delivery")
        system.senders.register(name, send)
        note = system.directory.telling.serve(name)
        if note is not None:
            system.keep(*note, _Unless(lambda: system.directory.telling.serve_not(name)))
        self._put(system, Served(name))

    def on_wake(self, callback: OnWake) -> None:
        """Call this with the key of each session in which something waits, now and from now on.

        In a process that does not own the ledger a socket is made for it in the folder `wakes/`, in one that only reads
        it, too. Raises `InvalidInput`, `ForkedStore`.
        """
        if not callable(callback):
            raise InvalidInput("callback", callback, "a function of the key of a session")
        if self._is_forked:
            raise self._refusal()
        if self._system is not None and self._system.courier is not None:
            self._put(self._system, Heard(callback))
        elif self._folder is not None:
            listener = WakeListener(self._folder, callback, waiting=self._waiting, loop=self._loop)
            if listener.start():
                self._closing.append(listener.close)

    def redact(self, hook: Redact, *, stored: bool) -> None:
        """Strip what this names from every message from now on, or from all that is stored.

        Raises `InvalidInput`; `NotOwner` where nothing is told, or written.
        """
        if not fields.flag("stored", stored):
            self._sending().directory.telling.redaction.add(hook_of(hook))
            return
        if self.discretion is None or self._is_forked:
            raise self._refusal()
        self.discretion.add(hook_of(hook))
        if self._system is not None:
            self._system.journal.discretion = self.discretion

    def check_no_hook(self) -> None:
        """Raise `RuntimeError` in a hook of this ledger: it would wait for the ledger, which waits for the hook."""
        if not is_in_any_hook():
            return
        is_stored = self.discretion is not None and self.discretion.hooks.are_asked_here
        if is_stored or (self._system is not None and self._system.directory.telling.redaction.is_asked_here):
            raise RuntimeError(
                "a redaction hook must not write to its own ledger, which waits for it: write afterwards"
            )

    def recorded(self, created: TaskCreated) -> TaskCreated:
        """Return a creation as this process would record it: without what the hooks of all that is stored name."""
        return created if self.discretion is None else self.discretion.without_secrets(created, None)

    def words(self, text: str) -> str:
        """Return a text as this process would keep it: without what the hooks of all that is stored name."""
        return text if self.discretion is None else self.discretion.words(text)

    def reach(self, session: str, route: Origin | Mapping[str, object], reply: Reply) -> None:
        """Take note of the way on which a session is reached now; answered when it is durable.

        Raises `InvalidInput`, `NotOwner`, and as `check_no_hook`.
        """
        self.check_no_hook()
        key = fields.required_key("session", session)
        system = self._sending()
        way = fields.route("route", route)
        assert way.channel is not None, "a route has one"
        self._check_account("route.account", way.channel, way.account)
        system.keep(*system.directory.telling.reach(key, way), reply)

    def _sending(self) -> System:
        if self._system is None:
            raise self._refusal()
        return self._system

    def _refusal(self) -> Exception:
        why_not = None if self._why_not is None else self._why_not()
        assert why_not is not None, "who cannot send knows why"
        return why_not()

    @staticmethod
    def _put(system: System, message: object) -> None:
        if system.courier is None:
            raise NotOwner(system.log.path, who=None, joined=True)
        system.courier.inbox.put_behind([Envelope(message)])

    def leave_to_parent(self) -> None:
        """In a forked child nobody sends, and the sockets and connections are the parent's."""
        self._system, self._is_forked = None, True
        self._closing = []

    def close(self) -> None:
        """Let go of sockets and connections. Closing twice is allowed."""
        closing, self._closing = self._closing, []
        for close in reversed(closing):
            close()
