"""`tally notify`: choose which transitions of a task are told."""

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import LOOKUP_HELP, SHAPE, changed, task_named
from tallystick.cli.command import LOOKUP, OneOf
from tallystick.cli.command import command as _command
from tallystick.ledger.lifecycle import NotifyPolicy


@_command(
    "notify",
    json=SHAPE,
    help=f"""{LOOKUP_HELP}

    Allowed at any time. A task that has ended, and of which nobody was told, is told then if the policy lets it
    through.""",
)
@click.argument("lookup", type=LOOKUP)
@click.argument("policy", type=OneOf(policy.value for policy in NotifyPolicy))
def command(call: Call, *, lookup: str, policy: str) -> Answer:
    """Change what is told of a task."""
    with task_named(call, lookup) as task:
        record = task.notify(policy)
    return changed(call, record, lambda task_id: f"{task_id} tells {record.notify_policy.value} from now on.")
