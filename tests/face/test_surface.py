"""The surface is a list of names, and importing it does nothing."""

import importlib
import inspect
import json
import pkgutil
from types import ModuleType

import pytest

import tallystick
from tests.face.parts import said

NAMES = [
    "Ambiguous",
    "AsyncFlow",
    "AsyncFlows",
    "AsyncLedger",
    "AsyncSession",
    "AsyncTask",
    "Batch",
    "BatchFailed",
    "BatchTask",
    "Busy",
    "Closed",
    "Config",
    "Corrupt",
    "Delivery",
    "DeliveryRecord",
    "Event",
    "Flow",
    "FlowPage",
    "FlowRecord",
    "FlowRefused",
    "Flows",
    "ForkedStore",
    "Full",
    "InvalidInput",
    "Ledger",
    "NewerFormat",
    "NotFound",
    "NotOwner",
    "NotProved",
    "OpenResource",
    "Origin",
    "Permanent",
    "Pruned",
    "Receipt",
    "Refused",
    "Retryable",
    "Session",
    "SessionEvent",
    "Stopped",
    "StoreError",
    "TallystickError",
    "Task",
    "TaskRecord",
    "Unconfirmed",
    "Verdict",
    "WrongVersion",
    "join",
    "join_async",
    "open",
    "open_async",
    "track",
]


def modules() -> list[str]:
    """Every module of the package, but for the one that runs when it is imported."""
    found = pkgutil.walk_packages(tallystick.__path__, "tallystick.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def test_the_public_names_are_these_in_this_order() -> None:
    assert NAMES == tallystick.__all__
    assert sorted(tallystick.__all__) == tallystick.__all__
    assert tallystick.__all__ == dir(tallystick)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported(name: str) -> None:
    value = getattr(tallystick, name)

    assert not isinstance(value, ModuleType)
    assert value.__doc__


def test_a_star_import_brings_the_public_names_and_no_other() -> None:
    names: dict[str, object] = {}

    exec("from tallystick import *", names)  # noqa: S102 - a function may not say it

    assert set(NAMES) == names.keys() - {"__builtins__"}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tallystick' has no attribute 'close'"):
        _ = tallystick.close


def test_no_submodule_has_a_public_name() -> None:
    below = {module.name for module in pkgutil.iter_modules(tallystick.__path__)}

    assert set() == below & set(NAMES)


def test_public_names_stay_what_they_are_whatever_is_imported() -> None:
    for module in modules():
        if not module.startswith("tallystick.bench"):  # which needs what a user need not have
            importlib.import_module(module)

    assert inspect.isclass(tallystick.track)
    assert inspect.isfunction(tallystick.open)
    assert inspect.isfunction(tallystick.open_async)
    assert [] == [name for name in NAMES if isinstance(getattr(tallystick, name), ModuleType)]


def test_importing_the_package_opens_no_file_and_starts_no_thread() -> None:
    [line] = said(
        """
        import json, sys
        seen = {"opened": [], "threads": 0}
        def look(event, args):
            if event == "open" and isinstance(args[0], str) and not args[0].endswith((".py", ".pyc")):
                seen["opened"].append(args[0])
            if event == "_thread.start_new_thread":
                seen["threads"] += 1
        sys.addaudithook(look)
        import tallystick
        print(json.dumps(seen))
        """
    )

    assert {"opened": [], "threads": 0} == json.loads(line)


def test_importing_the_package_loads_next_to_nothing() -> None:
    [line] = said(
        """
        import json, sys
        before = set(sys.modules)
        import tallystick
        print(json.dumps(sorted(set(sys.modules) - before)))
        """
    )

    loaded = json.loads(line)
    assert [] == [name for name in ("pykka", "structlog", "asyncio", "lmdb", "msgspec", "threading") if name in loaded]
    assert ["tallystick"] == [name for name in loaded if name.startswith("tallystick")]


def test_an_error_or_an_event_is_had_without_what_runs_a_ledger() -> None:
    [line] = said(
        """
        import json, sys
        from tallystick import Closed, Event, InvalidInput, Origin, TaskRecord
        print(json.dumps([name for name in ("pykka", "structlog", "asyncio", "lmdb") if name in sys.modules]))
        """
    )

    assert [] == json.loads(line)


def test_importing_every_module_starts_no_thread_and_writes_no_file() -> None:
    [line] = said(
        """
        import importlib, json, pkgutil, sys
        import tallystick
        seen = []
        def look(event, args):
            if event == "_thread.start_new_thread" or (event == "open" and args[1] and set(args[1]) & set("wax+")):
                seen.append([event, str(args[0])])
        sys.dont_write_bytecode = True
        sys.addaudithook(look)
        for module in list(pkgutil.walk_packages(tallystick.__path__, "tallystick.")):
            if not module.name.endswith("__main__") and not module.name.startswith("tallystick.bench"):
                importlib.import_module(module.name)
        print(json.dumps(seen))
        """
    )

    assert [] == json.loads(line)
