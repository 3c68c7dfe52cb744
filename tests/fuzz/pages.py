"""The pages of LMDB that are read without it: those that say whether the file was cut off."""

from functools import cache

import lmdb

from tallystick.ledger.store.extent import is_cut_off
from tests.fuzz.target import Target, place

PAGE = 4_096
METAS = 2 * PAGE


@cache
def _store() -> bytes:
    """A store with free pages: more than its last commit needed for itself."""
    path = place("pages-made")
    with lmdb.open(str(path), map_size=1 << 24, sync=False) as env:
        for number in range(6):
            with env.begin(write=True) as txn:
                for key in range(8):
                    txn.put(b"%d" % key, bytes([number]) * 3_000)
                txn.delete(b"%d" % number)
    return (path / "data.mdb").read_bytes()


def _cut() -> list[bytes]:
    """What stands behind its first pages, cut off behind whole pages."""
    store = _store()
    return [store[METAS:end] for end in range(METAS, len(store), PAGE)]


def _read(data: bytes) -> None:
    path = place("pages") / "data.mdb"
    for content in (data, _store()[:METAS] + data):
        path.write_bytes(content)
        assert is_cut_off(path, PAGE) in (True, False)


TARGETS = (Target(name="pages", seeds=lambda: [_store(), *_cut()], read=_read),)
