"""`tally demo`: a new ledger, real processes, and what it knows of them."""

import shlex
import tempfile
import time
from pathlib import Path

from tallystick.cli.answer import EXIT_OK, Answer
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command


@_command(
    "demo",
    json="""{ok, ledger, tasks: [record], taken: [{position, text, taskId, kind, id, queuedAt, artifacts}],
    received: [{id, attempt, signed, to, text}]}""",
    help="""Runs a build, a gateway that is killed in the middle of its work and one that takes over, tests, a command
    that fails, one that times out, one that is killed with SIGKILL, an agent that is lost, and a task that is cancelled
    while it waits, in a new ledger in a temporary folder; shows them live, who is told of them, by a session that is
    woken and by a webhook on this machine that is down at first, and what the ledger tells. Its log is signed by a key
    of its own. Under a minute. The folder is kept and named.""",
)
def command(call: Call) -> Answer | int:
    """Show it at work."""
    import tallystick
    from tallystick.cli.demo.scene import build_with_tally_run, gateway_killed, rest_with_library
    from tallystick.cli.demo.signed import make_signed
    from tallystick.cli.demo.stage import Stage, typed_name
    from tallystick.cli.demo.work import write

    began = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="tally-demo-"))
    ledger, folder = home / "ledger", home / "work"
    stage = Stage(str(ledger), silent=call.json)
    stage.say(f"A new ledger in {ledger}")
    write(folder)
    integrity, verifier = make_signed(ledger)
    tallystick.open(ledger).close()

    stage.say("", f"1. A build, as a shell would start it: {stage.screen.bold('tally run --label build -- python …')}")
    stage.say("   That process owns the ledger now. This one only reads beside it.", "")
    build_with_tally_run(stage, ledger, folder)

    stage.say("", "2. A gateway with two agents: one works within it, the other is a process of its own.")
    pid = gateway_killed(ledger, folder)
    stage.say(f"   kill -9 {pid}: the gateway is gone, and said nothing to anybody.")

    stage.say(
        "", "3. This process takes the ledger over. What ran within the gateway is lost at once, what lives goes on."
    )
    stage.say("   Side by side with it: tests, a failure, a timeout, a process that somebody kills with SIGKILL,")
    stage.say("   an agent that is killed and that nobody waits for, and a task cancelled while it waits.")
    stage.say("   What agents end with goes to the session that asked, what commands end with to a webhook.", "")
    told = rest_with_library(stage, ledger, folder, integrity)
    ids = told.ids

    stage.say("", "5. What the ledger knows. Every command from here on is a process of its own.")
    for words in (["list"], ["show", ids["read settings"]], ["timeline", ids["release notes"]], ["status"], ["verify"]):
        stage.run(*words)
    seconds = time.monotonic() - began
    if call.json:
        with tallystick.open(ledger, read_only=True) as opened:
            data = {"ledger": str(ledger), "tasks": opened.list().tasks, "ok": opened.verify().ok}
        data |= {"taken": told.taken, "received": told.received}
        return Answer(data, lambda _screen: ())
    lost, where = ids["release notes"], f"--ledger {shlex.quote(str(ledger))}"
    evidence = shlex.quote(str(home / "evidence.zip"))
    stage.say("", f"That took {seconds:.0f} s. The ledger stays in {ledger}. Can it prove what it says?")
    stage.say("Why a task is lost; the evidence of it in a file; whether that holds for whoever has only the file:", "")
    for more in (
        f"why {where} {lost}",
        f"export {where} --format bundle --out {evidence} {lost}",
        f"verify --bundle {evidence} --key {shlex.quote(verifier)}",
    ):
        stage.say(f"  {typed_name()} {more}")
    return EXIT_OK
