"""Which endpoints are paused can be read by every process, from notes beside the events."""

from tallystick.ledger.store.memory import MemoryLog
from tallystick.projections.pauses import PAUSED_NOTE, Standing, note_of, paused

SLACK = Standing("slack", 5, 1_000, 2_000, "connection refused")


def test_an_endpoint_is_paused_until_a_later_note_says_that_it_is_not() -> None:
    log = MemoryLog()
    log.append((), notes=dict([note_of("slack", SLACK), note_of("telegram/work", None)]))
    assert [SLACK] == paused(log)

    log.append((), notes=dict([note_of("slack", None)]))

    assert [] == paused(log)


def test_a_note_that_cannot_be_read_is_left_out() -> None:
    log = MemoryLog()
    log.append((), notes={PAUSED_NOTE + b"broken": b"\xc1", **dict([note_of("slack", SLACK)])})

    assert [SLACK] == paused(log)
