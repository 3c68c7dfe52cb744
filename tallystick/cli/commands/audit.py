"""`tally audit`: what is amiss, how bad it is, and what makes it go away."""

from collections.abc import Iterator, Mapping

import click

from tallystick.auditing import Audit, audit
from tallystick.cli.answer import EXIT_FOUND, EXIT_OK, Answer, present
from tallystick.cli.call import Call
from tallystick.cli.cells import fill
from tallystick.cli.command import OneOf
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.summary import severities
from tallystick.cli.times import age, now_ms
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.upkeep.finding import Code, Finding, Severity, Summary
from tallystick.plain import plain

_COLOURS: Mapping[Severity, str] = {Severity.ERROR: "red", Severity.WARN: "yellow"}
_CLEAN = "Nothing is amiss."


@_command(
    "audit",
    json="""{count, filteredCount, displayed, unjudged, filters: {severity, code, limit},
    summary: {total, warnings, errors, byCode},
    findings: [{kind, severity, code, detail, token, remedy, action, ageMs, status}]}""",
    help="""Errors first, then the oldest. The summary counts everything, whatever is shown of it. What each code means
    is in the reference, page "audit"; `action` is what "tally maintenance --apply" does about it, and `unjudged` how
    many silent tasks are not judged: more are alive than the owner can tell of.

    Exits with 3 when a finding that passes the filters is as bad as --fail-on says, or worse.""",
)
@click.option("--severity", type=OneOf(Severity), help="As bad as this.")
@click.option("--code", type=OneOf(Code), metavar="C", help="With this code.")
@click.option("--limit", type=int, metavar="N", help="Show at most so many.")
@click.option("--fail-on", type=OneOf(Severity), help="Exit with 3 when there is one.")
def command(call: Call, *, severity: str | None, code: str | None, limit: int | None, fail_on: str | None) -> Answer:
    """Audit a ledger."""
    if fail_on is not None and fail_on not in tuple(Severity):
        raise InvalidInput("fail-on", fail_on, ", ".join(sorted(Severity)))
    with call.readings(or_none_yet=True) as readings:
        found = audit(readings, now_ms(), severity=severity, code=code, limit=limit)
    data = {
        "count": found.summary.total,
        "filteredCount": found.filtered,
        "displayed": len(found.findings),
        "unjudged": found.unjudged,
        "filters": present(severity=severity, code=code, limit=limit),
        "summary": found.summary,
        "findings": found.findings,
    }
    is_reached = fail_on is not None and found.worst is not None and fail_on in (Severity.WARN, found.worst)
    return Answer(data, lambda screen: _lines(screen, found), EXIT_FOUND if is_reached else EXIT_OK)


def _lines(screen: Screen, found: Audit) -> Iterator[str]:
    yield screen.bold(summary_words(found.summary))
    if found.unjudged:
        silent = "1 silent task is" if found.unjudged == 1 else f"{found.unjudged:,} silent tasks are"
        yield screen.dim(f"{silent} not judged: more are alive than the owner can tell of.")
    for finding in found.findings:
        yield ""
        yield from finding_lines(screen, finding)
    hidden = found.summary.total - len(found.findings)
    if hidden:
        shown = "none of them is shown" if not found.findings else f"{hidden:,} more are not shown"
        yield ""
        yield screen.dim(f"{shown}: see --severity, --code, --limit")
    if found.summary.total:
        yield ""
        yield screen.dim('"tally maintenance" shows what --apply would do about it.')


def summary_words(summary: Summary) -> str:
    """Return how many findings there are, in a line."""
    if not summary.total:
        return _CLEAN
    noun = "finding" if summary.total == 1 else "findings"
    codes = ", ".join(f"{count:,} {code}" for code, count in summary.by_code.items())
    return f"{summary.total:,} {noun}: {severities(summary)} ({codes})"


def finding_lines(screen: Screen, finding: Finding) -> Iterator[str]:
    """Yield a finding, for people: what it is, what it is about, and what makes it go away."""
    mark = screen.colour(fill(finding.severity.value, 6), _COLOURS[finding.severity])
    about = " ".join(filter(None, (finding.kind.value, plain(finding.token), finding.status)))
    old = "" if finding.age_ms is None else f", {age(finding.age_ms)}"
    yield f"{mark}{screen.bold(finding.code.value)}  {about}{old}"
    yield from _indented(screen, plain(finding.detail))
    yield from _indented(screen, f"→ {plain(finding.remedy)}")


def _indented(screen: Screen, text: str) -> Iterator[str]:
    from tallystick.cli.cells import wrap

    return (f"      {line}" for line in wrap(text, max(screen.columns - 6, 40)))
