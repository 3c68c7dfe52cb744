"""The format on disk is what the page says it is, to the byte."""

import re
from hashlib import blake2b

import msgspec

from tallystick.ledger.claims import claims_of, flow_claims_of
from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowCreated
from tallystick.ledger.facts.tasks import TaskCreated, TaskStarted
from tallystick.ledger.guard import guards_of
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.lifecycle import DeliveryStatus, FlowMode, NotifyPolicy, Runtime, Scope
from tallystick.ledger.store import keys, layout
from tallystick.ledger.store.codec import decode, encode
from tallystick.ledger.store.tree import TILE_BYTES, Tree, leaf_hash
from tallystick.owner import OwnerInfo
from tallystick.projections.views import PROJECTIONS
from tests.docs.pages import doc, rows

PAGE = doc("reference/on-disk-format.md")

STREAM = id_bytes("0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21")
CREATION = TaskCreated(
    runtime=Runtime.CLI,
    task="make all",
    scope=Scope.SESSION,
    notify=NotifyPolicy.SILENT,
    delivery=DeliveryStatus.NOT_APPLICABLE,
    owner="operator:ada",
)
CREATED = Event(1, STREAM, 1, 1_790_000_000_000, 1_790_000_000_000, "gateway", CREATION)
STARTED = Event(2, STREAM, 2, 1_790_000_000_250, 1_790_000_000_251, "gateway", TaskStarted(backing={"pid": 4711}))

_HEX_OF_LINE = re.compile(r"((?:[0-9a-f]{2} ?)+)(?: {2,}|$)")


def shown_record() -> bytes:
    """The bytes that the page takes apart, line by line."""
    [block] = [block for block in PAGE.blocks() if block.lines[:1] and block.lines[0].startswith("97 ")]
    parts = [_HEX_OF_LINE.match(line) for line in block.lines]
    return bytes.fromhex("".join(part[1] for part in parts if part))


def test_the_record_that_is_taken_apart_is_the_one_that_is_stored() -> None:
    assert encode(STARTED) == shown_record()
    assert STARTED == decode(shown_record())


def test_the_hashes_that_are_shown_are_those_of_the_tree() -> None:
    leaves = [leaf_hash(encode(event)) for event in (CREATED, STARTED)]
    tree = Tree().extend(leaves).tree
    shown = PAGE.section("The tree")

    assert [] == [value.hex() for value in (*leaves, tree.edge.root()) if value.hex() not in shown]
    assert (2).to_bytes(8) + tree.edge.root() == tree.edge.to_bytes()
    assert f"{TILE_BYTES:,} bytes" in shown


def test_every_database_and_key_of_the_log_is_listed() -> None:
    listed = {(row[0], row[1].split("`")[0].split(",")[0]) for row in rows(PAGE.section("The log"))}
    named = {name.decode() for name in (*layout.DATABASES, *layout.SETS, *layout.LATER)}
    in_meta = {("meta", key.decode()) for key in (keys.FORMAT, keys.EDGE, keys.TAIL)}

    assert named == {database for database, _ in listed}
    assert in_meta <= listed
    assert f"The number of the log's format is {layout.FORMAT}." in PAGE.prose()


def test_the_fields_of_an_event_stand_in_the_order_in_which_they_are_listed() -> None:
    listed = [row[1].split(":")[0].split(",")[0] for row in rows(PAGE.section("A record"))]

    assert [name.replace("_", " ").replace("data", "the fact") for name in Event.__struct_fields__] == listed


def test_claims_are_the_digests_that_are_described() -> None:
    prefixes = {row[0]: f"{row[1].split('`')[0]}\n".encode() for row in rows(PAGE.section("Claims"))}
    made = msgspec.structs.replace(
        CREATION, run_id="run-1", idempotency_key="key-1", kind="image_generation", request_key="call-7"
    )
    flow = FlowCreated(mode=FlowMode.MANAGED, owner="operator:ada", goal="release", idempotency_key="key-2")
    run = [made.run_id, made.runtime, made.owner, made.child_session, made.label, made.task]
    prompt = [made.owner, made.kind, made.task]
    values = {
        "a run": run,
        "a key": made.idempotency_key,
        "a flow key": flow.idempotency_key,
        "a prompt": prompt,
        "a request": [*prompt, made.request_key],
    }
    described = [
        blake2b(prefixes[name] + msgspec.msgpack.encode(value), digest_size=16).digest()
        for name, value in values.items()
    ]

    assert [*claims_of(made), *flow_claims_of(flow), *guards_of(made)] == described
    assert prefixes.keys() == values.keys()


def test_every_table_of_the_views_is_named() -> None:
    shown = PAGE.section("The views")
    tables = [f"`{projection.name}.{table.name}`" for projection in PROJECTIONS for table in projection.tables]

    assert [] == [table for table in tables if table not in shown]


def test_the_owner_is_shown_with_the_names_that_are_stored() -> None:
    [line] = [line for line in PAGE.lines if "owner.lock" in line and "JSON" in line]

    assert list(OwnerInfo.__struct_encode_fields__) == line.partition("who: ")[2].split(", ")
