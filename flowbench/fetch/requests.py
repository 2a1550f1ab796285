"""API requests, whose responses are stored unchanged but for times, which become ISO 8601.

The pages of open-ended responses are stored one per line, in gzip files; those of describe calls
are merged into one JSON document, as the AWS CLI prints them. A request is one item of the download
cache: it is there complete, in one or several files, or not at all.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.fetch import task_queue
from flowbench.fetch.aws import ApiResponse, AwsSession, translate_errors
from flowbench.fetch.bucket_layout import Period
from flowbench.fetch.download_cache import DownloadCache, StagedFile
from flowbench.fetch.outcome import FetchResult, Progress
from flowbench.io import atomic

if TYPE_CHECKING:
    from flowbench.case import Case

MAX_FILE_BYTES = 128 << 20  # of text: the loader holds a whole JSON file in memory

_TRANSPORT_FIELDS = ("ResponseMetadata", "nextToken", "NextToken")  # not content


@dataclass(frozen=True)
class ApiRequest:
    """One paginated request to an AWS API, and where its responses are stored."""

    item_id: str  # equal for equal requests; it has the time where the response holds only then
    description: str
    action: str  # the IAM action that it needs
    region: str
    names: list[str]  # folders and file name without suffix
    send: Callable[[], Iterable[ApiResponse]]  # returns the pages
    merged_list: str | None = None  # the list in each page, if the pages become one document
    details: Mapping[str, object] = field(default_factory=dict)  # for the index


@dataclass
class ApiPlan:
    """The API requests that a fetch would send."""

    session: AwsSession
    source: str
    period: Period | None
    requests: list[ApiRequest] = field(default_factory=list)
    workers: int = 4  # FilterLogEvents allows some ten requests a second in an account
    remarks: list[str] = field(default_factory=list)

    def summary(self, case: Case) -> pd.DataFrame:
        """Return a row per request: request, region, cached (whether it was sent before)."""
        cache = DownloadCache(case.path)
        rows = [(r.description, r.region, cache.has_item(r.item_id)) for r in self.requests]
        return pd.DataFrame(rows, columns=["request", "region", "cached"])

    def details(self) -> Mapping[str, object]:
        """Return further fields for the custody log."""
        return {"regions": sorted({request.region for request in self.requests})}

    def notes(self) -> list[str]:
        """Return what the user should know before the download, as sentences."""
        return self.remarks

    def download(
        self, cache: DownloadCache, result: FetchResult, progress: Progress = lambda *_: None
    ) -> None:
        """Send the requests that are not cached and store the responses.

        Call it inside ``outcome.record_fetch``. ``progress`` is called with (requests done, total,
        ""). Raises AwsRequestError when no request can succeed.
        """
        pending = [request for request in self.requests if not cache.has_item(request.item_id)]
        result.cached = len(self.requests) - len(pending)
        task_queue.run_tasks(
            [(request.description, partial(_download, request, cache)) for request in pending],
            result,
            workers=self.workers,
            on_progress=lambda count: progress(count, len(pending), ""),
        )


def split_period(period: Period, length: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Yield the spans of a fixed length, counted from 1970, that overlap a period.

    Equal periods and overlapping ones share their spans, so that none is requested twice.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    start = epoch + (period.since - epoch) // length * length
    while start < period.until:
        yield start, start + length
        start += length


def is_complete(until: datetime, delivery_delay: timedelta) -> bool:
    """Whether no more records of the time before ``until`` are to be delivered."""
    return until + delivery_delay <= datetime.now(UTC)


def _download(request: ApiRequest, cache: DownloadCache, stop: threading.Event) -> int:
    """Send a request and store its responses; return their bytes. Raises AwsRequestError."""
    files: list[StagedFile] = []
    staging_paths: list[Path] = []
    write = _write_document if request.merged_list else _write_lines
    try:
        with translate_errors(request.action, request.description):
            for path, suffix in write(request, cache, stop, staging_paths):
                number = f"-{len(files) + 1}" if files else ""
                names = [*request.names[:-1], f"{request.names[-1]}{number}{suffix}"]
                final_path = cache.reserve_path(names, request.item_id)
                sha256 = atomic.sha256_file(path)
                files.append(StagedFile(path, final_path, path.stat().st_size, sha256))
        cache.store(
            request.item_id,
            files,
            source=request.description,
            region=request.region,
            **request.details,
        )
    finally:
        for path in staging_paths:
            path.unlink(missing_ok=True)
    return sum(file.size for file in files)


def _write_lines(
    request: ApiRequest, cache: DownloadCache, stop: threading.Event, staging_paths: list[Path]
) -> Iterator[tuple[Path, str]]:
    """Write a page per line, deterministically; begin a new file after ``MAX_FILE_BYTES``."""
    pages = iter(request.send())
    page = next(pages, None)
    while page is not None:
        staging_paths.append(cache.new_staging_path())
        size = 0
        with (
            staging_paths[-1].open("xb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file,
        ):
            while page is not None and size < MAX_FILE_BYTES:
                if stop.is_set():
                    raise task_queue.TaskStopped
                content = {k: v for k, v in page.items() if k not in _TRANSPORT_FIELDS}
                size += file.write(_to_json(content) + b"\n")
                page = next(pages, None)
        yield staging_paths[-1], ".jsonl.gz"


def _write_document(
    request: ApiRequest, cache: DownloadCache, stop: threading.Event, staging_paths: list[Path]
) -> Iterator[tuple[Path, str]]:
    """Write all pages as one document, uncompressed: there the loader finds flow log formats."""
    name = request.merged_list or ""
    staging_paths.append(cache.new_staging_path())
    with staging_paths[-1].open("xb") as file:
        file.write(b"{" + _to_json(name) + b": [")
        separator = b"\n"
        for page in request.send():
            for item in page[name]:
                if stop.is_set():
                    raise task_queue.TaskStopped
                file.write(separator + _to_json(item))
                separator = b",\n"
        file.write(b"\n]}\n")
    yield staging_paths[-1], ".json"


def _to_json(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, default=_to_json_value)
    return text.encode("utf-8", "backslashreplace")


def _to_json_value(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
