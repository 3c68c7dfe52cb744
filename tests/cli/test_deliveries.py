"""`tally deliveries`, and what other commands say of messages: who was told, who was not, and why."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.cli.facts import verb
from tallystick.cli.messages import NOBODY_SENDS, message_table, pause_words, when, where
from tallystick.cli.screen import Screen
from tallystick.ledger.events import BY_NAME
from tallystick.ledger.lifecycle import DeliveryKind, DeliveryStatus
from tallystick.ledger.told import DeliveryRecord
from tallystick.projections.pauses import Standing
from tallystick.testing import HandClock
from tests.cli.support import BEGIN_MS, OWNER, process, tally

BLOCKED = "403: the bot was blocked by the user"
MINUTE_MS = 60_000


def blocked(_delivery: tallystick.Delivery) -> tallystick.Receipt:
    raise tallystick.Permanent(BLOCKED)


def down(_delivery: tallystick.Delivery) -> tallystick.Receipt:
    raise tallystick.Retryable("connection refused", after_ms=10 * MINUTE_MS)


def arrives(_delivery: tallystick.Delivery) -> tallystick.Receipt:
    return tallystick.Receipt("r-1")


def end(ledger: tallystick.Ledger, run_id: str, channel: str | None, **more: Any) -> str:
    """A task that ended, and of which somebody on a channel is told; without one the session."""
    origin = None if channel is None else tallystick.Origin(channel=channel, to="123", thread=77)
    task = ledger.create(runtime="subagent", task=f"do {run_id}", owner=OWNER, run_id=run_id, origin=origin, **more)
    task.succeed("3 mails answered")
    return task.id


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ledger with a message in every state, each of the task that is named after it."""
    path = tmp_path_factory.mktemp("messages") / "ledger"
    with tallystick.open(path, clock=HandClock(BEGIN_MS), actor="teller") as ledger:
        ledger.channel("telegram", blocked)
        ledger.channel("slack", down)
        ledger.channel("log", arrives)
        for run_id, channel in (("waits", None), ("sent", "slack"), ("arrived", "log"), ("stuck", "telegram")):
            end(ledger, run_id, channel)
            ledger.settled()
        end(ledger, "quiet", None, notify="silent")
        end(ledger, "dropped", None)
        ledger.dismiss("dropped", reason="nobody reads it")
    return str(path)


def listed(folder: str, *words: str) -> list[tuple[str, str]]:
    """The task's run and the status of each message that a command has."""
    data = tally("deliveries", *words, "--ledger", folder, "--json").data
    assert data["count"] == len(data["deliveries"])
    return [(record["text"].split("do ")[1].split(" ")[0], record["status"]) for record in data["deliveries"]]


def test_what_has_not_arrived_is_listed_and_what_is_stuck_comes_first(folder: str) -> None:
    stuck = ("stuck", "failed")

    assert [stuck, ("sent", "pending"), ("waits", "session_queued"), ("stuck", "session_queued")] == listed(folder)
    assert [stuck] == listed(folder, "--limit", "1")


def test_of_one_task_every_message_is_listed(folder: str) -> None:
    assert [("arrived", "delivered")] == listed(folder, "arrived")
    assert [("stuck", "failed"), ("stuck", "session_queued")] == listed(folder, "stuck")
    assert [("dropped", "dismissed")] == listed(folder, "dropped")
    assert [] == listed(folder, "quiet")


def test_a_message_as_data_says_where_it_goes_and_how_far_it_is(folder: str) -> None:
    [told] = tally("deliveries", "arrived", "--ledger", folder, "--json").data["deliveries"]
    [sent] = tally("deliveries", "sent", "--ledger", folder, "--json").data["deliveries"]

    assert f"task-terminal:{told['taskId']}:succeeded:default" == told["id"]
    assert {"channel": "log", "to": "123", "thread": 77} == told["route"]
    assert (1, "r-1", BEGIN_MS) == (told["attempts"], told["receipt"], told["settledAt"])
    assert {"dueAt", "error", "session"}.isdisjoint(told)
    assert (1, "connection refused") == (sent["attempts"], sent["error"])
    assert sent["dueAt"] >= BEGIN_MS + 10 * MINUTE_MS


def test_the_list_says_where_to_how_often_when_why_and_what(folder: str) -> None:
    lines = tally("deliveries", "--ledger", folder).out.splitlines()

    assert "4 messages · 1 stuck · 1 being sent · 2 waiting in sessions" == lines[0]
    assert ["Task", "Status", "Where", "Tries", "When", "Error", "Message"] == lines[2].split()
    stuck, sent, waits = (line.split() for line in lines[3:6])
    assert ["failed", "telegram/123/77", "1"] == stuck[1:4]
    assert BLOCKED in lines[3]
    assert ["pending", "slack/123/77", "1"] == sent[1:4]
    assert ["session_queued", "session", OWNER, "0", "waits"] == waits[1:6]
    assert all("Background task done: do " in line for line in lines[3:7])


def test_the_list_says_what_to_do_and_what_keeps_messages_from_being_sent(folder: str) -> None:
    lines = tally("deliveries", "--ledger", folder).out.splitlines()

    assert NOBODY_SENDS == lines[8]
    assert lines[9].startswith("paused: slack:123 for ")
    assert lines[9].endswith(" after 1 failure, a try is due: connection refused")
    assert 'stuck: "tally retry LOOKUP" sends it again, "tally dismiss LOOKUP" gives it up.' == lines[10]


def test_of_a_task_of_which_nobody_was_to_be_told_that_is_said(folder: str, tmp_path: Path) -> None:
    tallystick.open(tmp_path / "empty").close()

    assert "No message of it so far: " in tally("deliveries", "quiet", "--ledger", folder).out
    assert "Every message has arrived.\n" == tally("deliveries", "--ledger", str(tmp_path / "empty")).out


def test_a_limit_is_a_number_of_messages_of_all_tasks(folder: str) -> None:
    assert (2, 2) == tuple(
        tally("deliveries", *words, "--ledger", folder).code for words in (["--limit", "0"], LIMITED)
    )
    assert 1 == tally("deliveries", "nobody", "--ledger", folder).code


LIMITED = ["sent", "--limit", "3"]


def test_a_reader_beside_the_gateway_sees_what_it_has_sent(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as ledger:
        ledger.channel("log", arrives)
        ledger.channel("slack", down)
        end(ledger, "arrived", "log")
        end(ledger, "sent", "slack")
        ledger.settled()
        told = process("deliveries", "arrived", "--json", "--ledger", tmp_path / "ledger").data["deliveries"]
        said = process("deliveries", "--ledger", tmp_path / "ledger").out

    assert ["delivered"] == [record["status"] for record in told]
    assert "1 message · 1 being sent\n" in said
    assert ", next try in 9m: connection refused" in said
    assert NOBODY_SENDS not in said


# Other commands.


def test_a_shown_task_has_its_messages(folder: str) -> None:
    lines = tally("show", "stuck", "--ledger", folder).out.splitlines()
    begin = lines.index("deliveries      2")

    assert lines[begin + 1].startswith("message         failed  telegram/123/77, 1 try, ")
    assert BLOCKED == lines[begin + 2].strip()
    assert "Background task done: do stuck (run stuck). 3 mails answered" == lines[begin + 3].strip()
    assert lines[begin + 4].startswith(f"message         session_queued  session {OWNER}, waits ")
    assert not [line for line in lines if line.startswith("outbox")]
    assert "deliveries      none" in tally("show", "quiet", "--ledger", folder).out.splitlines()
    shown = tally("show", "stuck", "--ledger", folder, "--json").data["deliveries"]
    assert tally("deliveries", "stuck", "--ledger", folder, "--json").data["deliveries"] == shown


def test_a_status_counts_what_has_not_arrived_and_names_what_is_paused(folder: str) -> None:
    outbox = tally("status", "--ledger", folder, "--json").data["outbox"]
    lines = tally("status", "--ledger", folder).out.splitlines()

    assert (1, 1, 2) == (outbox["pending"], outbox["failed"], outbox["sessionQueued"])
    [paused] = outbox["paused"]
    assert ("slack:123", 1, BEGIN_MS, "connection refused") == tuple(
        paused[name] for name in ("name", "failures", "since", "error")
    )
    assert paused["until"] >= BEGIN_MS + 10 * MINUTE_MS
    said = 'messages        1 to be sent · 1 stuck · 2 waiting in sessions; "tally deliveries" says which'
    assert [said, NOBODY_SENDS] == [lines[-3], lines[-2].strip()]
    assert lines[-1].startswith("paused          slack:123 for ")


def test_the_doctor_warns_of_what_is_stuck_and_of_what_is_paused(folder: str) -> None:
    said = tally("doctor", "--ledger", folder, "--json")
    found = {finding["check"]: finding for finding in said.data["findings"]}

    assert (0, "warn", "warn") == (said.code, found["messages"]["level"], found["paused"]["level"])
    assert "1 task has messages that could not be delivered" == found["messages"]["detail"]
    assert "tally retry LOOKUP" in found["messages"]["remedy"]
    assert found["paused"]["detail"].startswith("slack:123 for ")


def test_a_timeline_says_in_words_what_became_of_each_message(folder: str) -> None:
    lines = [line.strip() for line in tally("timeline", "stuck", "--ledger", folder).out.splitlines()]
    head = tally("status", "--ledger", folder, "--json").data["log"]["head"]
    whole = tally("watch", "--after", "0", "--limit", str(head), "--ledger", folder).out

    assert [f"v{version} message {what}" for version, what in ((4, "queued"), (5, "failed"), (6, "queued"))] == [
        " ".join(line.split()[-5:-2]) for line in lines if " message " in line and " by " in line
    ]
    assert f"{BLOCKED}; delivery terminal:succeeded:default; attempt 1" in lines
    for said in (
        "  message queued: Background task done: do sent (run sent). 3 mails answered; ",
        "  message not delivered: connection refused; delivery terminal:succeeded:default; ",
        "  message delivered: delivery terminal:succeeded:default; attempt 1; receipt r-1",
        "  message dismissed: nobody reads it; delivery terminal:succeeded:default",
    ):
        assert said in whole


def test_what_happens_to_a_message_has_words() -> None:
    words = {verb(name) for name in BY_NAME if name.startswith("delivery-")}

    said = {
        "queued",
        "withheld",
        "released",
        "not delivered",
        "in doubt",
        "delivered",
        "failed",
        "imported",
        "retried",
        "dismissed",
    }
    assert said == {word.removeprefix("message ") for word in words}


def test_who_is_told_after_the_end_is_told_then(tmp_path: Path) -> None:
    where_ = ["--ledger", str(tmp_path / "ledger")]
    with tallystick.open(tmp_path / "ledger") as ledger:
        end(ledger, "quiet", None, notify="silent")

    told = tally("notify", "quiet", "done_only", *where_, "--json").data

    assert ("session_queued", ["session_queued"]) == (
        told["deliveryStatus"],
        [record["status"] for record in told["deliveries"]],
    )


# Words.


def record(**more: Any) -> DeliveryRecord:
    known: Mapping[str, Any] = {
        "id": "task-terminal:t:failed:default",
        "task_id": "01a22209-a8fc-7401-9553-e1f8b64f4340",
        "kind": DeliveryKind.TERMINAL,
        "status": DeliveryStatus.PENDING,
        "text": "Background task failed: mails.\nboom",
        "position": 4,
        "queued_at": BEGIN_MS,
        "name": "terminal:failed:default",
        "route": tallystick.Origin(channel="telegram", to=-100, account="work", thread=7),
    }
    return DeliveryRecord(**{**known, **more})


def moments() -> Iterator[tuple[str, DeliveryRecord]]:
    yield "in 5s", record(due_at=BEGIN_MS + MINUTE_MS + 5_000)
    yield "now", record(due_at=BEGIN_MS)
    yield "1m ago", record(status=DeliveryStatus.FAILED, settled_at=BEGIN_MS)
    yield "waits 1m", record(route=None, session=OWNER, status=DeliveryStatus.SESSION_QUEUED)


@pytest.mark.parametrize(("said", "told"), [*moments()])
def test_a_message_says_when_something_happens_next_or_happened_last(said: str, told: DeliveryRecord) -> None:
    assert said == when(told, BEGIN_MS + MINUTE_MS)


def test_a_message_names_channel_target_thread_and_account_or_a_session() -> None:
    assert "telegram/-100/7 as work" == where(record())
    assert "log/x" == where(record(route=tallystick.Origin(channel="log", to="x")))
    assert f"session {OWNER}" == where(record(route=None, session=OWNER))


def test_on_a_narrow_screen_what_went_wrong_stands_below() -> None:
    lines = list(message_table(Screen(columns=80), [record(error="boom\x1b[2J")], BEGIN_MS))

    assert "Error" not in lines[0]
    assert ["e1f8b64f4340", "boom"] == [line.split()[0] for line in lines[1:]]
    assert max(map(len, lines)) <= 80


def test_a_pause_says_since_when_until_when_and_why() -> None:
    standing = Standing("slack/work", 5, BEGIN_MS, BEGIN_MS + 3 * MINUTE_MS, "503\n")

    assert "slack/work for 1m after 5 failures in a row, next try in 2m: 503" == pause_words(
        standing, BEGIN_MS + MINUTE_MS
    )
    assert "slack/work for 5m after 5 failures in a row, a try is due: 503" == pause_words(
        standing, BEGIN_MS + 5 * MINUTE_MS
    )


def test_a_message_that_is_withheld_is_listed_with_what_it_waits_for(tmp_path: Path) -> None:
    where_ = ["--ledger", str(tmp_path / "ledger")]
    own = "agent:main:cron:nightly"
    with tallystick.open(tmp_path / "ledger") as ledger:
        run = ledger.create(
            runtime="cron", task="Sum up", run_id="nightly", owner=OWNER, child_session=own, notify="done_only"
        )
        run.opened("browser_tab", "tab-17")
        ledger.create(runtime="subagent", task="Read", owner=own, notify="silent").start()
        run.succeed("on it")
        ledger.settled()

    listed, shown, lived = (tally(*words, *where_).out for words in (["deliveries"], ["show", run.id], ["status"]))
    told = tally("timeline", run.id, *where_).out

    assert "1 message · 1 withheld" in listed
    assert "withheld  until what works below it has ended; skipped in" in shown
    assert "1 withheld" in lived
    assert "message withheld" in told
    assert "cleaned up" in told
    assert "nobody closes what is a browser_tab" in told
