"""flowbench fetch: download evidence from AWS."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.ingest import compute_connections, connections_option, load_evidence
from flowbench.cli.progress import progress_bar
from flowbench.text import escape_controls, format_bytes, format_count

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.fetch.outcome import FetchResult

_KINDS = ("flow-logs", "cloudtrail", "dns", "guardduty", "config")  # fetch's, without its import
_MAX_FAILURES = 20  # that a terminal shows


@click.command()
@common.case_argument
@click.argument("source", metavar="SOURCE")
@click.option("--from", "since", metavar="TIME", help="Start of the period, UTC.")
@click.option("--until", metavar="TIME", help="End of the period, exclusive.  [default: now]")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    help="From S3: only this kind (repeatable).  [default: all]",
)
@click.option("--profile", metavar="NAME", help="AWS profile.  [default: boto3's choice]")
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="REGION",
    help="AWS region, or 'all' (repeatable).  [default: the profile's]",
)
@click.option("--endpoint-url", metavar="URL", help="Custom AWS endpoint URL.")
@click.option(
    "--requester-pays", is_flag=True, help="Pay for downloads from requester-pays buckets."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be downloaded.")
@click.option("--no-ingest", is_flag=True, help="Download only; load nothing into the case.")
@connections_option
@common.output_options
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
    no_connections: bool,
    out: common.Output,
) -> None:
    """Download evidence from AWS and load it into CASE.

    SOURCE is one of:

    \b
      s3://BUCKET/FOLDER   log files of a period, in any of AWS's layouts
      logs://GROUP         events of a CloudWatch Logs group, in whole hours
      inventory            interfaces, instances, networks of regions, as they are now
      cloudtrail           CloudTrail's event history of regions (90 days)
      guardduty            GuardDuty findings of regions, updated since the period began

    Times are like 2026-09-01 or 2026-09-01T12:00. Files that can hold records of the period are
    downloaded whole, with a margin for late records. Credentials are found as the AWS CLI finds
    them, and never stored. After an interruption, run the command again: nothing is downloaded
    twice. Exit code 1 if AWS denied a part of it.
    """  # noqa: D301  # click looks for the character
    from flowbench import fetch as fetching
    from flowbench.fetch.aws import AwsSession

    opened = common.open_case(case)
    with progress_bar("listing", is_bytes=False) as progress:
        plan = fetching.prepare(
            source,
            since=since,
            until=until,
            session=AwsSession(profile, None, endpoint_url),
            kinds=kinds or _KINDS,
            regions=regions,
            requester_pays=requester_pays,
            progress=progress,
        )
    summary = plan.summary(opened)
    if dry_run:
        out.write(summary)
    _note_plan(summary)
    if dry_run:
        _note_all(plan.notes())
        return
    with progress_bar("fetching", is_bytes="bytes" in summary) as progress:
        result = fetching.download(opened, plan, progress)
    _note_result(result)
    folder = fetching.download_folder(opened)
    if not no_ingest and any(path.is_file() for path in folder.rglob("*")):
        load_evidence(opened, (folder,), out)
        if not no_connections:
            compute_connections(opened)
    if result.failures:
        sys.exit(common.EXIT_PROBLEMS)


def _note_plan(summary: pd.DataFrame) -> None:
    """Note how much there is to download."""
    cached = int(summary["cached"].sum())
    if "bytes" in summary:
        objects = format_count(int(summary["objects"].sum()), "object")
        size = format_bytes(int(summary["bytes_to_fetch"].sum()))
        common.note(f"{objects}, {cached:,} of them fetched before: {size} to fetch")
    else:
        common.note(f"{format_count(len(summary), 'request')}, {cached:,} of them sent before")


def _note_result(result: FetchResult) -> None:
    """Note what was downloaded and what failed."""
    _note_all(result.notes)
    for name, reason in result.failures[:_MAX_FAILURES]:
        common.note(
            f"not fetched: {escape_controls(reason if name in reason else f'{name}: {reason}')}"
        )
    if (more := len(result.failures) - _MAX_FAILURES) > 0:
        common.note(f"and {more:,} more, in the custody log")
    common.note(f"fetched {result.fetched:,} ({format_bytes(result.size)})")


def _note_all(texts: Iterable[str]) -> None:
    for text in texts:
        common.note(escape_controls(text))
