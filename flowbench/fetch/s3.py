"""Objects from S3: list only what a period can concern, then download what is not here yet."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.errors import InputError
from flowbench.fetch import aws, bucket_layout, task_queue
from flowbench.fetch.download_cache import Arrived, Shelf
from flowbench.fetch.outcome import Done

if TYPE_CHECKING:
    from flowbench.case import Case

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_WIDEST = 100  # folders of no known meaning in one place: beyond it one long listing is quicker
_DEEPEST = 8  # levels of them
_PIECE = 1 << 20
_TRIES = 4
_NOT_LOGS = ("aws-logs-write-test",)  # CloudWatch Logs' exports put it there to try their rights

COLUMNS = ["kind", "account", "region", "chosen_by", "objects", "bytes", "here", "to_fetch"]


@dataclass(frozen=True, slots=True)
class Object:
    """One object that the period concerns."""

    key: str
    etag: str
    size: int
    modified: datetime
    kind: str
    account: str | None
    region: str | None
    chosen_by: str


@dataclass
class Plan:
    """What would be downloaded, by key, and what the user should know about it."""

    account: aws.Account
    source: str
    period: bucket_layout.Period | None
    bucket: str
    kinds: tuple[str, ...]
    requester_pays: bool = False
    objects: list[Object] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def unit(self, one: Object) -> str:
        """What identifies an object as it was: where it lies and what was in it."""
        return f"s3://{self.bucket}/{one.key} {one.etag} {one.size}"

    def _names(self, one: Object) -> list[str]:
        return ["s3", self.bucket, *one.key.split("/")]

    def summary(self, case: Case) -> pd.DataFrame:
        """A row per kind, account, region and what chose the objects; sizes in bytes.

        Columns: kind, account, region, chosen_by ('name', 'folder', 'written'), objects, bytes,
        here (objects that were fetched before), to_fetch (bytes).
        """
        shelf = Shelf(case.path)
        rows = [
            (o.kind, o.account, o.region, o.chosen_by, 1, o.size, here, 0 if here else o.size)
            for o in self.objects
            for here in [int(shelf.has(self.unit(o)))]
        ]
        frame = pd.DataFrame(rows, columns=COLUMNS)
        return frame.groupby(COLUMNS[:4], as_index=False, dropna=False).sum()

    def details(self) -> dict[str, Any]:
        """What the custody log holds of it besides."""
        return {"kinds": list(self.kinds), "requester_pays": self.requester_pays}

    def notes(self) -> list[str]:
        """What was left out or chosen by less than its name, in sentences."""
        said = []
        if self.left_out:
            said.append(f"left out, not evidence flowbench reads: {_some(self.left_out)}")
        if self.unknown:
            said.append(f"no layout flowbench knows; all was listed under: {_some(self.unknown)}")
        if count := sum(o.chosen_by == "written" for o in self.objects):
            said.append(
                f"{count:,} objects do not tell their time: all written since the period began"
            )
        return said

    def bring(
        self, shelf: Shelf, done: Done, progress: Callable[[int, int, str], None] = lambda *_: None
    ) -> None:
        """Download the objects that are not here yet; called in ``record.recorded``.

        An object that cannot be had is told in ``done.failed`` and does not stop the others; what
        would refuse every one does. ``progress`` is called with (bytes done, of bytes, bucket).
        Raises Refused; on any exception what came whole is kept, the rest leaves nothing behind.
        """
        todo = [one for one in self.objects if not shelf.has(self.unit(one))]
        done.here = len(self.objects) - len(todo)
        total = sum(one.size for one in todo)
        getter = _Getter(self, shelf)
        tasks = (  # the places are given out in the order of the keys
            (
                f"s3://{self.bucket}/{one.key}",
                partial(getter.get, one, shelf.place(self._names(one), self.unit(one))),
            )
            for one in todo
        )
        task_queue.run(
            tasks,
            done,
            workers=aws.WORKERS,
            tick=lambda _: progress(getter.bytes, total, self.bucket),
        )


def parse(url: str) -> tuple[str, str]:
    """Bucket and prefix of an ``s3://bucket/prefix``. Raises InputError."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not _BUCKET.fullmatch(bucket):
        raise InputError(f"{url}: write s3://BUCKET or s3://BUCKET/FOLDER")
    return bucket, prefix


def plan(
    account: aws.Account,
    url: str,
    period: bucket_layout.Period,
    *,
    kinds: tuple[str, ...] = bucket_layout.KINDS,
    requester_pays: bool = False,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Plan:
    """List the objects under ``url`` that a period can concern; nothing is downloaded.

    ``kinds`` are those of ``layout.KINDS`` to look for; what tells no kind is always looked at.
    ``progress`` is called with (folders listed, folders known of, folder). Raises InputError when
    there is nothing at all, or AWS refuses.
    """
    bucket, prefix = parse(url)
    made = Plan(account, url, period, bucket, kinds, requester_pays)
    walk = _Walk(account.client("s3"), made, period, kinds)
    done = 0
    with ThreadPoolExecutor(aws.WORKERS) as pool:
        try:
            waiting = {pool.submit(walk.start, prefix)}
            while waiting:
                ready, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                folders = [folder for one in ready for folder in one.result()]
                done += len(ready)
                waiting |= {pool.submit(walk.step, folder) for folder in folders}
                progress(done, done + len(waiting), url)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not walk.anything:
        raise InputError(f"{url}: nothing lies there")
    # A folder that turned out to be too wide on its second page was listed twice.
    made.objects = [one for _, one in sorted({one.key: one for one in made.objects}.items())]
    return made


class _Walk:
    """From folder to folder, and only into those that can hold what is wanted."""

    def __init__(
        self, client: Any, made: Plan, period: bucket_layout.Period, kinds: tuple[str, ...]
    ) -> None:
        self.client = client
        self.plan = made
        self.period = period
        self.kinds = {*kinds, bucket_layout.UNKNOWN}
        self.anything = False
        self.depth = 0

    def start(self, prefix: str) -> list[str]:
        """The folder or the object that the user named."""
        self.depth = prefix.count("/") + _DEEPEST
        if not prefix or prefix.endswith("/"):
            return self.step(prefix)
        folders: list[str] = []
        for page in self._pages(prefix, folders=True):
            if any(p["Prefix"] == prefix + "/" for p in page.get("CommonPrefixes", ())):
                folders = [prefix + "/"]
            self._choose(one for one in page.get("Contents", ()) if one["Key"] == prefix)
        return folders

    def step(self, folder: str) -> list[str]:
        """Look into a folder: keep its objects, give back the folders that are worth a look."""
        place = bucket_layout.read(folder)
        window = self.period.window(place.kind)
        if place.part == "hour" or (place.part == "day" and place.within(*window)):
            return self._whole(folder)
        if not place.known and folder.count("/") > self.depth:
            self.plan.unknown.add(folder)
            return self._whole(folder)
        inside: list[str] = []
        for page in self._pages(folder, folders=True):
            inside += [found["Prefix"] for found in page.get("CommonPrefixes", ())]
            if not place.known and len(inside) > _WIDEST:
                self.plan.unknown.add(folder)
                return self._whole(folder)
            self._choose(page.get("Contents", ()))
        self.anything |= bool(inside)
        return [one for one in inside if self._worth(one)]

    def _worth(self, folder: str) -> bool:
        place = bucket_layout.read(folder)
        if place.service and place.kind == bucket_layout.UNKNOWN:
            self.plan.left_out.add(place.service)
            return False
        if place.kind not in self.kinds:
            return False
        return not place.misses(*self.period.window(place.kind))

    def _whole(self, folder: str) -> list[str]:
        for page in self._pages(folder, folders=False):
            self._choose(page.get("Contents", ()))
        return []

    def _pages(self, prefix: str, *, folders: bool) -> Iterator[dict[str, Any]]:
        more = {"Delimiter": "/"} if folders else {}
        if self.plan.requester_pays:
            more["RequestPayer"] = "requester"
        pages = self.client.get_paginator("list_objects_v2")
        with aws.asking("s3:ListBucket", f"s3://{self.plan.bucket}"):
            yield from pages.paginate(Bucket=self.plan.bucket, Prefix=prefix, **more)

    def _choose(self, contents: Any) -> None:
        for found in contents:
            key, size = found["Key"], found["Size"]
            self.anything = True
            if (key.endswith("/") and not size) or key.endswith(_NOT_LOGS):
                continue
            place = bucket_layout.read(key.rpartition("/")[0] + "/")
            kind = bucket_layout.kind_of(key, place)
            if place.service and place.kind == bucket_layout.UNKNOWN:
                self.plan.left_out.add(place.service)
                continue
            if kind not in self.kinds:
                continue
            by = bucket_layout.concerns(key, found["LastModified"], place, self.period)
            if by is not None:
                etag = found["ETag"].strip('"')
                self.plan.objects.append(
                    Object(
                        key, etag, size, found["LastModified"],
                        kind, place.account, place.region, by,
                    )
                )  # fmt: skip


class _Getter:
    """Brings one object after the other, in several threads."""

    def __init__(self, made: Plan, shelf: Shelf) -> None:
        self.client = made.account.client("s3")
        self.plan = made
        self.shelf = shelf
        self.bytes = 0
        self._guard = threading.Lock()

    def get(self, one: Object, place: str, stop: threading.Event) -> int:
        """Bring an object aside, then keep it; its bytes. Raises Refused."""
        name = f"s3://{self.plan.bucket}/{one.key}"
        for left in reversed(range(_TRIES)):
            aside = self.shelf.aside()
            try:
                with aws.asking("s3:GetObject", name):
                    sha256, answer = self._bring(one, aside, stop)
                break
            except aws.Refused as refused:
                aside.unlink(missing_ok=True)
                if refused.code not in aws.BROKEN_OFF or not left or stop.is_set():
                    raise
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
        self.shelf.keep(
            self.plan.unit(one),
            [Arrived(aside, place, one.size, sha256)],
            source=name,
            bucket=self.plan.bucket,
            key=one.key,
            etag=one.etag,
            version=answer.get("VersionId"),
            modified=one.modified.isoformat(),
        )
        return one.size

    def _bring(self, one: Object, aside: Path, stop: threading.Event) -> tuple[str, dict[str, Any]]:
        more = {"RequestPayer": "requester"} if self.plan.requester_pays else {}
        answer = self.client.get_object(
            Bucket=self.plan.bucket, Key=one.key, IfMatch=f'"{one.etag}"', **more
        )
        digest, size = hashlib.sha256(), 0
        try:
            with aside.open("xb") as file:
                for piece in answer["Body"].iter_chunks(_PIECE):
                    if stop.is_set():
                        raise task_queue.Stopped
                    digest.update(piece)
                    file.write(piece)
                    size += len(piece)
                    self._add(len(piece))
        except BaseException:
            self._add(-size)
            raise
        if size != one.size:
            raise aws.Refused(f"{one.key}: {size} bytes came, {one.size} were listed", "short")
        return digest.hexdigest(), answer

    def _add(self, count: int) -> None:
        with self._guard:
            self.bytes += count


def _some(names: set[str]) -> str:
    """A few of some names, for a sentence."""
    shown = ", ".join(name or "the whole bucket" for name in sorted(names)[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
