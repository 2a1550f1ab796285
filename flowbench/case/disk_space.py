"""A check of the disk space before a load, so that a full disk does not end it halfway.

Measured on a million records of version 2: the tables take 0.15 times the bytes of
text, and 0.56 times those of gzip. Required are ``TEXT_SHARE`` and ``COMPRESSED_SHARE``.

Limits: other formats may need more or less; the connections, which take about as much as
the tables, are computed later and not counted; other programs may fill the disk meanwhile.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from flowbench.errors import CaseError
from flowbench.loaders.dispatch import Evidence
from flowbench.text import format_bytes

TEXT_SHARE = 0.2
COMPRESSED_SHARE = 0.6
_COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".zip", ".tgz", ".parquet")


def estimate_tables(evidence: Iterable[Evidence]) -> int:
    """Estimate the bytes of the tables of some files; an archive counts, its members do not."""
    return sum(
        int(file.size * (COMPRESSED_SHARE if file.file.endswith(_COMPRESSED) else TEXT_SHARE))
        for file in evidence
        if file.archive_member is None
    )


def require_space(folder: Path, needed: int) -> None:
    """Raise CaseError if the disk of ``folder`` has less than ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CaseError(
            f"not enough disk space in {folder}: the load needs about {format_bytes(needed)},"
            f" {format_bytes(free)} are free. Nothing more was loaded. Free some space, or make the"
            " case on another disk"
        )
