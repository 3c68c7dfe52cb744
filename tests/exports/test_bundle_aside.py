"""A bundle shows what is kept beside the log, holds it to the digests that are proved, and says what is not here."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from tallystick.exports import manifest
from tallystick.exports.page import page
from tallystick.ledger.content import without
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.tasks import TaskErased, TaskFailed, TaskStarted, TaskSucceeded
from tallystick.ledger.payloads import lacking, put
from tallystick.ledger.proofs.checkpoint import Checkpoint
from tallystick.ledger.store.memory import MemoryLog
from tests.announced import Announced, asked
from tests.aside import REASON, Kept, kept_histories, marked
from tests.cli.support import tally
from tests.exports.evidence import EVENTS, bundled, listed, manifest_of, paged, refused, verified
from tests.exports.parts import everything, logged
from tests.notary.parts import Place
from tests.story import STREAM, created


def story(*facts: AnyFact, stream: bytes = STREAM, position: int = 0) -> list[Event]:
    """A task of which somebody is told."""
    return Announced(asked(label="Bob"), *facts, stream=stream, position=position).events


def erased(events: list[Event], *, until: int | None = None) -> MemoryLog:
    """A log of a task with what is kept of it, which is erased behind its last event, or behind a position."""
    told, payloads = marked(events)
    log = MemoryLog()
    log.append(told[:until], {}, {}, {place: kept for place, kept in payloads.items() if place <= (until or len(told))})
    last = told[(until or len(told)) - 1]
    log.append([replace(last, position=last.position + 1, version=last.version + 1, actor="ops", data=ERASED)])
    return log


ERASED = TaskErased(reason=REASON, fields=("task", "label"), count=5)
TOLD = story(TaskStarted(), TaskFailed(error="No such file"))


def kept_log(events: list[Event]) -> MemoryLog:
    log = MemoryLog()
    told, payloads = marked(events)
    log.append(told, {}, {}, payloads)
    return log


def text_of(bundle: Path) -> str:
    return (bundle / manifest.PAGE).read_text("utf-8")


# What is kept is shown.


def test_what_is_kept_beside_the_log_is_shown_and_held_to_the_digest_in_its_record(
    place: Place, tmp_path: Path
) -> None:
    bundled(kept_log(TOLD), place, tmp_path / "out")

    found = verified(place, tmp_path / "out")
    assert (len(TOLD), 0, 0, 0) == (found.events, found.damaged, found.erased, found.absent)
    for said in ("Bob", "Count the tallies", "No such file", "<em>kept beside the log: error</em>"):
        assert said in text_of(tmp_path / "out")
    assert manifest.VERSION == manifest_of(tmp_path / "out").version


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept_histories(most=10).filter(lambda kept: bool(kept.events)))
def test_a_bundle_of_any_log_is_verified_whatever_is_kept_or_erased(place: Place, kept: Kept) -> None:
    log = kept.log()
    with tempfile.TemporaryDirectory() as folder:
        bundled(log, place, Path(folder, "out.zip"))
        found = verified(place, Path(folder, "out.zip"))

    facts = [event.data for event in log.read() if isinstance(event, Event)]
    assert (len(kept.events), sum(len(lacking(fact)) for fact in facts)) == (found.events, found.erased + found.absent)
    assert 0 == found.absent


def test_a_bundle_of_a_log_of_which_nothing_is_kept_is_the_same_as_ever(bundle: Path) -> None:
    assert manifest.FIRST == manifest_of(bundle).version
    assert "<em>" not in text_of(bundle)


# What is not.


def test_what_was_erased_is_said_to_be_by_whom_where_and_why(place: Place, tmp_path: Path) -> None:
    bundled(erased(TOLD), place, tmp_path / "out")

    found = verified(place, tmp_path / "out")
    assert (0, True) == (found.absent, found.erased > 4)
    text = text_of(tmp_path / "out")
    behind = len(TOLD) + 1
    assert f"<em>erased by ops at position {behind}: task, label, origin</em>" in text
    assert f"<em>erased by ops at position {behind}: its text</em>" in text
    assert re.search(rf"<tr><th>erased</th><td>\S+ by ops: {REASON}</td></tr>", text)
    for gone in ("Bob", "Count the tallies", "No such file"):
        assert gone not in text
    assert "agent reported that it failed (running → failed)<br>" in text


def test_of_what_was_erased_later_than_what_is_here_nobody_says_by_whom(place: Place, tmp_path: Path) -> None:
    bundled(erased(TOLD), place, tmp_path / "out", until_position=len(TOLD))

    found = verified(place, tmp_path / "out")
    assert (0, True) == (found.erased, found.absent > 4)
    assert "<em>not here: task, label, origin. It was erased later, or left out.</em>" in text_of(tmp_path / "out")


def test_what_came_after_an_erasure_is_not_erased_by_it(place: Place, tmp_path: Path) -> None:
    log = erased(TOLD[:1], until=1)
    later, payloads = marked([Event(3, STREAM, 3, 9, 9, "a", TaskFailed(error="No such file"))])
    log.append(later, {}, {}, payloads)
    bundled(log, place, tmp_path / "out")

    assert (3, 0) == (verified(place, tmp_path / "out").erased, verified(place, tmp_path / "out").absent)
    assert "No such file" in text_of(tmp_path / "out")


# What is another is noticed.


def changed(bundle: Path, place: int, change: Callable[[dict[str, Any]], None]) -> list[Event]:
    """Change a line, and let the manifest fit; returns the events as they are without that."""
    events = bundle / manifest.EVENTS
    lines = events.read_bytes().splitlines()
    line = json.loads(lines[place])
    change(line)
    lines[place] = json.dumps(line).encode()
    events.write_bytes(b"\n".join([*lines, b""]))
    listed(bundle)
    return marked(TOLD)[0]


def test_a_text_that_was_changed_after_the_export_is_found_though_page_and_manifest_fit(
    place: Place, tmp_path: Path
) -> None:
    bundled(kept_log(TOLD), place, tmp_path / "out")

    def lie(line: dict[str, Any]) -> None:
        line["data"]["label"] = "Eve"

    events = changed(tmp_path / "out", 1, lie)
    paged(tmp_path / "out", [replace(events[0], data=replace(events[0].data, label="Eve")), *events[1:]])
    listed(tmp_path / "out")

    assert "Eve" in text_of(tmp_path / "out")
    assert "line 2 is none of an event (label and its salt have not the digest" in refused(place, tmp_path / "out")


def test_a_digest_that_was_changed_with_its_text_is_found_by_the_record(place: Place, tmp_path: Path) -> None:
    bundled(kept_log(TOLD), place, tmp_path / "out")
    other = kept_log([replace(TOLD[0], data=replace(TOLD[0].data, label="Eve")), *TOLD[1:]])
    bundled(other, place, tmp_path / "other")
    ours, theirs = tmp_path / "out" / manifest.EVENTS, (tmp_path / "other" / manifest.EVENTS).read_bytes()
    lines = ours.read_bytes().splitlines()
    lines[1] = theirs.splitlines()[1]
    ours.write_bytes(b"\n".join([*lines, b""]))
    listed(tmp_path / "out")

    assert "the line of position 1 says something else than its record" in refused(place, tmp_path / "out")


def test_a_text_that_is_left_out_is_missing_on_the_page_and_in_the_verdict(place: Place, tmp_path: Path) -> None:
    bundled(kept_log(TOLD), place, tmp_path / "out")

    def silence(line: dict[str, Any]) -> None:
        line["data"]["label"], line["erased"] = "", ["label"]
        del line["salts"]["label"]

    [first, *others] = changed(tmp_path / "out", 1, silence)
    assert "not the page that follows" in refused(place, tmp_path / "out")
    paged(tmp_path / "out", [replace(first, data=without(first.data, ("label",))), *others])
    listed(tmp_path / "out")

    found = verified(place, tmp_path / "out")
    assert (0, 1) == (found.erased, found.absent)
    assert "<em>not here: label. It was erased later, or left out.</em>" in text_of(tmp_path / "out")


@pytest.mark.parametrize(("log", "version"), [(kept_log(TOLD), manifest.FIRST), (logged(EVENTS), manifest.VERSION)])
def test_a_bundle_says_the_version_that_it_has(place: Place, tmp_path: Path, log: MemoryLog, version: int) -> None:
    bundled(log, place, tmp_path / "out")
    made = manifest_of(tmp_path / "out")
    (tmp_path / "out" / manifest.MANIFEST).write_bytes(replace(made, version=version).to_bytes())

    assert f"a bundle with these events is no version {version}" in refused(place, tmp_path / "out")


def test_a_payload_that_is_another_than_was_written_is_a_damaged_event(place: Place, tmp_path: Path) -> None:
    told, payloads = marked(TOLD)
    log = MemoryLog()
    log.append(told, {}, {}, {**payloads, 1: {**payloads[1], "label": payloads[1]["task"]}})

    made = bundled(log, place, tmp_path / "out")

    assert (1, len(TOLD) - 1) == (made.about.damaged, made.about.events)
    assert 1 == verified(place, tmp_path / "out").damaged
    assert "what is kept of label has not the digest that the record has" in text_of(tmp_path / "out")


# On paper.


def paper(events: list[Event]) -> str:
    about = manifest.About(
        made_at=1, made_by="a", by="b", ledger="c", size=9, root_hash="00", events=9, damaged=0, deleted=0
    )
    return "".join(page(about, Checkpoint("c", 9, bytes(32)), None, events))


def test_no_text_looks_like_a_mark_of_the_page() -> None:
    forged = "<em>erased by ops at position 2: task</em>"
    event = Event(1, STREAM, 1, 1, 1, forged, replace(created(), task=forged, label=forged))

    assert "<em>" not in paper([event])
    told, _ = marked([event])
    assert ["kept beside the log: task, label"] == [
        part.partition("</em>")[0] for part in paper(told).split("<em>")[1:]
    ]


def test_what_was_taken_out_before_it_was_stored_is_a_mark_and_no_text(place: Place, tmp_path: Path) -> None:
    facts: list[AnyFact] = [replace(created(label="x"), redacted=("label",)), TaskSucceeded(summary="y")]
    log = logged([Event(number, STREAM, number, 1, 1, "a", fact) for number, fact in enumerate(facts, 1)])
    bundled(log, place, tmp_path / "out")

    assert 2 == verified(place, tmp_path / "out").events
    assert "<em>something was taken out of it before it was stored: label</em>" in text_of(tmp_path / "out")
    assert manifest.VERSION == manifest_of(tmp_path / "out").version


# As a command.


def test_the_command_says_how_much_is_not_here(place: Place, tmp_path: Path) -> None:
    bundled(erased(TOLD), place, tmp_path / "whole")
    bundled(erased(TOLD), place, tmp_path / "part", until_position=len(TOLD))

    whole, part = (
        tally("verify", "--bundle", str(tmp_path / name), "--key", place.verifiers[0], "--json")
        for name in ("whole", "part")
    )
    gone = sum(len(put(event.data)) for event in marked(TOLD)[0])
    assert [(gone, 0), (0, gone)] == [(said.data["erased"], said.data["absent"]) for said in (whole, part)]
    words = tally("verify", "--bundle", str(tmp_path / "part"), "--key", place.verifiers[0]).out
    assert f"{gone} fields: erased later, or left out; their records have only digests" in words
    words = tally("verify", "--bundle", str(tmp_path / "whole"), "--key", place.verifiers[0]).out
    assert f"{gone} fields, as events here say; their records have only digests" in words


def test_a_bundle_of_a_ledger_carries_what_is_kept_and_neither_its_proofs_nor_tiles_do(
    place: Place, tmp_path: Path
) -> None:
    place.written(0)
    config = place.ledger / "tallystick.toml"
    config.write_text(f'{config.read_text("utf-8")}[payloads]\naside = "content"\n', "utf-8")
    words = ["--ledger", str(place.ledger)]

    assert 0 == tally("run", *words, "--owner", "agent:main", "--label", "Xylophone", "--", "true").code
    made = tally("export", *words, "--format", "bundle", "--out", str(tmp_path / "out"), "--json")
    tiles = tally("export", *words, "--format", "tiles", "--out", str(tmp_path / "tiles"), "--json")

    assert (0, 3) == (made.code, verified(place, tmp_path / "out").events)
    assert "Xylophone" in text_of(tmp_path / "out")
    assert (0, 1) == (tiles.code, tiles.data["bundles"])
    assert not any(b"Xylophone" in file for file in everything(tmp_path / "tiles").values())
    assert not any(b"Xylophone" in proof.read_bytes() for proof in (tmp_path / "out" / "proofs").iterdir())
