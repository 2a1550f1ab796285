"""Listing of the S3 objects that may have records of a period."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

from flowbench.errors import InputError
from flowbench.fetch import aws, bucket_layout
from flowbench.fetch.bucket_layout import Period
from flowbench.fetch.outcome import Progress
from flowbench.fetch.s3 import S3Object, S3Plan

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_MAX_UNKNOWN_FOLDERS = 100  # in one folder: beyond it one long listing is quicker
_MAX_UNKNOWN_LEVELS = 8
_NOT_LOGS = ("aws-logs-write-test",)  # CloudWatch Logs exports write it to test their permissions


def parse_url(url: str) -> tuple[str, str]:
    """Return bucket and prefix of an ``s3://bucket/prefix``. Raises InputError."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not _BUCKET.fullmatch(bucket):
        raise InputError(f"{url}: write s3://BUCKET or s3://BUCKET/FOLDER")
    return bucket, prefix


def plan_s3_download(
    session: aws.AwsSession,
    url: str,
    period: Period,
    *,
    kinds: tuple[str, ...] = bucket_layout.KINDS,
    requester_pays: bool = False,
    progress: Progress = lambda *_: None,
) -> S3Plan:
    """List the objects under ``url`` that may have records of a period; download nothing.

    Args:
        session: The AWS profile, region and endpoint.
        url: ``s3://BUCKET/PREFIX``, a folder or one object.
        period: The period.
        kinds: The kinds of evidence (``bucket_layout.KINDS``) to list; objects of unknown kind are
            always listed.
        requester_pays: Accept the charges of a requester-pays bucket.
        progress: Called with (folders listed, folders known, url).

    Raises:
        InputError: Nothing is there.
        AwsRequestError: AWS rejects a request.
    """
    bucket, prefix = parse_url(url)
    plan = S3Plan(session, url, period, bucket, kinds, requester_pays)
    lister = _Lister(session.client("s3"), plan, period)
    listed = 0
    with ThreadPoolExecutor(aws.WORKERS) as pool:
        try:
            pending = {pool.submit(lister.list_start, prefix)}
            while pending:
                finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                folders = [folder for future in finished for folder in future.result()]
                listed += len(finished)
                pending |= {pool.submit(lister.list_folder, folder) for folder in folders}
                progress(listed, listed + len(pending), url)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not lister.has_content:
        raise InputError(f"{url}: nothing is there")
    # A folder that exceeded the limit on its second page was listed twice.
    plan.objects = [item for _, item in sorted({item.key: item for item in plan.objects}.items())]
    return plan


class _Lister:
    """Lists folders, and descends only into those that may have objects of the period."""

    def __init__(self, client: Any, plan: S3Plan, period: Period) -> None:
        self.client = client
        self.plan = plan
        self.period = period
        self.kinds = {*plan.kinds, bucket_layout.UNKNOWN}
        self.has_content = False
        self.max_level = 0

    def list_start(self, prefix: str) -> list[str]:
        """List the folder or object that the user named; return the folders to list next."""
        self.max_level = prefix.count("/") + _MAX_UNKNOWN_LEVELS
        if not prefix or prefix.endswith("/"):
            return self.list_folder(prefix)
        folders: list[str] = []
        for page in self._list_pages(prefix, by_folder=True):
            if any(p["Prefix"] == prefix + "/" for p in page.get("CommonPrefixes", ())):
                folders = [prefix + "/"]
            self._select(entry for entry in page.get("Contents", ()) if entry["Key"] == prefix)
        return folders

    def list_folder(self, path: str) -> list[str]:
        """Select a folder's objects; return the subfolders to list next."""
        folder = bucket_layout.parse_folder(path)
        window = self.period.delivery_window(folder.kind)
        date = folder.date
        if date is not None and (
            date.smallest_part == "hour"
            or (date.smallest_part == "day" and date.is_within(*window))
        ):
            return self._list_recursively(path)
        if not folder.is_awslogs and path.count("/") > self.max_level:
            self.plan.unknown_folders.add(path)
            return self._list_recursively(path)
        subfolders: list[str] = []
        for page in self._list_pages(path, by_folder=True):
            subfolders += [prefix["Prefix"] for prefix in page.get("CommonPrefixes", ())]
            if not folder.is_awslogs and len(subfolders) > _MAX_UNKNOWN_FOLDERS:
                self.plan.unknown_folders.add(path)
                return self._list_recursively(path)
            self._select(page.get("Contents", ()))
        self.has_content |= bool(subfolders)
        return [subfolder for subfolder in subfolders if self._may_have_records(subfolder)]

    def _may_have_records(self, path: str) -> bool:
        folder = bucket_layout.parse_folder(path)
        if not self._is_wanted(folder, folder.kind):
            return False
        window = self.period.delivery_window(folder.kind)
        return folder.date is None or not folder.date.is_disjoint(*window)

    def _is_wanted(self, folder: bucket_layout.Folder, kind: str) -> bool:
        """Whether a folder or object is of a kind to list; note a service that is unsupported."""
        if folder.is_unsupported:
            self.plan.unsupported_services.add(folder.service or "")
            return False
        return kind in self.kinds

    def _list_recursively(self, path: str) -> list[str]:
        for page in self._list_pages(path, by_folder=False):
            self._select(page.get("Contents", ()))
        return []

    def _list_pages(self, prefix: str, *, by_folder: bool) -> Iterator[aws.ApiResponse]:
        options = self.plan.request_options() | ({"Delimiter": "/"} if by_folder else {})
        paginator = self.client.get_paginator("list_objects_v2")
        with aws.translate_errors("s3:ListBucket", f"s3://{self.plan.bucket}"):
            yield from paginator.paginate(Bucket=self.plan.bucket, Prefix=prefix, **options)

    def _select(self, entries: Iterable[aws.ApiResponse]) -> None:
        """Add the objects that may have records of the period to the plan."""
        for entry in entries:
            key, size, modified = entry["Key"], entry["Size"], entry["LastModified"]
            self.has_content = True
            if (key.endswith("/") and not size) or key.endswith(_NOT_LOGS):
                continue
            folder = bucket_layout.parse_folder(key.rpartition("/")[0] + "/")
            kind = bucket_layout.object_kind(key, folder)
            if not self._is_wanted(folder, kind):
                continue
            reason = bucket_layout.selection_reason(key, modified, folder, self.period)
            if reason is not None:
                etag = entry["ETag"].strip('"')
                account, region = folder.account, folder.region
                self.plan.objects.append(
                    S3Object(key, etag, size, modified, kind, account, region, reason)
                )
