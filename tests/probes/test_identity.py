"""Whether a process is the one that is meant: pure, so that every case can be tried."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.verdict import Finding
from tallystick.probes.identity import Found, Identity, Machine, compare, is_same, judge
from tests.strategies import evidence

HERE = Machine("here", "now")

ticks = st.none() | st.integers(0, 3)
started = st.none() | st.sampled_from([0, 2_000, 2_001, 10_000])
pids = st.integers(1, 4)
identities = st.builds(Identity, pid=pids, ticks=ticks, started=started)
found = st.builds(
    Found, ticks=ticks, started=started, is_zombie=st.booleans(), group=st.none(), name=st.sampled_from([None, "a) b"])
)
worlds = st.dictionaries(pids, found)
nonsense = evidence | st.dictionaries(
    st.sampled_from(["pid", "ticks", "started", "boot", "host", "runner", "runnerTicks", "group"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
)


def named(process: Identity, runner: Identity | None = None) -> dict[str, Any]:
    said = {"pid": process.pid, "ticks": process.ticks, "started": process.started}
    if runner is not None:
        said |= {"runner": runner.pid, "runnerTicks": runner.ticks, "runnerStarted": runner.started}
    return {name: value for name, value in said.items() if value is not None}


@given(st.integers(0, 3), st.integers(0, 3), started, started)
def test_what_started_at_another_tick_is_another_process_whatever_the_clock_says(
    meant: int, there: int, meant_ms: int | None, there_ms: int | None
) -> None:
    assert (meant == there) is is_same(Identity(1, meant, meant_ms), Found(there, there_ms))


@given(identities, found)
def test_alive_is_what_runs_and_is_not_known_to_be_another(expected: Identity, there: Found) -> None:
    finding, _ = compare(expected, there)

    assert (finding is Finding.ALIVE) is (is_same(expected, there) is not False and not there.is_zombie)


@given(identities)
def test_nothing_at_a_pid_is_dead(expected: Identity) -> None:
    assert (Finding.DEAD, "no such process") == compare(expected, None)


@given(ticks, st.integers(0, 10_000), st.integers(-2_000, 2_000))
def test_a_clock_that_is_set_a_little_kills_nobody(tick: int | None, started_ms: int, off_ms: int) -> None:
    assert Finding.ALIVE is compare(Identity(1, tick, started_ms), Found(tick, started_ms + off_ms))[0]


@given(identities, worlds)
def test_a_task_is_dead_only_when_its_process_is_and_alive_only_when_it_may_be(
    expected: Identity, world: dict[int, Found]
) -> None:
    verdict = judge({**named(expected), "boot": "now", "host": "here"}, HERE, lambda asked: world.get(asked.pid))

    assert verdict.finding is compare(expected, world.get(expected.pid))[0]


@given(identities, identities, worlds)
def test_a_runner_that_lives_gives_its_task_a_grace_and_one_that_is_dead_does_not(
    expected: Identity, runner: Identity, world: dict[int, Found]
) -> None:
    verdict = judge(named(expected, runner), HERE, lambda asked: world.get(asked.pid))

    lives, reports = [compare(each, world.get(each.pid))[0] is Finding.ALIVE for each in (expected, runner)]
    assert (Finding.ALIVE if lives else Finding.MISSING if reports else Finding.DEAD) is verdict.finding


@given(identities, worlds, st.sampled_from(["now", "before", None]), st.sampled_from(["here", "there", None]))
def test_elsewhere_is_unknown_and_before_is_dead_whatever_is_here(
    expected: Identity, world: dict[int, Found], boot: str | None, host: str | None
) -> None:
    verdict = judge({**named(expected), "boot": boot, "host": host}, HERE, lambda asked: world.get(asked.pid))

    if host == "there":
        assert Finding.UNKNOWN is verdict.finding
    elif boot == "before":
        assert Finding.DEAD is verdict.finding
    else:
        assert verdict.finding is compare(expected, world.get(expected.pid))[0]


@given(identities, identities, worlds)
def test_what_cannot_be_seen_is_never_dead(expected: Identity, runner: Identity, world: dict[int, Found]) -> None:
    def look(asked: Identity) -> Found | None:
        if asked == runner:
            raise PermissionError(13, "Hidden")
        return world.get(asked.pid)

    verdict = judge(named(expected, runner), HERE, look)

    assert verdict.finding is not Finding.DEAD


@given(nonsense, worlds)
def test_any_backing_has_a_verdict_with_evidence(backing: dict[str, Any], world: dict[int, Found]) -> None:
    verdict = judge(backing, HERE, lambda asked: world.get(asked.pid))

    assert verdict.evidence["detail"]
