"""Commands that answer: findings, timeline, report."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli.base import answers, canonical, case_argument, main, open_case


@main.command()
@case_argument
@click.option("--only", multiple=True, metavar="ID", help="Run this detector (again for more).")
@click.option("--show-hidden", is_flag=True, help="Show what allow lists hide, too.")
@answers
def detect(
    case: Path, only: tuple[str, ...], show_hidden: bool, form: str, output: Path | None
) -> None:
    """What CASE's records point to, the gravest first."""
    from flowbench import detect as detectors
    from flowbench import output as out
    from flowbench.detect.base import many

    opened = open_case(case)
    plan = detectors.plan(opened)
    everything = detectors.run(opened, only=list(only) or None, hidden=True)
    found, hidden = detectors.apart(everything)
    shown = ["severity", "score", "detector", "first_seen", "why"]
    if show_hidden:
        out.write(everything, form, output, columns=[*shown, "hidden_by"])
    else:
        out.write(found, form, output, columns=shown)
    for (by, why), rows in hidden.groupby(["hidden_by", "hidden_reason"]):
        reason = f": {out.plain(why)}" if why else ""
        by_whom = f"'{out.plain(by)}' (allow list{reason})"
        click.echo(f"{many(len(rows), 'finding')} hidden by {by_whom}: --show-hidden", err=True)
    for row in plan[~plan["runs"]].itertuples():
        if not only or row.detector in only:
            click.echo(f"{row.detector}: {row.reason}", err=True)
    click.echo(f"{len(found)} findings", err=True)


@main.command()
@case_argument
@click.option("--about", metavar="ADDRESS", help="Only what concerns this address.")
@answers
def timeline(case: Path, about: str | None, form: str, output: Path | None) -> None:
    """What happened around CASE's gravest findings, in order, or about an address.

    Findings, the API events of the principals behind them, alerts, DNS look-ups and notes.
    """
    from flowbench import output as out
    from flowbench import timeline as lines

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
