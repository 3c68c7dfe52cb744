"""What does a proof cost: one record of a large log, an older tree, a checkpoint, and the tiles of all of it?

Hypothesis: a proof reads a handful of tiles of whatever log, so that its time is that of a few hundred hashes and grows
with the logarithm of the size; to verify one is the check of a signature and some twenty hashes. A signature before
which the checkpoint is kept beside the key, and held to the one before, costs what a durable small file costs. Tiles as
files cost what writing and syncing files costs, two for every 256 records.
Unit: milliseconds of one proof of an open ledger, which remembers the keys, the checkpoint that it has verified and 128
tiles from the proofs before: of a record anywhere in the log, with the record, and checked before it is handed out; the
same with nothing remembered, of a record and of an older tree, with a checkpoint that is given; microseconds of one
signature and of one verdict on a file; milliseconds of a signature with what is kept beside the key; records a second
of an export into an empty folder, and of the next one, for which a hundredth more has been written.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tallystick.bench import child, workload
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import Findings, at_least, at_most, figure
from tallystick.bench.sample import percentile
from tallystick.config import Config, Integrity
from tallystick.keys import MODE
from tallystick.last_signed import LastSigned, sign_next
from tallystick.ledger import ids
from tallystick.ledger.events import Event
from tallystick.ledger.limits import BATCH_EVENTS_MAX
from tallystick.ledger.proofs.checkpoint import Checkpoint, open_checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.merkle import root
from tallystick.ledger.proofs.note import Note
from tallystick.ledger.proofs.proving import (
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from tallystick.ledger.proofs.tlog_proof import parse_consistency_proof, parse_inclusion_proof
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.proving import Prover
from tallystick.readings import Readings, due_rules
from tallystick.tiles import write_tiles

SIZE, QUICK_SIZE = 1_000_000, 50_000
PROOFS = 2_000
SIGNED = 500
MORE_SHARE = 100  # this part of the records is written once more before the second export
SEED = 16
MS_PER_S = 1_000
US_PER_S = 1_000_000
KEY = SigningKey("bench.example/ledger", bytes(range(32)))

Measured = dict[str, float]
Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g16_proofs", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Write a log, prove records and older trees of it, and write its tiles, each in a process of its own."""
    found: list[Measured] = []
    for number in range(setting.rounds):
        place = setting.folder / f"round-{number}"
        path = str(place / "log")
        child.ask("g16_proofs", "written", path=path, size=setting.size)
        told = child.ask("g16_proofs", "proved", path=path)
        found.append(told | child.ask("g16_proofs", "exported", path=path, folder=str(place / "tiles")))
    shown = (
        ("a proof of a record, p50", "ms", "inclusion_p50"),
        ("a proof of a record, p99", "ms", "inclusion_p99"),
        ("a proof of a record with nothing remembered, p50", "ms", "first_p50"),
        ("a proof of a record with nothing remembered, p99", "ms", "first_p99"),
        ("a proof of an older tree with nothing remembered, p50", "ms", "consistency_p50"),
        ("a proof of an older tree with nothing remembered, p99", "ms", "consistency_p99"),
        ("the file of a proof of a record, with the record, the longest", "bytes", "inclusion_bytes"),
        ("a checkpoint, made and signed", "µs", "sign"),
        ("a checkpoint, signed and kept beside the key, p50", "ms", "signed_p50"),
        ("a checkpoint, signed and kept beside the key, p99", "ms", "signed_p99"),
        ("a checkpoint, opened", "µs", "open"),
        ("a verdict on a proof of a record", "µs", "verify_inclusion"),
        ("a verdict on a proof of an older tree", "µs", "verify_consistency"),
        ("tiles, into an empty folder", "records/s", "first"),
        ("tiles, an export of what has come since", "s", "next_s"),
        ("the folder", "bytes/record", "folder_bytes"),
    )
    return Findings(
        size=f"{setting.size:,} records, {PROOFS:,} proofs of each kind",
        goals=(
            at_most("G16", 1, "ms of one proof of a record (p99)", [each["inclusion_p99"] for each in found]),
            at_most("G16", 250, "µs of one verdict", [each["verify_inclusion"] for each in found]),
            at_least("G16", 20_000, "records/s as tiles", [each["first"] for each in found]),
        ),
        figures=tuple(figure(name, unit, [each[key] for each in found]) for name, unit, key in shown),
    )


def written(path: str, size: int) -> Measured:
    """Write a log of ordinary lives, which keeps a checkpoint of all of it, and the key that signed that."""
    Path(path).parent.mkdir()
    with DiskLog.open(Path(path)) as log:
        _write(log, size)
        log.append((), {}, {CHECKPOINT_NOTE: _note(log)})
    _key_file(path).touch(mode=MODE)
    _key_file(path).write_text(KEY.text, "utf-8")
    return {}


def _key_file(path: str) -> Path:
    return Path(path).parent.with_suffix(".key")  # beside the ledger: in it no key is used


def _note(log: DiskLog) -> bytes:
    head = log.tree_head()
    return sign(Checkpoint(KEY.name, head.size, head.root_hash), KEY).to_bytes()


def _write(log: DiskLog, size: int) -> None:
    head, events = log.head(), _events(log.head(), size)
    while log.head() < head + size:
        log.append([event for _, event in zip(range(BATCH_EVENTS_MAX), events, strict=False)])


def _events(head: int, size: int) -> Iterator[Event]:
    position, number = head, 0
    while True:
        stream = ids.new_id()
        for version, fact in enumerate(workload.life(number), 1):
            if position == head + size:
                return
            position += 1
            at = workload.BEGIN_MS + position
            yield Event(position, stream, version, at, at, workload.SPEAKER, fact)
        number += 1


def proved(path: str) -> Measured:
    """Prove records and older trees anywhere in the log, and verify the files."""
    chance = random.Random(SEED)
    with DiskLog.open(Path(path), readonly=True) as log:
        head = log.tree_head()
        tree = Checkpoint(KEY.name, head.size, head.root_hash)
        note, signing = _each(lambda _: sign(tree, KEY).to_bytes(), range(PROOFS))
        checkpoint = note[0]
        indexes = [chance.randrange(head.size) for _ in range(PROOFS)]
        settings = Integrity(KEY.name, (str(_key_file(path)),))
        prover = Prover(Readings(log, None, rules=due_rules(Config())), lambda: checkpoint, settings)
        files, inclusion = _each(lambda at: prover.prove(at + 1), indexes)
        _, first = _each(lambda at: prove_inclusion(StoredNodes(log), at, checkpoint).to_bytes(), indexes)
        olds = [chance.randrange(1, head.size) for _ in range(PROOFS)]
        trees, consistency = _each(lambda at: prove_consistency(StoredNodes(log), at, checkpoint).to_bytes(), olds)
        key = LastSigned(KEY, _key_file(path))
        sizes = sorted(chance.sample(range(1, head.size), min(SIGNED, head.size - 1)))
        _, signed = _each(lambda at: _signed(StoredNodes(log), at, key), sizes)
        nodes = StoredNodes(log)
        kept = [sign(_older(nodes, old), KEY).to_bytes() for old in olds]
        bodies = [body for index in indexes for body in log.records(index + 1, index + 1) if isinstance(body, bytes)]
    _, opening = _each(lambda _: open_checkpoint(checkpoint, KEY.verifier), range(PROOFS))
    pairs = list(zip(files, bodies, strict=True))
    _, verdict = _each(lambda pair: verify_inclusion(parse_inclusion_proof(pair[0]), pair[1], KEY.verifier), pairs)
    olders = list(zip(trees, kept, strict=True))
    _, older = _each(lambda pair: verify_consistency(parse_consistency_proof(pair[0]), pair[1], KEY.verifier), olders)
    return {
        "inclusion_p50": percentile(inclusion, 50) * MS_PER_S,
        "inclusion_p99": percentile(inclusion, 99) * MS_PER_S,
        "first_p50": percentile(first, 50) * MS_PER_S,
        "first_p99": percentile(first, 99) * MS_PER_S,
        "consistency_p50": percentile(consistency, 50) * MS_PER_S,
        "consistency_p99": percentile(consistency, 99) * MS_PER_S,
        "inclusion_bytes": max(map(len, files)),
        "signed_p50": percentile(signed, 50) * MS_PER_S,
        "signed_p99": percentile(signed, 99) * MS_PER_S,
        "sign": percentile(signing, 50) * US_PER_S,
        "open": percentile(opening, 50) * US_PER_S,
        "verify_inclusion": percentile(verdict, 50) * US_PER_S,
        "verify_consistency": percentile(older, 50) * US_PER_S,
    }


def _signed(nodes: StoredNodes, size: int, key: LastSigned) -> Note:
    """A checkpoint of the first records, signed as the next one of a log that has just as many."""
    return sign_next(lambda: _older(nodes, size), key, nodes=nodes)


def _older(nodes: StoredNodes, size: int) -> Checkpoint:
    return Checkpoint(KEY.name, size, root(nodes, size))


def _each(work: Callable[[Asked], Answered], asked: Sequence[Asked]) -> tuple[list[Answered], list[float]]:
    """What came of each, and how long each took."""
    answers, seconds = [], []
    for each in asked:
        began = time.perf_counter()
        answers.append(work(each))
        seconds.append(time.perf_counter() - began)
    return answers, seconds


def exported(path: str, folder: str) -> Measured:
    """Write the tiles of the log, and once more after some more records."""
    with DiskLog.open(Path(path)) as log:
        size = log.head()
        first = _export(log, folder)
        stored = sum(each.stat().st_size for each in Path(folder).rglob("*") if each.is_file())
        _write(log, size // MORE_SHARE)
        return {"first": size / first, "folder_bytes": stored / size, "next_s": _export(log, folder)}


def _export(log: DiskLog, folder: str) -> float:
    note = _note(log)
    began = time.perf_counter()
    write_tiles(log, Path(folder), note)
    return time.perf_counter() - began
