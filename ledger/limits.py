"""Every bound of a ledger, with its reason; the relations between them are asserted below."""

# A C2SP entry bundle gives an entry's length two bytes, so a leaf can never be longer.
RECORD_BYTES_MAX = 65_535

# Texts are bounded in UTF-8 bytes. Their sum must leave room for the rest of a record.
TASK_BYTES_MAX = 16_384
LABEL_BYTES_MAX = 512
KEY_BYTES_MAX = 512  # owner, sessions, run id, source id, kind, agent, idempotency key, tool, phase, actor
SUMMARY_BYTES_MAX = 16_384
ERROR_BYTES_MAX = 16_384
REASON_BYTES_MAX = 4_096
MESSAGE_BYTES_MAX = 4_096
EVIDENCE_BYTES_MAX = 4_096

METADATA_PAIRS_MAX = 32
METADATA_BYTES_MAX = 8_192
ARTIFACTS_MAX = 64
ARTIFACTS_BYTES_MAX = 16_384
USAGE_KEYS_MAX = 16
BACKING_KEYS_MAX = 16

TIME_MS_MAX = 253_402_300_799_999  # the last millisecond of the year 9999
TIMEOUT_MS_MAX = 366 * 24 * 3_600_000
COUNT_MAX = 2**53 - 1  # what every JSON reader can hold

FURTHER_KEYS_KEPT = 8  # idempotency keys beyond the first that the record repeats; the log's claims keep all
LATE_SIGNALS_KEPT = 8  # remembered in the record to recognise a repeated one; the log keeps all

TITLE_CHARACTERS_MAX = 80  # of a task's label or text in a message
DIAGNOSTIC_CHARACTERS_MAX = 120  # of an error in a message; the record keeps all of it
RUN_CHARACTERS_MAX = 8  # of a run id in a message
DELIVERY_TEXT_BYTES_MAX = 20_480  # a message: a whole summary and what stands around it
OUTBOX_OPEN_MAX = 64  # messages of one task that wait; at so many, further progress makes none until one is done with
RECOVERED_AT_ONCE = 10  # tasks of one retry or dismissal
DELIVERY_FIRST_MS = 5_000  # until the second attempt
DELIVERY_CEILING_MS = 10 * 60_000  # between two attempts at the most
DELIVERY_WINDOW_MS = 24 * 3_600_000  # after which no more attempts are made
PATIENCE_MS_MAX = 24 * 3_600_000  # how long a receiver may ask to be left alone: not for ever, by mistake
DELIVERY_LIMIT_MS = 30_000  # how long one attempt may take before nobody can tell what became of it
DELIVERIES_AT_ONCE = 8  # under way on one channel and account
ENDPOINT_AT_ONCE = 4  # of them to one target, so that one that hangs leaves room to others
ENDPOINT_FAILURES_MAX = 5  # in a row, after which an endpoint is paused
ENDPOINT_WINDOW = 128  # messages of one endpoint in memory; the others wait in the index
SESSION_TAKE_MAX = 1_000  # events of a session that are taken together
MEDIA_CONFIRM_MS = 2 * 60_000  # how long a session may take to confirm media before they go to the channel
WAKE_COALESCED_MS = 250  # wakes of one session within it become one

LEASE_MS_MIN = 1_000  # a shorter time to live would be missed by a busy machine, not by dead work
LEASE_MS = 60_000
PROGRESS_MS_MIN = 1_000  # at most one durable progress event a task in this time, unless forced

INBOX_DEPTH_MAX = 4_096  # envelopes waiting for one actor
ACTORS_READY_MAX = 65_536  # tasks with mail that wait for their turn, the whole ledger
BATCH_EVENTS_MAX = 2_048  # events in one transaction
ACTORS_LIVE_MAX = 20_000  # task actors kept in memory; the idlest are passivated beyond it
SUBSCRIBER_PAGE_EVENTS = 1_024

INBOX_COMMANDS_MAX = 4_096  # commands of other processes that wait for the ledger's owner
INBOX_SLICE_COMMANDS = 256  # of them that are decided in one turn: the owner's own callers want theirs, too
INBOX_ANSWERS_MAX = 16_384  # answers that nobody has fetched; the older half of more of them is dropped
INBOX_ANSWER_MS_MAX = 10 * 60_000  # how long an answer waits for a client that may have died
INBOX_MAP_BYTES_FIRST = 1 << 24
INBOX_MAP_BYTES_MAX = 1 << 30

PROBLEMS_KEPT_MAX = 1_000  # that a verification names; it counts all

PAGE_ROWS_DEFAULT = 50
PAGE_ROWS_MAX = 10_000
BOARD_ROWS_MAX = 5  # the chat board of a session

MAP_BYTES_FIRST = 1 << 30
MAP_BYTES_MAX = 1 << 44
READERS_MAX = 1_024

RETENTION_TERMINAL_MS = 7 * 24 * 3_600_000
RETENTION_LOST_MS = 24 * 3_600_000
GRACE_MS = 5 * 60_000
CANCEL_GRACE_MS = 30_000  # how long a cancel waits for somebody to say that the work has stopped
CANCEL_KILL_MS = 5_000  # how long a process group may take to end by SIGTERM
SWEEP_INTERVAL_MS = 60_000
SWEEP_INTERVAL_MS_MIN = 10  # a shorter one would do nothing but sweep
SWEEP_FIRST_MS = 5_000
PROBE_LIMIT_MS = 10_000  # how long a probe may take before its answer is that it cannot tell
PROBES_AT_ONCE = 8  # of one runtime; one that hangs takes one of these places at most
DURATION_MS_MAX = 100 * 366 * 24 * 3_600_000  # what can be set; any moment and two of these fit eight bytes

_CREATED_KEYS = 14  # keys of at most KEY_BYTES_MAX in the largest event, a creation

assert (
    TASK_BYTES_MAX + LABEL_BYTES_MAX + METADATA_BYTES_MAX + _CREATED_KEYS * KEY_BYTES_MAX + EVIDENCE_BYTES_MAX + 4_096
    < RECORD_BYTES_MAX
), "the largest creation must fit a record"
assert SUMMARY_BYTES_MAX + ERROR_BYTES_MAX + ARTIFACTS_BYTES_MAX + EVIDENCE_BYTES_MAX + 8_192 < RECORD_BYTES_MAX, (
    "the largest recovery must fit a record"
)
assert DELIVERY_TEXT_BYTES_MAX + ARTIFACTS_BYTES_MAX + 6 * KEY_BYTES_MAX + 4_096 < RECORD_BYTES_MAX, (
    "the largest message must fit a record"
)
assert SUMMARY_BYTES_MAX + 4 * TITLE_CHARACTERS_MAX + 1_024 < DELIVERY_TEXT_BYTES_MAX, "no summary is cut in a message"
assert MAP_BYTES_FIRST <= MAP_BYTES_MAX
assert max(GRACE_MS, RETENTION_LOST_MS, RETENTION_TERMINAL_MS) <= DURATION_MS_MAX
