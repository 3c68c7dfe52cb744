"""Timestamps (RFC 3161): a token in which an authority says that it saw some bytes at a moment. Needs an extra."""

from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput, NotProved
from tallystick.ledger.limits import TOKEN_BYTES_MAX

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest, TimeStampResponse
    from rfc3161_client.verify import VerifierBuilder

EXTRA = "pip install 'tallystick[timestamp]'"
QUERY_TYPE = "application/timestamp-query"


class Question(Struct, frozen=True):
    """What an authority is asked: the request as it is sent, and about which bytes it is."""

    data: bytes
    request: "TimeStampRequest"

    def to_bytes(self) -> bytes:
        """Return the request in DER, which is posted as `QUERY_TYPE`."""
        return self.request.as_bytes()


def question(data: bytes) -> Question:
    """Ask about these bytes: by their SHA-512, with a nonce of chance, and for the certificate of the authority.

    Raises `InvalidInput` when the extra is not installed.
    """
    client = _client()
    builder = client.TimestampRequestBuilder().data(data).hash_algorithm(client.HashAlgorithm.SHA512)
    return Question(data, builder.nonce(nonce=True).cert_request(cert_request=True).build())


def accept(asked: Question, token: bytes, authority: bytes | None = None) -> int:
    """Return the time (s) of an answer that is one to this question.

    With the certificates of the authority its signature is verified, too. Raises `NotProved`, `InvalidInput`.
    """
    answer, request = _parsed(token), asked.request
    if answer.status != 0:
        said = "; ".join(answer.status_string)[:200] or "no reason was given"
        raise NotProved("token", f"the authority granted none (status {answer.status}): {said}.")
    if answer.tst_info.nonce != request.nonce:
        raise NotProved("token", "it is the answer to another question: the nonce differs.")
    imprint, wanted = answer.tst_info.message_imprint, request.message_imprint
    if (imprint.hash_algorithm, imprint.message) != (wanted.hash_algorithm, wanted.message):
        raise NotProved("token", "it is about other bytes.")
    if authority is not None:
        return int(verify_token(token, asked.data, authority).timestamp())
    return int(answer.tst_info.gen_time.timestamp())


def verify_token(token: bytes, data: bytes, authority: bytes) -> datetime:
    """Return the moment at which an authority saw these bytes, by an answer of it (RFC 3161, DER).

    `authority` has certificates in PEM: at least the one that all lead to, which signed itself. They must have been
    valid at that moment; whether one was revoked is not looked up. Raises `NotProved`, `InvalidInput`.
    """
    client = _client()
    answer = _parsed(token)
    verifier = _trusting(client.VerifierBuilder(), authority).build()
    try:
        verifier.verify_message(answer, data)
    except client.VerificationError as error:
        raise NotProved("token", f"the token is not one of this authority over these bytes: {error}.") from error
    except (ValueError, TypeError, AssertionError) as error:
        raise NotProved("token", f"the token cannot be verified: {error}.") from error
    return answer.tst_info.gen_time


def _parsed(token: bytes) -> "TimeStampResponse":
    client = _client()
    if len(token) > TOKEN_BYTES_MAX:
        raise InvalidInput("token", f"{len(token)} bytes", f"at most {TOKEN_BYTES_MAX} bytes")
    try:
        answer: TimeStampResponse = client.decode_timestamp_response(token)
        if answer.status == 0:
            _ = answer.tst_info.gen_time, answer.tst_info.nonce, answer.tst_info.message_imprint.message
    except (ValueError, TypeError) as error:
        raise InvalidInput("token", token, f"a time-stamp response of RFC 3161 in DER ({error})") from error
    return answer


def _trusting(builder: "VerifierBuilder", authority: bytes) -> "VerifierBuilder":
    from cryptography import x509

    try:
        certificates = x509.load_pem_x509_certificates(authority)
    except ValueError as error:
        raise InvalidInput("authority", authority, f"certificates in PEM ({error})") from error
    roots = [each for each in certificates if each.issuer == each.subject]
    if not roots:
        raise InvalidInput("authority", authority, "certificates in PEM, one of which signed itself")
    for each in certificates:
        is_root = each in roots
        builder = builder.add_root_certificate(each) if is_root else builder.add_intermediate_certificate(each)
    return builder


def _client() -> ModuleType:
    try:
        import rfc3161_client
    except ModuleNotFoundError as error:
        if error.name != "rfc3161_client":
            raise
        raise InvalidInput("timestamp", None, f"the library that makes and verifies tokens: {EXTRA}") from error
    return rfc3161_client
