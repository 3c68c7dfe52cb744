"""`tally retry` and `tally dismiss`: an operator takes over what did not arrive."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

import tallystick
from tallystick.cli.messages import NOBODY_SENDS
from tests.cli.support import OWNER, process, tally


class Bot:
    """A channel whose receiver has blocked it, until it has not."""

    def __init__(self) -> None:
        self.is_blocked = True
        self.sent: list[str] = []
        self.arrived = Event()

    def send(self, delivery: tallystick.Delivery) -> tallystick.Receipt:
        if self.is_blocked:
            raise tallystick.Permanent("403: blocked")
        self.sent.append(delivery.id)
        self.arrived.set()
        return tallystick.Receipt()


@pytest.fixture
def bot() -> Bot:
    return Bot()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(path: Path, bot: Bot) -> Iterator[tallystick.Ledger]:
    """A gateway with two tasks whose messages are stuck, "one" and "two"."""
    with tallystick.open(path) as opened:
        opened.channel("telegram", bot)
        for run_id in ("one", "two"):
            end(opened, run_id)
        opened.settled()
        yield opened


def end(ledger: tallystick.Ledger, run_id: str, **more: str) -> str:
    task = ledger.create(
        runtime="subagent",
        task=f"do {run_id}",
        owner=OWNER,
        run_id=run_id,
        origin=tallystick.Origin(channel="telegram", to="123"),
        **more,  # type: ignore[arg-type]  # texts
    )
    task.succeed("done")
    return task.id


def types(ledger: tallystick.Ledger, run_id: str) -> list[str]:
    return [event.type.partition(".")[0] for event in ledger.timeline(run_id)]


def test_what_was_given_up_is_sent_again_by_the_owner_with_the_same_id(
    ledger: tallystick.Ledger, bot: Bot, path: Path
) -> None:
    [stuck, _fallback] = ledger.deliveries("one")
    bot.is_blocked = False

    said = process("retry", "one", "--reason", "unblocked", "--ledger", path)

    assert (0, "") == (said.code, said.err)
    assert f"{stuck.task_id} is told again: 1 message.\n" == said.out
    assert bot.arrived.wait(20)
    ledger.settled()
    assert [stuck.id] == bot.sent
    assert ["delivered", "dismissed"] == [record.status for record in ledger.deliveries("one")]
    retried = next(event for event in ledger.timeline("one") if event.type == "delivery-retried.1")
    assert "unblocked" == getattr(retried.data, "reason", None)


def test_several_tasks_are_retried_and_dismissed_in_one_call(ledger: tallystick.Ledger, bot: Bot, path: Path) -> None:
    del bot
    data = tally("retry", "one", "two", "--ledger", str(path), "--json").data
    ledger.settled()
    assert (2, ["one", "two"]) == (data["count"], [task["runId"] for task in data["tasks"]])

    data = tally("dismiss", "one", "two", "--reason", "obsolete", "--ledger", str(path), "--json").data

    assert (2, ["dismissed"] * 2) == (data["count"], [task["deliveryStatus"] for task in data["tasks"]])
    assert [] == ledger.deliveries()


def test_without_an_owner_it_is_recorded_and_the_next_who_opens_the_ledger_sends_it(path: Path, bot: Bot) -> None:
    with tallystick.open(path) as opened:
        opened.channel("telegram", bot)
        task_id = end(opened, "one")
        opened.settled()
    bot.is_blocked = False

    said = process("retry", task_id[-12:], "--ledger", path)

    assert (0, [f"{task_id} is told again: 1 message.", NOBODY_SENDS]) == (said.code, said.out.splitlines())
    with tallystick.open(path) as opened:
        opened.channel("telegram", bot)
        assert bot.arrived.wait(20)
        opened.settled()
        assert "delivered" == opened.find("one").record.delivery_status


def test_what_is_dismissed_need_not_arrive_and_says_so(ledger: tallystick.Ledger, path: Path) -> None:
    task_id = ledger.find("one").id

    said = process("dismiss", "one", "--ledger", path)

    assert (0, f"{task_id} is not told any more.\n") == (said.code, said.out)
    assert ["delivery-dismissed", "delivery-dismissed"] == types(ledger, "one")[-2:]
    assert ["two", "two"] == [ledger.get(record.task_id).record.run_id for record in ledger.deliveries()]


def test_what_cannot_be_retried_says_how_it_is_and_what_to_do(ledger: tallystick.Ledger, bot: Bot, path: Path) -> None:
    bot.is_blocked = False
    ids = {"arrived": end(ledger, "arrived"), "quiet": end(ledger, "quiet", notify="silent")}
    ids["waits"] = ledger.create(runtime="subagent", task="do waits", owner=OWNER, run_id="waits").id
    running = ledger.create(runtime="subagent", task="do running", owner=OWNER, run_id="running")
    ledger.find("waits").succeed("done")
    ledger.settled()
    ids["running"] = running.id

    for run_id, state, remedy in (
        ("arrived", "its delivery is delivered", f'See "tally deliveries {ids["arrived"]}".'),
        ("quiet", "it is silent, nobody was to be told", f'"tally notify {ids["quiet"]} done_only" has it told.'),
        ("waits", f"its message waits in the session {OWNER}", "It is done with when the session takes it; "),
        ("running", "it is queued, and nothing waits", f'See "tally deliveries {ids["running"]}".'),
    ):
        said = tally("retry", run_id, "--ledger", str(path))
        assert (1, "") == (said.code, said.out)
        assert f"Task {ids[run_id]} has nothing to retry: {state}. {remedy}" in said.err
    error = tally("dismiss", "arrived", "--ledger", str(path), "--json").error
    assert ("Refused", ids["arrived"], "dismiss") == (error["type"], error["token"], error["attempted"])
    assert "has nothing to dismiss: its delivery is delivered" in error["message"]


def test_what_is_being_sent_goes_on_by_itself(path: Path) -> None:
    def down(_delivery: tallystick.Delivery) -> tallystick.Receipt:
        raise tallystick.Retryable("connection refused", after_ms=60_000)

    with tallystick.open(path) as opened:
        opened.channel("telegram", down)
        end(opened, "one")
        opened.settled()
        said = tally("retry", "one", "--ledger", str(path))

    assert 1 == said.code
    assert "its message is being sent. It goes on by itself; " in said.err


def test_one_that_is_refused_does_not_keep_the_others(ledger: tallystick.Ledger, bot: Bot, path: Path) -> None:
    bot.is_blocked = False
    end(ledger, "arrived")
    ledger.settled()

    said = tally("retry", "arrived", "two", "--ledger", str(path))
    ledger.settled()

    assert 1 == said.code
    assert "What waits for it of the others was dealt with." in said.err
    assert "delivered" == ledger.find("two").record.delivery_status


@pytest.mark.parametrize("verb", ["retry", "dismiss"])
def test_one_to_ten_tasks_are_named(ledger: tallystick.Ledger, path: Path, verb: str) -> None:
    where = ["--ledger", str(path)]

    many = tally(verb, *["one"] * 11, *where, "--json")
    before = [record.status for record in ledger.deliveries("two")]
    missing = tally(verb, "two", "nobody", *where)

    assert (2, "InvalidInput") == (many.code, many.error["type"])
    assert "1 to 10 at a time" in many.error["message"]
    assert 2 == tally(verb, *where).code
    assert (1, "") == (missing.code, missing.out)
    assert "Task not found: nobody." in missing.err
    assert before == [record.status for record in ledger.deliveries("two")]


@pytest.mark.parametrize("verb", ["retry", "dismiss", "deliveries"])
def test_a_shell_completes_their_tasks(
    ledger: tallystick.Ledger, path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"tally {verb} {ledger.find('one').id[:10]}"
    monkeypatch.setenv("TALLYSTICK_LEDGER", str(path))
    monkeypatch.setenv("_TALLY_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", "2")

    assert ledger.find("one").id in tally().out.splitlines()
