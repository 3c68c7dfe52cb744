"""Attesting: a checkpoint shown to the witnesses and the timestamp authority of a configuration, over HTTP."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from tallystick.channels.answer import Answer
from tallystick.channels.speech import Speech
from tallystick.channels.wire import Wire
from tallystick.config import Integrity
from tallystick.ledger.delivery import Retryable, Unconfirmed
from tallystick.ledger.errors import Closed, InvalidInput, TallystickError
from tallystick.ledger.limits import ATTEST_TIMEOUT_MS, NOTE_BYTES_MAX
from tallystick.ledger.proofs import witness
from tallystick.ledger.proofs.checkpoint import parse_checkpoint
from tallystick.ledger.proofs.keys import VerifierKey
from tallystick.ledger.proofs.note import Note, merged, parse_note
from tallystick.ledger.proofs.proving import prove_consistency
from tallystick.ledger.proofs.witness import Contradicted, Cosigned, Declined, Remembers
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import EventLog
from tallystick.projections.attested import Attestation, Standing
from tallystick.witnesses import name_of, witnesses_of

_TEXT = "text/plain; charset=utf-8"
_WHY_MAX = 1_000  # characters, for they are kept
_TURNS = 2  # one that learns what a witness remembers, and one that proves from there


class _Plain(Speech, frozen=True):
    """What went wrong with a connection, in the words of nobody's channel."""

    def __call__(self, text: str) -> str:
        return " ".join(text.split())


class _Line:
    """An address that questions are posted to, each answered or given up within a bound."""

    def __init__(self, address: str, path: str = "") -> None:
        parts = urlsplit(address)
        self._target = (parts.path.rstrip("/") + path) if path else (parts.path or "/")
        self._wire = Wire(f"{parts.scheme}://{parts.netloc}", _Plain("", ""), timeout_ms=ATTEST_TIMEOUT_MS)

    def post(self, body: bytes, kind: str) -> Answer:
        return self._wire.post(self._target, body, {"content-type": kind})

    def close(self) -> None:
        self._wire.close()


Told: TypeAlias = Callable[[str, str, float], None]
"""Is told whom a checkpoint was shown to, a witness or an authority, what came of it, and after how many seconds."""


def _nobody(_seer: str, _result: str, _seconds: float) -> None:
    """Nobody counts."""


class Panel:
    """Who is shown the checkpoints of one log. Used by one thread; `close` may be called by another."""

    def __init__(self, event_log: EventLog, settings: Integrity, told: Told = _nobody) -> None:
        self._log, self._told = event_log, told
        self._witnesses = [(key, _Line(address, witness.PATH)) for key, address in witnesses_of(settings)]
        self._timestamp, self._authority = settings.timestamp, settings.authority
        self._authority_line = None if settings.timestamp is None else _Line(settings.timestamp)
        self._is_closed = False

    def show(self, checkpoint: bytes, before: Attestation | None, now: int) -> Attestation:
        """Show a checkpoint to everybody who has not seen it; return what is known then.

        What fails stands in the standings. Raises `Closed`, `InvalidInput` when the bytes are no checkpoint.
        """
        note = parse_note(checkpoint)
        if before is not None and (known := parse_note(before.checkpoint)).text == note.text:
            note = merged(known, note)
        standings: list[Standing] = []
        for key, line in self._witnesses:
            name = name_of(key)
            standing = Standing(name) if before is None else before.standing(name)
            note, standing = self._witness(note, key, line, standing)
            standings.append(standing)
        data = note.to_bytes()
        token = before.token if before is not None and before.checkpoint == data else None
        if self._authority_line is not None and self._timestamp is not None:
            token, standing = self._stamp(self._authority_line, data, token, before)
            standings.append(standing)
        is_known = before is not None and (before.checkpoint, before.token) == (data, token) and before.is_seen
        at = before.at if before is not None and is_known else now
        return Attestation(at, data, token, tuple(standings))

    def close(self) -> None:
        """Ask nobody anything more; what is asked is not waited for."""
        self._is_closed = True
        for _, line in self._witnesses:
            line.close()
        if self._authority_line is not None:
            self._authority_line.close()

    # Witnesses.

    def _witness(self, note: Note, key: VerifierKey, line: _Line, standing: Standing) -> tuple[Note, Standing]:
        """Ask one witness, unless it has cosigned already."""
        size = parse_checkpoint(note.text).size
        seen_at = witness.cosigned(note, key)
        if seen_at is not None:
            return note, Standing(standing.name, size, seen_at)
        began = time.monotonic()
        note, standing = self._asked(note, key, line, standing, size)
        self._tell("witness", standing, began)
        return note, standing

    def _asked(self, note: Note, key: VerifierKey, line: _Line, standing: Standing, size: int) -> tuple[Note, Standing]:
        old = min(standing.size, size)
        try:
            for _ in range(_TURNS):
                self._check_open()
                asked = prove_consistency(StoredNodes(self._log), old, note.to_bytes())
                answer = line.post(asked.to_bytes(), _TEXT)
                match witness.response(asked, key, answer.status, answer.body[:NOTE_BYTES_MAX]):
                    case Cosigned(data, at):
                        return parse_note(data), Standing(standing.name, size, at)
                    case Contradicted(why):
                        return note, _failed(standing, why, is_contradicted=True)
                    case Declined(why):
                        return note, _failed(standing, why)
                    case Remembers(seen):
                        old = seen
        except Closed:
            raise
        except (Retryable, Unconfirmed, TallystickError) as error:
            return note, _failed(standing, str(error))
        return note, _failed(standing, f"it named {old} records, and then others again.")

    # The authority.

    def _stamp(
        self, line: _Line, data: bytes, token: bytes | None, before: Attestation | None
    ) -> tuple[bytes | None, Standing]:
        """Ask the authority about these bytes, unless there is a token for them."""
        name = self._timestamp or ""
        standing = Standing(name) if before is None else before.standing(name)
        if token is not None:
            return token, standing
        began = time.monotonic()
        token, standing = self._answered(line, data, standing)
        self._tell("authority", standing, began)
        return token, standing

    def _answered(self, line: _Line, data: bytes, standing: Standing) -> tuple[bytes | None, Standing]:
        from tallystick import timestamps

        try:
            self._check_open()
            asked = timestamps.question(data)
            answer = line.post(asked.to_bytes(), timestamps.QUERY_TYPE)
            if not answer.is_success:
                return None, _failed(standing, f"it answered with the status {answer.status}, not with a token.")
            at = timestamps.accept(asked, answer.body, self._trusted())
        except Closed:
            raise
        except (Retryable, Unconfirmed, TallystickError) as error:
            return None, _failed(standing, str(error))
        return answer.body, Standing(standing.name, parse_checkpoint(parse_note(data).text).size, at)

    def _trusted(self) -> bytes | None:
        if self._authority is None:
            return None
        try:
            return Path(self._authority).read_bytes()
        except OSError as error:
            allowed = f"a file with certificates in PEM that can be read ({error.strerror})"
            raise InvalidInput("integrity.authority", self._authority, allowed) from error

    def _tell(self, seer: str, standing: Standing, began: float) -> None:
        result = "seen" if standing.failure is None else "contradicted" if standing.is_contradicted else "failed"
        self._told(seer, result, time.monotonic() - began)

    def _check_open(self) -> None:
        if self._is_closed:
            raise Closed


def _failed(standing: Standing, why: str, *, is_contradicted: bool = False) -> Standing:
    return Standing(standing.name, standing.size, standing.at, why[:_WHY_MAX], is_contradicted)
