"""The token game: a Petri net played by the book, as the oracle of what others make of it."""

from collections.abc import Iterable

from tallystick.exports.activities import activity_of
from tallystick.exports.net import BEGIN, END, Transition, lifecycle_net
from tallystick.ledger.events import AnyFact

NET = lifecycle_net()
BY_ACTIVITY = {
    activity: [each for each in NET.transitions if each.activity == activity]
    for activity in {each.activity for each in NET.transitions}
}
Marking = frozenset[str]
BEGINNING: Marking = frozenset({BEGIN})


def fire(marking: Marking, each: Transition) -> Marking | None:
    """Return the marking after a transition, None when it is not enabled. No place may get a second token."""
    if not marking.issuperset(each.takes):
        return None
    left = marking - set(each.takes)
    assert left.isdisjoint(each.gives), f"{each.id} puts a second token into {left & set(each.gives)}"
    return left | set(each.gives)


def enabled(marking: Marking, activity: str | None) -> list[Marking]:
    """Return the markings that transitions of an activity lead to."""
    after = (fire(marking, each) for each in BY_ACTIVITY.get(activity, ()))
    return [marking for marking in after if marking is not None]


def replayed(activities: Iterable[str]) -> Marking | None:
    """Return the marking after these activities, None when one of them cannot follow."""
    marking = BEGINNING
    for activity in activities:
        after = enabled(marking, activity)
        if not after:
            return None
        [marking] = after
    return marking


def can_end(marking: Marking) -> bool:
    """Whether the silent transitions alone lead from here to the end."""
    while marking != {END}:
        after = enabled(marking, None)
        if not after:
            return False
        marking = after[0]
    return True


def conforms(facts: Iterable[AnyFact]) -> bool:
    """Whether the activities of some facts can follow each other, and nothing has to follow the last of them."""
    marking = replayed(map(activity_of, facts))
    return marking is not None and can_end(marking)
