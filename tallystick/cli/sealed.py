"""The checkpoints of a ledger in a check-up: whether it can be signed, is signed, and is the one that was signed."""

from collections.abc import Iterator
from pathlib import Path

from tallystick.cli.finding import Finding, Level
from tallystick.cli.times import MS_PER_S, stamp
from tallystick.config import Integrity
from tallystick.ledger.errors import Corrupt, InvalidInput, NotProved
from tallystick.plain import plain
from tallystick.readings import Readings

CHECK = "checkpoint"
KEY = "signing key"
ATTESTED = "attestation"
BEHIND_MANY = 100_000  # events without a checkpoint: at one a second they come only of a busy ledger, or of no signer


def checkpoint_findings(settings: Integrity, readings: Readings, folder: Path) -> Iterator[Finding]:
    """Look at the keys, and hold the log to every checkpoint that it keeps."""
    if settings.key:
        yield _keys(settings, readings, folder)
    yield from _kept(settings, readings)
    if settings.has_others:
        yield from _attested(settings, readings)


def _keys(settings: Integrity, readings: Readings, folder: Path) -> Finding:
    """Say which keys there are, and whether they would sign this log."""
    from tallystick.keyring import Keyring
    from tallystick.ledger.store.nodes import StoredNodes
    from tallystick.projections.checkpoint import tree_of

    ring, nodes, origin = Keyring(settings, folder), StoredNodes(readings.log), settings.origin or ""
    try:
        keys = ring.keys()
        ring.check_next(lambda: tree_of(readings.log, origin, nodes), nodes)
    except InvalidInput as error:
        return Finding(KEY, Level.BAD, plain(str(error)), "nothing is signed until it can be read and kept")
    except NotProved as error:
        return Finding(KEY, Level.BAD, plain(error.reason), "nothing is signed until then")
    except Corrupt as error:
        return Finding(KEY, Level.DAMAGED, plain(str(error)), 'nothing is signed; "tally verify" says what is damaged')
    return Finding(KEY, Level.OK, plain(", ".join(f"{key.name}+{key.verifier.key_id.hex()}" for key in keys)))


def _kept(settings: Integrity, readings: Readings) -> Iterator[Finding]:
    from tallystick.ledger.proofs.checkpoint import parse_checkpoint
    from tallystick.projections.checkpoint import hold, kept, set_aside

    try:
        for each in set_aside(readings.log):  # while the log had another name
            if each is not None:
                hold(readings.log, each)
        note = kept(readings.log)
        if note is None:
            if settings.origin is not None:
                yield Finding(CHECK, Level.WARN, "there is none yet", 'run "tally checkpoint"')
            return
        checkpoint = parse_checkpoint(note.text)
        hold(readings.log, checkpoint)
    except (NotProved, Corrupt) as error:
        remedy = "nothing is signed any more; keep the folder as it is, and compare it with a backup"
        yield Finding(CHECK, Level.DAMAGED, plain(str(error)), remedy)
        return
    behind = readings.log.head() - checkpoint.size
    said = plain(f"{checkpoint.origin}, {checkpoint.size:,} events; {behind:,} since")
    if settings.origin not in (None, checkpoint.origin):
        remedy = f'"tally checkpoint" makes the first of {settings.origin}'
        yield Finding(CHECK, Level.WARN, said, plain(remedy))
    elif behind > BEHIND_MANY:
        yield Finding(CHECK, Level.WARN, said, 'see what the owner logs; "tally checkpoint" makes one now')
    else:
        yield Finding(CHECK, Level.OK, said)


def _attested(settings: Integrity, readings: Readings) -> Iterator[Finding]:
    """Say of each who is to see the checkpoints whether it did."""
    from tallystick.projections.attested import attested
    from tallystick.witnesses import names_of

    found = attested(readings.log)
    for name in names_of(settings):
        standing = None if found is None else found.standing(name)
        if standing is None or (standing.at is None and standing.failure is None):
            yield Finding(ATTESTED, Level.WARN, plain(f"{name} has seen nothing yet"), 'run "tally attest"')
        elif standing.is_contradicted:
            remedy = "keep the folder as it is, and compare it with a backup: a copy, another past, or a restored state"
            yield Finding(ATTESTED, Level.DAMAGED, plain(f"{name}: {standing.failure}"), remedy)
        elif standing.failure is not None:
            remedy = 'correct what it says; "tally attest" tries it now'
            yield Finding(ATTESTED, Level.WARN, plain(f"{name}: {standing.failure}"), remedy)
        else:
            at = "" if standing.at is None else f" at {stamp(standing.at * MS_PER_S)}"
            yield Finding(ATTESTED, Level.OK, plain(f"{standing.size:,} events seen by {name}{at}"))
