"""Whatever somebody did to a ledger's files, `tally verify` names it, exits with 4, and looks at everything else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tallystick.ledger.store import keys
from tallystick.readings import LOG_FOLDER
from tests.cli.support import make_stories, tally
from tests.ledger.store import forger, raw

Forge = Callable[[Path], None]


def change(log: Path) -> None:
    raw.change_record(log, 7, lambda body: body[:-1] + bytes([body[-1] ^ 1]))


def cut_out(log: Path) -> None:
    raw.cut_record(log, 7)


def cut_out_and_close(log: Path) -> None:
    forger.reorder(log, lambda bodies: bodies[:6] + bodies[7:])


def insert(log: Path) -> None:
    forger.reorder(log, lambda bodies: [*bodies[:6], b"forged", *bodies[6:]])


def put_behind(log: Path) -> None:
    forger.reorder(log, lambda bodies: [*bodies, b"forged"])


def swap(log: Path) -> None:
    forger.reorder(log, lambda bodies: [*bodies[:6], bodies[8], bodies[7], bodies[6], *bodies[9:]])


def cut_off(log: Path) -> None:
    forger.reorder(log, lambda bodies: bodies[:6])


def edit_edge(log: Path) -> None:
    with raw.opened(log) as database:
        meta = database(keys.META)
        meta[keys.EDGE] = raw.flipped(meta[keys.EDGE])


def edit_index(log: Path) -> None:
    with raw.opened(log) as database:
        streams = database(keys.STREAMS)
        [stream] = [stream for stream, place in streams.rows() if place == keys.event_key(7)]
        streams.remove(stream, keys.event_key(7))


@pytest.mark.parametrize(
    ("forge", "first", "kind", "sound"),
    [
        (change, 7, "changed", 30),
        (cut_out, 7, "missing", 30),
        (cut_out_and_close, 7, "missing", 6),
        (insert, 7, "added", 6),
        (put_behind, 32, "added", 31),
        (swap, 7, "reordered", 29),
        (cut_off, 7, "cut_off", 6),
        (edit_edge, None, "tree", 31),
        (edit_index, 7, "index", 31),
    ],
)
def test_a_forgery_is_named_from_its_first_position_and_ends_with_4(
    tmp_path: Path, forge: Forge, first: int | None, kind: str, sound: int
) -> None:
    folder = tmp_path / "ledger"
    make_stories(folder)
    root = tally("verify", "--ledger", str(folder), "--json").data["rootHash"]
    forge(folder / LOG_FOLDER)

    shown = tally("verify", "--ledger", str(folder))
    said = tally("verify", "--ledger", str(folder), "--json")

    assert (4, 4) == (shown.code, said.code)
    assert f" {kind} " in shown.out
    assert (False, sound, root) == tuple(said.data[name] for name in ("ok", "events", "rootHash"))
    assert kind == said.data["problems"][0]["kind"]
    assert first == said.data.get("firstBad")
