"""The machine's clock, in the unit of the ledger."""

import time

from tallystick.ledger.clock import system_clock


def test_the_clock_of_the_machine_tells_whole_milliseconds_since_1970() -> None:
    before = time.time_ns() // 1_000_000

    told = system_clock()

    assert int is type(told)
    assert before <= told <= time.time_ns() // 1_000_000
