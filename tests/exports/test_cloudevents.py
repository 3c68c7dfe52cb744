"""Every event is a CloudEvent that the official library reads."""

import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.exports.exporting import export, selection_of
from tallystick.ledger.events import Event
from tests.cli.damage import change_record
from tests.cli.support import make_stories, tally
from tests.exports.parts import NOW_MS, exported, logged, read
from tests.projections.flow_histories import flow_histories
from tests.projections.histories import histories
from tests.story import Story, created

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = re.compile("[a-z0-9]{1,20}")
REFERENCE = re.compile("([a-zA-Z0-9._~/:?@!$&'()*+,;=-]|%[0-9A-F]{2})+")


@pytest.mark.slow
@given(st.one_of(histories(most=8), flow_histories(most=8)))
def test_the_official_library_reads_every_event(events: list[Event]) -> None:
    content, made = exported(read(logged(events)), "cloudevents")

    told = [JSONFormat().read(CloudEvent, line) for line in content.splitlines()]
    assert len(events) == len(told) == made.events
    for event, cloud in zip(events, told, strict=True):
        assert (str(event.position), event.task_id) == (cloud.get_id(), cloud.get_subject())
        assert f"io.tallystick.{event.type}" == cloud.get_type()
        assert EPOCH + timedelta(milliseconds=event.occurred_at) == cloud.get_time()
        assert event.position == int(cloud.get_extension("sequence"))
        assert event.actor == cloud.get_extension("actor")
        assert isinstance(cloud.get_data(), dict)
    assert sorted(cloud.get_extension("sequence") for cloud in told) == [
        cloud.get_extension("sequence") for cloud in told
    ]


def test_names_of_attributes_are_those_that_the_specification_allows(tmp_path: Path) -> None:
    make_stories(tmp_path / "ledger")

    said = tally("export", "--ledger", str(tmp_path / "ledger"), "--format", "cloudevents").out

    names = {name for line in said.splitlines() for name in json.loads(line)}
    assert [] == [name for name in names if not NAMES.fullmatch(name)]
    assert {"specversion", "id", "source", "type", "recordedtime", "position", "sequence"} <= names


def test_all_events_of_a_ledger_have_one_source_and_an_origin_is_it(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    make_stories(ledger)
    first = tally("export", "--ledger", str(ledger), "--format", "cloudevents").out.splitlines()
    (ledger / "tallystick.toml").write_text('[integrity]\norigin = "example.org/ledger/main"\n', "utf-8")
    named = tally("export", "--ledger", str(ledger), "--format", "cloudevents").out.splitlines()

    [source] = {json.loads(line)["source"] for line in first}
    assert re.fullmatch("urn:tallystick:[0-9a-f]{32}", source)
    assert {"example.org/ledger/main"} == {json.loads(line)["source"] for line in named}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1))
@example('ex\xe4mple/<l\xe4ger>"^|{}%#[]')
def test_a_source_is_a_reference_to_a_resource_however_a_ledger_is_called(origin: str) -> None:
    story = Story()
    story.tell(created())
    readings, out, named = read(logged(story.events)), io.BytesIO(), io.BytesIO()
    export(readings, "ndjson", out, selection_of("ndjson"), now=NOW_MS, origin=origin)
    export(readings, "cloudevents", named, selection_of("cloudevents"), now=NOW_MS, origin=origin)

    source = json.loads(named.getvalue())["source"]
    assert REFERENCE.fullmatch(source)
    assert origin == unquote(source) == json.loads(out.getvalue().splitlines()[0])["ledger"]


def test_what_cannot_be_read_is_an_event_that_says_so(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    make_stories(ledger)
    change_record(ledger, 20, lambda _: b"broken")

    said = tally("export", "--ledger", str(ledger), "--format", "cloudevents")

    [gap] = [event for event in map(json.loads, said.out.splitlines()) if "damaged" in event["type"]]
    assert (4, "20", "io.tallystick.record-damaged.1") == (said.code, gap["id"], gap["type"])
    assert gap["data"]["detail"]
