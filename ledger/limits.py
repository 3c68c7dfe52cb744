"""Every bound of a ledger, with its reason; the relations between them are asserted below."""

# A C2SP entry bundle gives an entry's length two bytes, so a leaf can never be longer.
RECORD_BYTES_MAX = 65_535

SALT_BYTES = 16  # of a payload that is kept beside the log: too many to be tried

# Texts are bounded in UTF-8 bytes. Their sum must leave room for the rest of a record.
TASK_BYTES_MAX = 16_384
LABEL_BYTES_MAX = 512
KEY_BYTES_MAX = 512  # owner, sessions, run id, source id, kind, agent, idempotency and request key, tool, phase, actor
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

FLOW_JSON_BYTES_MAX = 16_384  # what a flow keeps as its state, and what it waits for: as JSON and as it is stored
FLOW_JSON_DEPTH_MAX = 32
FLOW_STEPS_MAX = 256  # of a flow that can be claimed; the record names who did

NOTED_CODES_MAX = 32  # of one task or flow that are noted at the same time: more than there are kinds of findings
NOTED_CODE_CHARACTERS_MAX = 64

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
CRON_STALE_MS = 3 * 3_600_000  # after which what an isolated cron run has to tell is skipped
CRON_OUTPUTS_MAX = 4  # final outputs of what worked below an isolated cron run that its message has
PATIENCE_MS_MAX = 24 * 3_600_000  # how long a receiver may ask to be left alone: not for ever, by mistake
DELIVERY_LIMIT_MS = 30_000  # how long one attempt may take before nobody can tell what became of it
DELIVERIES_AT_ONCE = 8  # under way on one channel and account
ENDPOINT_AT_ONCE = 4  # of them to one target, so that one that hangs leaves room to others
ENDPOINT_FAILURES_MAX = 5  # in a row, after which an endpoint is paused
ENDPOINT_WINDOW = 128  # messages of one endpoint in memory; the others wait in the index
SESSION_TAKE_DEFAULT = 20
SESSION_TAKE_MAX = 1_000  # events of a session that are taken together
MEDIA_GUARD_MS = 2 * 60_000  # after a success in which the same request gives it back instead of a second generation
MEDIA_CONFIRM_MS = 2 * 60_000  # how long a session may take to confirm media before they go to the channel
WAKE_COALESCED_MS = 250  # wakes of one session within it become one
ROUSED_AT_ONCE = 64  # sessions in which something waits when somebody begins to listen: others are woken in between
SESSIONS_KEPT = 10_000  # of which it is remembered when they were woken
ACKNOWLEDGED_AT_ONCE = 256  # messages of a session: more would leave no room in a ledger's inboxes for others
OUTCOMES_AT_ONCE = 256  # that wait for the disk at the same time: more would keep writers waiting behind them
CLOSE_DELIVERIES_MS = 5_000  # that closing waits for what is being sent; what takes longer the next owner sends again
VIEWS_LAG_MAX = 20_000  # events that the views have not seen: to fold more at each question would be in everybody's way

CHANNEL_TIMEOUT_MS = 10_000  # that a receiver has to answer
CHANNEL_TIMEOUT_MS_MAX = 20_000  # with the time to connect before it, less than an attempt may take
CHANNEL_PATH_BYTES_MAX = 4_096  # of a file's path
CHANNEL_WORDS_BYTES_MAX = 400  # of an error: what a service says of a mistake is a sentence, the rest a page of HTML
DISCORD_CHARACTERS_MAX = 2_000
SLACK_CHARACTERS_MAX = 40_000  # Slack cuts there by itself, without a sign
TELEGRAM_CHARACTERS_MAX = 4_096
SECRET_CHARACTERS_MIN = 8  # what is shorter is no secret, and taking it out of messages would garble them
SECRET_FILE_BYTES_MAX = 65_536
TOKEN_LIKE_CHARACTERS_MIN = 16  # a part of an address that is as long as this may be a token
SIGNING_KEY_BYTES_MIN = 24  # of a webhook, as Standard Webhooks has it
SIGNING_KEY_BYTES_MAX = 64
MONITOR_NAME_CHARACTERS_MAX = 48  # of a route's name, as part of an id, which goes into headers

RESOURCES_MAX = 32  # that a task has open at the same time
RESOURCE_EVIDENCE_BYTES_MAX = 1_024  # so that all of them together fit a record
CLOSING_ERROR_BYTES_MAX = 400  # of why one could not be closed
CLOSER_LIMIT_MS = 10_000  # that a closer has, besides what a process may take to end
CLOSE_CLEANUPS_MS = 5_000  # that closing a ledger waits for what is being closed

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

ARCHIVE_SEGMENT_EVENTS = 65_536  # in one file: as many as the tree has one hash for on its third level
ARCHIVE_SLICE_EVENTS = 1_024  # that leave the log in one transaction: writers wait for each of these
ARCHIVE_AFTER_MS = 7 * 24 * 3_600_000  # after which a whole segment of events is archived

TREE_SIZE_MAX = 2**63 - 1  # leaves of a tree in a checkpoint: what signed 64 bits of other programs can hold
NOTE_BYTES_MAX = 1 << 20  # of a signed note that is read
NOTE_SIGNATURES_MAX = 100  # of a note that are read, as many as Go's sumdb/note reads
PROOF_HASHES_MAX = 63  # of one proof: a tree of TREE_SIZE_MAX leaves needs no more, and a witness reads no more
PROOF_BYTES_MAX = 2 << 20  # of a proof's file that is read: its checkpoint is a note
TILES_REMEMBERED = 128  # while proofs are made, with the roots of their subtrees: 16 KB each
PROBLEMS_KEPT_MAX = 1_000  # that a verification names; it counts all
CHECKPOINT_MS = 1_000  # between two checkpoints that the owner makes by itself, at least; nor can less be set
CHECKPOINT_AGAIN_MS_MAX = 60_000  # until one that could not be made is tried again
CHECKPOINT_BYTES_MAX = 65_536  # of one that was signed elsewhere and is added: its owner hears it as one message
ATTEST_MS = 3_600_000  # between two checkpoints that witnesses and a timestamp authority are shown
ATTEST_MS_MIN = 60_000  # that can be set; also until somebody who could not be reached is asked again
ATTEST_TIMEOUT_MS = 10_000  # until a witness or an authority that does not answer is given up
ATTESTED_HOURS = 24  # of which the last attestation is kept
ATTESTED_DAYS = 3_660  # and of each of these
WITNESSES_MAX = 16  # of a ledger
TOKEN_BYTES_MAX = 65_536  # of the answer of a timestamp authority
SIGNING_WAIT_MS = 10_000  # for another process that signs with a key of the same folder: that takes milliseconds
SIGNING_KEYS_MAX = 4  # of a ledger at the same time: a rotation needs two
KEY_FILE_BYTES_MAX = 4_096

EXPORT_SLICE_EVENTS = 1_024  # that are in memory while events are exported
EXPORT_PAGE_ROWS = 1_000  # tasks that are in memory while records are exported
BUNDLE_EVENTS_MAX = 10_000  # of an evidence bundle: each has a file of its own, and the page shows all of them
BUNDLE_RECORD_BYTES_MAX = 1 << 26  # of their records, which are in memory while the page is made
BUNDLE_BYTES_MAX = 1 << 30  # of all files of a bundle, written or read
IMPORT_LINE_BYTES_MAX = 1 << 20  # of a line that is imported: a record as JSON takes six times its bytes at most

PAGE_ROWS_DEFAULT = 50
DELIVERIES_DEFAULT = 50  # that are listed together
PAGE_ROWS_MAX = 10_000
REPLAY_PROCESSES_MAX = 64  # that replay a ledger together; each of them reads all of it
BOARD_ROWS_MAX = 5  # the chat board of a session
TREE_TASKS_MAX = 10_000  # of one tree that are read; what is beyond is left out, and that is said
TREE_LEVELS_MAX = 50  # that are nested in one another: many readers of JSON give up at 128, and each level is two
ANCESTORS_MAX = 1_000  # that are looked through for the root, and for the task itself when it gets a parent late

MAP_BYTES_FIRST = 1 << 30
MAP_BYTES_MAX = 1 << 44
READERS_MAX = 1_024

STALE_QUEUED_MS = 10 * 60_000  # in the queue, after which an audit says so
STALE_RUNNING_MS = 30 * 60_000  # without a word from what runs
STALE_FLOW_MS = 30 * 60_000  # without a step of a flow
STALE_BUCKET_MS = 10 * 60_000  # how finely the index knows when running work was last heard of; less often moved
CANCEL_STUCK_MS = 5 * 60_000  # that a cancelled flow whose tasks have ended may take to end
CANCEL_FINISHED_MS = 10_000  # that it may take to end once the last of its tasks has: then it is not stuck yet
PROBE_FAILING_MS = 10 * 60_000  # that a probe may be unable to tell
UNDELIVERED_MS = 10 * 60_000  # that the message about an end may be on its way
WATCHED_SILENCE_MS = STALE_RUNNING_MS - STALE_BUCKET_MS  # of work that was seen alive, before it is noted that it was
WATCHED_AGAIN_MS = 5 * 60_000  # after which it is noted that such work was seen again: of much of it that is megabytes
WATCHED_TASKS_MAX = 100_000  # that are noted so; while there are more, an audit leaves those alone that are not
WATCHED_UNKNOWN_MAX = 4_096  # of which it is noted that no probe can tell
WATCHED_WORDS_BYTES_MAX = 400  # of what a probe says that it cannot tell
PROJECTION_STALLED_MS = 60_000  # that a read model may stand still behind the log while somebody keeps it
TIMES_APART_MS = 1_000  # by which reported times have to contradict each other: clocks are set now and then
FUTURE_END_MS = 5 * 60_000  # that a reported end may lie ahead of the ledger's clock: clocks differ by less
UPKEEP_STEPS_MAX = 100_000  # of one maintenance: more are the next one's
UPKEEP_AT_ONCE = 128  # commands of a maintenance that wait for the disk: more would keep writers waiting behind them
UPKEEP_KEPT_SHOWN = 1_000  # that are kept though their retention is over, of which a maintenance says why

RETENTION_TERMINAL_MS = 7 * 24 * 3_600_000
RETENTION_LOST_MS = 24 * 3_600_000
GRACE_MS = 5 * 60_000
CANCEL_GRACE_MS = 30_000  # how long a cancel waits for somebody to say that the work has stopped
CANCEL_WAIT_MS = 10_000  # that `cancel` waits for the end, unless it is told otherwise
CANCEL_KILL_MS = 5_000  # how long a process group may take to end by SIGTERM
SWEEP_INTERVAL_MS = 60_000
SWEEP_INTERVAL_MS_MIN = 10  # a shorter one would do nothing but sweep
SWEEP_FIRST_MS = 5_000
PROBE_LIMIT_MS = 10_000  # how long a probe may take before its answer is that it cannot tell
PROBES_AT_ONCE = 8  # of one runtime; one that hangs takes one of these places at most
DURATION_MS_MAX = 100 * 366 * 24 * 3_600_000  # what can be set; any moment and two of these fit eight bytes

_CREATED_KEYS = 15  # keys of at most KEY_BYTES_MAX in the largest event, a creation

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
assert RESOURCES_MAX * (2 * KEY_BYTES_MAX + CLOSING_ERROR_BYTES_MAX + 16) + 4_096 < RECORD_BYTES_MAX, (
    "the largest cleanup must fit a record"
)
assert SUMMARY_BYTES_MAX + 4 * TITLE_CHARACTERS_MAX + 1_024 < DELIVERY_TEXT_BYTES_MAX, "no summary is cut in a message"
assert 2 * FLOW_JSON_BYTES_MAX + SUMMARY_BYTES_MAX + 4 * KEY_BYTES_MAX + 4_096 < RECORD_BYTES_MAX, (
    "the largest event of a flow must fit a record"
)
assert MAP_BYTES_FIRST <= MAP_BYTES_MAX
assert CHANNEL_TIMEOUT_MS <= CHANNEL_TIMEOUT_MS_MAX < DELIVERY_LIMIT_MS, "whoever sends answers before it is given up"
assert DELIVERY_FIRST_MS <= DELIVERY_CEILING_MS
assert SESSION_TAKE_DEFAULT <= SESSION_TAKE_MAX
assert STALE_BUCKET_MS < STALE_RUNNING_MS, "what the index does not know is less than what an audit asks for"
assert max(GRACE_MS, RETENTION_LOST_MS, RETENTION_TERMINAL_MS) <= DURATION_MS_MAX
