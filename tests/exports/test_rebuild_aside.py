"""A ledger that is made of an export has what was kept of it, and nothing of what was erased before or meanwhile."""

import io
import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tallystick
from tallystick import InvalidInput
from tallystick.config import Config, Payloads
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.aside import REASON
from tests.cli.support import process, tally
from tests.exports.parts import bodies, lines, root
from tests.exports.test_aside import imported

ASIDE = Config(payloads=Payloads(aside="content"))
SECRET = "Xylophone"


def bound(ledger: Ledger, **more: Any) -> Any:
    """A task that says something in every way."""
    given: dict[str, Any] = {
        "runtime": "cli",
        "task": f"Tune the {SECRET}",
        "label": f"{SECRET} 1",
        "owner": "agent:main",
        "metadata": {"for": SECRET},
        "run_id": "run-1",
        "idempotency_key": "key-1",
    }
    task = ledger.create(**{**given, **more})
    task.start()
    task.progress(f"Half of the {SECRET}")
    task.succeed(f"The {SECRET} is tuned", artifacts=[f"file:///{SECRET}"])
    return task


def test_what_was_erased_is_in_no_export_and_in_no_ledger_that_is_made_of_one(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", config=ASIDE, clock=HandClock()) as ledger:
        task = bound(ledger)
        other = bound(ledger, task="Oil the hinge", label=None, metadata=None, run_id="run-2", idempotency_key=None)
        before = io.BytesIO()
        ledger.export("ndjson", before)
        task.erase(REASON)
        after = io.BytesIO()
        ledger.export("ndjson", after)
        known = [ledger.get(each.id).record for each in (task, other)]
    again = imported(after.getvalue(), tmp_path)

    assert SECRET.encode() in before.getvalue()
    told_lines = [line for line in lines(after.getvalue()) if line.get("taskId") == task.id]
    assert SECRET not in json.dumps(told_lines)
    assert b"Oil the hinge" in after.getvalue()
    assert root(tmp_path / "ledger") == root(again)
    with tallystick.open(again, config=ASIDE, clock=HandClock()) as ledger:
        assert ledger.verify().ok
        assert known == [ledger.get(each.id).record for each in (task, other)]
        assert known[0].erased is not None
        assert REASON == known[0].erased.reason


def test_an_erasure_during_an_export_leaves_a_file_that_can_be_imported(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", config=ASIDE, clock=HandClock()) as ledger:
        tasks = [bound(ledger, run_id=f"run-{number}", idempotency_key=None) for number in range(3)]

        class Busy(io.BytesIO):
            """A stream during whose first writing somebody erases."""

            def write(self, content: object, /) -> int:
                tasks[1].erase(REASON)
                return super().write(content)  # type: ignore[arg-type]  # as it came

        out = Busy()
        made = ledger.export("ndjson", out)
    again = imported(out.getvalue(), tmp_path)

    assert (12, True) == (made.events, made.is_sound)
    with tallystick.open(again, clock=HandClock()) as ledger:
        assert ["", f"Tune the {SECRET}"] == [ledger.get(tasks[number].id).record.task for number in (1, 2)]


def test_a_run_is_known_again_unless_its_text_was_erased_and_a_key_always_is(tmp_path: Path) -> None:
    said: dict[str, Any] = {"runtime": "cli", "task": "x", "label": "y", "owner": "o"}
    picture: dict[str, Any] = {"runtime": "cli", "task": "A fox", "owner": "o", "kind": "image_generation"}
    with tallystick.open(tmp_path / "ledger", config=ASIDE, clock=HandClock()) as ledger:
        erased = ledger.create(**said, run_id="run-1", idempotency_key="key-1")
        kept = ledger.create(**said, run_id="run-2")
        first, second = ledger.create(**picture), ledger.create(**{**picture, "task": "An owl"})
        for task in (erased, first):
            task.erase(REASON)
        out = io.BytesIO()
        ledger.export("ndjson", out)
    again = imported(out.getvalue(), tmp_path)

    with tallystick.open(again, config=ASIDE, clock=HandClock()) as ledger:
        assert ledger.verify().ok
        assert erased.id == ledger.create(**said, idempotency_key="key-1").id
        assert erased.id != ledger.create(**said, run_id="run-1").id
        assert kept.id == ledger.create(**said, run_id="run-2").id
        assert second.id == ledger.create(**{**picture, "task": "An owl"}).id
        assert first.id != ledger.create(**picture).id


def test_whoever_has_an_export_of_before_an_erasure_can_show_what_was_recorded_and_nobody_else(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", config=ASIDE, clock=HandClock()) as ledger:
        task = bound(ledger)
        before, after = io.BytesIO(), io.BytesIO()
        ledger.export("ndjson", before)
        task.erase(REASON)
        ledger.export("ndjson", after)
        [recorded] = [event.data.aside["task"] for event in ledger.timeline(task.id)[:1] if event.data.aside]

    told, left = (lines(out.getvalue())[1] for out in (before, after))
    shown = b64decode(told["salts"]["task"]) + msgspec.msgpack.encode(told["data"]["task"])
    assert recorded == sha256(shown).digest() == b64decode(left["data"]["aside"]["task"])
    assert "task" not in left.get("salts", {})
    assert recorded != sha256(msgspec.msgpack.encode(told["data"]["task"])).digest()


def test_salts_in_a_file_of_the_version_that_has_none_are_refused(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", config=ASIDE, clock=HandClock()) as ledger:
        bound(ledger)
        out = io.BytesIO()
        ledger.export("ndjson", out)

    with pytest.raises(InvalidInput, match="line 2: a file of version 1 of the format has no salts"):
        imported(out.getvalue().replace(b'"version":2,"madeAt"', b'"version":1,"madeAt"'), tmp_path)
    assert not (tmp_path / "again").exists()


@pytest.mark.slow
def test_the_commands_carry_it_to_another_folder(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", config=ASIDE) as ledger:
        bound(ledger).erase(REASON)
        kept = bound(ledger, run_id="run-2", idempotency_key=None)
    out, again = str(tmp_path / "all.ndjson.zst"), str(tmp_path / "again")

    made = process("export", "--ledger", tmp_path / "ledger", "--format", "ndjson", "--out", out, "--json")
    taken = process("import", "--ledger", again, out, "--json")

    assert (0, 0, True) == (made.code, taken.code, tally("verify", "--ledger", again, "--json").data["ok"])
    assert made.data["rootHash"] == taken.data["rootHash"]
    assert bodies(tmp_path / "ledger") == bodies(Path(again))
    shown = tally("timeline", "--ledger", again, kept.id, "--json").data["events"]
    told_lines = lines(tally("export", "--ledger", again, "--format", "ndjson", kept.id).out.encode())[1:-1]
    assert [{"taskId": kept.id, **event} for event in shown] == [
        {name: value for name, value in line.items() if name != "salts"} for line in told_lines
    ]
    for command in (("list",), ("show", kept.id), ("timeline", kept.id)):
        assert tally(*command, "--ledger", str(tmp_path / "ledger"), "--json").data == (
            tally(*command, "--ledger", again, "--json").data
        )
