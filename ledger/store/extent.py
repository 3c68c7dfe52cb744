"""The extent of a data file: whether it has all pages that its newest commit needs, or was cut off.

LMDB maps the file and trusts it: whoever reads a page behind its end is ended by the system, without a word.
A file may be shorter than its pages reach, for a page that was given up before it was written is not there. So what is
not there is held to the list of free pages. Knows what LMDB's pages have of that on machines of 64 bits, and says
nothing of what it does not know.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct, error
from typing import NamedTuple

_MAGIC = 0xBEEFC0DE
_NO_PAGE = (1 << 64) - 1
_BRANCH, _LEAF = 0x01, 0x02  # of a page
_BIG = 0x01  # of a node: its value is on pages of its own
_METAS = 2
_TRIES = 3

_HEAD = Struct("=QHHHH")  # number, padding, flags, lower, upper
_META = Struct("=IIQQ")  # magic, version, address, map size
_TREE = Struct("=IHHQQQQQ")  # padding, flags, depth, pages: branches, leaves, overflow; entries, root
_END = Struct("=QQ")  # last page, transaction
_NODE = Struct("=HHHH")  # two halves of a size or a page, flags, bytes of the key
_NUMBER = Struct("=Q")
_END_AT = _HEAD.size + _META.size + 2 * _TREE.size
_META_BYTES = _END_AT + _END.size


class _Meta(NamedTuple):
    transaction: int
    last_page: int
    free_root: int


def is_cut_off(data: Path, page_bytes: int) -> bool:
    """Whether a data file of LMDB lacks a page that its newest commit needs. Reads little, and changes nothing.

    Beside a writer, too: what the newest commit has stays as it is until the next one.
    """
    with data.open("rb", buffering=0) as file:
        for _ in range(_TRIES):
            meta = _newest(file.fileno(), page_bytes)
            if meta is None:
                return False
            first = os.fstat(file.fileno()).st_size // page_bytes
            lacking = meta.last_page + 1 - first
            if lacking <= 0:
                return False
            try:
                free = {*_free(file.fileno(), page_bytes, meta, first)}
                is_whole = lacking == sum(first <= page <= meta.last_page for page in free)
            except (error, IndexError):  # the list itself is not there, or is none
                is_whole = False
            if meta == _newest(file.fileno(), page_bytes):
                return not is_whole
    return False


def _newest(file: int, page_bytes: int) -> _Meta | None:
    """What the newest commit says; None when these are no pages that are known here."""
    found: list[_Meta] = []
    for number in range(_METAS):
        page = os.pread(file, _META_BYTES, number * page_bytes)
        if len(page) < _META_BYTES or _META.unpack_from(page, _HEAD.size)[0] != _MAGIC:
            return None
        *_, root = _TREE.unpack_from(page, _HEAD.size + _META.size)
        last_page, transaction = _END.unpack_from(page, _END_AT)
        found.append(_Meta(transaction, last_page, root))
    return max(found)


def _free(file: int, page_bytes: int, meta: _Meta, pages: int) -> Iterator[int]:
    """Yield the free pages, of a file that has so many whole ones. Raises for a list that is not whole."""
    left = pages  # that can be read: damaged ones may lead in a circle
    todo = [] if meta.free_root == _NO_PAGE else [meta.free_root]
    while todo:
        number, left = todo.pop(), left - 1
        if left < 0 or number >= pages:
            raise IndexError(number)
        page = os.pread(file, page_bytes, number * page_bytes)
        _, _, flags, lower, _ = _HEAD.unpack_from(page)
        if not flags & (_BRANCH | _LEAF):
            raise IndexError(number)
        for place in Struct(f"={(lower - _HEAD.size) // 2}H").unpack_from(page, _HEAD.size):
            low, high, more, key_bytes = _NODE.unpack_from(page, place)
            if flags & _BRANCH:
                todo.append(low | high << 16 | more << 32)
                continue
            value, size = place + _NODE.size + key_bytes, low | high << 16
            if more & _BIG:
                [big] = _NUMBER.unpack_from(page, value)
                if big >= pages or size > (pages - big) * page_bytes:
                    raise IndexError(big)
                told = os.pread(file, size, big * page_bytes + _HEAD.size)
            else:
                told = page[value : value + size]
            [count] = _NUMBER.unpack_from(told)
            yield from Struct(f"={count}Q").unpack_from(told, _NUMBER.size)
