"""The page of the Python interface has every name that a program may use, with every argument."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

import tallystick
from tallystick import keys, proofs, run, testing
from tallystick.aio import AsyncLedger
from tallystick.async_batch import AsyncBatch, AsyncBatchTask
from tallystick.async_flows import AsyncFlow, AsyncFlows
from tallystick.async_session import AsyncSession
from tallystick.async_task import AsyncTask
from tallystick.async_watch import AsyncSubscription
from tallystick.auditing import Audit
from tallystick.backup import Backup
from tallystick.batch import Batch, BatchTask
from tallystick.explaining import Explanation, Policy
from tallystick.flow_verbs import FlowVerbs
from tallystick.flows import Flow, Flows
from tallystick.ledger.flows.record import Claim, FlowRecord
from tallystick.ledger.intake import Creation
from tallystick.ledger.reasons.reason import Reason
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.verify import Problem, Verification
from tallystick.ledger.upkeep.finding import Finding, Summary
from tallystick.maintenance import Maintenance, OfFlows, OfTasks, Taken
from tallystick.past import Past
from tallystick.projections.attested import Attestation, Standing
from tallystick.projections.counts import Counts
from tallystick.projections.flow_list import FlowCounts
from tallystick.projections.flow_query import FlowPage, FlowQuery
from tallystick.projections.query import Page, Query
from tallystick.projections.tree import Branch, Totals, Tree
from tallystick.readings import LedgerStatus, ProjectionStanding
from tallystick.session import Session
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.verbs import TaskVerbs
from tallystick.watch import Subscription
from tallystick.why import Why
from tests.docs.pages import doc, rows

PAGE = doc("reference/python.md")
VERBS: dict[type, str] = {TaskVerbs: "The verbs of a task", FlowVerbs: "The verbs of a flow"}

# How the parts of a face speak with each other; no program needs them.
PLUMBING = {
    AsyncLedger: {"ask", "future", "house", "put"},
    AsyncTask: {"promised", "see"},
    AsyncFlow: {"see"},
    Batch: {"put", "speaker"},
    AsyncBatch: {"put", "speaker"},
}
CLASSES = (
    Ledger,
    Task,
    AsyncLedger,
    AsyncTask,
    Batch,
    BatchTask,
    AsyncBatch,
    AsyncBatchTask,
    Session,
    AsyncSession,
    Flows,
    Flow,
    AsyncFlows,
    AsyncFlow,
    Subscription,
    AsyncSubscription,
    Past,
    testing.HandClock,
)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tallystick.open": tallystick.open,
    "tallystick.open_async": tallystick.open_async,
    "tallystick.join": tallystick.join,
    "tallystick.join_async": tallystick.join_async,
    "tallystick.run": run.run_command,
    "memory_ledger": testing.memory_ledger,
    "tallystick.keys": keys.new,
    "tallystick.proofs": proofs.verify_proof,
}
SHAPES = (
    TaskRecord,
    FlowRecord,
    FlowPage,
    FlowCounts,
    tallystick.Event,
    tallystick.Origin,
    Page,
    Tree,
    Branch,
    Totals,
    Counts,
    Verification,
    Audit,
    Finding,
    Summary,
    Maintenance,
    OfTasks,
    OfFlows,
    Taken,
    Explanation,
    Policy,
    Why,
    Reason,
    Backup,
    Attestation,
    Standing,
    proofs.Proved,
    proofs.Seen,
    LedgerStatus,
    tallystick.Config,
)
PARTS: dict[type, str] = {
    Finding: "Audit",
    Summary: "Audit",
    OfTasks: "Maintenance",
    OfFlows: "Maintenance",
    Taken: "Maintenance",
    Policy: "Explanation",
}
"""Shapes that are told where the shape is told of which they are a part."""


def public(kind: type) -> list[str]:
    """The names of a class that a program may use."""
    hidden: set[str] = PLUMBING.get(kind, set())
    return [name for name in dir(kind) if not name.startswith("_") and name not in hidden]


def arguments(function: Callable[..., Any]) -> Iterator[str]:
    """The arguments of a function as its signature has them; keywords of a typed mapping are left out."""
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self" or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield f"*{name}"
        elif parameter.default is parameter.empty:
            yield name
        else:
            yield f"{name}={parameter.default!r}".replace("'", '"')


def says(text: str, name: str, function: Callable[..., Any]) -> bool:
    """Whether a text has a call of this name with all these arguments."""
    calls = re.findall(rf"`{name}\((.*?)\)(?: → \w+)?`", text)
    wanted = list(arguments(function))
    return any(all(argument in re.split(r", (?:\*, )?|\*, ", call) for argument in wanted) for call in calls)


@pytest.mark.parametrize("name", tallystick.__all__)
def test_every_name_of_the_package_is_on_the_page_or_among_the_errors(name: str) -> None:
    headings = PAGE.headings()
    among_errors = {row[0] for row in rows(doc("reference/errors.md").section("What each says"))}

    assert {name, f"tallystick.{name}"} & {*headings, *among_errors, "TallystickError"}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_method_is_on_the_page_with_its_arguments(kind: type) -> None:
    section = PAGE.section(kind.__name__)
    both = section + "".join(PAGE.section(heading) for verbs, heading in VERBS.items() if issubclass(kind, verbs))
    missing = []
    for name in public(kind):
        member = getattr(kind, name)
        known = says(both, name, member) if callable(member) else f"`{name}`" in both
        if not known:
            missing.append(name)

    assert [] == missing


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_on_the_page_with_its_arguments(name: str) -> None:
    function = FUNCTIONS[name]

    assert says(PAGE.section(name), function.__name__, function), list(arguments(function))


def test_everything_that_can_be_said_of_a_new_task_is_listed() -> None:
    listed = {row[0] for row in rows(PAGE.section("Creating a task"))}

    assert {*Creation.__annotations__, "occurred_at"} == listed


def test_every_filter_of_a_list_is_listed() -> None:
    assert list(Query.__struct_fields__) == [row[0] for row in rows(PAGE.section("Filters"))]
    assert list(FlowQuery.__struct_fields__) == [row[0] for row in rows(PAGE.section("Filters of flows"))]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_field_of_a_shape_is_on_the_page(shape: type[msgspec.Struct]) -> None:
    said = set(re.findall(r"`(\w+)`", PAGE.section(PARTS.get(shape, shape.__name__))))

    assert set() == {*shape.__struct_fields__} - said


def test_the_fields_of_what_shapes_are_made_of_are_on_the_page() -> None:
    problem, projection = PAGE.section("Verification"), PAGE.section("LedgerStatus")

    assert [] == [name for name in Problem.__struct_fields__ if f"`{name}`" not in problem]
    assert [] == [name for name in ProjectionStanding.__struct_fields__ if f"`{name}`" not in projection]


def test_the_record_is_listed_field_by_field_and_without_inventions() -> None:
    listed = [name for row in rows(PAGE.section("TaskRecord")) for name in row[0].replace("`", "").split()]
    known = {*TaskRecord.__struct_fields__, "is_active", "shown_status", "stream"}

    assert sorted(known) == sorted(listed)


def test_the_record_of_a_flow_is_listed_field_by_field_and_without_inventions() -> None:
    listed = [name for row in rows(PAGE.section("FlowRecord")) for name in row[0].replace("`", "").split()]
    known = {*FlowRecord.__struct_fields__, "is_active", "is_managed", "claim_of(step)", "stream", "version"}

    assert sorted(known) == sorted(listed)
    assert [] == [name for name in Claim.__struct_fields__ if f"`{name}`" not in PAGE.section("FlowRecord")]
