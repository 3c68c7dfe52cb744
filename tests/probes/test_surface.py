"""The names that the probes export, and what importing them does not load."""

import pytest

import tallystick.probes
from tests.face.parts import said

NAMES = [
    "CronRuns",
    "ProcessCanceller",
    "ProcessProbe",
    "RunEnd",
    "SessionDirectory",
    "SessionTable",
    "backing_of",
    "boot_id",
    "own_backing",
    "process_probe",
]


def test_the_public_names_are_these_in_this_order() -> None:
    assert NAMES == tallystick.probes.__all__ == dir(tallystick.probes)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(tallystick.probes, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'tallystick.probes' has no attribute 'look_up'"):
        _ = tallystick.probes.look_up


def test_asking_for_a_process_loads_nothing_heavy() -> None:
    script = """
        import sys
        from tallystick.probes import process_probe, ProcessCanceller, SessionDirectory
        print([name for name in ("asyncio", "lmdb", "psutil", "pykka", "sqlite3", "subprocess") if name in sys.modules])
    """

    assert ["[]"] == said(script)
