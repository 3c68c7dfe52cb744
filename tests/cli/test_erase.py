"""`tally erase`, and how everything else shows what was erased: as erased, never as if nothing had been there."""

from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.testing import HandClock
from tests.cli.support import OWNER, Said, process, tally

ASIDE = '[payloads]\naside = "content"\n'
SECRET, WHY = "s3cret", "asked for by the customer"
DAY = 86_400_000


@pytest.fixture
def settings() -> str:
    """Content is kept beside the log."""
    return ASIDE


def made(folder: str, **more: Any) -> str:
    """Return the id of a task that has ended, every text of which has the secret."""
    given = {"runtime": "subagent", "task": f"mail {SECRET}", "label": f"{SECRET}'s", "owner": OWNER, **more}
    with tallystick.join(folder) as ledger:
        task = ledger.create(**given)
        task.progress(f"{SECRET} reads")
        task.succeed(f"{SECRET} is answered")
    return task.id


def erase(folder: str, token: str, *words: str, reason: str = WHY) -> Said:
    return tally("erase", token, "--reason", reason, "--ledger", folder, *words)


def test_it_says_what_it_erased_and_where_else_it_may_be(folder: str) -> None:
    token = made(folder)

    told = erase(folder, token)

    assert (0, "") == (told.code, told.err)
    assert f"Erased 5 fields of 4 events of task {token}.\n" in told.out
    assert "  task, label, message, summary, text" in told.out
    assert '"tally backup" copies the ledger without those.' in told.out
    assert SECRET not in told.out
    again = erase(folder, token, reason="somebody else")
    assert 0 == again.code
    assert f"Task {token} was erased before, and nothing was kept beside the log since.\n" in again.out
    assert WHY in again.out
    assert "somebody else" not in again.out


def test_json_says_all_of_it(folder: str) -> None:
    token = made(folder)
    foreseen = tally("erase", token, "--dry-run", "--ledger", folder, "--json")
    told = erase(folder, token, "--json")
    again = erase(folder, token, "--json")

    assert [0, 0, 0] == [foreseen.code, told.code, again.code]
    data = told.data
    assert (token, False, True) == (data["taskId"], data["dryRun"], data["isNew"])
    assert (True, False) == (foreseen.data["dryRun"], foreseen.data["isNew"])
    same = ("gone", "stays", "copies", "count", "fields")
    assert [data[name] for name in same] == [foreseen.data[name] for name in same]
    assert {"position": 1, "type": "task-created.1", "fields": ["task", "label"]} == data["gone"][0]
    assert data["count"] == sum(len(part["fields"]) for part in data["gone"])
    assert WHY == data["erased"]["reason"]
    assert ("", data["erased"]) == (data["record"]["task"], data["record"]["erased"])
    assert {**data, "isNew": False} == again.data
    assert not {"erased", "record"} & foreseen.data.keys()


def test_a_dry_run_needs_no_reason_and_writes_nothing(folder: str) -> None:
    token = made(folder)
    before = tally("timeline", token, "--ledger", folder, "--json").data

    told = tally("erase", token, "--dry-run", "--ledger", folder)

    assert 0 == told.code
    assert f"Would erase 5 fields of 4 events of task {token}.\n" in told.out
    assert before == tally("timeline", token, "--ledger", folder, "--json").data


@pytest.mark.parametrize(("words", "said"), [((), "--reason"), (("--reason", " "), "reason")])
def test_who_erases_says_why(folder: str, words: tuple[str, ...], said: str) -> None:
    token = made(folder)
    told = tally("erase", token, *words, "--ledger", folder)

    assert 2 == told.code
    assert said in told.err
    assert "erased" not in tally("show", token, "--ledger", folder, "--json").data


def test_what_names_nothing_is_not_found(folder: str) -> None:
    told = erase(folder, "nothing", "--json")
    assert (1, "NotFound") == (told.code, told.error["type"])


def test_what_is_not_kept_beside_the_log_stays_and_the_error_says_what_to_configure(tmp_path: Path) -> None:
    tallystick.open(tmp_path / "plain").close()
    token = made(str(tmp_path / "plain"))

    told = erase(str(tmp_path / "plain"), token)

    assert (1, "") == (told.code, told.out)
    assert 'put content aside from now on with "aside" in the section [payloads]' in told.err
    foreseen = tally("erase", token, "--dry-run", "--ledger", str(tmp_path / "plain"))
    assert 0 == foreseen.code
    assert f"Would erase nothing of task {token}.\nThese stay, for they stand in the log itself:\n" in foreseen.out
    assert "  task, label, message, summary, text" in foreseen.out


def test_a_managed_flow_is_erased_by_a_part_of_its_id_and_a_mirror_is_not(folder: str) -> None:
    token = made(folder)
    with tallystick.join(folder) as ledger:
        flow = ledger.flows.create(owner=OWNER, goal=f"release for {SECRET}", controller="bot")
        flow.set_waiting({"for": SECRET})

    told = erase(folder, flow.id[-12:])

    assert (0, f"Erased 2 fields of 2 events of flow {flow.id}.") == (told.code, told.out.splitlines()[0])
    assert flow.id == tally("erase", flow.id, "--dry-run", "--ledger", folder, "--json").data["flowId"]
    shown = tally("flow", "show", flow.id, "--ledger", folder)
    assert f"by {erased_by(folder, flow.id)}: {WHY}" in shown.out
    assert "goal            (erased)" in shown.out
    assert "(erased)" in tally("flow", "list", "--ledger", folder).out
    mirror = erase(folder, mirror_of(token), "--json")
    assert (1, "FlowRefused", "not_managed") == (mirror.code, mirror.error["type"], mirror.error["code"])


def erased_by(folder: str, token: str) -> str:
    who: str = tally("timeline", token, "--ledger", folder, "--json").data["events"][-1]["actor"]
    return who


def test_a_pruned_task_is_erased_by_its_whole_id(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.mkdir(mode=0o700)
    (path / "tallystick.toml").write_text(ASIDE, "utf-8")
    clock = HandClock()
    with tallystick.open(path, clock=clock) as ledger:
        task = ledger.create(runtime="cli", task=SECRET, owner=OWNER)
        task.succeed(SECRET)
        clock.advance(8 * DAY)
        ledger.sweep()
        told = erase(str(path), task.id)
        lines = tally("timeline", task.id, "--ledger", str(path)).out

    assert (0, f"Erased 3 fields of 3 events of task {task.id}.") == (told.code, told.out.splitlines()[0])
    assert SECRET not in lines
    assert "pruned  by" in lines
    assert "erased: task (at position 5)" in lines


def test_copies_are_listed_with_what_they_are(folder: str) -> None:
    with tallystick.join(folder) as ledger:
        parent = ledger.create(runtime="cli", task="above", owner=OWNER)
        parent.start()
        child = ledger.create(runtime="cli", task="below", owner=OWNER, parent=parent.id)
        parent.cancel(f"{SECRET} wants it", cascade=True, wait_ms=0)

    told = erase(folder, parent.id)

    assert "Others say the same; erase these, too:\n" in told.out
    assert f"  task {child.id}  cancel requested, at position" in told.out
    assert child.id == tally("erase", parent.id, "--dry-run", "--ledger", folder, "--json").data["copies"][0]["taskId"]


# How it is shown.


@pytest.fixture
def erased(tmp_path: Path) -> tuple[str, str]:
    """The folder of a ledger, and the id of its only task, which was erased."""
    path = tmp_path / "ledger"
    path.mkdir(mode=0o700)
    (path / "tallystick.toml").write_text(ASIDE, "utf-8")
    token = made(str(path))
    assert 0 == erase(str(path), token).code
    return str(path), token


def test_a_task_is_shown_as_erased_with_when_by_whom_and_why(erased: tuple[str, str]) -> None:
    folder, token = erased
    who = erased_by(folder, token)

    lines = tally("show", token, "--ledger", folder).out.splitlines()

    assert lines[1].startswith("erased          20")
    assert lines[1].endswith(f" by {who}: {WHY}")
    assert "task            (erased)" in lines
    assert not any(line.startswith(("label", "result")) for line in lines)
    data = tally("show", token, "--ledger", folder, "--json").data
    assert (who, WHY) == (data["erased"]["by"], data["erased"]["reason"])
    assert [["text"]] == [message["erased"] for message in data["deliveries"]]


def test_a_list_a_board_and_a_tree_say_that_it_was_erased(erased: tuple[str, str]) -> None:
    folder, token = erased
    for words in (("list",), ("board", OWNER), ("show", token, "--tree")):
        assert "(erased)" in tally(*words, "--ledger", folder).out
    assert [token] == [task["taskId"] for task in tally("list", "--ledger", folder, "--json").data["tasks"]]
    assert [] == tally("list", "--text", SECRET, "--ledger", folder, "--json").data["tasks"]


def test_messages_say_that_their_text_was_erased(erased: tuple[str, str]) -> None:
    folder, token = erased
    assert "(erased)" in tally("deliveries", token, "--ledger", folder).out
    [message] = tally("deliveries", token, "--ledger", folder, "--json").data["deliveries"]
    assert ("", ["text"], "dismissed") == (message["text"], message["erased"], message["status"])


def test_a_timeline_says_of_each_event_what_of_it_was_erased_and_by_which(erased: tuple[str, str]) -> None:
    folder, token = erased
    told = tally("timeline", token, "--ledger", folder)
    data = tally("timeline", token, "--ledger", folder, "--json").data["events"]

    last = data[-1]
    assert ("task-erased.1", WHY) == (last["type"], last["data"]["reason"])
    assert f"erased: task, label (at position {last['position']})" in told.out
    assert "kept beside the log" not in told.out
    assert SECRET not in told.out
    assert (["task", "label"], {"task", "label"}) == (data[0]["erased"], data[0]["data"]["aside"].keys())
    assert all(digest not in told.out for digest in data[0]["data"]["aside"].values())
    assert "erased" not in data[1]


def test_what_is_kept_beside_the_log_is_said_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.mkdir(mode=0o700)
    (path / "tallystick.toml").write_text(ASIDE, "utf-8")
    token = made(str(path))

    told = tally("timeline", token, "--ledger", str(path))

    assert f"{SECRET}'s: mail {SECRET}" in told.out
    assert "kept beside the log: task, label\n" in told.out
    assert "=" not in "".join(line for line in told.out.splitlines() if "aside" in line)
    assert "aside" not in told.out
    data = tally("timeline", token, "--ledger", str(path), "--json").data["events"][0]["data"]
    assert f"mail {SECRET}" == data["task"]
    assert {"task", "label"} == data["aside"].keys()


def test_why_says_what_is_not_there_any_more(erased: tuple[str, str]) -> None:
    folder, token = erased
    told = tally("why", token, "--ledger", folder)
    data = tally("why", token, "--ledger", folder, "--json").data

    assert "erased: task, label\n" in told.out
    assert "aside" not in told.out
    assert SECRET not in told.out
    assert ["task", "label"] == data["reasons"][0]["erased"]
    assert "its content: asked for by the customer" in told.out


def test_a_replay_of_before_says_what_was_erased_later(erased: tuple[str, str]) -> None:
    folder, token = erased
    told = tally("replay", token, "--position", "1", "--ledger", folder)
    data = tally("replay", token, "--position", "1", "--ledger", folder, "--json").data
    lines = told.out.splitlines()

    assert (0, ["task", "label"]) == (told.code, data["erasedLater"]["fields"])
    assert WHY == data["erasedLater"]["reason"]
    assert any(line.startswith("erased later") and line.endswith(f": {WHY}") for line in lines)
    assert f"{'':16}task, label" in lines
    assert not [line for line in lines if line.strip() in ("task", "label", "result", "progress")]
    assert "erased later" not in tally("replay", token, "--ledger", folder).out


def test_a_step_says_what_was_erased(erased: tuple[str, str]) -> None:
    folder, token = erased
    told = tally("replay", token, "--step", "--ledger", folder).out

    assert "    task: nothing → (blank)\n" in told
    assert "(erased: message)" in told
    assert SECRET not in told


@pytest.mark.parametrize("words", [("hold",), ("release",), ("notify",)])
def test_what_changes_an_erased_task_names_it_as_erased(erased: tuple[str, str], words: tuple[str]) -> None:
    folder, token = erased
    more = ("silent",) if words == ("notify",) else ()
    told = tally(*words, token, *more, "--ledger", folder)

    assert (0, "(erased)") == (told.code, told.out.splitlines()[-1])


def test_the_log_verifies_to_the_root_that_it_had(erased: tuple[str, str]) -> None:
    folder, token = erased
    done = process("verify", "--ledger", folder, "--json")

    assert (0, True) == (done.code, done.data["ok"])
    assert 0 == process("audit", "--ledger", folder, "--fail-on", "warn").code
    assert f"{token[-12:]}" in tally("list", "--ledger", folder).out
