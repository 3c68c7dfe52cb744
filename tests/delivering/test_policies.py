"""Policies can change at any time, also after the end, and what was told stays told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import InvalidInput
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy
from tallystick.sync import Ledger
from tallystick.testing import memory_ledger
from tests.delivering.parts import Channel, begun, ended, how, types, waiting_texts

POLICIES = st.sampled_from([policy.value for policy in NotifyPolicy])


def test_a_policy_that_lets_the_end_through_afterwards_tells_it_now_and_once(ledger: Ledger, chat: Channel) -> None:
    task = ended(ledger, notify="silent")
    ledger.settled()
    for policy in ("done_only", "silent", "done_only", "state_changes"):
        task.notify(policy)
        ledger.settled()

    assert ["Background task done: Count the tallies. 3 counted"] == chat.texts
    assert DeliveryStatus.DELIVERED == how(ledger, task)


def test_a_policy_that_lets_nothing_through_before_the_end_tells_nothing(ledger: Ledger, chat: Channel) -> None:
    task = begun(ledger)
    task.start()
    task.notify("silent")
    task.succeed()
    ledger.settled()

    assert ([], [], []) == (chat.given, waiting_texts(ledger), types(ledger, task))
    assert DeliveryStatus.NOT_APPLICABLE == how(ledger, task)


def test_failures_only_tells_of_failures_and_of_what_is_blocked(ledger: Ledger, chat: Channel) -> None:
    ended(ledger, notify="failures_only")
    begun(ledger, notify="failures_only").fail("broke")
    begun(ledger, notify="failures_only").succeed("needs a key", outcome="blocked")
    begun(ledger, notify="failures_only").cancelled("enough")
    ledger.settled()

    assert {"failed", "blocked"} == {text.split(": ")[0].removeprefix("Background task ") for text in chat.texts}
    assert 2 == len(chat.texts)


@pytest.mark.parametrize("policy", [policy.value for policy in NotifyPolicy])
def test_a_child_inherits_the_policy_of_its_parent(ledger: Ledger, policy: str) -> None:
    parent = begun(ledger, notify=policy)
    child = begun(ledger, notify="inherit", parent=parent.id)
    assert policy == child.record.notify_policy.value


def test_there_is_nothing_to_inherit_without_a_parent(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="notify"):
        begun(ledger, notify="inherit")
    with pytest.raises(InvalidInput, match="parent"):
        begun(ledger, notify="inherit", parent="0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21")


@given(first=POLICIES, before=st.lists(POLICIES, max_size=3), after=st.lists(POLICIES, max_size=4))
def test_an_end_is_told_once_whatever_the_policies_were(first: str, before: list[str], after: list[str]) -> None:
    with memory_ledger() as ledger:
        task = begun(ledger, notify=first, origin=None)
        for policy in before:
            task.notify(policy)
        task.succeed("counted")
        for policy in after:
            task.notify(policy)

        lets_through = [policy not in ("silent", "failures_only") for policy in ([first, *before][-1], *after)]
        told = [text for text in waiting_texts(ledger) if text.startswith("Background task done")]
        assert int(any(lets_through)) == len(told)
