"""Commands that answer: findings, timeline, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli.common import answers, canonical, case_argument, main, open_case
from flowbench.errors import CaseError, InputError
from flowbench.text import escape_controls

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case


@main.command()
@case_argument
@click.option("--only", multiple=True, metavar="ID", help="Run this detector (again for more).")
@click.option("--show-suppressed", is_flag=True, help="Show what allow lists hide, too.")
@click.option("--since-last", is_flag=True, help="Show what changed since the run before.")
@answers
def detect(
    case: Path,
    only: tuple[str, ...],
    show_suppressed: bool,
    since_last: bool,
    form: str,
    output: Path | None,
) -> None:
    """What CASE's records point to: host by host, the gravest first.

    In the other formats it is a row a finding. A run of all detectors is kept in the case;
    --since-last compares with the one kept last.
    """
    from flowbench import detect as detectors
    from flowbench.cli import output as out
    from flowbench.text import format_count

    if since_last and show_suppressed:
        raise InputError("--since-last tells what becomes hidden: leave --show-suppressed out")
    opened = open_case(case)
    plan = detectors.plan(opened)
    everything = detectors.run(opened, only=list(only) or None, hidden=True)
    found, hidden = detectors.apart(everything)
    if since_last:
        _since_last(opened, everything, only, form, output)
    elif show_suppressed:
        shown = ["severity", "score", "detector", "first_seen", "why", "suppressed_by"]
        out.write(everything, form, output, columns=shown)
    elif form == "table" and output is None:
        out.tell(detectors.stories(found), detectors.strands(found))
    else:
        out.write(found, form, output)
    for (by, why), rows in hidden.groupby(["suppressed_by", "suppression_reason"]):
        reason = f": {escape_controls(why)}" if why else ""
        by_whom = f"'{escape_controls(by)}' (allow list{reason})"
        click.echo(
            f"{format_count(len(rows), 'finding')} hidden by {by_whom}: --show-suppressed", err=True
        )
    for row in plan[~plan["runs"]].itertuples():
        if not only or row.detector in only:
            click.echo(f"{row.detector}: {row.reason}", err=True)
    hosts = format_count(found["subject"].nunique(), "story", "stories")
    click.echo(f"{len(found)} findings, {hosts}", err=True)
    if not only:
        _keep(opened, everything)


def _since_last(
    case: Case, found: pd.DataFrame, only: tuple[str, ...], form: str, output: Path | None
) -> None:
    """Print what changed since the run kept last, and say what that may come from."""
    from flowbench import detect as detectors
    from flowbench.cli import output as out
    from flowbench.detect import history

    try:
        before = history.last(case)
    except CaseError as error:
        before = None
        click.echo(f"flowbench: {escape_controls(error)}", err=True)
    else:
        if before is None:
            click.echo("there is no run before this one to compare with", err=True)
    if before is None:
        changes = detectors.CHANGES.frame([])
    else:
        then = before.findings
        changes = detectors.compare(then[then["detector"].isin(only)] if only else then, found)
    shown = ["change", "severity", "detector", "subject", "changed", "why"]
    if len(changes) or form != "table" or output is not None:
        out.write(changes, form, output, columns=shown)
    if before is not None:
        counts = changes["change"].value_counts()
        told = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("new", "changed", "gone"))
        click.echo(f"since the run of {before.time}: {told}", err=True)
        for sentence in history.differences(case, before):
            click.echo(f"  {escape_controls(sentence)}", err=True)


def _keep(case: Case, found: pd.DataFrame) -> None:
    """Keep the run in the case, unless that cannot be written: the answer is given all the same."""
    from flowbench.detect import history

    try:
        history.keep(case, found)
    except CaseError as error:
        click.echo(f"this run is not kept: {escape_controls(error)}", err=True)


@main.command()
@case_argument
@click.option("--about", metavar="ADDRESS", help="Only what concerns this address.")
@answers
def timeline(case: Path, about: str | None, form: str, output: Path | None) -> None:
    """What happened around CASE's gravest findings, in order, or about an address.

    Findings, the API events of the principals behind them, alerts, DNS look-ups and notes.
    """
    from flowbench.cli import output as out
    from flowbench.investigate import timeline as lines

    built = lines.build(open_case(case), about=canonical(about))
    if built.empty and about is None:
        click.echo("no finding to follow; --about ADDRESS shows what concerns an address", err=True)
    shown = ["time", "until", "kind", "severity", "what", "ref"]
    out.write(built, form, output, columns=shown)


@main.command()
@case_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file; CASE/report.html otherwise.",
)
def report(case: Path, output: Path | None) -> None:
    """Write CASE's report: one HTML file that opens with no network."""
    from flowbench import report as reports

    opened = open_case(case)
    click.echo(reports.write(opened, output or opened.path / "report.html"))
