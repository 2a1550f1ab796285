"""AWS's list of its address ranges, brought from AWS when the user asks for it, and only then."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import platformdirs

from flowbench.errors import InputError
from flowbench.loaders.geo import cloud_ranges

URL = "https://ip-ranges.amazonaws.com/ip-ranges.json"

_LARGEST = 64 << 20  # bytes; it has 2 MB
_PATIENCE = 30  # seconds without an answer


def fetch(folder: Path | None = None, *, url: str | None = None) -> Path:
    """Bring the list of the day into a folder, the user's cache otherwise, and say where it is.

    Its name holds the day of its publication; a list that is there already is written again. Load
    it into a case as any evidence. Raises InputError when it cannot be had, or is no such list.
    """
    url = url or URL
    folder = folder or platformdirs.user_cache_path("flowbench")
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:  # noqa: S310  # the caller's
            raw = answer.read(_LARGEST + 1)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise InputError(
            f"{url} cannot be had: {getattr(error, 'reason', None) or error}. Bring the file by"
            " other means and `flowbench ingest` it"
        ) from error
    published = _published(raw)
    if published is None:
        raise InputError(f"what {url} answered is no list of address ranges")
    path = folder / f"aws-ip-ranges-{published:%Y-%m-%d}.json"
    aside = path.with_suffix(".aside")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(raw)
        aside.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def _published(raw: bytes) -> datetime | None:
    """When a list was published; None for bytes that are none, or of which some are missing."""
    try:
        records = cloud_ranges.matches(json.loads(raw)) if len(raw) <= _LARGEST else None
    except (ValueError, RecursionError):
        return None
    first = next((record for record in records or () if isinstance(record, dict)), None)
    return cloud_ranges.published(first) if first and "ip_prefix" in first else None
