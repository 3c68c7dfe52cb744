"""An erasure counts what is blank afterwards, and so does everybody who counts that again."""

import pytest

from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.payloads import lacking
from tallystick.sync import Ledger
from tests.erasing.parts import SECRET, WHY, asked


@pytest.mark.parametrize("notify", ["silent", "done_only", "state_changes"])
def test_what_is_blank_afterwards_is_what_was_counted(ledger: Ledger, notify: str) -> None:
    task = asked(ledger, notify=notify)
    task.start()
    first = ledger.erase(task.id, reason=WHY)
    task.progress(f"{SECRET} reads it")
    task.fail(f"{SECRET} is away")
    second = ledger.erase(task.id, reason=WHY)

    events = ledger.timeline(task.id)
    assert first.count + second.count == sum(len(lacking(event.data)) for event in events)
    assert [first.count, second.count] == [event.data.count for event in events if isinstance(event.data, TaskErased)]


@pytest.mark.parametrize("secrets", [["content"], None], ids=["names a word of it", "fails"])
def test_what_an_erasure_says_itself_is_shown_to_no_hook(ledger: Ledger, secrets: list[str] | None) -> None:
    task = asked(ledger)
    task.fail(f"{SECRET} is away")
    ledger.redact(lambda _text: list(secrets or ()) if secrets else [None], stored=True)  # type: ignore[list-item]

    erasure = ledger.erase(task.id, reason=WHY)

    assert erasure.count == sum(len(lacking(event.data)) for event in ledger.timeline(task.id))
    assert {"its content was erased"} == {message.error for message in ledger.deliveries(task.id)}


def test_a_message_that_an_erasure_dismisses_says_why(ledger: Ledger) -> None:
    task = asked(ledger)
    task.fail(f"{SECRET} is away")

    erasure = ledger.erase(task.id, reason=WHY)

    assert () == erasure.stays
    assert {("", "dismissed", "its content was erased")} == {
        (message.text, message.status, message.error) for message in ledger.deliveries(task.id)
    }
