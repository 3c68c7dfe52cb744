"""Times in words, and words as times."""

import time
from collections.abc import Iterator

import pytest

from tallystick.cli.times import age, duration, moment, relative, stamp, took
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import TIME_MS_MAX

NOW_MS = 1_790_000_000_000
S, M, H, D = 1_000, 60_000, 3_600_000, 86_400_000


@pytest.fixture(autouse=True)
def _in_utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(-5, "0s"), (0, "0s"), (59 * S, "59s"), (60 * S, "1m"), (2 * H + 5 * M, "2h05m"), (3 * D + 4 * H, "3d04h")],
)
def test_an_age_has_one_or_two_units(ms: int, shown: str) -> None:
    assert shown == age(ms)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(0, "0ms"), (999, "999ms"), (1_000, "1.0s"), (59_999, "59.9s"), (65_000, "1m05s"), (H, "1h00m"), (-20, "-20ms")],
)
def test_what_something_took_is_finer_than_an_age(ms: int, shown: str) -> None:
    assert shown == took(ms)


def test_a_moment_is_shown_to_the_millisecond_with_its_offset() -> None:
    assert "2026-09-21 14:13:20.007+00:00" == stamp(NOW_MS + 7)
    assert "-1 ms" == stamp(-1)
    assert "9999-12-31 23:59:59.999+00:00" == stamp(TIME_MS_MAX)


def test_the_end_of_time_can_be_shown_east_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EAST-10")
    time.tzset()

    assert stamp(TIME_MS_MAX).startswith("9999-12-31 23:59:59.999")


def test_a_moment_is_before_or_after_now() -> None:
    assert ("3m ago", "in 2h05m") == (relative(NOW_MS - 3 * M, NOW_MS), relative(NOW_MS + 2 * H + 5 * M, NOW_MS))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("1790000000000", NOW_MS),
        (" 2h ", NOW_MS - 2 * H),
        ("500ms", NOW_MS - 500),
        ("2026-09-21", 1_789_948_800_000),
        ("2026-09-21T14:13:20Z", NOW_MS),
        ("2026-09-21T16:13:20+02:00", NOW_MS),
        ("2026-09-21 14:13:20", NOW_MS),
    ],
)
def test_a_moment_can_be_said_in_three_ways(said: str, meant: int) -> None:
    assert meant == moment("since", said, NOW_MS)


@pytest.mark.parametrize("said", ["", "yesterday", "2026-13-01", "-1", "3 weeks", "9" * 20, "2h30m", "0001-01-01"])
def test_what_is_no_moment_is_refused_with_what_is_allowed(said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        moment("since", said, NOW_MS)

    assert ("since", repr(said)) == (refused.value.field, refused.value.value)
    assert "ISO" not in refused.value.allowed
    assert "2h" in refused.value.allowed


def test_a_duration_has_a_unit_or_is_milliseconds() -> None:
    assert (300_000, 250) == (duration("timeout", "5m"), duration("timeout", "250"))
    with pytest.raises(InvalidInput, match="timeout: 'soon' is not allowed"):
        duration("timeout", "soon")
