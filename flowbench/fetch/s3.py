"""Download of S3 objects into a case's download cache."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.fetch import aws, task_queue
from flowbench.fetch.bucket_layout import Period
from flowbench.fetch.download_cache import DownloadCache, StagedFile
from flowbench.fetch.outcome import FetchResult, Progress
from flowbench.text import format_count, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

_CHUNK = 1 << 20  # bytes
_ATTEMPTS = 4

_GROUP_COLUMNS = ["kind", "account", "region", "selected_by"]
COLUMNS = [*_GROUP_COLUMNS, "objects", "bytes", "cached", "bytes_to_fetch"]


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object that may have records of the period."""

    key: str
    etag: str
    size: int
    modified: datetime
    kind: str
    account: str | None
    region: str | None
    selected_by: str


@dataclass
class S3Plan:
    """The objects that a fetch would download, in the order of their keys."""

    session: aws.AwsSession
    source: str
    period: Period | None
    bucket: str
    kinds: tuple[str, ...]
    requester_pays: bool = False
    objects: list[S3Object] = field(default_factory=list)
    unsupported_services: set[str] = field(default_factory=set)
    unknown_folders: set[str] = field(default_factory=set)

    def item_id(self, item: S3Object) -> str:
        """Return what identifies an object and its content in the download cache."""
        return f"{self.url(item)} {item.etag} {item.size}"

    def url(self, item: S3Object) -> str:
        """Return an object's ``s3://`` URL."""
        return f"s3://{self.bucket}/{item.key}"

    def request_options(self) -> dict[str, str]:
        """Return the parameters that every request to the bucket has."""
        return {"RequestPayer": "requester"} if self.requester_pays else {}

    def summary(self, case: Case) -> pd.DataFrame:
        """Return a row per kind, account, region and reason for selection.

        Columns: kind, account, region, selected_by ('name', 'folder', 'modified'), objects, bytes,
        cached (objects fetched before), bytes_to_fetch.
        """
        cache = DownloadCache(case.path)
        rows = [
            (o.kind, o.account, o.region, o.selected_by, 1, o.size, cached, (1 - cached) * o.size)
            for o in self.objects
            for cached in [int(cache.has_item(self.item_id(o)))]
        ]
        frame = pd.DataFrame(rows, columns=COLUMNS)
        return frame.groupby(_GROUP_COLUMNS, as_index=False, dropna=False).sum()

    def details(self) -> Mapping[str, object]:
        """Return further fields for the custody log."""
        return {"kinds": list(self.kinds), "requester_pays": self.requester_pays}

    def notes(self) -> list[str]:
        """Return what was omitted, or selected by less than its name, as sentences."""
        notes = []
        if self.unsupported_services:
            services = list_some(sorted(self.unsupported_services))
            notes.append(f"omitted, because flowbench does not read these logs: {services}")
        if self.unknown_folders:
            folders = list_some(name or "the whole bucket" for name in sorted(self.unknown_folders))
            notes.append(f"unknown layout, listed completely: {folders}")
        if count := sum(item.selected_by == "modified" for item in self.objects):
            objects = format_count(count, "object")
            notes.append(f"{objects} selected by last modification: no date in name or folder")
        return notes

    def download(
        self, cache: DownloadCache, result: FetchResult, progress: Progress = lambda *_: None
    ) -> None:
        """Download the objects that are not cached.

        Call it inside ``outcome.record_fetch``. An object that cannot be downloaded is listed in
        ``result.failures`` and does not stop the others. On any exception complete downloads are
        kept, the rest is removed.

        Args:
            cache: Where the objects are stored.
            result: Counts what was fetched.
            progress: Called with (bytes done, total bytes, bucket).

        Raises:
            AwsRequestError: Every further request would fail in the same way.
        """
        pending = [item for item in self.objects if not cache.has_item(self.item_id(item))]
        result.cached = len(self.objects) - len(pending)
        total = sum(item.size for item in pending)
        downloader = _Downloader(self, cache)

        def task(item: S3Object) -> tuple[str, task_queue.Task]:
            names = ["s3", self.bucket, *item.key.split("/")]
            path = cache.reserve_path(names, self.item_id(item))
            return self.url(item), partial(downloader.download, item, path)

        task_queue.run_tasks(
            map(task, pending),  # reserves the paths in the order of the keys
            result,
            workers=aws.WORKERS,
            on_progress=lambda _: progress(downloader.byte_count, total, self.bucket),
        )


class _Downloader:
    """Downloads objects in several threads and counts their bytes."""

    def __init__(self, plan: S3Plan, cache: DownloadCache) -> None:
        self.client = plan.session.client("s3")
        self.plan = plan
        self.cache = cache
        self.byte_count = 0
        self._lock = threading.Lock()

    def download(self, item: S3Object, path: str, stop: threading.Event) -> int:
        """Download an object, store it under a path, and return its size.

        Raises AwsRequestError.
        """
        url = self.plan.url(item)
        for remaining in reversed(range(_ATTEMPTS)):
            staging_path = self.cache.new_staging_path()
            try:
                with aws.translate_errors("s3:GetObject", url):
                    sha256, response = self._get_object(item, staging_path, stop)
                break
            except aws.AwsRequestError as error:
                staging_path.unlink(missing_ok=True)
                if error.code not in aws.INTERRUPTED or not remaining or stop.is_set():
                    raise
            except BaseException:
                staging_path.unlink(missing_ok=True)
                raise
        self.cache.store(
            self.plan.item_id(item),
            [StagedFile(staging_path, path, item.size, sha256)],
            source=url,
            bucket=self.plan.bucket,
            key=item.key,
            etag=item.etag,
            version=response.get("VersionId"),
            modified=item.modified.isoformat(),
        )
        return item.size

    def _get_object(
        self, item: S3Object, staging_path: Path, stop: threading.Event
    ) -> tuple[str, aws.ApiResponse]:
        """Write an object's content to a file; return its SHA-256 and the response."""
        response = self.client.get_object(
            Bucket=self.plan.bucket,
            Key=item.key,
            IfMatch=f'"{item.etag}"',
            **self.plan.request_options(),
        )
        digest, size = hashlib.sha256(), 0
        try:
            with staging_path.open("xb") as file:
                for chunk in response["Body"].iter_chunks(_CHUNK):
                    if stop.is_set():
                        raise task_queue.TaskStopped
                    digest.update(chunk)
                    file.write(chunk)
                    size += len(chunk)
                    self._count_bytes(len(chunk))
        except BaseException:
            self._count_bytes(-size)
            raise
        if size != item.size:
            message = f"{item.key}: received {size} of {item.size} bytes"
            raise aws.AwsRequestError(message, "short")
        return digest.hexdigest(), response

    def _count_bytes(self, count: int) -> None:
        with self._lock:
            self.byte_count += count
