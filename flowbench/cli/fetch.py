"""The command that brings evidence from AWS; nothing else of flowbench asks the network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli.base import BAD_ANSWER, answers, case_argument, main, open_case
from flowbench.cli.evidence import load_into
from flowbench.errors import InputError

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.fetch.aws import Account
    from flowbench.fetch.layout import Period
    from flowbench.fetch.record import Done


@main.command()
@case_argument
@click.argument("source", metavar="SOURCE")
@click.option("--from", "since", metavar="TIME", help="Where the period begins (UTC).")
@click.option("--until", metavar="TIME", help="Where it ends, itself not included; now otherwise.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["flow-logs", "cloudtrail", "dns", "guardduty"]),
    help="From S3: only this kind (again for more); all four otherwise.",
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
    r"""Bring evidence from AWS into CASE and load it.

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
    """
    from flowbench.fetch.aws import Account

    opened = open_case(case)
    account = Account(profile, regions[0] if len(regions) == 1 else None, endpoint_url)
    period = _period(source, since, until)
    if source.startswith("s3://"):
        _one(regions)
        done = _s3(opened, account, source, period, kinds, requester_pays, dry_run, form, output)
    else:
        done = _ask(opened, account, source, period, regions, dry_run)
    if done is None:
        return
    _tell(done)
    if not no_ingest:
        _load(opened, form, output)
    if done.failed:
        sys.exit(BAD_ANSWER)


def _one(regions: tuple[str, ...]) -> None:
    if len(regions) > 1 or "all" in regions:
        raise InputError("this lies in one region: give --region once")


def _period(source: str, since: str | None, until: str | None) -> Period | None:
    from flowbench.fetch import layout

    if source == "inventory":
        if since or until:
            raise InputError("an inventory is of now: leave --from and --until out")
        return None
    if since is None:
        raise InputError("--from is missing: when does the period begin?")
    return layout.period(since, until)


def _s3(
    case: Case,
    account: Account,
    source: str,
    period: Period | None,
    kinds: tuple[str, ...],
    requester_pays: bool,
    dry_run: bool,
    form: str,
    output: Path | None,
) -> Done | None:
    from flowbench import output as out
    from flowbench.fetch import layout, s3
    from flowbench.fetch.record import recorded
    from flowbench.fetch.shelf import Shelf

    assert period is not None  # only an inventory has none
    with _bar("listing") as progress:
        plan = s3.plan(
            account,
            source,
            period,
            kinds=kinds or layout.KINDS,
            requester_pays=requester_pays,
            progress=progress,
        )
    shelf = Shelf(case.path)
    summary = plan.summary(shelf)
    if dry_run:
        out.write(summary, form, output)
        for note in plan.notes():
            click.echo(out.plain(note), err=True)
    count, here = int(summary["objects"].sum()), int(summary["here"].sum())
    size = out.size(int(summary["to_fetch"].sum()))
    click.echo(f"{count:,} objects, {here:,} of them here already: {size} to fetch", err=True)
    if dry_run:
        return None
    with (
        recorded(case, shelf, account, source, period, kinds=list(kinds)) as done,
        _bar("fetching", sizes=True) as progress,
    ):
        s3.download(account, plan, shelf, done, progress)
    return done


def _ask(
    case: Case,
    account: Account,
    source: str,
    period: Period | None,
    regions: tuple[str, ...],
    dry_run: bool,
) -> Done | None:
    """Everything that is asked of an API rather than downloaded."""
    from flowbench import output as out
    from flowbench.fetch import answers, live, logs
    from flowbench.fetch.record import recorded
    from flowbench.fetch.shelf import Shelf

    workers = logs.WORKERS
    if source.startswith("logs://"):
        _one(regions)
        assert period is not None
        asked = list(logs.questions(account, source, period))
    elif source in ("inventory", "cloudtrail", "guardduty"):
        named = live.regions(account, regions)
        if source == "cloudtrail":
            workers = 1  # its limit is two requests a second
        asked = [
            question
            for region in named
            for question in (
                live.inventory(account, region)
                if period is None
                else getattr(live, source)(account, region, period)
            )
        ]
    else:
        raise InputError(f"{source} is nothing to fetch from: see `flowbench fetch --help`")
    if source == "cloudtrail" and period and period.since < datetime.now(UTC) - live.HISTORY:
        click.echo(
            "CloudTrail's own history reaches back 90 days: ask the trail's bucket", err=True
        )
    shelf = Shelf(case.path)
    here = sum(shelf.has(question.unit) for question in asked)
    click.echo(f"{len(asked)} to ask, {here} of them answered already", err=True)
    if dry_run:
        for question in asked:
            click.echo(out.plain(question.what))
        return None
    with (
        recorded(case, shelf, account, source, period, regions=list(regions)) as done,
        _bar("asking") as progress,
    ):
        answers.ask(asked, shelf, done, workers=workers, progress=progress)
    return done


def _tell(done: Done) -> None:
    """What came of a fetch, on stderr."""
    from flowbench import output as out

    for note in done.notes:
        click.echo(out.plain(note), err=True)
    for name, reason in done.failed[:20]:
        click.echo(
            f"not fetched: {out.plain(reason if name in reason else f'{name}: {reason}')}", err=True
        )
    if len(done.failed) > 20:
        click.echo(f"… and {len(done.failed) - 20:,} more, in the custody log", err=True)
    click.echo(f"fetched {done.fetched:,} ({out.size(done.size)})", err=True)


def _load(case: Case, form: str, output: Path | None) -> None:
    from flowbench.fetch.shelf import Shelf

    root = Shelf(case.path).root
    if any(path.is_file() for path in root.rglob("*")):
        load_into(case, (root,), form=form, output=output)


@contextmanager
def _bar(what: str, *, sizes: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """Progress on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn

    amount = DownloadColumn() if sizes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def progress(done: int, total: int, _: str) -> None:
            bar.update(task, completed=done, total=total)

        yield progress
