"""The bytes of an answer: the record that a command led to, or the error that it was refused with.

Nothing is pickled: whoever can write to the folder can say what an owner answers, and no more than that.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from tallystick.ledger import errors
from tallystick.ledger.errors import UNREADABLE, StoreError, TallystickError
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.ledger.record import TaskRecord

Answer: TypeAlias = Record | TallystickError


class _Bytes(Struct, array_like=True):
    """What is stored: a record; or an error's class, its arguments and attributes, those apart that are records."""

    record: TaskRecord | None
    error: str | None = None
    args: tuple[Any, ...] = ()
    data: dict[str, Any] = {}
    records: dict[str, TaskRecord] = {}
    flow: FlowRecord | None = None
    flows: dict[str, FlowRecord] = {}


_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode = msgspec.msgpack.Decoder(_Bytes).decode


def encode(answer: Answer) -> bytes:
    """Return the bytes of an answer."""
    if isinstance(answer, TaskRecord):
        return _encode(_Bytes(answer))
    if isinstance(answer, FlowRecord):
        return _encode(_Bytes(None, flow=answer))
    data = answer.data
    records = {name: value for name, value in data.items() if isinstance(value, TaskRecord)}
    flows = {name: value for name, value in data.items() if isinstance(value, FlowRecord)}
    others = {name: value for name, value in data.items() if name not in records and name not in flows}
    return _encode(_Bytes(None, type(answer).__name__, answer.args, others, records, None, flows))


def decode(stored: bytes) -> Answer:
    """Return the answer that these bytes are of: the same record, or an error that says and carries the same."""
    try:
        answer = _decode(stored)
    except UNREADABLE as error:
        return StoreError(f"The answer of the ledger's owner cannot be read: {error}")
    if answer.record is not None:
        return answer.record
    if answer.flow is not None:
        return answer.flow
    kind = getattr(errors, answer.error or "", None)
    if not (isinstance(kind, type) and issubclass(kind, TallystickError)):
        kind = StoreError  # of a later version
    refusal = kind.__new__(kind)
    refusal.args = answer.args
    refusal.__dict__.update(answer.data, **answer.records, **answer.flows)
    return refusal


def said_of(answer: Answer) -> set[bytes]:
    """Return the ids of the tasks and flows of which an answer has a record."""
    values = answer.data.values() if isinstance(answer, TallystickError) else (answer,)
    return {value.stream for value in values if isinstance(value, TaskRecord | FlowRecord)}


def renewed(answer: Answer, newest: Mapping[bytes, Record]) -> Answer:
    """Return an answer with these records in place of those that it has of the same tasks and flows."""
    if not isinstance(answer, TallystickError):
        return newest.get(answer.stream, answer)
    for name, value in answer.data.items():
        if isinstance(value, TaskRecord | FlowRecord) and value.stream in newest:
            setattr(answer, name, newest[value.stream])
    return answer


def told(error: BaseException) -> TallystickError:
    """Return an error as one that can be stored: whatever is not of this project is told as what it says."""
    if isinstance(error, TallystickError):
        return error
    return StoreError(f"{type(error).__name__}: {error}")
