"""The command that brings evidence from AWS; nothing else of flowbench asks the network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli.common import BAD_ANSWER, answers, case_argument, main, open_case
from flowbench.cli.ingest import load_into
from flowbench.text import escape_controls, format_bytes

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.fetch.outcome import Done

_KINDS = (
    "flow-logs",
    "cloudtrail",
    "dns",
    "guardduty",
    "config",
)  # layout.KINDS, without importing it


@main.command()
@case_argument
@click.argument("source", metavar="SOURCE")
@click.option("--from", "since", metavar="TIME", help="Where the period begins (UTC).")
@click.option("--until", metavar="TIME", help="Where it ends, itself not included; now otherwise.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    help="From S3: only this kind (again for more); all of them otherwise.",
)
@click.option("--profile", help="The AWS profile; boto3's own choice otherwise.")
@click.option(
    "--region",
    "regions",
    multiple=True,
    help="The AWS region, the profile's otherwise; of an account again for more, or 'all'.",
)
@click.option("--endpoint-url", metavar="URL", help="Another server that speaks AWS's protocol.")
@click.option("--requester-pays", is_flag=True, help="Pay for what a requester-pays bucket gives.")
@click.option("--dry-run", is_flag=True, help="Only show what would be fetched.")
@click.option("--no-ingest", is_flag=True, help="Fetch only; load nothing into the case.")
@answers
def fetch(  # noqa: PLR0913  # each is an option
    case: Path,
    source: str,
    since: str | None,
    until: str | None,
    kinds: tuple[str, ...],
    profile: str | None,
    regions: tuple[str, ...],
    endpoint_url: str | None,
    requester_pays: bool,
    dry_run: bool,
    no_ingest: bool,
    form: str,
    output: Path | None,
) -> None:
    """Bring evidence from AWS into CASE and load it.

    SOURCE is where it lies:

    \b
      s3://BUCKET/FOLDER   log files of a period, in any of AWS's layouts
      logs://GROUP         events of a CloudWatch Logs group, in whole hours
      inventory            interfaces, instances, networks of regions, as they are now
      cloudtrail           CloudTrail's own event history of regions (90 days)
      guardduty            GuardDuty findings of regions, updated since the period began

    Times are like 2026-09-01 or 2026-09-01T12:00. Files that can hold records of the period are
    fetched whole, with a margin for late ones. Credentials are found as the AWS CLI finds them, and
    never kept. Interrupted? Run it again: what is here is not fetched twice. Exit code 1 when AWS
    refused a part of it.
    """  # noqa: D301  # click looks for the character
    from flowbench import fetch as fetching
    from flowbench.cli import output as out
    from flowbench.fetch.aws import Account

    opened = open_case(case)
    with _bar("listing") as progress:
        found = fetching.prepare(
            source,
            since=since,
            until=until,
            account=Account(profile, None, endpoint_url),
            kinds=kinds or _KINDS,
            regions=regions,
            requester_pays=requester_pays,
            progress=progress,
        )
    summary = found.summary(opened)
    if dry_run:
        out.write(summary, form, output)
    _announce(summary)
    if dry_run:
        _say(found.notes())
        return
    with _bar("fetching", sizes="bytes" in summary) as progress:
        done = fetching.bring(opened, found, progress)
    _tell(done)
    root = fetching.folder(opened)
    if not no_ingest and any(path.is_file() for path in root.rglob("*")):
        load_into(opened, (root,), form=form, output=output)
    if done.failed:
        sys.exit(BAD_ANSWER)


def _announce(summary: pd.DataFrame) -> None:
    """How much it is, before it is fetched."""
    here = int(summary["here"].sum())
    if "bytes" in summary:
        size = format_bytes(int(summary["to_fetch"].sum()))
        said = f"{int(summary['objects'].sum()):,} objects, {here:,} of them here already"
        click.echo(f"{said}: {size} to fetch", err=True)
    else:
        click.echo(f"{len(summary):,} to ask, {here:,} of them answered already", err=True)


def _say(notes: list[str]) -> None:

    for note in notes:
        click.echo(escape_controls(note), err=True)


def _tell(done: Done) -> None:
    """What came of a fetch, on stderr."""
    _say(done.notes)
    for name, reason in done.failed[:20]:
        click.echo(
            f"not fetched: {escape_controls(reason if name in reason else f'{name}: {reason}')}",
            err=True,
        )
    if len(done.failed) > 20:
        click.echo(f"… and {len(done.failed) - 20:,} more, in the custody log", err=True)
    click.echo(f"fetched {done.fetched:,} ({format_bytes(done.size)})", err=True)


@contextmanager
def _bar(what: str, *, sizes: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """Progress on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn

    amount = DownloadColumn() if sizes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount)
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)

        def progress(done: int, total: int, _: str) -> None:
            bar.update(task, completed=done, total=total)

        yield progress
