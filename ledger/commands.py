"""The command: a fact that somebody asks the ledger to record."""

from msgspec import Struct

from tallystick.ledger.events import AnyFact


class Command(Struct, frozen=True, gc=False):
    """What is reported, by whom, and when it happened.

    A ledger does no work of its own: every command carries the fact that its caller wants recorded, and `decide`
    admits it, completes it, keeps it as a late signal or refuses it.
    `occurred_at` (ms) defaults to the moment of recording. With `expected_version` the command is refused when the
    task has another version, or the flow another revision. `force` writes a progress event even when the last one is
    less than a second old.
    A command that comes from elsewhere says when it was sent, `sent_at` (ms): that is when it happened, unless it says
    otherwise. It is no part of what makes two commands the same.
    With `as_of`, a position, it is refused when somebody began to need the task behind that: a task was placed below
    it, or a flow waits for it, which is no event of its own.
    What the ledger itself infers is `inferred`: when the task has ended in between, it leaves no trace.
    What another ledger recorded is `imported`: nobody is told of it.
    `veil` stands for the text of a task out of which secrets were taken: it tells such texts apart, to whoever took
    them out, and to nobody else.
    """

    data: AnyFact
    actor: str
    occurred_at: int | None = None
    expected_version: int | None = None
    force: bool = False
    inferred: bool = False
    sent_at: int | None = None
    as_of: int | None = None
    imported: bool = False
    veil: bytes | None = None
