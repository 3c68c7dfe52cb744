"""The layout of a log's folder: its databases, the number of its format, and what is refused or made at opening."""

from pathlib import Path

from tallystick.ledger.errors import Corrupt, InvalidInput, NewerFormat
from tallystick.ledger.store import keys
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.tree import Edge

FORMAT_FIRST = 1  # of a log whose records are all here
FORMAT_ARCHIVED = 2  # of one that has records in its archive, which versions that know none must not take for damaged
FORMAT = 3  # of one that has payloads beside its records, which versions that know none would take for erased
DATABASES = (keys.EVENTS, keys.CLAIMS, keys.TILES, keys.META)
SETS = (keys.STREAMS,)
LATER = (keys.PAYLOADS,)
"""The databases that logs of earlier versions lack; whoever opens one for writing makes them."""


def open_environment(
    path: Path, *, map_bytes: int, map_bytes_max: int, readonly: bool = False, create: bool = True
) -> Environment:
    """Open the environment of a log with all its databases; make the log if it is missing and `create`.

    Raises `InvalidInput` when there is none, `NewerFormat` when it is not for this version, `Corrupt` when something
    else is there. None of these writes a byte.
    """

    def opened(
        databases: tuple[bytes, ...] = (), sets: tuple[bytes, ...] = (), *, create: bool = create
    ) -> Environment:
        return Environment.open(
            path,
            map_bytes=map_bytes,
            map_bytes_max=map_bytes_max,
            readonly=readonly,
            create=create and not readonly,
            databases=databases,
            sets=sets,
        )

    # Each look opens no more than the last one allowed, because opening a database makes it.
    with opened() as environment:
        with environment.read() as txn:
            names = set(txn.cursor().iternext(values=False))
        if keys.META in names:
            with opened((keys.META,)) as store:
                known = _is_known(store, path)
        else:
            known = False
        if known and not names >= {*DATABASES, *SETS}:
            raise Corrupt(f"{path} has a log that lacks a part of itself")
        if not known and not names <= {*DATABASES, *SETS, *LATER}:
            raise Corrupt(f"{path} has a store that is not a log")
        if not known and (readonly or not create):
            raise InvalidInput("path", str(path), "a folder that has a log")
        later = tuple(name for name in LATER if name in names or not readonly)
        whole = opened((*DATABASES, *later), SETS, create=True)
    if not known:
        try:
            _begin(whole, path)
        except BaseException:
            whole.close()
            raise
    return whole


def format_of(store: Environment) -> int | None:
    """Return the format that an open log has; None if it says none."""
    with store.read() as txn:
        stored = txn.get(keys.FORMAT, db=store.databases[keys.META])
    return None if stored is None else keys.format_of(stored)


def _is_known(store: Environment, path: Path) -> bool:
    """Whether the log has a format, which must be one that this version reads."""
    with store.read() as txn:
        stored = txn.get(keys.FORMAT, db=store.databases[keys.META])
    if stored is None:
        return False
    found = keys.format_of(stored)
    if found > FORMAT:
        raise NewerFormat(str(path), found=found, known=FORMAT)
    if found < FORMAT_FIRST:
        raise Corrupt(f"{path} has format {found}, which never was")
    return True


def has_payloads(txn: Transaction, meta: Database) -> bool:
    """Whether anything was ever kept beside a log, by its format."""
    stored = txn.get(keys.FORMAT, db=meta)
    return stored is not None and keys.format_of(stored) >= FORMAT


def raise_format(txn: Transaction, meta: Database, number: int) -> None:
    """Give a log this format, unless it has a later one."""
    stored = txn.get(keys.FORMAT, db=meta)
    if stored is None or keys.format_of(stored) < number:
        txn.put(keys.FORMAT, keys.format_value(number), db=meta)


def _begin(store: Environment, path: Path) -> None:
    """Give an empty log its format and its empty tree; one that is not empty has lost its format."""
    databases = store.databases

    def write(txn: Transaction) -> None:
        if txn.get(keys.FORMAT, db=databases[keys.META]) is not None:
            return  # somebody else was faster
        if any(txn.stat(databases[name])["entries"] for name in (*DATABASES, *SETS, *LATER)):
            raise Corrupt(f"{path} has a log whose format is missing")
        txn.put(keys.FORMAT, keys.format_value(FORMAT_FIRST), db=databases[keys.META])
        txn.put(keys.EDGE, Edge().to_bytes(), db=databases[keys.META])

    store.write_batch(write)
