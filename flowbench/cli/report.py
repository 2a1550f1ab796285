"""flowbench report: the HTML report of a case."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.cli.files import output_file_option


@click.command()
@common.case_argument
@output_file_option("The HTML file.  [default: CASE/report.html]")
@click.option("--pdf", is_flag=True, help="Print it as PDF too, by an installed Chromium.")
@click.option("--case-number", metavar="TEXT", help="Case number, for the head of the report.")
@click.option("--examiner", metavar="TEXT", help="Who examined the evidence.")
@click.option("--authority", metavar="TEXT", help="On whose behalf.")
def report(
    case: Path,
    output: Path | None,
    pdf: bool,
    case_number: str | None,
    examiner: str | None,
    authority: str | None,
) -> None:
    """Write the HTML report of CASE.

    One file, which needs no network: the summary with what to do, each host with its attribution
    and traffic, the timeline, the indicators, and annexes. Its SHA-256 is written beside it and to
    the custody log.
    """
    from flowbench import report as reports
    from flowbench.case.outputs import check_output

    opened = common.open_case(case)
    target = output or opened.path / "report.html"
    if pdf:
        check_output(opened, target.with_suffix(".pdf"))
    path = reports.write(
        opened,
        target,
        case_number=case_number,
        examiner=examiner,
        authority=authority,
    )
    click.echo(path)
    if pdf:
        click.echo(reports.print_pdf(path, path.with_suffix(".pdf")))
    if not opened.log.can_append:
        common.note(f"the SHA-256 of the report is in {path}.sha256 only: the custody log cannot")
        common.note("be written, or was changed. See `flowbench verify`.")
