"""The menu: every command, by chapter, and what it does in one line. Known without loading any of them."""

from collections.abc import Mapping
from types import MappingProxyType

CHAPTERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "Look": {
            "list": "List tasks, newest first.",
            "show": "Show one task: the whole record.",
            "timeline": "Show every event of one task or flow.",
            "status": "Show how the ledger is.",
            "board": "Show the board of a session: at most 5 tasks.",
            "watch": "Follow the log live.",
            "flow": "List, show or cancel flows: work of several steps.",
        },
        "Work": {
            "run": "Run a command as a task; exit as it does.",
            "cancel": "Stop the work of a task.",
            "settle": "End an active task or flow by hand.",
        },
        "Tell": {
            "deliveries": "List messages that have not arrived.",
            "retry": "Send again what could not be delivered.",
            "dismiss": "Give up what has not arrived.",
            "notify": "Choose what is told of a task.",
        },
        "Prove": {
            "verify": "Is the past what it was? Of the log, a checkpoint, a proof, a bundle.",
            "checkpoint": "Sign how large the log is, and its root.",
            "attest": "Have others see the newest checkpoint, and when.",
            "prove": "Write a proof of an event, or that the log only grew.",
            "keys": "Make and show the keys that sign checkpoints.",
            "replay": "Show tasks and flows as they were, and what changed since.",
            "why": "Show what led to what a task or flow is.",
            "compare": "Find the first difference of two ledgers.",
            "export": "Write all of it, or a part, for other programs.",
            "import": "Take over an export, or what OpenClaw recorded.",
        },
        "Keep": {
            "audit": "List what is amiss, and what makes it go away.",
            "maintenance": "Show what upkeep would do; with --apply, do it.",
            "hold": "Keep a task from being pruned.",
            "release": "End the hold of a task.",
            "erase": "Erase what a task or flow says.",
            "projections": "List, rebuild or check the read models.",
            "archive": "List or delete sealed ranges of the log.",
            "backup": "Copy the whole ledger, as of one moment.",
            "restore": "Make a ledger of a backup.",
            "doctor": "Look for what is wrong with a ledger or its place.",
        },
        "Learn": {
            "demo": "Track real processes before your eyes.",
            "bench": "Measure how fast it is here.",
            "completion": "Print the completion script of a shell.",
        },
    }
)

HELP: Mapping[str, str] = MappingProxyType({name: text for page in CHAPTERS.values() for name, text in page.items()})

DEFAULT = "list"
"""What `tally` alone is, and `tally flow`, and `tally archive`."""

FLOW: Mapping[str, str] = MappingProxyType(
    {
        "list": "List flows, newest first.",
        "show": "Show one flow: the whole record, and its tasks.",
        "cancel": "Stop a flow and all its tasks.",
    }
)
"""What `tally flow` can do."""

ARCHIVE: Mapping[str, str] = MappingProxyType(
    {
        "list": "List the segments of the archive.",
        "delete": "Delete the oldest segments of the archive.",
    }
)
"""What `tally archive` can do."""

KEYS: Mapping[str, str] = MappingProxyType(
    {
        "new": "Make a signing key, and print its verifier key.",
        "show": "Print the verifier keys of signing keys.",
        "sign": "Sign a checkpoint where the key is.",
    }
)
"""What `tally keys` can do."""

DEFAULT_OF_KEYS = "show"
"""What `tally keys` alone is."""
