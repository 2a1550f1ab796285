"""The entry point of every fetch: prepare a plan, review it, download it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flowbench.errors import InputError
from flowbench.fetch import account, bucket_layout, cloudwatch_logs
from flowbench.fetch.aws import AwsSession
from flowbench.fetch.bucket_layout import Period
from flowbench.fetch.download_cache import DownloadCache
from flowbench.fetch.outcome import FetchPlan, FetchResult, Progress, record_fetch
from flowbench.fetch.requests import ApiPlan
from flowbench.fetch.s3_listing import plan_s3_download

if TYPE_CHECKING:
    from flowbench.case import Case


def prepare(
    source: str,
    *,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    session: AwsSession | None = None,
    kinds: tuple[str, ...] = bucket_layout.KINDS,
    regions: tuple[str, ...] = (),
    requester_pays: bool = False,
    progress: Progress = lambda *_: None,
) -> FetchPlan:
    """List what there is to fetch; write nothing. ``download`` then fetches it.

    Args:
        source: ``s3://BUCKET/FOLDER``, ``logs://GROUP``, ``inventory``, ``cloudtrail`` or
            ``guardduty``.
        since: The start of the period (UTC), required for all but an inventory.
        until: Its end (UTC, exclusive); now by default.
        session: The AWS profile, region and endpoint.
        kinds: For S3: the kinds of evidence to list.
        regions: For the last three: their regions, ('all',) for all of the account's, the
            profile's by default.
        requester_pays: For S3: accept the charges of a requester-pays bucket.
        progress: Called with (folders listed, folders known, source).

    Raises:
        InputError: The source or the period cannot be used.
        AwsRequestError: AWS rejects a request.
    """
    session = session or AwsSession()
    period = _parse_period(source, since, until)
    if "://" in source and (len(regions) > 1 or "all" in regions):
        raise InputError("a bucket or log group is in one region: give --region once")
    if len(regions) == 1 and regions != ("all",):
        session.region = regions[0]
    if source.startswith("s3://") and period is not None:
        return plan_s3_download(
            session, source, period, kinds=kinds, requester_pays=requester_pays, progress=progress
        )
    return _plan_requests(session, source, period, regions)


def _parse_period(
    source: str, since: str | datetime | None, until: str | datetime | None
) -> Period | None:
    """Return the period of a source, None for an inventory. Raises InputError."""
    if source == "inventory":
        if since or until:
            raise InputError("an inventory has the present state: omit the period")
        return None
    if not source.startswith(("s3://", "logs://")) and source not in ("cloudtrail", "guardduty"):
        raise InputError(f"{source}: unknown source; see `flowbench fetch --help`")
    if since is None:
        raise InputError("--from is missing: give the start of the period")
    return bucket_layout.parse_period(since, until)


def _plan_requests(
    session: AwsSession, source: str, period: Period | None, regions: tuple[str, ...]
) -> ApiPlan:
    plan = ApiPlan(session, source, period)
    if period is None:
        for region in account.list_regions(session, regions):
            plan.requests += account.inventory_requests(session, region)
    elif source == "guardduty":
        for region in account.list_regions(session, regions):
            plan.requests += account.guardduty_requests(session, region, period)
    elif source == "cloudtrail":
        plan.workers = 1  # LookupEvents is limited to two requests a second
        for region in account.list_regions(session, regions):
            plan.requests += account.cloudtrail_requests(session, region, period)
        if period.since < datetime.now(UTC) - account.EVENT_HISTORY:
            plan.remarks.append(
                "CloudTrail's event history has 90 days: fetch older events from the trail's bucket"
            )
    else:
        plan.requests += cloudwatch_logs.log_group_requests(session, source, period)
    return plan


def download(case: Case, plan: FetchPlan, progress: Progress = lambda *_: None) -> FetchResult:
    """Download what a plan lists and the case does not have; what is complete is kept.

    This ingests nothing: ``case.ingest(download_folder(case))`` does. ``progress`` is called with
    (done, total, what), in bytes for S3, in requests otherwise.

    Raises:
        CaseError: The case cannot be written, or another fetch runs.
        AwsRequestError: AWS rejects every request.
        StoppedError: The user stopped it.
    """
    cache = DownloadCache(case.path)
    with record_fetch(case, cache, plan) as result:
        plan.download(cache, result, progress)
    return result


def download_folder(case: Case) -> Path:
    """Return the folder of the case's fetched files."""
    return DownloadCache(case.path).root
