"""The resources: what a task has open besides its work, such as browser tabs and processes. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from tallystick.ledger.facts.fact import Evidence


class Resource(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """Something that is to be closed when the work that opened it has ended, told apart by its kind and its name.

    `evidence` is what whoever closes it needs to know; `opened_at` (ms) when it was opened, as reported.
    """

    kind: str
    name: str
    opened_at: int
    evidence: Evidence | None = None

    @property
    def label(self) -> str:
        """What people call it: "browser_tab tab-17"."""
        return label_of(self.kind, self.name)


def label_of(kind: str, name: str) -> str:
    """Return what people call a resource."""
    return f"{kind} {name}"


def find(resources: tuple[Resource, ...], kind: str, name: str) -> Resource | None:
    """Return the resource of this kind and name, if it is open."""
    return next((each for each in resources if each.name == name and each.kind == kind), None)


def without(resources: tuple[Resource, ...], kind: str, name: str) -> Iterator[Resource]:
    """Yield all resources but the one of this kind and name."""
    return (each for each in resources if each.name != name or each.kind != kind)


class OpenResource(Struct, frozen=True, gc=False):
    """What a closer is to close: a resource, with the task that left it open and the session in which that worked."""

    kind: str
    name: str
    evidence: Evidence
    task_id: str
    session: str | None
