"""The backlog: when it is looked at again for what is not due yet."""

from tallystick.actors.courier.askers import Askers
from tallystick.actors.courier.backlog import Backlog
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.courier.shelf import Shelf
from tallystick.ledger.facts.fact import Origin
from tallystick.projections.reader import Reader
from tests.actors.parts import FullLog, HandClock


def test_whoever_looks_before_something_is_due_looks_again_when_it_is() -> None:
    clock, looks = HandClock(), list[int | None]()
    shelf = Shelf(Reader(FullLog(), None), Pacing())
    backlog = Backlog(
        shelf, Askers(), pacing=Pacing(), clock=clock, is_recorded=lambda _key: False, look_by=looks.append
    )
    backlog.look(clock())
    endpoint = shelf.endpoint(Origin("chat", 1))
    endpoint.failed(clock(), "connection refused")
    endpoint.expect(clock() + 500)

    clock.advance(492)
    backlog.look(clock())

    assert (False, clock() + 8) == (endpoint.has_more, looks[-1])
    clock.advance(8)
    backlog.look(clock())
    assert endpoint.has_more
