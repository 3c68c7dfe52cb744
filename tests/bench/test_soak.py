"""The soak runs every kind of caller at once, and its verdict has a reason for everything."""

from pathlib import Path

import pytest

from tallystick.bench import soak
from tallystick.bench.gauge import MB, Reading, memory_trend, usual_readers
from tallystick.bench.sample import Sample, percentile


def reading(at_s: float, *, own_bytes: int = 50 * MB, readers: int = 1) -> Reading:
    return Reading(
        at_s=at_s,
        head=0,
        own_bytes=own_bytes,
        resident_bytes=own_bytes,
        actors=0,
        readers=readers,
        log_bytes=0,
        views_bytes=0,
        lag=0,
        threads=1,
        files=3,
    )


def test_memory_that_wobbles_around_one_size_is_flat() -> None:
    trend = memory_trend([reading(second, own_bytes=50 * MB + second % 2 * MB) for second in range(60)])

    assert trend is not None
    assert trend.is_flat


def test_memory_that_grows_all_the_time_is_not_flat_however_slowly() -> None:
    trend = memory_trend([reading(second, own_bytes=50 * MB + second * MB) for second in range(60)])

    assert trend is not None
    assert not trend.is_flat
    assert 44 == round(trend.growth / MB)


def test_growth_while_warming_up_does_not_count() -> None:
    sizes = [min(second, 15) * MB for second in range(60)]
    trend = memory_trend([reading(second, own_bytes=size) for second, size in enumerate(sizes)])

    assert trend is not None
    assert trend.is_flat


def test_a_few_readings_say_nothing_about_memory() -> None:
    assert memory_trend([reading(second) for second in range(10)]) is None


def test_the_readers_of_both_halves_are_told_apart() -> None:
    counts = (1, 2, 1, 0, 9, 1, 3, 4, 3, 0, 3, 5)

    assert (1, 3) == usual_readers([reading(second, readers=readers) for second, readers in enumerate(counts)])
    assert usual_readers([reading(0)]) is None


def test_a_percentile_is_one_of_the_values() -> None:
    values = [0.4, 0.1, 0.3, 0.2]

    assert 0.2 == percentile(values, 50)
    assert 0.4 == percentile(values, 99)
    assert 0.1 == percentile(values, 0)
    assert 0.0 == percentile([], 50)
    assert 200_000 == Sample(4, 1.0, 1.0, latencies=values).latency_us(50)


@pytest.mark.slow
def test_a_short_soak_loses_nothing_and_leaves_no_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = soak.main(["0.05", "--every", "1", "--folder", str(tmp_path)])
    said = capsys.readouterr().out

    assert "FAILED" not in said
    assert "held  nothing is lost: 0 of the last" in said
    assert "held  no reader is left: 0" in said
    assert 0 == code
