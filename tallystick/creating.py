"""Creating: what a caller says about a new task, complete and checked against the ledger that it goes to."""

from typing import Unpack

from tallystick.house import House
from tallystick.ledger import intake
from tallystick.ledger.errors import InvalidInput, NotFound
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.intake import Creation
from tallystick.ledger.lifecycle import NotifyPolicy

INHERIT = "inherit"
"""In the place of a policy: that of the parent."""


def created(house: House, **given: Unpack[Creation]) -> TaskCreated:
    """Return the creation that a caller describes, complete. Raises `InvalidInput`.

    With `notify="inherit"` the policy is that of the parent, which is read then.
    """
    if given.get("notify") == INHERIT:
        given["notify"] = _policy_of(house, given.get("parent"))
    fact = intake.created(**given)
    return fact if fact.origin is None else house.outlets.checked(fact)


def reads(given: Creation) -> bool:
    """Whether something has to be read before this can be created."""
    return given.get("notify") == INHERIT


def _policy_of(house: House, parent: str | None) -> NotifyPolicy:
    if parent is None:
        raise InvalidInput("notify", INHERIT, "a policy; to inherit one, name the parent")
    try:
        return house.readings.get(parent).notify_policy
    except NotFound as error:
        raise InvalidInput("parent", parent, "the id of a task whose policy can be inherited") from error
