"""One way in to everything that can be fetched: prepare, look at it, bring it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flowbench.errors import InputError
from flowbench.fetch import account as aws_account
from flowbench.fetch import bucket_layout, cloudwatch_logs, s3
from flowbench.fetch.aws import Account
from flowbench.fetch.download_cache import Shelf
from flowbench.fetch.outcome import Done, recorded
from flowbench.fetch.requests import Questions

if TYPE_CHECKING:
    from flowbench.case import Case

Progress = Callable[[int, int, str], None]


def prepare(
    source: str,
    *,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    account: Account | None = None,
    kinds: tuple[str, ...] = bucket_layout.KINDS,
    regions: tuple[str, ...] = (),
    requester_pays: bool = False,
    progress: Progress = lambda *_: None,
) -> s3.Plan | Questions:
    """Find out what there is to fetch; nothing is written. ``bring`` then brings it.

    ``source`` is ``s3://BUCKET/FOLDER``, ``logs://GROUP``, ``inventory``, ``cloudtrail`` or
    ``guardduty``. All but an inventory need ``since`` (UTC; ``until`` is now when left out).
    ``kinds`` and ``requester_pays`` are for S3; ``regions`` are for the last three: those of the
    account with ('all',), the profile's by default. Both results have ``summary(case)``, a frame
    of what there is to fetch, and ``notes()``. Raises InputError when the source or the period
    cannot be used, and Refused, one of its kind, when AWS refuses.
    """
    account = account or Account()
    if source == "inventory":
        if since or until:
            raise InputError("an inventory is of now: leave the period out")
        period = None
    elif not source.startswith(("s3://", "logs://")) and source not in ("cloudtrail", "guardduty"):
        raise InputError(f"{source} is nothing to fetch from: see `flowbench fetch --help`")
    elif since is None:
        raise InputError("--from is missing: when does the period begin?")
    else:
        period = bucket_layout.period(since, until)
    if "://" in source and (len(regions) > 1 or "all" in regions):
        raise InputError("this lies in one region: give --region once")
    if len(regions) == 1 and regions != ("all",):
        account.region = regions[0]
    if source.startswith("s3://"):
        assert period is not None  # only an inventory has none
        return s3.plan(
            account,
            source,
            period,
            kinds=kinds,
            requester_pays=requester_pays,
            progress=progress,
        )
    return _questions(account, source, period, regions)


def _questions(
    account: Account, source: str, period: bucket_layout.Period | None, regions: tuple[str, ...]
) -> Questions:
    asked = Questions(account, source, period)
    if period is None:
        for region in aws_account.regions(account, regions):
            asked.questions += aws_account.inventory(account, region)
    elif source == "guardduty":
        for region in aws_account.regions(account, regions):
            asked.questions += aws_account.guardduty(account, region, period)
    elif source == "cloudtrail":
        asked.workers = 1  # its limit is two requests a second
        for region in aws_account.regions(account, regions):
            asked.questions += aws_account.cloudtrail(account, region, period)
        if period.since < datetime.now(UTC) - aws_account.HISTORY:
            asked.said.append(
                "CloudTrail's own history reaches back 90 days: ask the trail's bucket for more"
            )
    else:
        asked.questions += cloudwatch_logs.questions(account, source, period)
    return asked


def bring(case: Case, prepared: s3.Plan | Questions, progress: Progress = lambda *_: None) -> Done:
    """Bring what was prepared into the case's evidence; what is there already is left out.

    Loads nothing: ``case.ingest(folder(case))`` does. ``progress`` is called with (done, of, what):
    bytes for S3, questions otherwise. Raises CaseError when the case cannot be written or another
    fetch is under way, Refused when AWS refuses everything, InputError when the user stopped it;
    what came whole is kept each time.
    """
    shelf = Shelf(case.path)
    with recorded(case, shelf, prepared) as done:
        prepared.bring(shelf, done, progress)
    return done


def folder(case: Case) -> Path:
    """Where the case's fetched files lie."""
    return Shelf(case.path).root
