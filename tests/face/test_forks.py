"""Forks: a child can do no harm to its parent's ledger, and hears that the ledger is not its own."""

import json
from pathlib import Path

import pytest

import tallystick
from tallystick import NotOwner
from tests.face.parts import Process, said

FORK = """
    import json, os, sys, tempfile, traceback
    import tallystick
    from tallystick.testing import memory_ledger

    ORDINARY = {"runtime": "cli", "task": "Count", "owner": "o"}

    def outcome(work):
        try:
            answer = work()
        except BaseException as error:
            return type(error).__name__
        return type(answer).__name__

    def in_child(work):  # what `work` returns there
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(writing, json.dumps(work()).encode())
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading) as said:
            answer = json.loads(said.read())
        assert 0 == os.waitpid(child, 0)[1]
        return answer
"""


def run(script: str, *args: object) -> list[str]:
    return said(FORK + script, *args)


def test_a_child_can_neither_write_nor_read_and_its_parent_goes_on(folder: Path) -> None:
    answers, records, ok = map(
        json.loads,
        run(
            """
    with tallystick.open(sys.argv[1]) as ledger:
        task = ledger.create(**ORDINARY)
        before = ledger.subscribe()
        next(before)
        def work():
            asked = [
                lambda: ledger.create(**ORDINARY), task.start, task.cancel, ledger.batch, ledger.sweep, ledger.settled,
                lambda: ledger.get(task.id), ledger.list, ledger.counts, lambda: ledger.timeline(task.id),
                lambda: list(ledger.events()), ledger.subscribe, lambda: next(before), ledger.verify, ledger.status,
                lambda: ledger.session("s").take(), lambda: ledger.session("s").ack(9),
            ]
            answers = [outcome(work) for work in asked]
            ledger.close()
            before.close()
            return [*answers, ledger.path, outcome(lambda: ledger.create(**ORDINARY))]
        print(json.dumps(in_child(work)))
        task.start()
        ledger.create(**ORDINARY)
        print(json.dumps([event.position for event in ledger.events()]))
        print(json.dumps(ledger.verify().ok))
    """,
            folder,
        ),
    )

    assert ["ForkedStore"] * 17 + [str(folder), "ForkedStore"] == answers
    assert ([1, 2, 3], True) == (records, ok)


@pytest.mark.parametrize("way", ["tallystick.open", "tallystick.join"])
def test_a_child_neither_sends_nor_is_woken_and_leaves_the_wakes_to_its_parent(folder: Path, way: str) -> None:
    answers, woken = map(
        json.loads,
        run(
            f"""
    import queue
    woken = queue.Queue()
    with {way}(sys.argv[1]) as ledger:
        ledger.on_wake(woken.put)
        def work():
            asked = [
                lambda: ledger.session("s").reach({{"channel": "chat", "to": 1}}),
                lambda: ledger.channel("chat", print),
                lambda: ledger.redact(lambda _text: []), lambda: ledger.on_wake(print),
            ]
            answers = [outcome(work) for work in asked]
            ledger.close()
            return answers
        print(json.dumps(in_child(work)))
        if {way == "tallystick.join"}:
            owner = tallystick.open(sys.argv[1])
        ledger.create(runtime="subagent", task="Count", owner="o").succeed()
        print(json.dumps(woken.get(timeout=20)))
        if {way == "tallystick.join"}:
            owner.close()
    """,
            folder,
        ),
    )

    assert ["ForkedStore"] * 4 == answers
    assert "o" == woken


def test_the_error_of_a_child_says_who_opened_the_ledger(folder: Path) -> None:
    [line] = run(
        """
    with tallystick.open(sys.argv[1]) as ledger:
        def work():
            try:
                ledger.create(**ORDINARY)
            except tallystick.ForkedStore as error:
                return [error.path, error.opened_by, error.used_by == os.getpid(), str(error)]
        print(json.dumps([os.getpid(), *in_child(work)]))
    """,
        folder,
    )

    parent, path, opened_by, is_child, message = json.loads(line)
    assert (str(folder), parent, True) == (path, opened_by, is_child)
    assert "Open the ledger after the fork" in message


def test_a_child_does_not_become_the_owner_beside_its_parent_but_of_another_ledger(folder: Path) -> None:
    [line] = run(
        """
    with tallystick.open(sys.argv[1]) as ledger:
        def work():
            answers = [outcome(lambda: tallystick.open(sys.argv[1]))]
            with tallystick.open(sys.argv[1], read_only=True) as reader:
                answers.append(reader.counts().total)
            with tallystick.open(sys.argv[1] + "-own") as own:
                answers.append(own.create(**ORDINARY).record.position)
            return answers
        ledger.create(**ORDINARY)
        print(json.dumps(in_child(work)))
    """,
        folder,
    )

    assert ["NotOwner", 1, 1] == json.loads(line)


def test_a_child_that_leaves_its_parents_batch_does_not_wait_for_ever(folder: Path) -> None:
    answers, total = map(
        json.loads,
        run(
            """
    with tallystick.open(sys.argv[1]) as ledger:
        def work():
            return [outcome(task.start), outcome(lambda: batch.create(**ORDINARY)),
                    outcome(lambda: batch.__exit__(None, None, None))]
        with ledger.batch() as batch:
            for _ in range(2_000):
                task = batch.create(**ORDINARY)
            print(json.dumps(in_child(work)))
        print(json.dumps(ledger.counts().total))
    """,
            folder,
        ),
    )

    assert ["ForkedStore", "ForkedStore"] == answers[:2]
    assert answers[2] in {"ForkedStore", "NoneType"}  # all was answered before the fork, or not
    assert 2_000 == total


def test_a_child_of_a_program_with_a_ledger_in_memory_hears_it_too() -> None:
    [line] = run(
        """
    with memory_ledger() as ledger:
        task = ledger.create(**ORDINARY)
        def work():
            return [outcome(task.start), outcome(lambda: ledger.create(**ORDINARY)), ledger.counts().total]
        print(json.dumps(in_child(work)))
        task.start()
    """
    )

    assert ["ForkedStore", "ForkedStore", 1] == json.loads(line)


def test_a_worker_of_multiprocessing_ends_without_a_word(folder: Path) -> None:
    lines = run(
        """
    import multiprocessing, warnings
    warnings.simplefilter("error")
    def work(folder):
        with tallystick.open(folder, read_only=True) as reader:
            print(reader.counts().total, flush=True)
    with tallystick.open(sys.argv[1]) as ledger:
        ledger.create(**ORDINARY)
        worker = multiprocessing.get_context("fork").Process(target=work, args=sys.argv[1:])
        worker.start()
        worker.join()
        print(worker.exitcode)
    """,
        folder,
    )

    assert ["1", "0"] == lines


def test_a_child_does_not_hold_the_lock_when_its_parent_has_ended(folder: Path) -> None:
    script = """
    ledger = tallystick.open(sys.argv[1])
    ledger.create(**ORDINARY)
    if not os.fork():
        print(os.getpid())
        sys.stdin.read()  # until the test lets go
        os._exit(0)
    os.wait()
    """
    with Process(FORK + script, folder) as parent:
        assert parent.hear()
        with pytest.raises(NotOwner):
            tallystick.open(folder)
        parent.kill()

        with tallystick.open(folder) as ledger:
            assert 1 == ledger.counts().total
