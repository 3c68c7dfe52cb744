"""XES: a trace for each task, with an event for each of its facts.

Source of the format: IEEE 1849-2016, with its extensions Concept, Lifecycle, Organizational and Time. What these have
no attribute for begins with "tally:". Its schema asks for the version as a decimal number.
"""

from collections.abc import Iterator
from typing import BinaryIO

from tallystick.exports.activities import activity, transition
from tallystick.exports.histories import History
from tallystick.exports.source import Source
from tallystick.exports.unfolding import Step, moment, unfolded
from tallystick.exports.values import as_json, said, text_of
from tallystick.exports.xml_text import ascii_bytes, xml_text
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Damaged

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<log xmlns="http://www.xes-standard.org/" xes.version="1849.2016" xes.features="">
 <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
 <extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
 <extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
 <extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
 <global scope="trace">
  <string key="concept:name" value="unknown"/>
 </global>
 <global scope="event">
  <string key="concept:name" value="unknown"/>
  <date key="time:timestamp" value="1970-01-01T00:00:00.000Z"/>
  <int key="tally:position" value="0"/>
 </global>
 <classifier name="Activity" keys="concept:name"/>
 <classifier name="Type" keys="tally:type"/>
 <string key="lifecycle:model" value="standard"/>
"""

_TAGS = {"string": "string", "integer": "int", "boolean": "boolean"}


def write(source: Source, out: BinaryIO) -> None:
    """Write the log, trace by trace: as much is in memory as a slice of the events, or the longest history."""
    out.write(ascii_bytes(_HEAD + "".join(_of_log(source))))
    for history in source.histories(flows=False):
        trace = "".join(_trace(history))
        out.write(ascii_bytes(trace))
    out.write(b"</log>\n")


def _of_log(source: Source) -> Iterator[str]:
    yield _string("concept:name", source.identity, 1)
    yield _int("tally:size", source.size, 1)
    if source.root_hash is not None:
        yield _string("tally:rootHash", source.root_hash.hex(), 1)
    if source.selection.said():
        yield _string("tally:selection", as_json(source.selection.said()), 1)


def _trace(history: History) -> Iterator[str]:
    steps = list(unfolded(history.records, history.created_at))
    yield " <trace>\n"
    yield _string("concept:name", history.id, 2)
    if (record := steps[-1].task) is not None:
        yield from _of_task(record)
    for step in steps:
        yield "  <event>\n"
        yield from _of_event(step)
        yield "  </event>\n"
    yield " </trace>\n"


def _of_task(record: TaskRecord) -> Iterator[str]:
    """What is known of a task in the end. What it has not is left out."""
    texts = {
        "runtime": record.runtime,
        "status": record.shown_status,
        "task": record.task,
        "label": record.label,
        "kind": record.task_kind,
        "owner": record.owner_key,
        "requester": record.requester_session_key,
        "childSession": record.child_session_key,
        "agent": record.agent_id,
        "runId": record.run_id,
        "sourceId": record.source_id,
        "flow": record.parent_flow_id,
        "parent": record.parent_task_id,
        "root": record.root_task_id,
        "notifyPolicy": record.notify_policy,
        "deliveryStatus": record.delivery_status,
        "metadata": None if record.metadata is None else as_json(record.metadata),
        "usage": None if record.usage is None else as_json(record.usage),
        "erased": None if record.erased is None else as_json(record.erased),
    }
    for name, text in texts.items():
        if text:
            yield _string(f"tally:{name}", text, 2)


def _of_event(step: Step) -> Iterator[str]:
    stored = step.stored
    yield f"""\
   <string key="concept:name" value="{activity(stored)}"/>
   <date key="time:timestamp" value="{moment(step.at)}"/>
   <int key="tally:position" value="{stored.position}"/>
"""
    if isinstance(stored, Damaged):
        yield _string("tally:detail", stored.detail, 3)
        return
    if (move := transition(step.task, stored.data)) is not None:
        yield f'   <string key="lifecycle:transition" value="{move}"/>\n'
    if stored.actor:
        yield _string("org:resource", stored.actor, 3)
    yield f"""\
   <int key="tally:version" value="{stored.version}"/>
   <string key="tally:type" value="{stored.type}"/>
"""
    yield _date("tally:occurredAt", stored.occurred_at)
    yield _date("tally:recordedAt", stored.recorded_at)
    for field, value in said(stored.data):
        text = xml_text(value) if isinstance(value, str) else text_of(value)
        yield f'   <{_TAGS[field.kind]} key="tally:{field.name}" value="{text}"/>\n'


def _string(key: str, text: str, depth: int) -> str:
    return f'{" " * depth}<string key="{key}" value="{xml_text(text)}"/>\n'


def _int(key: str, number: int, depth: int) -> str:
    return f'{" " * depth}<int key="{key}" value="{number}"/>\n'


def _date(key: str, ms: int) -> str:
    told = moment(ms)
    return "" if told is None else f'   <date key="{key}" value="{told}"/>\n'
