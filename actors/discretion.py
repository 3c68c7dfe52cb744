"""The discretion: what of a fact must not be recorded at all, what goes into the log, and what is kept beside it."""

import secrets
from functools import partial
from hashlib import blake2b
from typing import TypeVar

from msgspec.structs import replace

from tallystick.actors.log import logger
from tallystick.actors.redaction import Hooks, Redact
from tallystick.ledger.commands import Command
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import SALT_BYTES
from tallystick.ledger.payloads import Payloads, Policy, put_aside, unmarked
from tallystick.ledger.redaction import texts, withheld, without_secrets

log = logger("actors")

F = TypeVar("F", bound=Fact)

_salt = partial(secrets.token_bytes, SALT_BYTES)
_NOTHING: Payloads = {}

_SECRET_BYTES = 32
_VEIL_BYTES = 16


class Discretion:
    """What happens to every fact of one open ledger before it is decided, and before it is staged.

    Hooks may be added at any time, on any thread; everything else happens on one thread at a time.
    """

    def __init__(self, policy: Policy | None = None, hooks: Hooks | None = None) -> None:
        self._policy = policy or Policy()
        self.hooks = Hooks() if hooks is None else hooks
        """What names the secrets in all that is recorded."""
        self._secret = secrets.token_bytes(_SECRET_BYTES)

    @property
    def is_needed(self) -> bool:
        """Whether anything may happen to a fact."""
        return self._policy.is_needed or bool(self.hooks)

    def add(self, hook: Redact) -> None:
        """Take what this hook names out of all that is recorded from now on."""
        self.hooks.add(hook)

    def said(self, command: Command, stream: bytes) -> Command:
        """Return a command to a stream as it may be decided and recorded: without what any hook names in what it says.

        So what is reported again is what it was the first time, if the hooks name the same.
        """
        data = command.data
        left = self.without_secrets(data, stream)
        if left is data:
            return command
        veil = command.veil
        if isinstance(data, TaskCreated) and isinstance(left, TaskCreated) and left.task != data.task:
            told = data.task.strip().encode() + (veil or b"")
            veil = blake2b(told, key=self._secret, digest_size=_VEIL_BYTES).digest()
        return replace(command, data=left, veil=veil)

    def words(self, text: str) -> str:
        """Return a text as it may be kept outside the log: without what any hook names, or nothing of it."""
        return self.hooks.words(text)

    def of(self, fact: AnyFact) -> tuple[AnyFact, Payloads]:
        """Return a fact as it is to be recorded, and what of it is kept beside its record."""
        return put_aside(fact, self._policy, _salt) if self._policy.is_needed else (unmarked(fact), _NOTHING)

    def without_secrets(self, fact: F, stream: bytes | None) -> F:
        """Return a fact without what any hook names in it; without any text when one of them fails.

        `stream` is of what it is about, if that has an id yet.
        """
        said = texts(fact) if self.hooks else ()
        if not said:
            return fact
        try:
            return without_secrets(fact, self.hooks.named(said))
        except BaseException as error:  # noqa: BLE001 - others wrote it; better to record little than a secret
            # Not with its traceback: an error often repeats what it was given.
            log.error("redaction_failed", task=stream and id_text(stream), kind=type(error).__name__)  # noqa: TRY400
            return withheld(fact)
