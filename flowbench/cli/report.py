"""flowbench report: the HTML report of a case."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The HTML file.  [default: CASE/report.html]",
)
def report(case: Path, output: Path | None) -> None:
    """Write the HTML report of CASE.

    One file, which needs no network. Its SHA-256 is written beside it and to the custody log.
    """
    from flowbench import report as reports

    opened = common.open_case(case)
    path = reports.write(opened, output or opened.path / "report.html")
    click.echo(path)
    if not opened.log.can_append:
        common.note(f"the SHA-256 of the report is in {path}.sha256 only: the custody log cannot")
        common.note("be written, or was changed. See `flowbench verify`.")
