"""Download of AWS's published address ranges, on request."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import platformdirs

from flowbench.errors import InputError
from flowbench.io import atomic
from flowbench.loaders.geo import cloud_ranges
from flowbench.text import format_date

URL = "https://ip-ranges.amazonaws.com/ip-ranges.json"

_MAX_BYTES = 64 << 20  # the list has 2 MB
_TIMEOUT = 30  # seconds


def fetch(folder: Path | None = None, *, url: str | None = None) -> Path:
    """Download the current list and return its path; ingest it as any evidence.

    The file name has the date of publication; the list of the same date is replaced.

    Args:
        folder: Where to write it; the user's cache by default.
        url: Another place of the list.

    Raises:
        InputError: The list cannot be downloaded or written, or the response is no such list.
    """
    url = url or URL
    folder = folder or platformdirs.user_cache_path("flowbench")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:  # noqa: S310  # the caller's
            raw = response.read(_MAX_BYTES + 1)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise InputError(
            f"cannot download {url}: {getattr(error, 'reason', None) or error}. Copy the file here"
            " by other means and `flowbench ingest` it"
        ) from error
    published = _parse_publication(raw)
    if published is None:
        raise InputError(f"the response of {url} is not a list of address ranges")
    path = folder / f"aws-ip-ranges-{format_date(published)}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, raw)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def _parse_publication(raw: bytes) -> datetime | None:
    """Return when a list was published; None for an incomplete list or anything else."""
    try:
        records = cloud_ranges.matches(json.loads(raw)) if len(raw) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        return None
    first = next((record for record in records or () if isinstance(record, dict)), None)
    return cloud_ranges.published(first) if first and "ip_prefix" in first else None
