"""The deeds: what a step of upkeep asks the actor of its task or flow to record. Pure."""

from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.flows import FlowCancelled
from tallystick.ledger.flows import intake as of_flows
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.upkeep.finding import Action, Kind
from tallystick.ledger.upkeep.plan import Step

DEEDS = frozenset({Action.SETTLE, Action.STAMP, Action.RETRY, Action.NOTE, Action.PRUNE, Action.FINISH_CANCEL})
"""What a command does, from whichever process. All else is the work of the ledger's owner."""


def command_of(step: Step, actor: str, version: int | None) -> Command:
    """Return the command that takes a step: refused when its task or flow does not have this version any more.

    So is the pruning of a task that somebody began to need after it was looked at.
    """
    return Command(_fact(step), actor, expected_version=version, as_of=step.as_of)


def _fact(step: Step) -> AnyFact:
    of_task = step.kind is Kind.TASK
    match step.action:
        case Action.SETTLE:
            settled = intake.settled if of_task else of_flows.settled
            return settled(Status.LOST, step.reason)
        case Action.NOTE:
            noted = intake.taken_note_of if of_task else of_flows.taken_note_of
            return noted(step.codes, step.reason)
        case Action.PRUNE:
            return intake.pruned(step.reason) if of_task else of_flows.pruned(step.reason)
        case Action.RETRY:
            return intake.retried(step.reason)
        case Action.STAMP:
            assert step.until is not None, "a stamp says until when"
            return intake.stamped(step.until)
        case Action.FINISH_CANCEL:
            return FlowCancelled()
        case _:
            raise AssertionError(f"{step.action} is no command")
