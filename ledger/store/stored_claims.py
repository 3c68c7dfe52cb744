"""The claims as the database of a log has them: who has which run, which key, which request."""

from collections.abc import Mapping, Sequence

from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.port import NOBODY


class StoredClaims:
    """The stream that has each claim."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, txn: Transaction, claims: Mapping[bytes, bytes]) -> None:
        """Write who has these from now on; what nobody has any more is let go."""
        txn.cursor(self._database).putmulti(claim for claim in claims.items() if claim[1] != NOBODY)
        for claim, stream in claims.items():
            if stream == NOBODY:
                txn.delete(claim, db=self._database)

    def of(self, txn: Transaction, claims: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the streams of those of the claims that somebody has."""
        return dict(txn.cursor(self._database).getmulti(claims))
