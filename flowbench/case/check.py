"""The result of one check of a verification, and the comparison of a file with its record."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple

from flowbench.io.byte_source import digest

INTACT = "intact"
ALTERED = "altered"
MISSING = "missing"
UNRECORDED = "unrecorded"  # a file that no entry of the custody log names
NOT_READABLE = "not readable"  # by this user, or from this disk
NOT_TRUSTED = "not trusted"  # a signature that matches, of a key that is not accepted
NOT_AVAILABLE = "not available"  # evidence that is elsewhere: it was not compared
NOTE = "note"  # for information: not a failure

_PASSED = frozenset({INTACT, NOT_AVAILABLE, NOTE})


class Check(NamedTuple):
    """The result for one file.

    Attributes:
        what: 'case', 'evidence', 'table', 'findings', 'cache', 'report', 'custody', 'seal' or
            'set-aside'.
        name: The file, or the option that was checked.
        ok: Whether nothing is wrong with it.
        result: 'intact', 'altered', 'missing', 'not readable', 'unrecorded' (no entry names it),
            'not trusted' (signed with a key that is not accepted),
            'not available' (not here, so not compared), 'note' (for information).
        detail: What does not match, or further information.
    """

    what: str
    name: str
    ok: bool
    result: str
    detail: str


def make_check(what: str, name: str, result: str, detail: str = "") -> Check:
    """Return a check; its result decides whether it is ok."""
    return Check(what, name, result in _PASSED, result, detail)


def compare_file(path: Path, sha256: str, size: int | None = None) -> tuple[str, str]:
    """Compare a file with its recorded hash.

    Args:
        path: The file.
        sha256: The recorded SHA-256.
        size: The recorded size in bytes, for the message.

    Returns:
        The result ('intact', 'altered', 'missing', 'not readable') and the detail.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            return ALTERED, f"{path} is not a regular file"
        sha256_now, size_now = digest(path)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING, f"not at {path}"
    except OSError as error:
        return NOT_READABLE, f"{path} cannot be read: {error.strerror}"
    if sha256_now == sha256:
        return INTACT, ""
    sizes = "same size"
    if size not in (None, size_now):
        sizes = f"{size:,} bytes when recorded, {size_now:,} now"
    return ALTERED, f"changed ({sizes}): SHA-256 was {sha256}, is {sha256_now}"
