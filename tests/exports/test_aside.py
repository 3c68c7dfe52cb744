"""An NDJSON export carries what is kept beside the log, and nothing of what was erased; an import makes both again."""

import base64
import json
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.exports.lines import Line, event_line, read_line, restored
from tallystick.imports.rebuild import rebuild
from tallystick.ledger.content import CONTENT
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.events import Event
from tallystick.ledger.limits import SALT_BYTES
from tallystick.ledger.payloads import digest, lacking, put
from tallystick.ledger.store import codec
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog, Row
from tests.aside import Kept, kept_histories, kept_log
from tests.exports.parts import NOW_MS, exported, lines, logged, read
from tests.projections.histories import histories, told


def rows(log: EventLog) -> list[Row]:
    """All that is kept beside a log."""
    return log.payloads(1, log.head())


def imported(content: bytes, folder: Path) -> Path:
    """Make a ledger of an export."""
    (folder / "export").write_bytes(content)
    rebuild(folder / "export", folder / "again", now=NOW_MS)
    return folder / "again"


# There and back.


@pytest.mark.slow
@given(kept_histories())
def test_the_same_records_the_same_root_and_the_same_payloads_come_back(kept: Kept) -> None:
    log = kept.log()

    content, made = exported(read(log))
    with tempfile.TemporaryDirectory() as folder, DiskLog.open(imported(content, Path(folder)) / "log") as again:
        assert list(log.bodies()) == list(again.bodies())
        assert log.tree_head() == again.tree_head()
        assert rows(log) == rows(again)
        assert list(log.read()) == list(again.read())

    assert made.is_sound
    assert (len(kept.events), 0) == (made.events, made.damaged)


@given(kept_histories(most=12))
def test_a_line_shows_what_is_kept_with_its_salt_and_nothing_of_what_is_not(kept: Kept) -> None:
    log = kept.log()

    _, *told_lines, _ = lines(exported(read(log))[0])

    for line, stored in zip(told_lines, log.read(), strict=True):
        assert isinstance(stored, Event)
        salts, fields = line.get("salts", {}), dict(CONTENT_NAMES(stored.data))
        assert list(lacking(stored.data)) == line.get("erased", [])
        assert set(put(stored.data)) - set(lacking(stored.data)) == set(salts)
        for name, salt in salts.items():
            value = msgspec.msgpack.encode(line["data"][fields[name]])
            said = base64.b64decode(line["data"]["aside"][name])
            assert sha256(base64.b64decode(salt) + value).digest() == said
        assert "body" not in line


def CONTENT_NAMES(fact: Any) -> list[tuple[str, str]]:  # noqa: N802 - a table
    """The names of the fields of content of a fact, and those that JSON has for them."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(fact)}
    return [(name, names[name]) for name in CONTENT[type(fact)]]


def test_a_file_without_salts_is_one_that_every_version_reads() -> None:
    assert [1, 2, 1] == [
        lines(exported(read(log))[0])[0]["version"] for log in (logged(told()), kept_log(told()), logged([]))
    ]


@given(kept_histories(most=8), st.data())
def test_the_version_of_a_part_is_that_of_what_is_in_it(kept: Kept, data: st.DataObject) -> None:
    after = data.draw(st.integers(0, len(kept.events)))
    log = kept.log()

    header, *told_lines, _ = lines(exported(read(log), after=after)[0])
    assert (2 if any("salts" in line for line in told_lines) else 1) == header["version"]
    for stream in kept.tasks:
        header, *told_lines, _ = lines(exported(read(log), lookup=Event(1, stream, 1, 1, 1, "", None).task_id)[0])  # type: ignore[arg-type]
        assert (2 if any("salts" in line for line in told_lines) else 1) == header["version"]


def test_whatever_is_kept_is_exported_as_it_is_also_when_no_line_would_lead_to_it() -> None:
    [event] = [event for event in kept_log(told()).read(0, 1) if isinstance(event, Event)]
    payload = bytes(SALT_BYTES) + b"\xd9\x01x"  # "x" as no encoder of today has it
    aside = {**(event.data.aside or {}), "task": digest(payload)}
    spelled = replace(event, data=replace(event.data, task="x", aside=aside))
    log = MemoryLog()
    log.append([spelled], {}, {}, {1: {"task": payload}})

    line = read_line(exported(read(log))[0].splitlines()[1])

    assert isinstance(line, Line)
    assert line.payloads == {"task": payload}
    assert line.salts is None
    assert (log.records(1, 1), {"task": payload}) == ([restored(line).body], restored(line).payloads)


# What does not fit.


Spoil = Callable[[dict[str, Any]], None]


def changed_text(line: dict[str, Any]) -> None:
    """Say something else."""
    line["data"]["task"] = "another"


def changed_salt(line: dict[str, Any]) -> None:
    """Have another salt."""
    line["salts"]["task"] = base64.b64encode(bytes(SALT_BYTES)).decode()


def short_salt(line: dict[str, Any]) -> None:
    """Have less of it."""
    line["salts"]["task"] = "AAAA"


def lost_salt(line: dict[str, Any]) -> None:
    """Lose it, and keep the text."""
    del line["salts"]["task"]


def lost_text(line: dict[str, Any]) -> None:
    """Lose the text, and keep the salt."""
    line["data"]["task"], line["erased"] = "", ["task"]


def hidden_text(line: dict[str, Any]) -> None:
    """Lose both, and do not say so."""
    line["data"]["task"] = ""
    del line["salts"]["task"]


def changed_digest(line: dict[str, Any]) -> None:
    """Name another digest, and nothing of it is kept."""
    line["data"]["aside"]["task"] = base64.b64encode(bytes(32)).decode()
    line["data"]["task"], line["erased"] = "", ["task"]
    del line["salts"]["task"]


def one_salt_more(line: dict[str, Any]) -> None:
    """Have a salt of what is in the record."""
    line["salts"]["owner"] = line["salts"]["task"]


def payloads_beside_data(line: dict[str, Any]) -> None:
    """Have them where only a body leads to them."""
    line["payloads"] = line.pop("salts")


def salts_beside_a_body(line: dict[str, Any]) -> None:
    """Have them where payloads stand."""
    line["body"] = base64.b64encode(kept_log(told()).records(1, 1)[0]).decode()  # type: ignore[arg-type]


SAID: dict[Spoil, str] = {
    changed_text: "line 2: task and its salt have not the digest that the record has",
    changed_salt: "line 2: task and its salt have not the digest that the record has",
    short_salt: "line 2: the salt of task has 3 bytes, and not 16",
    lost_salt: "line 2: it says task, which is kept beside the log, and has no salt of it",
    hidden_text: "line 2: it names other fields as erased than those that are",
    lost_text: "line 2: task and its salt have not the digest that the record has",
    changed_digest: "its events have the root",
    one_salt_more: "line 2: it has a salt of owner, which its record does not name",
    payloads_beside_data: "line 2: payloads stand beside a body alone",
    salts_beside_a_body: "line 2: salts stand beside data alone",
}


@pytest.mark.parametrize("spoil", SAID, ids=[each.__name__ for each in SAID])
def test_what_does_not_have_the_digest_of_its_record_is_refused_with_the_line(spoil: Spoil, tmp_path: Path) -> None:
    content = exported(read(kept_log(told())))[0].splitlines()
    line = json.loads(content[1])
    spoil(line)
    content[1] = json.dumps(line).encode()

    with pytest.raises(TallystickError) as caught:
        imported(b"\n".join([*content, b""]), tmp_path)

    assert SAID[spoil] in str(caught.value)
    assert not (tmp_path / "again").exists()


def test_a_payload_beside_a_body_is_held_to_the_record(tmp_path: Path) -> None:
    log = kept_log(told())
    [event] = [event for event in log.read(0, 1) if isinstance(event, Event)]
    [body] = log.records(1, 1)
    assert isinstance(body, bytes)
    wrong = {"task": bytes(SALT_BYTES) + msgspec.msgpack.encode("another")}
    content = exported(read(log))[0].splitlines()
    content[1] = event_line(replace(event, data=replace(event.data, task="another")), body, wrong)

    with pytest.raises(TallystickError, match="line 2: task and its salt have not the digest"):
        imported(b"\n".join([*content, b""]), tmp_path)


@pytest.mark.slow
@given(kept_histories(most=10), st.data())
def test_whatever_is_put_into_a_line_is_noticed_or_says_the_same(kept: Kept, data: st.DataObject) -> None:
    log = kept.log()
    content = exported(read(log))[0]
    place = data.draw(st.integers(0, len(content) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=4))
    spoiled = content[:place] + noise + content[place + data.draw(st.integers(0, 4)) :]
    with tempfile.TemporaryDirectory() as folder:
        try:
            again = imported(spoiled, Path(folder))
        except TallystickError:
            assert not Path(folder, "again").exists()
        else:
            with DiskLog.open(again / "log", readonly=True) as rebuilt:
                assert log.tree_head() == rebuilt.tree_head()
                assert [row for row in rows(rebuilt) if row not in rows(log)] == []


class Changed(MemoryLog):
    """A log beside which other rows are kept than were written."""

    def __init__(self, kept: Kept, others: list[Row]) -> None:
        super().__init__()
        kept.log(self)
        self._others = others

    def payloads(self, first: int, last: int, limit: int | None = None) -> list[Row]:
        return [row for row in self._others if first <= row[0] <= last][:limit]


@pytest.mark.slow
@given(kept_histories(most=8).filter(lambda kept: bool(kept.payloads)), st.data())
def test_whatever_is_kept_beside_a_log_every_entry_is_there_and_says_nothing_that_was_not_written(
    kept: Kept, data: st.DataObject
) -> None:
    whole = rows(kept.log())
    some = data.draw(st.lists(st.sampled_from(whole), unique=True)) if whole else []
    noise = st.tuples(
        st.integers(1, len(kept.events)), st.sampled_from(["task", "text", "nothing"]), st.binary(max_size=40)
    )
    other = sorted({(row[0], row[1]): row for row in [*some, *data.draw(st.lists(noise, max_size=3))]}.values())
    strangers = {row[0] for row in other if row not in whole}

    content, made = exported(read(Changed(kept, other)))

    _, *told_lines, end = lines(content)
    assert strangers == {line["position"] for line in told_lines if "damaged" in line}
    assert (len(strangers), len(kept.events)) == (made.damaged, len(told_lines))
    assert (end["damaged"] == 0) == made.is_sound
    for form in ("cloudevents", "csv", "parquet"):
        exported(read(Changed(kept, other)), form, **({} if form == "cloudevents" else {"rows": "events"}))


@given(histories(most=6))
def test_a_log_of_which_nothing_is_kept_is_exported_as_ever(events: list[Event]) -> None:
    content = exported(read(logged(events)))[0]

    assert b"salts" not in content
    told_lines = map(read_line, content.splitlines()[1:-1])
    assert [codec.encode(event) for event in events] == [
        restored(line).body for line in told_lines if isinstance(line, Line)
    ]
