"""The facts of what a task has open besides its work: browser tabs, processes, and how they were closed."""

from tallystick.ledger.facts.fact import Evidence, Fact


class TaskResourceOpened(Fact, frozen=True, kw_only=True, tag="task-resource-opened.1"):
    """The work opened something that is to be closed when it ends, and is told apart by its kind and its name."""

    kind: str
    name: str
    evidence: Evidence | None = None


class TaskResourceClosed(Fact, frozen=True, kw_only=True, tag="task-resource-closed.1"):
    """The work closed it itself: nobody else need do so."""

    kind: str
    name: str


class TaskCleanupBegun(Fact, frozen=True, kw_only=True, tag="task-cleanup-begun.1"):
    """The work has ended, and what it left open is being closed: once, whatever becomes of it."""


class TaskCleanedUp(Fact, frozen=True, kw_only=True, tag="task-cleaned-up.1"):
    """This is what became of what the work left open: closed, or why it is not known to be closed."""

    closed: tuple[str, ...] = ()
    failed: dict[str, str] | None = None
