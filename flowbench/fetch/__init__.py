"""Fetch evidence from AWS into a case, on request, with read-only permissions.

from flowbench import fetch
plan = fetch.prepare("s3://bucket/AWSLogs", since="2026-09-01", until="2026-09-02")
plan.summary(case)
fetch.download(case, plan)
case.ingest(fetch.download_folder(case))

This is the only package that uses the network. The case keeps files exactly as AWS delivered them
(``download_cache``) and logs each fetch in its custody log (``outcome``). All but ``cloud_ranges``
need boto3 (``flowbench[aws]``), and raise InputError without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbench.fetch.plan import download, download_folder, prepare

__all__ = ["download", "download_folder", "prepare"]


def __getattr__(name: str) -> Any:
    """Import boto3 only when one of the functions is used."""
    if name in __all__:
        return getattr(importlib.import_module("flowbench.fetch.plan"), name)
    raise AttributeError(f"module 'flowbench.fetch' has no attribute {name!r}")
